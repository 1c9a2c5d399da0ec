"""The rows that the doctor looks at: read once, sampled if they are many, with every fault collected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset, DatasetDict, Image, LargeList, List

from hfkit.contract.drawing import Origin
from hfkit.contract.rows import Media, Raw
from hfkit.contract.task import Loaded, Task
from hfkit.contract.view import to_text
from hfkit.data.bad_rows import Fault, collect_faults
from hfkit.data.notes import collect_notes
from hfkit.doctor.findings import EXAMPLES, Finding, quote, report_refusal, share
from hfkit.errors import DataError, UserError

MOST_ROWS = 200_000  # of a split; all of them are read, and compared with each other
MOST_PICTURES = 5_000  # of a split; each one is decoded
TYPES = {ClassLabel: "labels with names", Image: "images"}


@dataclass(frozen=True)
class Rows:
    """Checked rows, and which of the dataset's rows they are."""

    task: Task
    raw: Raw
    loaded: Loaded
    origins: Mapping[str, Origin]  # of each split, the rows of the dataset that its checked rows came from
    sampled: Mapping[str, int] = field(default_factory=dict)  # rows of the splits of which some were left out
    # Of each split as it came: the rows at fault, by their number among those that were looked at, and these.
    faults: Mapping[str, Sequence[Fault]] = field(default_factory=dict)
    picks: Mapping[str, Sequence[int]] = field(default_factory=dict)

    @property
    def splits(self) -> DatasetDict:
        return self.loaded.splits

    @property
    def are_pictures(self) -> bool:
        """Whether the rows are pictures with their size, mode and fingerprint."""
        return "fingerprint" in self.splits["train"].column_names

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The facts about the data for a report."""
        return self.task.rows.facts(self.splits)

    @cached_property
    def contents(self) -> dict[str, list[str]]:
        """The contents of the inputs, by split: equal ones are the same input."""
        return {split: self.task.rows.content(rows) for split, rows in self.splits.items()}

    @cached_property
    def answers(self) -> dict[str, list]:
        """The gold answers, by split."""
        return {split: self.task.rows.references(rows) for split, rows in self.splits.items()}

    @cached_property
    def checked_places(self) -> dict[tuple[str, int], tuple[str, int]]:
        """Split and number of a row of the dataset -> those of the checked row."""
        return {
            (came.split, number): (split, row)
            for split, came in self.origins.items()
            for row, number in enumerate(came.rows.tolist())
        }

    def place(self, split: str, row: int) -> str:
        """A checked row by its place in the dataset."""
        came = self.origins[split]
        return f"{came.split} row {came.rows[row]:,}"

    def quote_input(self, split: str, row: int) -> str:
        """The input of a checked row, short."""
        if not self.are_pictures:
            return quote(self.contents[split][row])
        picture = self.splits[split][row]
        path, size = picture["image"]["path"], f"{picture['width']} x {picture['height']} pixels"
        return f"{'/'.join(Path(path).parts[-2:])} ({size})" if path else f"an image of {size}"

    def quote_answer(self, split: str, row: int) -> str:
        """The answer of a checked row, short."""
        return quote(to_text(self.task.view.answer(self.answers[split][row], self.splits[split][row])))

    def quote_rows(self, places: Sequence[tuple[str, int]]) -> list[str]:
        """The first of some rows, each with its place."""
        return [f"{self.place(*place)}: {self.quote_input(*place)}" for place in places[:EXAMPLES]]


def read_rows(task: Task, most_rows: int | None) -> tuple[list[Finding], Rows | None]:
    """Read and check the rows of a task; None if they cannot be used.

    Args:
        most_rows: of each split; None: as many as a short while allows.
    """
    with collect_notes(aloud=False) as notes:
        findings, rows = look_at_rows(task, most_rows)
    if notes:
        findings.insert(0, Finding("data", "reading", "ok", "how the data was understood", notes))
    return findings, rows


def look_at_rows(task: Task, most_rows: int | None) -> tuple[list[Finding], Rows | None]:
    try:
        raw = task.read()
    except UserError as error:
        return [report_refusal("data", "dataset", error)], None
    most = most_rows or (MOST_PICTURES if task.rows.media is Media.IMAGE else MOST_ROWS)
    picks = {split: pick_rows(rows, raw.columns, most) for split, rows in raw.splits.items()}
    some = {split: len(rows) for split, rows in raw.splits.items() if len(picks[split]) < len(rows)}
    sample = DatasetDict(
        {split: rows.select(picks[split]) if split in some else rows for split, rows in raw.splits.items()}
    )
    findings = schema_findings(raw)
    if some:
        counts = [f"{split}: {len(picks[split]):,} of {rows:,} rows" for split, rows in some.items()]
        what = "only some rows were looked at, evenly spaced: what follows counts those"
        findings.append(Finding("data", "sampled", "note", what, counts, "Set --most_rows for more"))
    loaded, stopped = None, None
    with collect_faults() as faults:
        try:
            loaded = task.check(raw._replace(splits=sample))
        except UserError as error:
            stopped = error
    findings += fault_findings(faults, picks, left_out=task.on_bad_row == "skip")
    if isinstance(stopped, DataError) and faults:
        findings.append(Finding("data", "rows", "error", "every row of a split is at fault, so nothing is left of it"))
    elif stopped is not None:
        findings.append(report_refusal("data", "rows", stopped))
    if loaded is None:
        return findings, None
    origins = {
        split: Origin(came.split, np.array(picks[came.split])[came.rows]) for split, came in loaded.draw.origins.items()
    }
    return findings, Rows(task, raw, loaded, origins, some, faults, picks)


def pick_rows(rows: Dataset, columns: Mapping[str, str], most: int) -> list[int]:
    """Rows evenly spaced over a split, and the first row of every label, which would seem unknown without any row."""
    if len(rows) <= most:
        return list(range(len(rows)))
    firsts: dict[str, int] = {}
    for row, answer in enumerate(rows[columns["label"]] if "label" in columns else []):
        for one in answer if isinstance(answer, list) else [answer]:
            firsts.setdefault(str(one), row)
    spaced = np.linspace(0, len(rows) - 1, most).round().astype(int).tolist()
    # Where nearly every row has an answer of its own these are numbers, and none has to be there.
    return sorted({*spaced, *(firsts.values() if len(firsts) <= most else [])})


def schema_findings(raw: Raw) -> list[Finding]:
    """Which columns are read, of which type; what else is there; and types that differ between splits."""
    read = ", ".join(
        f"'{name}'" if name == column else f"{name} from '{column}'" for name, column in raw.columns.items()
    )
    evidence, types = [], {}
    for split, rows in raw.splits.items():
        for column in raw.columns.values():
            types.setdefault(column, {})[split] = type_of(rows.features[column])
        others = [name for name in rows.column_names if name not in raw.columns.values()]
        beside = f"; not read: {', '.join(others)}" if others else ""
        named = ", ".join(f"{column} ({types[column][split]})" for column in raw.columns.values())
        evidence.append(f"{split}: {len(rows):,} rows with {named}{beside}")
    findings = [Finding("data", "schema", "ok", f"columns: {read}", evidence)]
    for column, by_split in types.items():
        if len(set(by_split.values())) > 1:
            kinds = [f"{split}: {kind}" for split, kind in by_split.items()]
            what = f"column '{column}' is not of one type in all splits"
            fix = "Write all splits in one way, or check that the values mean the same"
            findings.append(Finding("data", "types", "note", what, kinds, fix))
    return findings


def type_of(feature: Any) -> str:
    """The type of a column in a word or two."""
    if isinstance(feature, List | LargeList):
        return f"lists of {type_of(feature.feature)}"
    if isinstance(feature, dict):
        return "mappings"
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
            places = [f"row {picks[split][one.row]:,}, column '{one.column}': {shorten(one.value)}" for one in found]
            what = f"{split}: {count} rows break a rule: {rule}"
            fix = found[0].fix if not left_out else ""
            severity = "warning" if left_out else "error"
            what += ", and are left out" if left_out else ""
            findings.append(Finding("data", "bad-rows", severity, what, places[:EXAMPLES], fix))
    return findings


def shorten(value: str) -> str:
    """The value of a fault, cut if it is long."""
    return quote(value)[1:-1]
