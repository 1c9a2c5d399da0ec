"""Rows from wherever a user keeps them: a folder with one file per split, a saved DatasetDict, or the Hub."""

import codecs
import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, DatasetDict, Features, Value, load_dataset
from datasets.exceptions import DatasetsError

from hfkit.errors import DataError, UserError, first_line
from hfkit.progress import alone, progress

# The names under which each split is found, the exact one first.
SPLITS = {"train": ("train",), "validation": ("validation", "valid", "dev", "val"), "test": ("test",)}

BUILDERS = {
    ".parquet": "parquet",
    ".json": "json",
    ".jsonl": "json",
    ".arrow": "arrow",
    ".conll": "conll",
    ".bio": "conll",
    ".iob": "conll",
    ".tsv": "conll",
    ".txt": "conll",
}


TABLES = {
    ".parquet": "parquet",
    ".json": "json",
    ".jsonl": "json",
    ".arrow": "arrow",
    ".csv": "csv",
    ".tsv": "csv",
}


def read(
    source: str,
    config: str | None = None,
    revision: str | None = None,
    *,
    kinds: Mapping[str, str] = BUILDERS,
    encoding: str = "utf-8",
    validation_share: float | None = None,
) -> DatasetDict:
    """The splits train, validation and test of a local folder or a Hub dataset, in the columns they came with.

    Args:
        kinds: suffix of a file -> what reads it: a builder of `datasets`, or 'csv', in which every cell is a string.
        encoding: of files of text.
        validation_share: share of train to set aside where there is no validation split; None where a task cannot.

    Raises:
        UserError: nothing is there, it cannot be read, or a split is missing.
        DataError: the files of a split cannot be read or hold no rows.
    """
    refuse_no_folder(source)
    folder = Path(source).expanduser()
    if folder.is_dir():
        splits = read_folder(folder, kinds, encoding, validation_share)
    else:
        splits = read_hub(source, config, revision, kinds, validation_share)
    if "validation" not in splits:
        splits |= set_aside(source, splits["train"], validation_share)
    return DatasetDict({split: splits[split] for split in SPLITS})


def refuse_no_folder(source: str) -> None:
    """Refuse what is neither a folder nor the id of a dataset on the Hub.

    Raises:
        UserError: it is a file, or a path where nothing is.
    """
    folder = Path(source).expanduser()
    if folder.is_file():
        raise UserError(
            f"dataset '{source}'",
            "a local dataset is a folder with one file per split, and this is a file",
            "Put train, validation and test files into one folder and give that",
        )
    if not folder.is_dir() and (source.startswith((".", "/", "~")) or source.count("/") > 1):
        raise UserError(f"dataset '{source}'", "there is no such folder", "Check the path")


@alone(downloads=True)
def read_hub(
    source: str, config: str | None, revision: str | None, kinds: Mapping[str, str], validation_share: float | None
) -> dict[str, Dataset]:
    """The splits of a Hub dataset; loading scripts are refused by `datasets`, so no foreign code runs."""
    try:
        splits = load_dataset(source, config, revision=revision)
    except (OSError, ValueError, RuntimeError, DatasetsError) as error:
        raise UserError(
            f"dataset '{source}'",
            f"it is no local folder, and the Hub did not give it ({first_line(error)})",
            "Check the id, --dataset_config and the network, or give a folder with train, validation and test files",
        ) from error
    chosen = {split: next((n for n in names if n in splits), None) for split, names in SPLITS.items()}
    refuse_missing(source, chosen, sorted(splits), kinds, validation_share)
    return {split: splits[name] for split, name in chosen.items() if name}


def read_folder(
    folder: Path, kinds: Mapping[str, str], encoding: str, validation_share: float | None
) -> dict[str, Dataset]:
    """One file, a set of shards or a subfolder per split; `valid`, `dev` and `val` are taken for validation."""
    files = {
        split: next(filter(None, (split_files(folder, n, kinds) for n in names)), None)
        for split, names in SPLITS.items()
    }
    refuse_missing(str(folder), files, sorted(path.name for path in folder.iterdir()), kinds, validation_share)
    return read_found(folder, {split: paths for split, paths in files.items() if paths}, kinds, encoding)


def read_found(
    folder: Path, files: dict[str, list[Path]], kinds: Mapping[str, str], encoding: str
) -> dict[str, Dataset]:
    """The rows of every split, whose files are all of one kind."""
    suffixes = {path.suffix for paths in files.values() for path in paths}
    if len(suffixes) > 1:
        raise UserError(
            f"dataset '{folder}'",
            f"its splits are files of one kind, and here are {', '.join(sorted(suffixes))}",
            "Keep one kind of file per dataset",
        )
    builder = kinds[suffixes.pop()]
    if builder in ("csv", "json"):
        for path in (path for paths in files.values() for path in paths):
            refuse_other_encoding(path, encoding)
    if builder == "csv":
        return {split: read_csv(split, paths, encoding) for split, paths in files.items()}
    options = {"encoding": encoding} if builder == "json" else {}
    if builder == "conll":
        options = conll_options(next(iter(files.values()))[0])
    splits = {split: read_files(split, builder, paths, **options) for split, paths in files.items()}
    return checked_conll(splits) if builder == "conll" else splits


def set_aside(source: str, train: Dataset, share: float) -> dict[str, Dataset]:
    """Train without a share of its rows, and those as validation: the same at every call, in their order.

    Raises:
        UserError: one of them would hold no row.
    """
    wanted = round(share * len(train))
    if not 0 < wanted < len(train):
        raise UserError(
            f"validation_share={share}",
            f"train and validation each need a row, and train has {len(train)}",
            f"Set another --validation_share, or add a validation split to '{source}'",
        )
    order = np.random.default_rng(0).permutation(len(train))
    return {"train": train.select(np.sort(order[wanted:])), "validation": train.select(np.sort(order[:wanted]))}


def refuse_other_encoding(path: Path, encoding: str) -> None:
    """Refuse a file that `encoding` cannot read, by its first bad byte.

    Raises:
        UserError: it cannot, or there is no such encoding.
    """
    try:
        decoder = codecs.getincrementaldecoder(encoding)()
    except LookupError as error:
        raise UserError(
            f"encoding '{encoding}'", "there is none of this name", "Try utf-8, latin-1 or utf-16"
        ) from error
    seen = 0
    with path.open("rb") as file:
        while True:
            piece = file.read(1 << 20)
            seen += len(piece)
            try:
                decoder.decode(piece, final=not piece)
            except UnicodeDecodeError as error:
                # What the decoder held back of the piece before counts too.
                byte = seen - len(error.object) + error.start
                raise UserError(
                    f"file '{path}'",
                    f"it is not {encoding}: byte {byte} is 0x{error.object[error.start]:02x} ({error.reason})",
                    "Save it as UTF-8, or name what it is with --encoding latin-1",
                ) from error
            if not piece:
                return


def read_csv(split: str, paths: list[Path], encoding: str) -> Dataset:
    """The cells of .csv or .tsv files as strings, whatever they look like: 'NA' and '1e3' are texts, not numbers.

    Raises:
        DataError: no row, two columns of one name, another separator, or a line with too many or too few columns.
    """
    columns: dict[str, list[str]] = {}
    for path in paths:
        header, *rows = cells(split, path, encoding) or [[]]
        refuse_header(split, path, header, list(columns) or header)
        for row, cell in enumerate(rows):
            refuse_width(split, path, row, cell, header)
        for name, values in zip(header, zip(*rows, strict=True) if rows else [()] * len(header), strict=True):
            columns.setdefault(name, []).extend(values)
    if not next(iter(columns.values())):
        raise DataError(
            ", ".join(path.name for path in paths), "it holds no rows", "Give every split some rows", split=split
        )
    return Dataset.from_dict(columns, features=Features({name: Value("string") for name in columns}))


def refuse_header(split: str, path: Path, header: list[str], columns: list[str]) -> None:
    """Refuse a first line that names no columns, one of them twice, or others than `columns`.

    Raises:
        DataError: it does, or its columns are separated in another way.
    """
    if not header or len(set(header)) < len(header) or header != columns:
        raise DataError(
            f"the first line of {path.name} is {', '.join(header) or 'missing'}",
            "it names every column once, the same ones in every file of a split",
            "Mend the first line",
            split=split,
        )
    other = next((mark for mark in ("\t", ";", "|", ",") if mark in header[0]), None)
    if len(header) == 1 and other:
        raise DataError(
            f"the first line of {path.name} is {header[0]!r}",
            "columns are separated by commas in a .csv and by tabs in a .tsv",
            {"\t": "Name the file .tsv", ",": "Name the file .csv"}.get(other, "Save it with commas"),
            split=split,
        )


def refuse_width(split: str, path: Path, row: int, cell: list[str], header: list[str]) -> None:
    """Refuse a row with more or fewer cells than the first line.

    Raises:
        DataError: it has.
    """
    if len(cell) != len(header):
        raise DataError(
            f"{len(cell)} columns in {path.name}, beginning {cell[0][:40]!r}",
            f"every row has the {len(header)} columns that the first line names",
            'Put texts that hold the separator into "quotes"',
            split=split,
            row=row,
        )


def cells(split: str, path: Path, encoding: str) -> list[list[str]]:
    """The rows of a .csv or .tsv file, its header first."""
    try:
        return list(lines_of_cells(path, encoding))
    except csv.Error as error:
        if path.suffix == ".tsv":
            return list(lines_of_cells(path, encoding, quoting=csv.QUOTE_NONE))
        raise unreadable(split, path, error) from error


def lines_of_cells(path: Path, encoding: str, **options: Any) -> Iterator[list[str]]:
    """The rows of a .csv or .tsv file, one at a time. Tabs need no quotes, so in a .tsv quotes may be mere text.

    Raises:
        csv.Error: with the line that cannot be read.
    """
    # utf-8-sig: a byte-order mark would become part of the first column's name.
    with path.open(newline="", encoding="utf-8-sig" if encoding == "utf-8" else encoding) as file:
        reader = csv.reader(file, strict=True, delimiter="\t" if path.suffix == ".tsv" else ",", **options)
        csv.field_size_limit(2**31 - 1)  # by default longer texts than 131,072 characters are refused
        try:
            yield from filter(None, reader)
        except csv.Error as error:
            raise csv.Error(f"line {reader.line_num}: {error}") from error


def unreadable(split: str, path: Path, error: csv.Error) -> DataError:
    return DataError(
        path.name,
        f"it cannot be read as CSV ({error})",
        'Put texts with commas or quotes into "quotes", and write a quote within as ""',
        split=split,
    )


def read_files(split: str, builder: str, paths: list[Path], **options: Any) -> Dataset:
    try:
        with progress(f"Reading {split}"):
            return load_dataset(builder, data_files={split: list(map(str, paths))}, split=split, **options)
    # StopIteration: what the JSON reader makes of an empty file.
    except (OSError, ValueError, RuntimeError, StopIteration, DatasetsError) as error:
        raise DataError(
            ", ".join(path.name for path in paths),
            f"cannot be read as {builder}, or holds no rows ({first_line(error.__cause__ or error)})",
            "Check that every file is whole, not empty, and of the kind that its name says",
            split=split,
        ) from error


def split_files(folder: Path, name: str, kinds: Mapping[str, str]) -> list[Path]:
    """The files of one split: `name.ext`, `name-00000-of-00002.ext` or `name/*.ext`, also one level down in `data`."""
    patterns = (f"{name}.*", f"{name}-[0-9]*", f"{name}/*")
    paths = (path for place in (folder, folder / "data") for pattern in patterns for path in place.glob(pattern))
    # Beside its rows, a folder that `save_to_disk` wrote holds two JSON files and the caches of earlier `map` calls.
    return sorted(
        path
        for path in paths
        if path.suffix in kinds
        and path.name not in ("state.json", "dataset_info.json")
        and not path.name.startswith("cache-")
    )


def conll_options(path: Path) -> dict:
    """How to read CoNLL lines like the first of `path`: the token comes first and its entity tag last."""
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        first = next((line for line in lines if line.strip() and not line.startswith("-DOCSTART-")), "")
    # Tokens may hold a no-break space, which splitting at any white space would cut in two.
    delimiter = "\t" if "\t" in first else None
    width = len(first.rstrip("\r\n").split(delimiter))
    if width < 2:
        raise UserError(
            f"file '{path}'",
            f"every line holds a token and its tag, and its first line is {first.strip()!r}",
            "Separate the columns by a tab or by spaces",
        )
    names = ["tokens", *(f"column_{column}" for column in range(2, width)), "tags", "beyond"]
    # utf-8-sig: with plain utf-8 a byte-order mark would become part of the first token.
    return {"column_names": names, "delimiter": delimiter, "encoding": "utf-8-sig"}


def checked_conll(splits: dict[str, Dataset]) -> dict[str, Dataset]:
    """The splits without the helper column, once it has shown that no line was short or long.

    The reader fills missing columns with empty strings and drops surplus ones without a word.
    """
    for split, rows in splits.items():
        for row, (tokens, tags, beyond) in enumerate(zip(rows["tokens"], rows["tags"], rows["beyond"], strict=True)):
            for token, tag, surplus in zip(tokens, tags, beyond, strict=True):
                if not tag or surplus:
                    raise DataError(
                        f"the line of {token!r} has too {'many' if surplus else 'few'} columns",
                        "every line has as many columns as the first line of train",
                        "Mend the line, or use tabs between columns when tokens hold spaces",
                        split=split,
                        row=row,
                        column="tags",
                    )
    return {split: rows.remove_columns("beyond") for split, rows in splits.items()}


def refuse_missing(
    source: str, found: dict, seen: list[str], kinds: Mapping[str, str], validation_share: float | None
) -> None:
    for split, value in found.items():
        if value or (split == "validation" and validation_share):
            continue
        lines = "; token first and tag last in CoNLL lines" if "conll" in kinds.values() else ""
        aside = split == "validation" and validation_share is not None
        raise UserError(
            f"dataset '{source}'",
            f"the split '{split}' is missing; found: {', '.join(seen) or 'nothing'}",
            f"Add a split or file named {' or '.join(SPLITS[split])} ({', '.join(kinds)}{lines})"
            + (", or set a share of train aside with --validation_share 0.1" if aside else ""),
        )
