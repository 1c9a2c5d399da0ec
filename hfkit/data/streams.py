"""Rows without answers from inputs of any size, a chunk at a time: memory does not grow with a file."""

import csv
import io
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset, Features, Json

from hfkit.data.csv_files import iterate_rows, refuse_header, refuse_other_encoding, refuse_width, unreadable_csv
from hfkit.data.leftovers import describe_leftovers, refuse_link, walk
from hfkit.data.notes import tell
from hfkit.errors import DataError, UserError, first_line

TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", ".txt")
STDIN = "-"
Record = dict[str, Any]


class Chunk(NamedTuple):
    """Consecutive rows of one input."""

    source: str  # the input's name in errors
    first: int  # number of the first row within it
    records: list[Record]  # the rows as they came, as plain values
    rows: Dataset  # the same as a table
    folder: Path  # relative paths of pictures begin here, and may not leave it


@dataclass(frozen=True)
class Source:
    """An input: a file of rows, texts or paths given one by one, or the lines of standard input."""

    name: str  # in errors
    folder: Path
    file: Path | None = None
    given: tuple[str, ...] | None = None  # None: standard input


@dataclass(frozen=True)
class Reading:
    """Reads inputs as chunks of rows."""

    column: str  # for a bare text or the path of a picture
    pictures: frozenset[str]  # suffixes of files that are one row each; empty for a task of texts
    encoding: str
    size: int  # rows of a chunk

    # Which inputs

    def sources(self, inputs: Sequence[str], texts: Sequence[str] = ()) -> list[Source]:
        """The inputs named on a command line, in order; consecutive pictures are one source.

        Raises:
            UserError: one does not exist, is of no known kind, or is a folder of more than one thing.
        """
        if inputs.count(STDIN) > 1:
            raise UserError("input '-'", "the standard input is read once", "Name it once")
        found = [Source("--text", root_folder(), given=tuple(texts))] if texts else []
        for single, names in groupby(inputs, self.is_picture):
            if single:
                found.append(Source("the pictures", root_folder(), given=tuple(names)))
            else:
                found += [self.source(name) for name in names]
        return found

    def is_picture(self, name: str) -> bool:
        return Path(name).suffix.lower() in self.pictures and Path(name).expanduser().is_file()

    def source(self, name: str) -> Source:
        if name == STDIN:
            # Piped paths are the user's own choice, like those on the command line: they may lie anywhere.
            return Source("the standard input", root_folder())
        path = Path(name).expanduser()
        if path.is_dir():
            return self.source_in(name, path)
        if not path.is_file():
            raise UserError(f"input '{name}'", "there is no such file or folder", "Check the path")
        if path.suffix.lower() not in TABLES:
            kinds = ", ".join((*TABLES, *sorted(self.pictures)))
            raise UserError(f"input '{name}'", f"a file is one of {kinds}", "Save it as one of these")
        return Source(name, path.parent.absolute(), path)

    def source_in(self, name: str, folder: Path) -> Source:
        files, skipped = find_inputs(folder)
        pictures = [str(file) for file in files if file.suffix.lower() in self.pictures]
        tables = [file for file in files if file.suffix.lower() in TABLES]
        if pictures:
            tables = leave_other_tables(folder, tables)
        if (pictures or tables) and (leftovers := describe_leftovers(skipped)):
            tell(f"{folder.name}: {leftovers}")
        if pictures and not tables:
            return Source(name, folder.absolute(), given=tuple(pictures))
        if len(tables) == 1 and not pictures:
            return Source(str(tables[0]), tables[0].parent.absolute(), tables[0])
        seen = f"{len(tables)} files of rows ({', '.join(TABLES)})"
        if self.pictures:
            seen += f" and {len(pictures)} pictures"
        raise UserError(
            f"folder '{name}'",
            f"it holds one file of rows{', or pictures alone' if self.pictures else ''}, and here are {seen}",
            "Name the files themselves",
        )

    # Which rows

    def refuse_broken(self, sources: Iterable[Source]) -> None:
        """Read every file of text to its end, before anything slow begins.

        Raises:
            UserError, DataError: one of them cannot be read.
        """
        for source in sources:
            if source.file is not None and source.file.suffix.lower() != ".parquet":
                refuse_other_encoding(source.file, self.encoding)
                for _ in self.records(source):
                    pass

    def chunks(self, source: Source) -> Iterator[Chunk]:
        """The rows of a source; each table has all columns seen so far, so that a later row may lack one.

        Raises:
            DataError: the file cannot be read.
        """
        if source.file is not None and source.file.suffix.lower() == ".parquet":
            yield from parquet_chunks(source, self.size)
            return
        first, columns, coming = 0, {}, self.records(source)
        while records := list(islice(coming, self.size)):
            for record in records:
                columns |= dict.fromkeys(record)
            rows = make_table(records, list(columns))
            if source.file is None and self.pictures:
                # These paths begin at the working folder; those in a table begin at its own folder.
                paths = [str(Path(path).expanduser().absolute()) for path in rows[self.column]]
                rows = Dataset.from_dict({self.column: paths})
            yield Chunk(source.name, first, records, rows, source.folder)
            first += len(records)

    def records(self, source: Source) -> Iterator[Record]:
        """The rows of a source, one by one."""
        if source.given is not None:
            yield from ({self.column: value} for value in source.given)
        elif source.file is None:
            yield from ({self.column: line} for line in read_lines(sys.stdin.buffer, self.encoding))
        elif source.file.suffix.lower() == ".txt":
            with source.file.open("rb") as file:
                yield from ({self.column: line} for line in read_lines(file, self.encoding))
        elif source.file.suffix.lower() in (".csv", ".tsv"):
            yield from csv_records(source.file, self.encoding)
        else:
            yield from json_records(source.file, self.encoding)


def find_inputs(folder: Path) -> tuple[list[Path], Counter[str]]:
    """The files below a folder and the leftovers that were skipped; a link to a file outside is at fault as a row.

    Raises:
        UserError: a folder cannot be read, or a link leads to a folder outside.
    """
    found = walk(folder)
    if outside := next((link for link in found.outside if link.is_dir()), None):
        raise refuse_link(outside)
    return found.files + found.outside, found.skipped


def leave_other_tables(folder: Path, tables: Sequence[Path]) -> list[Path]:
    """The tables in a folder of pictures that may be meant instead: those that name pictures, but no metadata."""
    from hfkit.data.images.tables import METADATA, names_pictures

    meant = [table for table in tables if table.name.lower() not in METADATA and names_pictures(table, folder)]
    if others := [table.name for table in tables if table not in meant]:
        tell(f"{folder.name}: files beside the pictures are left out: {', '.join(others)}")
    return meant


def root_folder() -> Path:
    """The root of the file system, in which every path lies."""
    return Path(Path.cwd().anchor)


def read_lines(file: Any, encoding: str) -> Iterator[str]:
    """The lines of a binary file, without line ends.

    Raises:
        UserError: the file is in another encoding.
    """
    lines = io.TextIOWrapper(file, encoding=skip_mark(encoding))
    try:
        for line in lines:
            yield line.removesuffix("\n")
    except UnicodeDecodeError as error:
        raise UserError(
            "the standard input", f"it is not {encoding} ({error.reason})", "Name what it is with --encoding latin-1"
        ) from error
    finally:
        lines.detach()  # otherwise the file would be closed with it


def skip_mark(encoding: str) -> str:
    """The encoding that drops a byte-order mark, which would become part of the first text."""
    return "utf-8-sig" if encoding == "utf-8" else encoding


def csv_records(path: Path, encoding: str) -> Iterator[Record]:
    """The rows of a .csv or .tsv file, every cell a string.

    Raises:
        DataError: it has no header or a strange one, or a row of another width.
    """
    options: dict[str, Any] = {}
    try:
        for _ in iterate_rows(path, encoding):
            pass
    except csv.Error as error:
        if path.suffix.lower() != ".tsv":
            raise unreadable_csv("input", path, error) from error
        options["quoting"] = csv.QUOTE_NONE
    lines = iterate_rows(path, encoding, **options)
    header = next(lines, [])
    refuse_header("input", path, header, header)
    for row, line in enumerate(lines):
        refuse_width("input", path, row, line, header)
        yield dict(zip(header, line, strict=True))


def json_records(path: Path, encoding: str) -> Iterator[Record]:
    """The objects of a file: one per line, or a list that is the whole file, which is read at once.

    Raises:
        DataError: the file is neither.
    """
    with path.open(encoding=skip_mark(encoding)) as file:
        listed = file.read(64).lstrip().startswith("[")
        file.seek(0)
        if listed:
            objects: Iterator[Any] = iter(parse_json(path, 0, file.read()))
        else:
            filled = (line for line in file if line.strip())
            objects = (parse_json(path, row, line) for row, line in enumerate(filled))
        for row, record in enumerate(objects):
            if not isinstance(record, dict):
                raise DataError(
                    f"{str(record)[:40]!r} in {path.name}",
                    "every row is an object with a value for each column",
                    'Write {"column": value, …}, one a line',
                    split="input",
                    row=row,
                )
            yield record


def parse_json(path: Path, row: int, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{text.strip()[:40]!r} in {path.name}",
            f"it is no JSON ({first_line(error)})",
            "Write one object a line, or one list of objects",
            split="input",
            row=row,
        ) from error


def parquet_chunks(source: Source, size: int) -> Iterator[Chunk]:
    """The rows of a parquet file, with columns as `datasets` wrote them.

    Raises:
        DataError: it is no parquet file.
    """
    first = 0
    try:
        with pq.ParquetFile(source.file) as file:
            for batch in file.iter_batches(batch_size=size):
                table = pa.Table.from_batches([batch], schema=file.schema_arrow)
                yield Chunk(source.name, first, table.to_pylist(), Dataset(table), source.folder)
                first += len(table)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            Path(source.name).name, f"it cannot be read as parquet ({first_line(error)})", "Fetch or save it again",
            split="input",
        ) from error  # fmt: skip


def make_table(records: Sequence[Record], columns: Sequence[str]) -> Dataset:
    """Records as a table; missing values are null, and values of mixed kinds stay as they are."""
    values = {name: [record.get(name) for record in records] for name in columns}
    try:
        return Dataset.from_dict(values)
    except (UnicodeEncodeError, pa.ArrowException, OverflowError):
        whole = {name: [replace_half_characters(value) for value in column] for name, column in values.items()}
        features = {name: Json() if is_mixed(column) else None for name, column in whole.items()}
        found = Dataset.from_dict({name: column for name, column in whole.items() if features[name] is None})
        return Dataset.from_dict(
            whole, features=Features({n: kind or found.features[n] for n, kind in features.items()})
        )


def is_mixed(column: list[Any]) -> bool:
    """True if no column of a table can hold all of these values."""
    try:
        pa.array(column)
    except (pa.ArrowException, OverflowError):
        return True
    return False


def replace_half_characters(value: Any) -> Any:
    """A JSON value with lone surrogates, which no file can hold, replaced by question marks."""
    return json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
