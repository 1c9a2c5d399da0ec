"""Tables with a row for each answer of a person, gathered into a row for each item with the answers of all people.

What differs between the rows of an item is what the people answered; everything else is the item's own.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import ClassLabel, Dataset, DatasetDict, Features

from hfkit.data.annotators import COLUMN, WHO
from hfkit.data.columns import find_column, is_id_column, match_usual
from hfkit.data.notes import tell
from hfkit.data.text.texts import TEXT_COLUMNS
from hfkit.errors import UserError
from hfkit.progress import silence_other_bars


def gather_items(splits: DatasetDict, annotator: str, item: str | None = None) -> DatasetDict:
    """A row for each item, with `annotations` (see `hfkit.data.annotators`).

    Args:
        annotator: the column of people.
        item: the column that tells items apart; None: the key whose values repeat, else the text.

    Raises:
        UserError: there is no such column, or nothing tells items apart.
    """
    who = find_column(splits, annotator, (), "--annotator_column")
    which = find_item_column(splits, item)
    answers = find_answers(splits, who, which)
    with silence_other_bars():
        gathered = {split: gather_rows(rows, who, which, answers) for split, rows in splits.items()}
    counts = ", ".join(f"{split} {len(rows):,} of {len(splits[split]):,}" for split, rows in gathered.items())
    tell(f"column '{who}': rows with one '{which}' are answers to one item, in {', '.join(answers)}; items: {counts}")
    return DatasetDict(gathered)


def find_item_column(splits: DatasetDict, given: str | None) -> str:
    """The column that tells items apart.

    Raises:
        UserError: none does, or it is not clear which.
    """
    if given is not None:
        return find_column(splits, given, (), "--item_column")
    names = next(iter(splits.values())).column_names
    keys = [name for name in names if is_id_column(name) and repeats(splits, name)]
    texts = next((found for tier in TEXT_COLUMNS if (found := match_usual(names, tier))), [])
    fitting = keys or [name for name in texts if repeats(splits, name)]
    if len(fitting) != 1:
        raise UserError(
            f"columns {', '.join(names)}",
            "the rows of one item have the same key or text, and here "
            + (f"{' and '.join(fitting)} may be it" if fitting else "no such column repeats"),
            "Name the column that tells items apart with --item_column",
        )
    return fitting[0]


def repeats(splits: DatasetDict, column: str) -> bool:
    """Whether values come several times in a split."""
    return any(len(set(map(repr, rows[column][:]))) < len(rows) for rows in splits.values())


def find_answers(splits: DatasetDict, who: str, item: str) -> list[str]:
    """The columns that differ between the rows of an item, in any split.

    Raises:
        UserError: there is none.
    """
    found = []
    for column in next(iter(splits.values())).column_names:
        if column in (who, item):
            continue
        for rows in splits.values():
            first: dict[str, Any] = {}
            pairs = zip(map(repr, rows[item][:]), rows[column][:], strict=True)
            if any(first.setdefault(key, value) != value for key, value in pairs):
                found.append(column)
                break
    if not found:
        raise UserError(
            f"column '{who}'",
            f"people answer something, and here the rows with one '{item}' are all alike",
            "Check --annotator_column and --item_column, or leave them out",
        )
    return found


def gather_rows(rows: Dataset, who: str, item: str, answers: Sequence[str]) -> Dataset:
    """The first row of each item, with the answers of all. A person who answers twice has had second thoughts."""
    keys, people = list(map(repr, rows[item][:])), rows[who][:]
    newest = sorted({pair: row for row, pair in enumerate(zip(keys, map(repr, people), strict=True))}.values())
    first: dict[str, int] = {}
    for row, key in enumerate(keys):
        first.setdefault(key, row)
    place = {key: number for number, key in enumerate(first)}
    of_item = np.array([place[keys[row]] for row in newest])
    order = np.array(newest)[np.argsort(of_item, kind="stable")]
    names = pa.array([None if people[row] is None else str(people[row]) for row in order], pa.string())
    columns = [plain_column(rows, name).take(pa.array(order)) for name in answers]
    each = pa.StructArray.from_arrays([names, *columns], [WHO, *answers])
    ends = np.concatenate([[0], np.cumsum(np.bincount(of_item, minlength=len(first)))])
    kept = [name for name in rows.column_names if name not in (who, *answers)]
    own = rows.select(list(first.values())).select_columns(kept).flatten_indices(keep_in_memory=True)
    annotations = pa.ListArray.from_arrays(pa.array(ends, pa.int32()), each)
    return own.add_column(
        COLUMN, annotations, feature=Features.from_arrow_schema(pa.schema({COLUMN: annotations.type}))[COLUMN]
    )


def plain_column(rows: Dataset, column: str) -> pa.Array:
    """A column as it is stored, but names for the numbers of classes."""
    if isinstance(feature := rows.features[column], ClassLabel):
        return pa.array([None if value in (None, -1) else feature.int2str(value) for value in rows[column][:]])
    stored = rows.with_format("arrow")[:][column]
    return stored.combine_chunks() if isinstance(stored, pa.ChunkedArray) else stored
