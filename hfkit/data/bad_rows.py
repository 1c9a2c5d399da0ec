"""Rows that break a rule: the first one ends the run, or all of them are skipped and counted."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

import numpy as np
from datasets import Dataset

from hfkit.errors import DataError

WAY_OUT = ", or leave such rows out with --on_bad_row skip"


@dataclass(frozen=True)
class Fault:
    """The rule that one row breaks."""

    row: int
    column: str
    value: str  # the value at fault, as a reader would write it
    rule: str  # the same words for every row that breaks it: they are counted by it
    fix: str

    def to_error(self, split: str, *, skippable: bool = False) -> DataError:
        fix = self.fix + WAY_OUT * skippable
        return DataError(self.value, self.rule, fix, split=split, row=self.row, column=self.column)


_COLLECTED: ContextVar[dict[str, list[Fault]] | None] = ContextVar("collected", default=None)


@contextmanager
def collect_faults() -> Iterator[dict[str, list[Fault]]]:
    """Within it, rows at fault are skipped whatever the flags say; yields their faults, by split."""
    found: dict[str, list[Fault]] = {}
    token = _COLLECTED.set(found)
    try:
        yield found
    finally:
        _COLLECTED.reset(token)


def rows_left(rows: Dataset, faults: Iterable[Fault]) -> np.ndarray:
    """The numbers of the rows that are not at fault."""
    return np.delete(np.arange(len(rows)), [fault.row for fault in faults])


def keep_rows(split: str, rows: Dataset, faults: Iterable[Fault], on_bad_row: str) -> Dataset:
    """The rows without those at fault; the count of every broken rule stays with them (see `count_skipped`).

    Args:
        on_bad_row: 'error' refuses the first fault, 'skip' skips the rows.

    Raises:
        DataError: the first fault, unless rows are to be skipped and some remain.
    """
    faults = list(faults)
    if not faults:
        return rows
    first, bad, collected = faults[0], {fault.row for fault in faults}, _COLLECTED.get()
    if collected is not None:
        collected.setdefault(split, []).extend(faults)
    if len(bad) == len(rows) or (collected is None and on_bad_row != "skip"):
        others = f"; {len(bad) - 1} more rows of the split are at fault" if len(bad) > 1 else ""
        raise replace(first, rule=first.rule + others).to_error(split, skippable=len(bad) < len(rows))
    if collected is None:
        print(f"{split}: {len(bad):,} of {len(rows):,} rows skipped, first row {first.row} ({first.rule})")
    counts = Counter(count_skipped(rows))
    # A row that breaks several rules counts once, under the first of them.
    counts.update({fault.row: fault.rule for fault in reversed(faults)}.values())
    kept = rows.select([row for row in range(len(rows)) if row not in bad])
    kept.info.description = json.dumps(counts)
    return kept


def count_skipped(rows: Dataset) -> dict[str, int]:
    """The number of skipped rows of the split, by the rule that they broke."""
    text = rows.info.description
    return json.loads(text) if text.startswith("{") else {}
