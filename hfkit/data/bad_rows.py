"""Rows that break a rule: the first one ends the run, or all of them are left out and counted."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from datasets import Dataset

from hfkit.errors import DataError


@dataclass(frozen=True)
class Fault:
    """What is wrong with one row."""

    row: int
    column: str
    value: str  # what is there, as a reader would write it
    rule: str  # the same words for every row that breaks it, for they are counted
    fix: str

    def refused(self, split: str) -> DataError:
        return DataError(self.value, self.rule, self.fix, split=split, row=self.row, column=self.column)


_NOTED: ContextVar[dict[str, list[Fault]] | None] = ContextVar("noted", default=None)


@contextmanager
def noted() -> Iterator[dict[str, list[Fault]]]:
    """While it lasts, rows at fault are left out whatever the flags say; yields their faults, by split."""
    found: dict[str, list[Fault]] = {}
    token = _NOTED.set(found)
    try:
        yield found
    finally:
        _NOTED.reset(token)


def kept_rows(split: str, total: int, faults: Iterable[Fault], on_bad_row: str | None) -> list[int]:
    """The numbers of the rows that are not at fault.

    Args:
        total: rows of the split.
        on_bad_row: 'error' refuses the first fault, 'skip' leaves the rows out; None refuses it too, where a task has
            no such flag.

    Raises:
        DataError: the first fault, if they are not to be left out or no row would be left.
    """
    faults = list(faults)
    if not faults:
        return list(range(total))
    first, bad, told = faults[0], {fault.row for fault in faults}, _NOTED.get()
    if told is not None:
        told.setdefault(split, []).extend(faults)
    if len(bad) == total or told is None and on_bad_row != "skip":
        others = f"; {len(bad) - 1} more rows of the split are at fault" if len(bad) > 1 else ""
        may_skip = len(bad) < total and on_bad_row is not None
        raise DataError(
            first.value,
            first.rule + others,
            first.fix + ", or leave such rows out with --on_bad_row skip" * may_skip,
            split=split,
            row=first.row,
            column=first.column,
        )
    if told is None:
        print(f"{split}: {len(bad):,} of {total:,} rows skipped, first row {first.row} ({first.rule})")
    return [row for row in range(total) if row not in bad]


def without(split: str, rows: Dataset, faults: Iterable[Fault], on_bad_row: str) -> Dataset:
    """The rows without those at fault, and the count of every broken rule kept with them (see `skipped`).

    Raises:
        DataError: as in `kept_rows`.
    """
    faults = list(faults)
    kept = kept_rows(split, len(rows), faults, on_bad_row)
    if not faults:
        return rows
    counts = Counter(skipped(rows))
    # A row that breaks several rules is counted once, under the first.
    counts.update({fault.row: fault.rule for fault in reversed(faults)}.values())
    rows = rows.select(kept)
    rows.info.description = json.dumps(counts)
    return rows


def skipped(rows: Dataset) -> dict[str, int]:
    """How many rows of the split were left out, by the rule that they broke."""
    text = rows.info.description
    return json.loads(text) if text.startswith("{") else {}
