"""Rows without answers from inputs of any size, a chunk at a time: memory does not grow with a file."""

import io
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset

from hfkit.data.encodings import UTF8, check_name, find_encoding, tell_encoding
from hfkit.data.json_files import iterate_json
from hfkit.data.leftovers import describe_leftovers, refuse_link, walk
from hfkit.data.notes import tell
from hfkit.data.records import Record, make_table
from hfkit.data.refused import find_refusal
from hfkit.data.tables import describe_forms, find_form, iterate_pieces
from hfkit.data.text import fasta
from hfkit.data.text_files import iterate_texts
from hfkit.data.workbooks import SUFFIXES as WORKBOOKS
from hfkit.data.workbooks import read_sheet
from hfkit.errors import DataError, UserError, first_line
from hfkit.runtime.files import expand_home, find_fault, require_file

SPLIT = "input"  # what stands for a split in errors
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet", *WORKBOOKS, ".txt", *fasta.SUFFIXES)
STDIN = "-"


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
    encoding: str | None  # None: found
    size: int  # rows of a chunk
    sheet: str | None = None  # of a workbook

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
        return name.lower().endswith(tuple(self.pictures)) and find_fault(expand_home(name)) is None

    def source(self, name: str) -> Source:
        if name == STDIN:
            # Piped paths are the user's own choice, like those on the command line: they may lie anywhere.
            return Source("the standard input", root_folder())
        path = expand_home(name)
        if os.path.isdir(path):
            return self.source_in(name, path)
        require_file(path, f"input '{name}'", "Check the path")
        if path.suffix.lower() not in TABLES:
            kinds = ", ".join((*TABLES, *sorted(self.pictures)))
            refusal = find_refusal(path.name)
            rule, fix = (f"; {refusal.why}", refusal.fix) if refusal else ("", "Save it as one of these")
            raise UserError(f"input '{name}'", f"a file is one of {kinds}{rule}", fix)
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
            if source.file is None:
                if self.encoding is not None:
                    check_name(self.encoding)
            elif source.file.suffix.lower() != ".parquet":
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
        else:
            yield from self.records_of_file(source.file)

    def records_of_file(self, path: Path) -> Iterator[Record]:
        """The rows of a file, by what reads such files in training."""
        suffix = path.suffix.lower()
        if suffix in WORKBOOKS:
            names, rows = read_sheet(SPLIT, path, self.sheet)
            yield from (dict(zip(names, row, strict=True)) for row in rows)
        elif suffix in (".csv", ".tsv"):
            yield from table_records(path, self.encoding)
        else:
            codec = find_encoding(path, self.encoding)
            tell_encoding(path, codec)
            if suffix == ".txt":
                yield from ({self.column: line} for line in iterate_texts(path, codec))
            elif suffix in fasta.SUFFIXES:
                yield from fasta.iterate_fasta(SPLIT, path, codec)
            else:
                yield from iterate_json(SPLIT, path, codec)


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


def read_lines(file: Any, encoding: str | None) -> Iterator[str]:
    """The lines of a binary file that is read once, without line ends.

    Raises:
        UserError: the file is in another encoding.
    """
    lines = io.TextIOWrapper(file, encoding=UTF8 if encoding is None else check_name(encoding))
    try:
        for line in lines:
            yield line.removesuffix("\n")
    except UnicodeDecodeError as error:
        raise UserError(
            "the standard input",
            f"it is not {encoding or 'utf-8'} ({error.reason})",
            "Name what it is with --encoding, such as --encoding cp1252, or give it as a file",
        ) from error
    finally:
        lines.detach()  # otherwise the file would be closed with it


def table_records(path: Path, encoding: str | None) -> Iterator[Record]:
    """The rows of a .csv or .tsv file, every cell a string.

    Raises:
        DataError: its first line is no line of names, or a row is of another width.
    """
    form = find_form(SPLIT, path, encoding)
    for line in describe_forms([path], [form]):
        tell(line)
    for piece in iterate_pieces(SPLIT, path, form):
        yield from (dict(zip(form.names, row, strict=True)) for row in piece.rows)


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
            split=SPLIT,
        ) from error  # fmt: skip
