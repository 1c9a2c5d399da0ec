"""Rows that break a rule: the first one ends the run, or all of them are left out and counted."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from datasets import Dataset

from ..errors import DataError


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


def without(split: str, rows: Dataset, faults: Iterable[Fault], on_bad_row: str) -> Dataset:
    """The rows without those at fault, and the count of every broken rule kept with them (see `skipped`).

    Args:
        on_bad_row: 'error' refuses the first fault, 'skip' leaves the rows out.

    Raises:
        DataError: the first fault, if they are not to be skipped or no row would be left.
    """
    faults = list(faults)
    if not faults:
        return rows
    first, bad = faults[0], {fault.row for fault in faults}
    others = f"; {len(bad) - 1} more rows of the split are at fault" if len(bad) > 1 else ""
    if on_bad_row == "error" or len(bad) == len(rows):
        raise DataError(
            first.value,
            first.rule + others,
            first.fix + (", or leave such rows out with --on_bad_row skip" if len(bad) < len(rows) else ""),
            split=split,
            row=first.row,
            column=first.column,
        )
    counts = Counter(skipped(rows))
    # A row that breaks several rules is counted once, under the first.
    counts.update({fault.row: fault.rule for fault in reversed(faults)}.values())
    kept = rows.select([row for row in range(len(rows)) if row not in bad])
    kept.info.description = json.dumps(counts)
    print(f"{split}: {len(bad):,} of {len(rows):,} rows skipped, first row {first.row} ({first.rule})")
    return kept


def skipped(rows: Dataset) -> dict[str, int]:
    """How many rows of the split were left out, by the rule that they broke."""
    text = rows.info.description
    return json.loads(text) if text.startswith("{") else {}
