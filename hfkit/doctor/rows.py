"""The rows that the doctor looks at: read once, sampled where they are many, every fault noted."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset, DatasetDict, Image, LargeList, List

from hfkit.contract.task import Fault, Found, Task, noted
from hfkit.doctor.findings import EXAMPLES, Finding, refused, share, shown
from hfkit.errors import DataError, UserError

MOST_ROWS = 200_000  # of a split; all of them are read, and compared with each other
MOST_PICTURES = 5_000  # of a split; each one is decoded
TYPES = {ClassLabel: "labels with names", Image: "images"}


@dataclass(frozen=True)
class Rows:
    """Loaded rows, and which of the dataset's rows they are."""

    task: Task
    found: Found
    loaded: DatasetDict
    numbers: Mapping[str, Sequence[int]]  # of each split, the row of the dataset that a loaded row came from
    sampled: Mapping[str, int] = field(default_factory=dict)  # rows of the splits of which some were left out

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What the report would say of the data."""
        return self.task.describe(self.loaded)

    @cached_property
    def contents(self) -> dict[str, list[str]]:
        """What makes two rows the same input, by split."""
        return {split: self.task.content(rows) for split, rows in self.loaded.items()}

    @cached_property
    def answers(self) -> dict[str, list]:
        """The gold answers, by split."""
        return {split: self.task.references(rows) for split, rows in self.loaded.items()}

    def at(self, split: str, row: int) -> str:
        """A loaded row by its place in the dataset."""
        return f"{split} row {self.numbers[split][row]:,}"

    def shown(self, split: str, row: int) -> str:
        """The input of a loaded row, short."""
        rows = self.loaded[split]
        if "image" not in rows.column_names:
            return shown(self.contents[split][row])
        path = rows[row]["image"]["path"]
        size = f"{rows[row]['width']} x {rows[row]['height']} pixels"
        return f"{'/'.join(Path(path).parts[-2:])} ({size})" if path else f"an image of {size}"

    def said(self, split: str, row: int) -> str:
        """The answer of a loaded row, short."""
        answer = self.task.faultless([self.answers[split][row]])[0]
        return shown(self.task.said(answer, self.loaded[split][row]))

    def of_splits(self) -> Iterator[tuple[str, Dataset]]:
        yield from self.loaded.items()


def look(task: Task, most_rows: int | None) -> tuple[list[Finding], Rows | None]:
    """Read and check the rows of a task; None where they cannot be used.

    Args:
        most_rows: of each split; None: what can be looked at in a short while.
    """
    try:
        found = task.found()
    except UserError as error:
        return [refused("data", "dataset", error)], None
    picks = {split: picked(rows, found.columns, most_rows) for split, rows in found.raw.items()}
    some = {split: len(rows) for split, rows in found.raw.items() if len(picks[split]) < len(rows)}
    raw = DatasetDict(
        {split: rows.select(picks[split]) if split in some else rows for split, rows in found.raw.items()}
    )
    findings = schema_findings(found)
    if some:
        told = [f"{split}: {len(picks[split]):,} of {rows:,} rows" for split, rows in some.items()]
        what = "only some rows were looked at, evenly spaced: what follows counts those"
        findings.append(Finding("data", "sampled", "note", what, told, "Set --most_rows for more"))
    loaded, stopped = None, None
    with noted() as faults:
        try:
            loaded = task.checked(found._replace(raw=raw))
        except UserError as error:
            stopped = error
    left_out = getattr(task, "on_bad_row", "error") == "skip"
    findings += fault_findings(faults, picks, left_out=left_out)
    if isinstance(stopped, DataError) and faults:
        findings.append(Finding("data", "rows", "error", "every row of a split is at fault, so nothing is left of it"))
    elif stopped is not None:
        findings.append(refused("data", "rows", stopped))
    if loaded is None:
        return findings, None
    numbers = {split: kept(picks[split], faults.get(split, [])) for split in loaded}
    return findings, Rows(task, found, loaded, numbers, some)


def picked(rows: Dataset, columns: Mapping[str, str], most_rows: int | None) -> list[int]:
    """Rows evenly spaced over a split, and the first row of every label: what no row is left of would seem unknown."""
    most = most_rows or (MOST_PICTURES if "image" in columns else MOST_ROWS)
    if len(rows) <= most:
        return list(range(len(rows)))
    firsts: dict[str, int] = {}
    for row, answer in enumerate(rows[columns["label"]] if "label" in columns else []):
        for one in answer if isinstance(answer, list) else [answer]:
            firsts.setdefault(str(one), row)
    spaced = np.linspace(0, len(rows) - 1, most).round().astype(int).tolist()
    # Where nearly every row has an answer of its own these are numbers, and none has to be there.
    return sorted({*spaced, *(firsts.values() if len(firsts) <= most else [])})


def kept(rows: Sequence[int], faults: Sequence[Fault]) -> list[int]:
    """The rows of the dataset that the loaded ones are."""
    bad = {fault.row for fault in faults}
    return [row for place, row in enumerate(rows) if place not in bad]


def schema_findings(found: Found) -> list[Finding]:
    """Which columns are read, of which type; what else is there; and types that differ between splits."""
    read = ", ".join(
        f"'{name}'" if name == column else f"{name} from '{column}'" for name, column in found.columns.items()
    )
    evidence, types = [], {}
    for split, rows in found.raw.items():
        for column in found.columns.values():
            types.setdefault(column, {})[split] = type_of(rows.features[column])
        others = [name for name in rows.column_names if name not in found.columns.values()]
        beside = f"; not read: {', '.join(others)}" if others else ""
        told = ", ".join(f"{column} ({types[column][split]})" for column in found.columns.values())
        evidence.append(f"{split}: {len(rows):,} rows with {told}{beside}")
    findings = [Finding("data", "schema", "ok", f"columns: {read}", evidence)]
    for column, by_split in types.items():
        if len(set(by_split.values())) > 1:
            told = [f"{split}: {kind}" for split, kind in by_split.items()]
            what = f"column '{column}' is not of one type in all splits"
            fix = "Write all splits in one way, or check that the values mean the same"
            findings.append(Finding("data", "types", "note", what, told, fix))
    return findings


def type_of(feature: Any) -> str:
    """The type of a column in a word or two."""
    if isinstance(feature, List | LargeList):
        return f"lists of {type_of(feature.feature)}"
    return TYPES.get(type(feature)) or getattr(feature, "dtype", type(feature).__name__)


def fault_findings(
    faults: Mapping[str, Sequence[Fault]], picks: Mapping[str, Sequence[int]], *, left_out: bool
) -> list[Finding]:
    """A finding for each rule that rows of a split break, with the first rows that do."""
    findings = []
    for split, of_split in faults.items():
        by_rule: dict[str, list[Fault]] = {}
        for fault in of_split:
            by_rule.setdefault(fault.rule, []).append(fault)
        for rule, found in by_rule.items():
            count = share(len({fault.row for fault in found}), len(picks[split]))
            told = [f"row {picks[split][one.row]:,}, column '{one.column}': {shorter(one.value)}" for one in found]
            what = f"{split}: {count} rows break a rule: {rule}"
            fix = found[0].fix if not left_out else ""
            severity = "warning" if left_out else "error"
            what += ", and are left out" * left_out
            findings.append(Finding("data", "bad-rows", severity, what, told[:EXAMPLES], fix))
    return findings


def shorter(value: str) -> str:
    """What a fault quotes, cut where it is long."""
    return shown(value)[1:-1]
