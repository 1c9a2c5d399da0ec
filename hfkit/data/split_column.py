"""A table that says in a column which split each of its rows belongs to."""

from collections import Counter
from collections.abc import Mapping

from datasets import Dataset

from hfkit.data.columns import fold, match_given
from hfkit.data.notes import tell
from hfkit.data.source import Source
from hfkit.data.split_names import MEANT, SPLITS
from hfkit.errors import UserError

USUAL = {"split", "splits", "subset", "set", "partition", "datasplit", "datasetsplit", "splitname"}
NONE = "none"  # of --split_column: there is none


def divide_by_column(splits: Mapping[str, Dataset], source: Source) -> dict[str, Dataset]:
    """The splits that a column of an undivided dataset names; the dataset as it came where no column does.

    A column with a usual name divides the rows if each of its values is the name of a split. One that the user named
    does so for the rows whose value is one, and the others are left out, which is told.

    Raises:
        UserError: there is no column of the name given, or it is not certain that one divides the rows.
    """
    if len(splits) != 1 and source.split_column not in (None, NONE):
        rule = f"the dataset is divided by its files into {', '.join(splits)}"
        raise UserError(f"split_column='{source.split_column}'", rule, "Leave it out, or give one file")
    if len(splits) != 1 or source.split_column == NONE:
        return dict(splits)
    rows = next(iter(splits.values()))
    if source.split_column is not None:
        column = match_given(rows.column_names, source.split_column)[0]
        if column not in rows.column_names:
            seen = ", ".join(rows.column_names)
            raise UserError(f"split_column='{column}'", f"there is no such column; found: {seen}", "Name one of them")
    else:
        column = next((name for name in rows.column_names if fold(name) in USUAL), "")
        if not column or not names_splits(rows, column):
            return dict(splits)
    meant = [MEANT.get(str(value).strip().lower()) for value in rows[column][:]]
    refuse_unclear(rows, column, meant, source)
    counts = Counter(meant)
    parts = {
        split: rows.select([row for row, one in enumerate(meant) if one == split]).remove_columns(column)
        for split in SPLITS
        if counts[split]
    }
    shown = ", ".join(f"{split} {counts[split]:,}" for split in parts)
    left = f"; of no split, and left out: {counts[None]:,} rows" if counts[None] else ""
    tell(f"column '{column}' divides the rows: {shown}{left}")
    return parts


def names_splits(rows: Dataset, column: str) -> bool:
    """Whether the values of a column name train and another split, whatever else they are."""
    meant = {MEANT.get(str(value).strip().lower()) for value in rows.unique(column)}
    return "train" in meant and len(meant - {None}) > 1


def refuse_unclear(rows: Dataset, column: str, meant: list[str | None], source: Source) -> None:
    """Refuse to divide by a column that also has other values, unless the user named it, or one without train.

    Raises:
        UserError: naming the first such value.
    """
    if source.split_column is None and None in meant:
        row = meant.index(None)
        raise UserError(
            f"column '{column}' of '{source.shown}'",
            f"it names splits, and in row {row} it is {rows[row][column]!r:.40}, which is none",
            f"Set --split_column {column} to leave such rows out, or --split_column {NONE} to read all as one",
        )
    if not any(meant):
        raise UserError(f"split_column='{column}'", f"none of its values is one of {', '.join(MEANT)}", "Name another")
