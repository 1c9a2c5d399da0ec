"""JSON of Label Studio with all annotations of every task. Predictions and drafts are never taken as answers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset

from hfkit.data.exports.export import Glimpse
from hfkit.data.exports.label_studio.columns import to_dataset
from hfkit.data.exports.label_studio.results import Answers, Item, Tally, read_results
from hfkit.data.exports.records import read_records
from hfkit.errors import DataError


class LabelStudio:
    """JSON with all annotations of every task, also those of versions that called them completions."""

    title = "Label Studio JSON"
    tried = "exports in the tests of its own converter (commit 2ef5400)"
    left_out = (
        "Predictions and drafts, which are no answers, and cancelled annotations; key points, ellipses, relations,"
        " sounds, videos and answers about single regions, for no task reads them. Ask for choices, ratings, spans,"
        " boxes, polygons or brushes"
    )

    def fits(self, glimpse: Glimpse) -> bool:
        return bool(glimpse.records) and all(map(is_task, glimpse.records[:100]))

    def read(self, split: str, paths: list[Path]) -> Dataset:
        tally = Tally()
        items = [read_task(split, row, record, tally) for row, record in enumerate(read_records(split, paths))]
        return to_dataset(split, paths, self.title, items, tally)


def is_task(record: Any) -> bool:
    """Whether a record is a task with its data and annotations."""
    if not isinstance(record, dict) or not isinstance(record.get("data"), dict):
        return False
    answers = record.get("annotations", record.get("completions"))
    return isinstance(answers, list) and all(isinstance(one, dict) and "result" in one for one in answers)


def read_task(split: str, row: int, record: Any, tally: Tally) -> Item:
    """One task with the annotations that were not cancelled.

    Raises:
        DataError: it is no task, or an annotation is broken.
    """
    if not is_task(record):
        raise DataError("a record", "a task has data and annotations", "Export the file again", split=split, row=row)
    answers = []
    for annotation in record.get("annotations", record.get("completions")):
        if annotation.get("was_cancelled") or annotation.get("skipped"):
            tally.left_out["cancelled annotations"] += 1
            continue
        try:
            values = read_results(annotation["result"] or (), tally)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            shown = f"annotation {annotation.get('id')}"
            rule = f"its results cannot be read ({type(error).__name__}: {error})"
            raise DataError(shown, rule, "Export the file again, or remove it", split=split, row=row) from error
        answers.append((annotation, Answers(annotator_of(annotation), values, annotation.get("ground_truth") is True)))
    for name in ("drafts", "predictions"):
        if unread := record.get(name):
            tally.left_out[f"{name}, which are no answers" if name == "predictions" else name] += len(unread)
    return Item({"id": record.get("id"), **record["data"]}, keep_newest(answers, tally))


def annotator_of(annotation: Mapping[str, Any]) -> str | None:
    """Who made an annotation: the address if there is one, otherwise the number; None if it is not said."""
    who = annotation.get("completed_by", annotation.get("created_username"))
    if isinstance(who, dict):
        who = who.get("email") or who.get("id")
    return None if who is None else str(who).strip()


def keep_newest(answers: list[tuple[Mapping[str, Any], Answers]], tally: Tally) -> list[Answers]:
    """One annotation of each person: the one that was changed last."""
    if len(answers) < 2:
        return [answer for _, answer in answers]
    chosen: dict[Any, tuple[str, Answers]] = {}
    for place, (annotation, answer) in enumerate(answers):
        key = place if answer.annotator is None else answer.annotator
        changed = str(annotation.get("updated_at") or annotation.get("created_at") or "")
        if key not in chosen or changed >= chosen[key][0]:
            chosen[key] = (changed, answer)
    if earlier := len(answers) - len(chosen):
        tally.left_out["earlier annotations of the same person"] += earlier
    return [answer for _, answer in chosen.values()]
