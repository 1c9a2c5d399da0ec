"""Tables of text: .csv and .tsv files as rows. Errors name the file and the row of a broken line."""

import codecs
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, Value

from hfkit.errors import DataError, UserError

LONGEST_CELL = 2**31 - 1  # characters


def refuse_other_encoding(path: Path, encoding: str) -> None:
    """Refuse a file that `encoding` cannot read, by its first bad byte.

    Raises:
        UserError: the file is not in this encoding, or there is no such encoding.
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
                # The error also covers the bytes that the decoder held back from the piece before.
                byte = seen - len(error.object) + error.start
                raise UserError(
                    f"file '{path}'",
                    f"it is not {encoding}: byte {byte} is 0x{error.object[error.start]:02x} ({error.reason})",
                    "Save it as UTF-8, or name what it is with --encoding latin-1",
                ) from error
            if not piece:
                return


def read_csv(split: str, paths: list[Path], encoding: str) -> Dataset:
    """The cells of .csv or .tsv files, all as strings: 'NA' and '1e3' stay texts.

    Raises:
        DataError: no row, two columns of one name, another separator, or a line with too many or too few columns.
    """
    columns: dict[str, list[str]] = {}
    for path in paths:
        header, *rows = read_cells(split, path, encoding) or [[]]
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
        DataError: also where its columns are separated in another way.
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
        DataError: naming its file.
    """
    if len(cell) != len(header):
        raise DataError(
            f"{len(cell)} columns in {path.name}, beginning {cell[0][:40]!r}",
            f"every row has the {len(header)} columns that the first line names",
            'Put texts that hold the separator into "quotes"',
            split=split,
            row=row,
        )


def read_cells(split: str, path: Path, encoding: str) -> list[list[str]]:
    """The rows of a .csv or .tsv file, its header first."""
    # Tabs need no quotes, so the quotes in a .tsv may be plain text.
    try:
        return list(iterate_rows(path, encoding))
    except csv.Error as error:
        if path.suffix == ".tsv":
            return list(iterate_rows(path, encoding, quoting=csv.QUOTE_NONE))
        raise unreadable_csv(split, path, error) from error


def iterate_rows(path: Path, encoding: str, **options: Any) -> Iterator[list[str]]:
    """The rows of a .csv or .tsv file, one at a time, without empty ones.

    Raises:
        csv.Error: with the line that cannot be read.
    """
    # With plain utf-8, a byte-order mark would become part of the first column's name.
    with path.open(newline="", encoding="utf-8-sig" if encoding == "utf-8" else encoding) as file:
        reader = csv.reader(file, strict=True, delimiter="\t" if path.suffix == ".tsv" else ",", **options)
        while (row := next_row(reader)) is not None:
            if row:
                yield row


def next_row(reader: Any) -> list[str] | None:
    """The next row of a `csv.reader`; None at the end.

    Raises:
        csv.Error: with the line that cannot be read.
    """
    # By default cells of more than 131,072 characters are refused. The limit holds for the whole process, so it is
    # raised for no longer than one row takes: other code may rely on it.
    before = csv.field_size_limit(LONGEST_CELL)
    try:
        return next(reader, None)
    except csv.Error as error:
        raise csv.Error(f"line {reader.line_num}: {error}") from error
    finally:
        csv.field_size_limit(before)


def unreadable_csv(split: str, path: Path, error: csv.Error) -> DataError:
    return DataError(
        path.name,
        f"it cannot be read as CSV ({error})",
        'Put texts with commas or quotes into "quotes", and write a quote within as ""',
        split=split,
    )
