"""Tables of text: the rows of .csv and .tsv files, however they are encoded and separated.

What a file is like is found in its first rows, and told where it is not the usual. Errors name the file and the line.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from datasets import Dataset

from hfkit.data.encodings import find_encoding, title_of
from hfkit.data.headers import First, clean_names, judge_first_row, missing_header, name_columns
from hfkit.data.notes import tell
from hfkit.errors import DataError

LONGEST_CELL = 2**31 - 1  # characters
SAMPLE = 1 << 20  # characters by which the form of a file is found
PIECE = 10_000  # rows that are read at once
DELIMITERS = {",": "','", ";": "';'", "\t": "tabs", "|": "'|'"}
SUFFIXES = {".tsv": "\t", ".txt": "\t"}


@dataclass(frozen=True)
class Form:
    """How the rows of a file are written."""

    encoding: str
    delimiter: str
    quotes: bool = True  # False: they are plain text
    blank_after: bool = False  # a blank after each delimiter, before quotes
    skipped: int = 0  # lines before the first row
    header: bool = True  # the first row names the columns
    names: tuple[str, ...] = ()

    @property
    def options(self) -> dict[str, Any]:
        """For `csv.reader`."""
        return {
            "delimiter": self.delimiter,
            "quoting": csv.QUOTE_MINIMAL if self.quotes else csv.QUOTE_NONE,
            "skipinitialspace": self.blank_after,
            "strict": True,
        }


class Piece(NamedTuple):
    """Consecutive rows of a file."""

    lines: list[int]  # the number of each row's first line, from 1
    rows: list[list[str]]


def read_table(split: str, paths: list[Path], encoding: str | None = None) -> Dataset:
    """The cells of .csv or .tsv files, all as strings: 'NA' and '1e3' stay texts.

    Args:
        encoding: what the files are in; None finds it.

    Raises:
        UserError: a file cannot be read in its encoding, or several may be meant.
        DataError: no row, no line of names, other names than the first file, or a row of another width.
    """
    forms = [find_form(split, path, encoding) for path in paths]
    refuse_other_names(split, paths, [form.names for form in forms])
    tables = [
        make_table(piece.rows, form.names)
        for path, form in zip(paths, forms, strict=True)
        for piece in iterate_pieces(split, path, form)
    ]
    if not sum(map(len, tables)):
        raise DataError(
            ", ".join(path.name for path in paths), "it holds no rows", "Give every split some rows", split=split
        )
    for line in dict.fromkeys(describe_forms(paths, forms)):
        tell(line)
    return Dataset(pa.concat_tables(tables))


def make_table(rows: Sequence[Sequence[str]], names: Sequence[str]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    return pa.table({name: pa.array(cells, pa.string()) for name, cells in zip(names, columns, strict=True)})


def refuse_other_names(split: str, paths: list[Path], names: Sequence[Sequence[str]]) -> None:
    """Refuse files of one split with unlike columns.

    Raises:
        DataError: naming the first of them.
    """
    for path, found in zip(paths, names, strict=True):
        if list(found) != list(names[0]):
            raise DataError(
                f"the columns of {path.name} are {', '.join(found)}",
                f"every file of a split has the same, and {paths[0].name} has {', '.join(names[0])}",
                "Mend the first line",
                split=split,
            )


# The form of a file


def find_form(split: str, path: Path, encoding: str | None = None, *, usual: str | None = None) -> Form:
    """How a file is encoded and separated, and how its columns are called.

    Args:
        usual: the delimiter to take in doubt; None: that of the file's suffix.

    Raises:
        UserError: it is in another encoding, or several may be meant.
        DataError: its first line names no columns, one of them twice, or is a row.
    """
    usual = usual or SUFFIXES.get(path.suffix.lower(), ",")
    form = Form(find_encoding(path, encoding), usual)
    text, whole = read_sample(path, form.encoding)
    if text[:4].lower() == "sep=" and text[5:6] in ("\r", "\n"):  # Excel reads and writes this line
        form = replace(form, delimiter=text[4], skipped=1)
        text = text[5:].lstrip("\r\n")
    else:
        form = find_delimiter(split, path, form, text, whole)
    if form.delimiter == "\t" and '"' in text and has_plain_quotes(path, form):
        form = replace(form, quotes=False)
    rows = read_rows(text, form, whole=whole, broken=True)
    place = f"the first line of {path.name}"
    if not rows:
        raise DataError(f"{place} is missing", "it names every column once", "Add a first line of names", split=split)
    first, below = rows[0], rows[1:]
    match judge_first_row(first, below):
        case First.NAMES | First.UNCLEAR:
            return replace(form, names=tuple(clean_names(split, place, first)[0]))
        case First.ROW if names := name_columns([row for row in rows if len(row) == len(first)]):
            return replace(form, header=False, names=tuple(names))
    raise missing_header(split, place, first)


def read_sample(path: Path, encoding: str) -> tuple[str, bool]:
    """The first lines of a file, and whether they are all."""
    with path.open(newline="", encoding=encoding) as file:
        text = file.read(SAMPLE)
        whole = not file.read(1)
    if whole:
        return text, True
    end = max(text.rfind("\n"), text.rfind("\r"))
    return (text[: end + 1], False) if end > 0 else (text, False)


def find_delimiter(split: str, path: Path, form: Form, text: str, whole: bool) -> Form:
    """The form whose delimiter gives every row of the sample as many cells as the first, and more than one.

    Where none does, that of most rows: the others are named when they are read.

    Raises:
        DataError: two delimiters do.
    """
    forms = [replace(form, delimiter=mark) for mark in dict.fromkeys((form.delimiter, *DELIMITERS))]
    forms += [replace(found, blank_after=True) for found in forms if f'{found.delimiter} "' in text]
    forms += [replace(found, quotes=False) for found in forms if found.delimiter == "\t" and '"' in text]
    shares = {found: share_of_fitting(read_rows(text, found, whole=whole)) for found in forms}
    fitting = {found.delimiter: found for found in reversed(forms) if shares[found] == 1}
    if len(fitting) > 1:
        first = " or ".join(DELIMITERS[mark] for mark in fitting)
        raise DataError(
            f"the rows of {path.name}",
            f"they may be separated by {first}: each gives all rows the same number of cells",
            f"Say which in a line before the first, such as sep={next(iter(fitting))}",
            split=split,
        )
    if fitting:
        return next(iter(fitting.values()))
    broken = {found: share_of_fitting(read_rows(text, found, whole=whole, broken=True)) for found in forms}
    best = max(forms, key=lambda found: broken[found])  # the first of equals: the usual one
    return best if broken[best] else form


def read_rows(text: str, form: Form, *, whole: bool, broken: bool = False) -> list[list[str]]:
    """The rows of a sample, without empty ones; none if quotes are wrong, unless those before are wanted.

    Args:
        whole: the sample is the whole file, and may not end within a row.
        broken: the rows before wrong quotes.
    """
    rows: list[list[str]] = []
    before = csv.field_size_limit(LONGEST_CELL)
    try:
        for row in csv.reader(io.StringIO(text, newline=""), **form.options):
            if row:
                rows.append(row)
    except csv.Error as error:
        if not broken and (whole or "end of data" not in str(error)):
            return []
    finally:
        csv.field_size_limit(before)
    return rows


def share_of_fitting(rows: Sequence[Sequence[str]]) -> float:
    """The share of rows with as many cells as the first; 0 if that has one."""
    width = len(rows[0]) if rows else 0
    return sum(has_width(row, width) for row in rows) / len(rows) if width > 1 else 0


def has_width(row: Sequence[str], width: int) -> bool:
    """True for a row of `width` cells; empty ones behind them do no harm."""
    return len(row) == width or (len(row) > width and not any(row[width:]))


def has_plain_quotes(path: Path, form: Form) -> bool:
    """True if quotes in a file with tabs are plain text: as marks of CSV they are wrong, or would join lines.

    A text that begins and another that ends with a quote make one cell of the rows between them, silently.
    """
    lines, tabs = 0, set()
    with path.open(newline="", encoding=form.encoding) as file:
        for line in file:
            if line.strip("\r\n"):
                lines += 1
                tabs.add(line.count("\t"))
    try:
        rows = sum(len(piece.rows) for piece in iterate_quoted(path, form))
    except csv.Error:
        return True
    return rows != lines and len(tabs) == 1


def describe_forms(paths: list[Path], forms: list[Form]) -> Iterator[str]:
    """A line for each kind of unusual form, such as 'reviews.csv: Windows-1252, separated by ';''."""
    facts: dict[str, list[Path]] = {}
    for path, form in zip(paths, forms, strict=True):
        if line := describe_form(path, form):
            facts.setdefault(line, []).append(path)
    for line, alike in facts.items():
        others = f" and {len(alike) - 1} more" if len(alike) > 1 else ""
        yield f"{alike[0].name}{others}: {line}"


def describe_form(path: Path, form: Form) -> str:
    """How a file is written, where that is not the usual; '' if it is."""
    parts = []
    if title_of(form.encoding) != "UTF-8":
        parts.append(title_of(form.encoding))
    if form.delimiter != SUFFIXES.get(path.suffix.lower(), ","):
        parts.append(f"separated by {DELIMITERS.get(form.delimiter, repr(form.delimiter))}")
    if not form.quotes:
        parts.append("quotes are plain text")
    if not form.header:
        parts.append(f"no line of names, its columns are {' and '.join(form.names)}")
    unnamed = [name for number, name in enumerate(form.names, 1) if name == f"column_{number}"]
    if unnamed:
        parts.append(f"columns without a name are called {', '.join(unnamed)}")
    return ", ".join(parts)


# The rows of a file


def iterate_pieces(split: str, path: Path, form: Form, size: int = PIECE) -> Iterator[Piece]:
    """The rows of a file below its names, each as wide as those, some at a time; empty ones at the end are left out.

    Raises:
        DataError: wrong quotes, a row of another width, or the names once more.
    """
    empty, header, passed = Piece([], []), form.header, 0
    try:
        for lines, rows in iterate_quoted(path, form, size):
            if header:
                lines, rows, header = lines[1:], rows[1:], False
            refuse_width(split, path, form, Piece(lines, rows), passed)
            passed += len(rows)
            # Excel writes rows of nothing but delimiters where cells were once filled.
            lines, rows = empty.lines + lines, empty.rows + rows
            end = len(rows)
            while end and len(form.names) > 1 and not any(rows[end - 1]):
                end -= 1
            empty = Piece(lines[end:], rows[end:])
            if end:
                yield Piece(lines[:end], rows[:end])
    except csv.Error as error:
        raise unreadable_table(split, path, form, error) from error


def refuse_width(split: str, path: Path, form: Form, piece: Piece, first: int) -> None:
    """Refuse rows with more or fewer cells than there are names, or that repeat the names; cut empty cells behind.

    Args:
        first: number of the piece's first row.

    Raises:
        DataError: naming the line and the row.
    """
    rows, width, names = piece.rows, len(form.names), list(form.names)
    if set(map(len, rows)) <= {width} and not (form.header and width > 1 and names in rows):
        return
    for at, (line, row) in enumerate(zip(piece.lines, rows, strict=True)):
        if not has_width(row, width):
            raise DataError(
                f"{count_columns(len(row))} in line {line} of {path.name}, beginning {row[0][:40]!r}",
                f"every row has the {count_columns(width)} that the first line names",
                'Put texts that hold the separator into "quotes"',
                split=split,
                row=first + at,
            )
        if form.header and width > 1 and row[:width] == names:
            raise DataError(
                f"line {line} of {path.name} is {', '.join(names)}",
                "names of columns stand in the first line alone",
                "Remove the line: the file was joined from several",
                split=split,
                row=first + at,
            )
        rows[at] = row[:width]


def count_columns(number: int) -> str:
    return f"{number} column{'s' * (number != 1)}"


def iterate_quoted(path: Path, form: Form, size: int = PIECE) -> Iterator[Piece]:
    """The rows of a file as they stand there, its names first, without empty lines.

    Raises:
        csv.Error: with the line that cannot be read.
    """
    with path.open(newline="", encoding=form.encoding) as file:
        for _ in range(form.skipped):
            file.readline()
        reader, end = csv.reader(file, **form.options), form.skipped
        while True:
            lines, rows, end, done = read_piece(reader, end, size, form.skipped)
            if rows:
                yield Piece(lines, rows)
            if done:
                return


def read_piece(reader: Any, end: int, size: int, skipped: int) -> tuple[list[int], list[list[str]], int, bool]:
    """The next rows of a `csv.reader`, with their first lines, the last line read, and whether the file is at its end.

    Raises:
        csv.Error: with the line that cannot be read.
    """
    lines, rows, count = [], [], 0
    # By default cells of more than 131,072 characters are refused. The limit holds for the whole process, so it is
    # raised for no longer than this takes: other code may rely on it.
    before = csv.field_size_limit(LONGEST_CELL)
    try:
        for row in islice(reader, size):
            count += 1
            if row:
                lines.append(end + 1)
                rows.append(row)
            end = reader.line_num + skipped
    except csv.Error as error:
        raise csv.Error(f"line {reader.line_num + skipped}: {error}") from error
    finally:
        csv.field_size_limit(before)
    return lines, rows, end, count < size


def unreadable_table(split: str, path: Path, form: Form, error: csv.Error) -> DataError:
    return DataError(
        path.name,
        f"it cannot be read as CSV ({error})",
        f'Put texts with {DELIMITERS.get(form.delimiter, "the separator")} or quotes into "quotes", and write a quote '
        'within as ""',
        split=split,
    )
