"""The column of answers of a dataset, or one column of 0 and 1 for each label."""

from collections.abc import Collection, Sequence

import numpy as np
import pyarrow as pa
from datasets import Dataset, DatasetDict, Value

from hfkit.data.columns import (
    find_column,
    find_usual_column,
    guess_classes,
    match_usual,
    other_columns,
    tell_column,
)
from hfkit.data.notes import tell
from hfkit.errors import UserError

# If a dataset has columns of several tiers, the first tier wins.
ANSWER_COLUMNS = (
    ("label", "labels"),
    (
        *("class", "category", "target", "sentiment", "intent", "emotion", "score", "classes", "categories", "targets"),
        *("sentiments", "intents", "emotions", "stars", "rating", "ratings", "star_rating", "topic", "topics"),
        *(
            "stance",
            "polarity",
            "genre",
            "genres",
            "grade",
            "verdict",
            "cats",
            "label_text",
            "label_name",
            "class_name",
        ),
        *("class_label", "category_name", "gold_label", "true_label", "coarse_label", "fine_label"),
    ),
    ("type", "tag", "tags", "y", "gold", "annotation", "answer", "overall", "similarity", "label_id", "class_id"),
)
FLAG = "--label_column"
BITS = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}
SHOWN = 3  # columns in the name of those that are joined


def find_answer_columns(
    dataset: DatasetDict,
    given: str | None,
    columns: Sequence[str],
    inputs: Collection[str],
    unit: str | None,
    problem: str,
) -> list[str]:
    """The column of answers, or several columns, one for each label: named by the user, or by their usual names, or
    the only ones that can be meant, which is told.

    Args:
        given, columns: those that the user named.
        inputs, unit: the columns that are read beside it.

    Raises:
        UserError: no column or several fit.
    """
    if given:
        if columns:  # those of a finished model's training may be others than those of new rows
            tell(f"labels: column '{given}' by --label_column, and not {', '.join(columns)} by --label_columns")
        return [find_column(dataset, given, (), FLAG)]
    if columns:
        return [find_column(dataset, name, (), "--label_columns") for name in columns]
    rows = next(iter(dataset.values()))
    left = [name for name in rows.column_names if name not in inputs]
    if any(match_usual(left, tier) for tier in ANSWER_COLUMNS):
        return [find_usual_column(DatasetDict(train=rows.select_columns(left)), None, ANSWER_COLUMNS, FLAG)]
    taken = {*inputs, unit}
    if problem in ("single-label", "multi-label") and (found := find_bit_columns(rows, taken, problem)):
        tell(f"labels: the columns {', '.join(found)} of 0 and 1")
        return found
    guessed = guess_classes(dataset, taken)
    if guessed is None:
        return [find_usual_column(dataset, None, ANSWER_COLUMNS, FLAG)]
    tell_column(FLAG, guessed, ", the only one of few values that repeat")
    return [guessed]


def find_bit_columns(rows: Dataset, taken: Collection[str], problem: str) -> list[str]:
    """The columns that hold 0 or 1 for a label each; [] if there are fewer than two.

    Raises:
        UserError: not all of them may be labels, or rows have several where one is asked for.
    """
    bits = {name: read_bits(rows, name) for name in other_columns(DatasetDict(train=rows), taken)}
    found = [name for name, values in bits.items() if values is not None]
    if len(found) < 2:
        return []
    shown = ", ".join(found)
    places = [rows.column_names.index(name) for name in found]
    if places[-1] - places[0] >= len(places):
        raise UserError(
            f"columns {shown}",
            "they hold 0 or 1 and stand apart, so that not all of them may be labels",
            "Name those of labels with --label_columns, or the column of labels with --label_column",
        )
    if problem == "single-label" and 2 * (np.sum([bits[name] for name in found], axis=0) == 1).sum() <= len(rows):
        raise UserError(
            f"problem=single-label with columns {shown}",
            "they hold 0 or 1, and most rows do not have exactly one of them",
            "Set --problem multi-label, or name the column of labels with --label_column",
        )
    return found


def read_bits(rows: Dataset, column: str) -> np.ndarray | None:
    """The values of a column of 0 and 1, or of true and false, (rows,); None if it holds anything else."""
    if type(rows.features[column]) is not Value or not len(rows):
        return None
    texts = [str(value).strip().casefold() for value in rows[column][:]]
    if not set(texts) <= set(BITS):
        return None
    return np.array([BITS[text] for text in texts])


def join_columns(splits: DatasetDict, columns: Sequence[str]) -> tuple[DatasetDict, str]:
    """The splits with a single column of mappings in place of one column for each label, and its name.

    Raises:
        DataError: one split lacks a column.
    """
    for name in columns:
        find_column(splits, name, (), "--label_columns")
    joined = ", ".join(columns[:SHOWN]) + (f" … ({len(columns)} columns)" if len(columns) > SHOWN else "")
    return DatasetDict({split: join(rows, columns, joined) for split, rows in splits.items()}), joined


def join(rows: Dataset, columns: Sequence[str], name: str) -> Dataset:
    table = rows.select_columns(list(columns)).with_format("arrow")[:]
    arrays = [table[column].combine_chunks() for column in columns]
    features = {column: rows.features[column] for column in columns}
    mappings = pa.StructArray.from_arrays(arrays, list(columns))
    return rows.add_column(name, mappings, feature=features).remove_columns(list(columns))
