"""How far the people agree who answered the rows, and the score that one of them would reach.

Both stand in the report: what people do not agree on, a model cannot be right about more often than they are.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from datasets import Dataset, DatasetDict

from hfkit.contract.judge import Judge
from hfkit.contract.rows import Raw, Rows
from hfkit.data.annotators import answer_columns, hold_out, measure_agreement, put_column
from hfkit.data.notes import collect_notes
from hfkit.progress import silence_other_bars
from hfkit.scores.evidence import total
from hfkit.scores.statistics import bootstrap_interval


def measure_people(
    rows: Rows, judge: Judge, raw: Raw, test: Dataset, numbers: np.ndarray, split: str, annotator: str | None
) -> dict[str, Any] | None:
    """The agreement on every split as it came (ties included), `by_split`, and the `ceiling` on test; None if no row
    has answers of several people.

    Args:
        test: the checked rows that contenders are scored on.
        numbers: those of its rows in the dataset as it came, (rows,), where they are of the split `split`.
        annotator: the person whose answers are the gold ones; None: what people say together.
    """
    columns = {name: column for name, column in raw.columns.items() if column in answer_columns(raw.splits[split])}
    if not columns:
        return None
    column = next(iter(columns.values()))
    text = raw.columns.get("text") if "spans" in columns else None
    by_split = {name: measure_agreement(of_split, column, text) for name, of_split in raw.splits.items()}
    by_split = {name: found for name, found in by_split.items() if found is not None}
    if not by_split:
        return None
    with (
        collect_notes(aloud=False),
        silence_other_bars(),
    ):  # the rows are read again, and all that can be told about them was told
        ceiling = measure_ceiling(rows, judge, raw, column, test, numbers, split, annotator)
    return {"by_split": by_split, "ceiling": ceiling}


def measure_ceiling(
    rows: Rows,
    judge: Judge,
    raw: Raw,
    column: str,
    test: Dataset,
    numbers: np.ndarray,
    split: str,
    annotator: str | None,
) -> dict[str, Any] | None:
    """The headline score of people on test: each one's answers against what the others decide.

    An answer is left out if the others are tied, and counted as `undecided`. The interval is over the units of the
    rows, as that of every contender.

    Returns:
        None if no answer can be held against others.
    """
    came = raw.splits[split].select(numbers)
    held, undecided = hold_out(came, column, annotator)
    if not held:
        return None
    asked = came.select([one.row for one in held]).flatten_indices(keep_in_memory=True)
    sides = {"own": [one.own for one in held], "others": [one.others for one in held]}
    gold, good = read_sides(rows, raw, asked, column, sides)
    if not good:
        return None
    own, others = ([gold[side][row] for row in good] for side in sides)
    units = test["unit"][:] if "unit" in test.column_names else np.arange(len(test))
    evidence = judge.evidence(judge.perfect_predictions(own), others)
    by_unit = evidence.by_unit([units[held[row].row] for row in good])
    return {
        "headline": total(evidence),
        "interval": asdict(bootstrap_interval(by_unit)),
        "answers": len(good),
        "undecided": undecided,
        "rows": len({held[row].row for row in good}),
    }


def read_sides(
    rows: Rows, raw: Raw, asked: Dataset, column: str, sides: Mapping[str, list]
) -> tuple[dict[str, list], list[int]]:
    """The references that some rows have with the answers of each side, and the rows that are good on all sides."""
    checked, bad = {}, set()
    for side, values in sides.items():
        splits = DatasetDict({side: put_column(asked, column, values)})
        checked[side], faults = rows.check(side, raw._replace(splits=splits), None, finished=True)
        bad |= {fault.row for fault in faults}
    settled = rows.settle(DatasetDict(checked), raw, finished=True)
    gold = {side: rows.references(of_side) for side, of_side in settled.items()}
    return gold, [row for row in range(len(asked)) if row not in bad]
