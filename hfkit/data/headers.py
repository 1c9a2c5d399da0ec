"""Whether the first row of a table names its columns or is a row itself, judged by the rows below it."""

import re
from collections.abc import Sequence
from enum import Enum
from statistics import median

from hfkit.errors import DataError

NUMBER = re.compile(r"[+-]?\d[\d.,\u00a0' ]*(?:[eE][+-]?\d+)?%?")
JUDGED = 1000  # rows that a first row is compared with


class First(Enum):
    """Whether a first row, or one of its cells, is a name."""

    NAMES = "names"
    ROW = "row"
    LIKE_A_ROW = "like a row"  # no proof: a number above numbers, a sentence above sentences
    UNCLEAR = "unclear"
    CONTRADICTORY = "contradictory"  # one cell is a name, another one of the values below it


def judge_first_row(first: Sequence[str], rows: Sequence[Sequence[str]]) -> First:
    """Whether the first row of a table names its columns, given the rows below it."""
    # pandas numbers columns without names.
    if not rows or list(first) == [str(number) for number in range(len(first))]:
        return First.NAMES
    columns = zip(*(row[: len(first)] for row in rows[:JUDGED] if len(row) >= len(first) and row != first), strict=True)
    found = [judge_cell(cell.strip(), column) for cell, column in zip(first, columns, strict=False)]
    names, likely = First.NAMES in found, found.count(First.LIKE_A_ROW)
    if First.ROW in found:
        return First.CONTRADICTORY if names else First.ROW
    if names or not likely:
        return First.NAMES if names else First.UNCLEAR
    return First.ROW if likely > 1 or len(first) == 1 else First.CONTRADICTORY


def judge_cell(cell: str, column: Sequence[str]) -> First:
    """Whether the first cell of a column is its name, given the cells below it."""
    values = [value.strip() for value in column if value.strip()]
    if not cell or len(values) < 2:
        return First.UNCLEAR
    if all(map(NUMBER.fullmatch, values)):
        return First.LIKE_A_ROW if NUMBER.fullmatch(cell) else First.NAMES
    if are_classes(values):
        return First.ROW if cell in values else First.UNCLEAR
    words, usual = len(cell.split()), median(map(len, values))
    usual_words = median(len(value.split()) for value in values)
    # A form's export has questions for names. Sequences, addresses and digests are long words, and names are not.
    sentence = words >= 4 and cell[-1] not in "?:"
    word = words == usual_words == 1 and len(cell) >= 20 and "_" not in cell
    if (sentence or word) and len(cell) >= 0.4 * usual:
        return First.LIKE_A_ROW
    are_texts = usual >= 20 or usual_words >= 3
    return First.NAMES if words <= 2 and are_texts and not re.search(r"[.!?,;]", cell) else First.UNCLEAR


def are_classes(values: Sequence[str]) -> bool:
    """True if values repeat, like those of labels."""
    return len(set(values)) <= len(values) / 2 and median(len(value.split()) for value in values) <= 3


def name_columns(rows: Sequence[Sequence[str]]) -> list[str] | None:
    """The names of one column of texts, or of texts and labels; None if they cannot be told apart."""
    columns = [[value.strip() for value in column] for column in zip(*rows[:JUDGED], strict=True)]
    classes = [are_classes(column) for column in columns]
    if len(columns) == 1:
        return None if classes[0] else ["text"]
    if len(columns) == 2 and sum(classes) == 1:
        return ["label" if is_label else "text" for is_label in classes]
    return None


def clean_names(split: str, place: str, first: Sequence[str]) -> tuple[list[str], list[int]]:
    """The names in a first row without blanks around them, and the numbers (from 0) of columns that have none.

    Those are called `column_1` and so on, by their place in the file.

    Args:
        place: where the first row stands, such as "the first line of train.csv".

    Raises:
        DataError: there is no name, or one of them twice.
    """
    names = [name.strip() for name in first]
    blank = [number for number, name in enumerate(names) if not name]
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    if len(blank) == len(names) or repeated:
        raise DataError(
            f"{place} is {', '.join(names) if repeated else 'missing'}",
            "it names every column once" + (f", and {', '.join(map(repr, repeated))} comes twice" if repeated else ""),
            "Mend the first line",
            split=split,
        )
    for number in blank:
        names[number] = f"column_{number + 1}"
    return names, blank


def missing_header(split: str, place: str, first: Sequence[str]) -> DataError:
    """The error for a first row that is none of names, where its columns cannot be told apart."""
    seen = ", ".join(cell if len(cell) <= 40 else f"{cell[:40]}…" for cell in first)
    return DataError(
        f"{place} is {seen}",
        "it looks like a row, and the first line is the header, which names the columns",
        f"Add a first line of names, such as {'text,label' if len(first) > 1 else 'text'}",
        split=split,
    )
