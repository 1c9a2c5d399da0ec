"""Exports of Prodigy: JSON lines of texts with spans or choices, each with the annotator's decision."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset

from hfkit.data.exports.export import Glimpse
from hfkit.data.exports.records import dataset_of, gather_answers, read_records
from hfkit.data.notes import tell

DECISIONS = ("accept", "reject", "ignore")
MARKS = ("_task_hash", "_input_hash", "_view_id")
# Of the tool's own making: how a task was shown, and its words, which a model has no part in.
LEFT_OUT = ("tokens", "options", "config", "html", "versions")


class Prodigy:
    """JSON lines of Prodigy. Only tasks that were accepted say what is right; the others are counted."""

    title = "Prodigy JSONL"
    tried = "its documentation alone"
    left_out = (
        "Tasks that were rejected or ignored, for they do not say what is right; relations and blocks of other kinds"
    )

    def fits(self, glimpse: Glimpse) -> bool:
        records = glimpse.records
        return bool(records) and all(isinstance(record, dict) for record in records) and any(map(is_task, records))

    def read(self, split: str, paths: list[Path]) -> Dataset:
        records = list(read_records(split, paths))
        decisions = Counter(record.get("answer", "accept") for record in records)
        if others := {decision: count for decision, count in decisions.items() if decision != "accept"}:
            counts = ", ".join(f"{count:,} with the answer '{decision}'" for decision, count in others.items())
            tell(f"{split}: {decisions['accept']:,} tasks of Prodigy were accepted and are read; left out: {counts}")
        rows = [read_task(record) for record in records if record.get("answer", "accept") == "accept"]
        return dataset_of(gather_answers(rows, "_annotator_id", "_input_hash"))


def is_task(record: Mapping[str, Any]) -> bool:
    return any(mark in record for mark in MARKS) or (
        record.get("answer") in DECISIONS and any(name in record for name in ("spans", "accept", "label"))
    )


def read_task(record: Mapping[str, Any]) -> dict[str, Any]:
    """One accepted task in general columns, and all other keys but those of the tool's own making."""
    row = {name: value for name, value in record.items() if name not in (*LEFT_OUT, "answer", "accept", "spans")}
    if "options" in record or "accept" in record:
        row["label"] = [str(choice) for choice in record.get("accept") or []]
    elif "text" in record and ("spans" in record or "label" not in record):
        row["spans"] = [read_span(span) for span in record.get("spans") or []]
    return row


def read_span(span: Any) -> Any:
    if not isinstance(span, dict):
        return span
    return {name: span.get(name) for name in ("start", "end", "label")} | (
        {"text": span["text"]} if "text" in span else {}
    )
