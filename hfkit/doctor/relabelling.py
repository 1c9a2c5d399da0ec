"""Rows that people should look at again, for a label tool: those at fault, and equal inputs with unequal answers."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from datasets import ClassLabel, Dataset, Image

from hfkit.contract.abilities import list_choices
from hfkit.contract.rows import Media
from hfkit.contract.view import Choice, Number, Shown, Spans
from hfkit.data.exports.label_studio.writing import (
    Kind,
    Present,
    Region,
    Task,
    address_of,
    write_config,
    write_tasks,
)
from hfkit.data.text.spans import looks_like_spans, read_spans
from hfkit.doctor.findings import Finding
from hfkit.doctor.repeats import find_torn
from hfkit.doctor.rows import Rows
from hfkit.errors import UserError
from hfkit.runtime.durable import write_file

ANSWERS = ("label", "tags", "spans", "unit")  # columns of a task that people do not look at


def export_rows(rows: Rows, file: Path) -> Finding:
    """Write the rows to `file`, and the configuration of a project to the same name with `.xml`.

    Raises:
        UserError: one of them is there, or they cannot be written.
    """
    config = file.with_suffix(".xml")
    refuse_existing(file, config)
    reasons = find_reasons(rows)
    tasks = [task for (split, row), why in sorted(reasons.items()) if (task := make_task(rows, split, row, why))]
    if not tasks:
        return Finding("data", "export", "ok", "no row is at fault or in conflict, so none was written")
    kind = kind_of(rows)
    known = list_choices(rows.task.view, rows.loaded.target)
    given = [name for task in tasks for name in names_in(task.present)]
    labels = list(dict.fromkeys([*known.labels, *given]))
    objects = [tasks[0].about, *(name for name in tasks[0].data if name != tasks[0].about)]
    pictures = objects if rows.task.rows.media is Media.IMAGE else []
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_file(file, json.dumps(write_tasks(tasks), ensure_ascii=False, indent=1) + "\n")
        write_file(config, write_config(kind, objects, pictures, labels, several=known.several))
    except OSError as error:
        raise UserError(
            f"--export_file '{file}'", f"it cannot be written ({error.strerror})", "Give another"
        ) from error
    left = len(reasons) - len(tasks)
    evidence = [f"{config.name} is the labelling configuration of a project for them"]
    evidence += [f"{left:,} rows are left out: their pictures are no files below the dataset"] if left else []
    answered = sum(task.present != Present() for task in tasks)
    what = f"{len(tasks):,} rows to look at again are in {file}, {answered:,} of them with their present answer"
    return Finding("data", "export", "ok", what, evidence)


def refuse_existing(*files: Path) -> None:
    for file in files:
        if file.exists():
            raise UserError(f"--export_file: '{file}' is there", "nothing is written over", "Give another name")


def find_reasons(rows: Rows) -> dict[tuple[str, int], list[str]]:
    """Why each row should be looked at, by its split and number in the dataset."""
    reasons: dict[tuple[str, int], list[str]] = {}
    for split, faults in rows.faults.items():
        for fault in faults:
            place = (split, rows.picks[split][fault.row])
            reasons.setdefault(place, []).append(f"column '{fault.column}': {fault.value}: {fault.rule}")
    for group in find_torn(rows):
        for split, row in group:
            others = [
                f"{rows.place(*other)} says {rows.quote_answer(*other)}"
                for other in group
                if rows.answers[other[0]][other[1]] != rows.answers[split][row]
            ]
            came = rows.origins[split]
            reason = f"the same input has another answer: {', '.join(others[:3])}"
            reasons.setdefault((came.split, int(came.rows[row])), []).append(reason)
    return reasons


def make_task(rows: Rows, split: str, row: int, reasons: list[str]) -> Task | None:
    """A row of the dataset as it came; None if it is a picture that is no file below the dataset."""
    values = read_stored(rows.raw.splits[split].select([row]), rows.raw.columns)
    data = {}
    for name, value in values.items():
        if name in ANSWERS:
            continue
        shown = show_picture(rows, value) if rows.task.rows.media is Media.IMAGE else show_text(value)
        if shown is None:
            return None
        data["text" if name == "tokens" else name] = shown
    meta = {"split": split, "row": row, "reason": "; ".join(reasons)}
    task = Task(data, next(iter(data)), meta=meta)
    checked = find_checked(rows, split, row)
    if checked is None:
        return replace(task, present=read_present(rows, values, data[task.about]))
    shown = rows.task.view.answer(rows.answers[checked[0]][checked[1]], rows.splits[checked[0]][checked[1]])
    if isinstance(shown, Spans):
        data[task.about], spans = shown.in_characters()
        return replace(task, present=Present(spans=tuple(Region(*span) for span in spans)))
    return replace(task, present=present_of(shown))


def read_stored(one: Dataset, columns: Mapping[str, str]) -> dict[str, Any]:
    """The values of a row, with pictures as they are stored, and names of classes for their numbers."""
    stored = one.with_format("arrow")[:]
    media = {column for column, feature in one.features.items() if isinstance(feature, Image)}
    values = {
        name: stored[column][0].as_py() if column in media else one[column][0] for name, column in columns.items()
    }
    for name, column in columns.items():
        feature = one.features[column]
        if (
            isinstance(feature, ClassLabel)
            and isinstance(values[name], int)
            and 0 <= values[name] < feature.num_classes
        ):
            values[name] = feature.int2str(values[name])
    return values


def find_checked(rows: Rows, split: str, row: int) -> tuple[str, int] | None:
    """The place of a row of the dataset among the checked ones; None if it is at fault."""
    return rows.checked_places.get((split, row))


def show_text(value: Any) -> str:
    """A text as it is, words with blanks between them, and anything else as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        return " ".join(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def show_picture(rows: Rows, value: Any) -> str | None:
    """The address of a picture; None if it is no file, or lies elsewhere."""
    path = value.get("path") if isinstance(value, Mapping) else value
    if not isinstance(path, str) or not path:
        return None
    for root in rows.raw.roots:
        file = (root / path).absolute()
        if file.is_file() and file.is_relative_to(root.absolute()):
            return address_of(file.relative_to(root.absolute()))
    return None


def read_present(rows: Rows, values: Mapping[str, Any], text: str) -> Present:
    """The present answer of a row at fault, as far as it can be read."""
    answer = values.get("label", values.get("spans"))
    if looks_like_spans(answer):
        try:
            spans = [Region(span.start, span.end, span.label) for span in read_spans(answer)]
        except UserError:
            return Present()
        return Present(spans=tuple(span for span in spans if 0 <= span.start < span.end <= len(text)))
    if rows.task.view.answers is Choice:
        names = answer if isinstance(answer, list) else [answer]
        if all(isinstance(name, str) and name.strip() for name in names):
            return Present(choices=tuple(names))
    if rows.task.view.answers is Number and isinstance(answer, int | float) and answer == answer:
        return Present(number=answer)
    return Present()


def present_of(shown: Shown) -> Present:
    if isinstance(shown, Choice):
        return Present(choices=shown.labels)
    return Present(number=shown.value) if isinstance(shown, Number) else Present()


def kind_of(rows: Rows) -> Kind:
    """The kind of question that the answers of a task are to."""
    kinds: dict[type, Kind] = {Spans: "labels", Number: "number"}
    return kinds.get(rows.task.view.answers, "choices")


def names_in(present: Present) -> list[str]:
    return [*(present.choices or ()), *(span.label for span in present.spans or ())]
