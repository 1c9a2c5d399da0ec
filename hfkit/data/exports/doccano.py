"""Exports of doccano: JSON lines of texts with spans of characters, or with labels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset

from hfkit.data.exports.export import Glimpse
from hfkit.data.exports.records import dataset_of, read_records, simplify_labels

TEXTS = ("text", "data")  # version 1.3 called the text data


class Doccano:
    """JSON lines of doccano: `label` or `labels`, `entities` with offsets, or `annotations` of several users."""

    title = "doccano JSONL"
    tried = "exports in doccano-transformer (commit 19ad77c), of labels; spans by its documentation"
    left_out = "Relations, and texts as answers, for no task reads them. Its CSV is a table like any other"

    def fits(self, glimpse: Glimpse) -> bool:
        records = glimpse.records
        return bool(records) and all(map(is_document, records)) and any(map(has_mark_of_doccano, records))

    def read(self, split: str, paths: list[Path]) -> Dataset:
        rows = [read_document(record) for record in read_records(split, paths)]
        answers = [row["annotations"] for row in rows if "annotations" in row]
        if any(len(people) > 1 for people in answers):
            return dataset_of(rows)
        return dataset_of(simplify_labels([take_only_answer(row) for row in rows]))


def is_document(record: Any) -> bool:
    return isinstance(record, dict) and isinstance(record.get(text_key(record)), str)


def text_key(record: Mapping[str, Any]) -> str:
    return next((name for name in TEXTS if name in record), TEXTS[0])


def has_mark_of_doccano(record: Mapping[str, Any]) -> bool:
    """Whether a record has annotations in one of the shapes that only doccano writes."""
    for name in ("annotations", "entities"):
        items = record.get(name)
        if isinstance(items, list) and any(isinstance(item, dict) and is_annotation(item) for item in items):
            return True
    labels = record.get("label", record.get("labels"))
    return "id" in record and isinstance(labels, list) and any(isinstance(item, list | str) for item in labels)


def is_annotation(item: Mapping[str, Any]) -> bool:
    return "start_offset" in item or ("label" in item and "user" in item)


def read_document(record: Any) -> dict[str, Any]:
    """One record in general columns, and all other keys as they are."""
    if not is_document(record):
        return {"text": record if isinstance(record, str) else None}
    key = text_key(record)
    row = {"text": record[key]}
    rest = {name: value for name, value in record.items() if name != key}
    if isinstance(rest.get("entities"), list):
        row["spans"] = [read_span(item) for item in rest.pop("entities")]
    elif isinstance(rest.get("annotations"), list):
        row |= read_annotations(rest.pop("annotations"))
    else:
        name = "label" if "label" in rest else "labels"
        labels = rest.pop(name, None)
        spans = isinstance(labels, list) and any(isinstance(item, list) for item in labels)
        row |= {"spans": [read_span(item) for item in labels]} if spans else {"label": labels}
    return row | {name: value for name, value in rest.items() if name not in row}


def read_span(item: Any) -> Any:
    """A span as start, end and label; whatever it cannot be read from stays as it is, to be named by its row."""
    if isinstance(item, list) and len(item) == 3:
        return dict(zip(("start", "end", "label"), item, strict=True))
    if isinstance(item, dict) and "start_offset" in item:
        return {"start": item["start_offset"], "end": item.get("end_offset"), "label": item.get("label")}
    return item


def read_annotations(items: list[Any]) -> dict[str, Any]:
    """The answers of each user."""
    of_user: dict[Any, list[Any]] = {}
    for item in items:
        of_user.setdefault(item.get("user") if isinstance(item, dict) else None, []).append(item)
    return {"annotations": [{"annotator": str(user)} | read_answer(given) for user, given in of_user.items()]}


def take_only_answer(row: dict[str, Any]) -> dict[str, Any]:
    """A row with the answer of the only user in its place."""
    if "annotations" not in row:
        return row
    rest = {name: value for name, value in row.items() if name != "annotations"}
    answer = next(iter(row["annotations"]), {"label": []})
    return rest | {name: value for name, value in answer.items() if name != "annotator"}


def read_answer(items: list[Any]) -> dict[str, Any]:
    if any(isinstance(item, dict) and "start_offset" in item for item in items):
        return {"spans": [read_span(item) for item in items]}
    return {"label": [item.get("label") if isinstance(item, dict) else item for item in items]}
