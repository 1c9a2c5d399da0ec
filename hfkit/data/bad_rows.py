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

    def to_error(self, split: str) -> DataError:
        return DataError(self.value, self.rule, self.fix, split=split, row=self.row, column=self.column)


_NOTED: ContextVar[dict[str, list[Fault]] | None] = ContextVar("noted", default=None)


@contextmanager
def collect_faults() -> Iterator[dict[str, list[Fault]]]:
    """While it lasts, rows at fault are left out whatever the flags say; yields their faults, by split."""
    found: dict[str, list[Fault]] = {}
    token = _NOTED.set(found)
    try:
        yield found
    finally:
        _NOTED.reset(token)


def keep_rows(split: str, rows: Dataset, faults: Iterable[Fault], on_bad_row: str) -> Dataset:
    """The rows without those at fault, and the count of every broken rule kept with them (see `count_skipped`).

    Args:
        on_bad_row: 'error' refuses the first fault, 'skip' leaves the rows out.

    Raises:
        DataError: the first fault, if they are not to be left out or no row would be left.
    """
    faults = list(faults)
    if not faults:
        return rows
    first, bad, collected = faults[0], {fault.row for fault in faults}, _NOTED.get()
    if collected is not None:
        collected.setdefault(split, []).extend(faults)
    if len(bad) == len(rows) or (collected is None and on_bad_row != "skip"):
        others = f"; {len(bad) - 1} more rows of the split are at fault" if len(bad) > 1 else ""
        wayout = ", or leave such rows out with --on_bad_row skip" if len(bad) < len(rows) else ""
        raise DataError(
            first.value, first.rule + others, first.fix + wayout, split=split, row=first.row, column=first.column
        )
    if collected is None:
        print(f"{split}: {len(bad):,} of {len(rows):,} rows skipped, first row {first.row} ({first.rule})")
    counts = Counter(count_skipped(rows))
    # A row that breaks several rules is counted once, under the first.
    counts.update({fault.row: fault.rule for fault in reversed(faults)}.values())
    kept = rows.select([row for row in range(len(rows)) if row not in bad])
    kept.info.description = json.dumps(counts)
    return kept


def count_skipped(rows: Dataset) -> dict[str, int]:
    """How many rows of the split were left out, by the rule that they broke."""
    text = rows.info.description
    return json.loads(text) if text.startswith("{") else {}
