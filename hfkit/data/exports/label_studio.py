"""Exports of Label Studio: JSON with all annotations, its short form JSON_MIN, and tables of text.

All three are read into tasks with the answers of people, and those into general columns. Predictions and drafts are
never taken as answers.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset

from hfkit.data.annotators import COLUMN, FINAL, WHO
from hfkit.data.exports.export import Glimpse
from hfkit.data.exports.label_studio_objects import Objects, find_pictures, read_config
from hfkit.data.exports.label_studio_results import (
    WHOLE,
    Answers,
    Control,
    Tally,
    mend_span,
    read_results,
    text_of_html,
)
from hfkit.data.exports.records import read_records
from hfkit.data.notes import tell
from hfkit.errors import DataError

# What the short forms write beside the data and the answers.
BOOKKEEPING = ("annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement", "history")
GENERAL = {"choices": "label", "number": "label"}  # the column of the only question of a kind; otherwise the kind
PUBLIC = {"boxes": ("left", "top", "right", "bottom", "label")}  # keys of a region that are passed on


@dataclass
class Item:
    """A task: what people saw, and what they answered."""

    data: dict[str, Any]
    answers: list[Answers]


class LabelStudio:
    """JSON with all annotations of every task, also those of versions that called them completions."""

    title = "Label Studio JSON"
    version = "0.7 to 1.20"

    def fits(self, glimpse: Glimpse) -> bool:
        return bool(glimpse.records) and all(map(is_task, glimpse.records[:100]))

    def read(self, split: str, paths: list[Path]) -> Dataset:
        tally = Tally()
        items = [read_task(split, row, record, tally) for row, record in enumerate(read_records(split, paths))]
        return to_dataset(split, paths, self.title, items, tally)


class LabelStudioMin:
    """JSON_MIN: one object for each annotation, with the answers beside the data."""

    title = "Label Studio JSON_MIN"
    version = "1.0 to 1.20"

    def fits(self, glimpse: Glimpse) -> bool:
        marks = {"annotation_id", "created_at", "updated_at", "lead_time"}
        first = glimpse.records[:100]
        return bool(first) and all(isinstance(record, dict) and record.keys() >= marks for record in first)

    def read(self, split: str, paths: list[Path]) -> Dataset:
        return read_short(split, paths, self.title, list(read_records(split, paths)))


class LabelStudioTable:
    """CSV and TSV: JSON_MIN as a table, whose cells may hold JSON."""

    title = "Label Studio CSV"
    version = "1.0 to 1.20"

    def fits(self, glimpse: Glimpse) -> bool:
        if glimpse.suffix not in (".csv", ".tsv"):
            return False
        first = glimpse.head.partition(b"\n")[0].decode("utf-8-sig", "replace").strip()
        names = {name.strip('"') for name in first.split(delimiter_of(first))}
        return names >= {"annotation_id", "annotator", "created_at", "updated_at", "lead_time"}

    def read(self, split: str, paths: list[Path]) -> Dataset:
        return read_short(split, paths, self.title, [row for path in paths for row in read_table(split, path)])


def delimiter_of(header: str) -> str:
    return "\t" if "\t" in header else ","


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


# Short forms


def read_table(split: str, path: Path) -> Iterable[dict[str, Any]]:
    """The rows of a CSV or TSV file; cells that hold JSON lists and objects are read.

    Raises:
        DataError: it cannot be read.
    """
    import pandas

    try:
        with path.open("rb") as file:
            separator = delimiter_of(file.readline().decode("utf-8-sig", "replace"))
        table = pandas.read_csv(path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (ValueError, OSError) as error:
        raise DataError(path.name, f"it cannot be read as CSV ({error})", "Export it again", split=split) from error
    columns = {name: list(map(read_cell, table[name])) for name in table.columns}
    return (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))


def read_cell(cell: str) -> Any:
    if cell[:1] in ("[", "{"):
        try:
            return json.loads(cell)
        except ValueError:
            pass
    return cell


def read_short(split: str, paths: list[Path], title: str, records: list[Mapping[str, Any]]) -> Dataset:
    """Tasks from one record for each annotation: those with one id are the answers to one task."""
    of_task: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    for number, record in enumerate(records):
        task = record.get("id")
        of_task[("", number) if task in (None, "") else task].append(record)
    tally, questions = Tally(), find_questions(of_task.values())
    items = []
    for row, group in enumerate(of_task.values()):
        try:
            answers = [(record, Answers(annotator_of_short(record), read_columns(record, questions, tally)))
                       for record in group]  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            rule = f"its answers cannot be read ({type(error).__name__}: {error})"
            raise DataError(f"task {group[0].get('id')}", rule, "Export it again", split=split, row=row) from error
        data = {name: value for name, value in group[0].items() if name not in questions and name not in BOOKKEEPING}
        items.append(Item(data, keep_newest(answers, tally)))
    if len(items) < len(records):
        tell(f"{paths[0].name}: {len(records):,} annotations of {len(items):,} tasks; a row is a task, by its id")
    return to_dataset(split, paths, title, items, tally)


def annotator_of_short(record: Mapping[str, Any]) -> str | None:
    who = record.get("annotator")
    return annotator_of({"completed_by": who if who != "" else None})


def find_questions(groups: Iterable[list[Mapping[str, Any]]]) -> dict[str, str]:
    """The columns that hold answers, and the type of their results ('' for plain values).

    They are those with values of a known shape, those that stand from `id` to `annotator` in JSON_MIN, and those in
    which the annotations of one task differ.
    """
    found: dict[str, str] = {}
    first = True
    for group in groups:
        if first:
            first, names = False, list(group[0])
            if "id" in names and "annotator" in names and "id" != names[0]:
                inner = names[names.index("id") + 1 : names.index("annotator")]
                found |= dict.fromkeys((name for name in inner if name not in BOOKKEEPING), "")
        for record in group:
            for name, value in record.items():
                if isinstance(value, list | dict) and (kind := shape_of(value)):
                    found[name] = kind
        for record in group[1:]:
            for name, value in record.items():
                if name not in BOOKKEEPING and name not in found and value != group[0].get(name):
                    found[name] = ""
    return found


def shape_of(value: Any) -> str:
    """The type of results whose short form a value is; '' if it is none."""
    if isinstance(value, dict) and value.keys() == {"choices"}:
        return "choices"
    first = value[0] if isinstance(value, list) and value else None
    if isinstance(first, dict):
        shapes = {"start": "labels", "width": "rectanglelabels", "points": "polygonlabels", "rle": "brushlabels"}
        labelled = any(key.endswith("labels") for key in first)
        return next((kind for key, kind in shapes.items() if key in first and labelled), "")
    if isinstance(first, list) and first and all(isinstance(name, str) for name in first):
        return "taxonomy"
    return ""


def read_columns(record: Mapping[str, Any], questions: Mapping[str, str], tally: Tally) -> dict[Control, Any]:
    """The answers of one record of a short form."""
    results = []
    for name, kind in questions.items():
        value = record.get(name)
        if value in (None, "", []):
            continue
        if not isinstance(value, list | dict):
            number = isinstance(value, int | float) and not isinstance(value, bool)
            values = [{"number": value} if number else {"choices": [value]}]
            kind_of_value = "number" if number else "choices"
        elif kind == "taxonomy":
            values, kind_of_value = [{"taxonomy": value}], kind
        elif kind:
            values, kind_of_value = value if isinstance(value, list) else [value], kind
        else:  # several lines of a text area
            values, kind_of_value = [{"text": value}], "textarea"
        results += [{"type": kind_of_value, "value": one, "from_name": name} for one in values]
    return read_results(results, tally)


# General columns


def to_dataset(split: str, paths: list[Path], title: str, items: list[Item], tally: Tally) -> Dataset:
    """Tasks in general columns.

    Raises:
        DataError: there is none.
    """
    if not items:
        raise DataError(paths[0].name, "it holds no tasks", "Export it again", split=split)
    config = read_config(paths[0].parent)
    objects = Objects.find(items[0].data.keys(), [item.data for item in items[:200]], tally, config.values)
    names = name_columns(tally.objects)
    read_as = settle_values(items, tally, objects, config.several)
    columns = columns_of_data(items, objects, names.values(), paths[0].parent)
    columns |= columns_of_answers(items, names, read_as)
    tell_summary(paths[0].name, title, items, tally, names, objects)
    arrays = {name: to_array(values) for name, values in columns.items()}
    if COLUMN in arrays:  # a column that nobody answered alone has the type of the answers
        item = arrays[COLUMN].type.value_type
        arrays |= {name: pa.array(columns[name], item.field(name).type) for name in names.values()}
    return Dataset(pa.table(arrays))


def name_columns(controls: Iterable[Control]) -> dict[Control, str]:
    """The column of each question: a general name for the only one of a kind, otherwise its own."""
    of_column: dict[str, list[Control]] = defaultdict(list)
    for control in controls:
        of_column[GENERAL.get(control.kind, control.name if control.kind in WHOLE else control.kind)].append(control)
    names: dict[Control, str] = {}
    for column, same in of_column.items():
        names |= {control: column if len(same) == 1 else control.name for control in same}
    taken = Counter(names.values())
    return {c: name if taken[name] == 1 else f"{name}_{c.kind}" for c, name in names.items()}


def settle_values(items: list[Item], tally: Tally, objects: Objects, several: Mapping[str, bool]) -> dict[Control, Any]:
    """Bring the values of all answers into the form of their column; the value of a question that was left out.

    One choice each is a label, more than one a list of labels.
    """
    empty: dict[Control, Any] = {}
    for control in tally.objects:
        given = [answer for item in items for answer in item.answers if control in answer.values]
        empty[control] = None if control.kind in WHOLE else []
        if control.kind == "choices":
            many = several.get(control.name, any(len(answer.values[control]) > 1 for answer in given))
            empty[control] = [] if many else None
            settle_choices(control, given, many=many)
        elif control.kind == "writing":
            for answer in given:
                answer.values[control] = "\n".join(answer.values[control])
        elif control.kind not in WHOLE:
            settle_regions(control, items, tally, objects)
    return empty


def settle_choices(control: Control, given: list[Answers], *, many: bool) -> None:
    """Bring choices into labels: one each, or with `many` a list."""
    paths = {path for answer in given for path in answer.values[control] if isinstance(path, tuple)}
    names = shorten_paths(paths)
    for answer in given:
        labels = [names.get(name, name) for name in answer.values[control]]
        answer.values[control] = labels if many else next(iter(labels), None)
    if paths:
        short = all(names[path] == path[-1] for path in paths if path)
        levels = "the last level is the label" if short else "all levels are the label, for some end alike"
        tell(f"question '{control.name}': of each place in the taxonomy {levels}")


def shorten_paths(paths: Iterable[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    """Places in a taxonomy by their last level, or all of them as a whole if two end alike."""
    paths = list(paths)
    short = len({path[-1:] for path in paths}) == len(paths)
    return {path: "/".join(path[-1:] if short else path) for path in paths}


def settle_regions(control: Control, items: list[Item], tally: Tally, objects: Objects) -> None:
    """Bring regions into the keys of their general column; spans into characters of the text."""
    keys = PUBLIC.get(control.kind)
    pairs = [(item, answer) for item in items for answer in item.answers if answer.values.get(control)]
    if control.kind == "spans":
        settle_spans(control, pairs, tally, objects)
    for _, answer in pairs if keys else ():
        regions = answer.values[control]
        tally.noted["turned boxes became the upright box around them"] += sum(box["turned"] for box in regions)
        answer.values[control] = [{key: region[key] for key in keys} for region in regions]


def settle_spans(control: Control, pairs: list[tuple[Item, Answers]], tally: Tally, objects: Objects) -> None:
    """Bring spans into characters of the text. What the tool wrote as their text stays where the text says another."""
    key = objects.key_of(control)
    if any(span["html"] for _, answer in pairs for span in answer.values[control]):
        objects.html.add(key)
    for item, answer in pairs:
        text = item.data.get(key)
        text = text_of_html(text) if key in objects.html and isinstance(text, str) else text
        answer.values[control] = [
            mend_span(span, text if isinstance(text, str) else "", tally) for span in answer.values[control]
        ]
    spans = [span for _, answer in pairs for span in answer.values[control]]
    if not any(span["text"] is not None for span in spans):
        for span in spans:
            del span["text"]


def columns_of_data(items: list[Item], objects: Objects, taken: Iterable[str], folder: Path) -> dict[str, list]:
    """The data of the tasks under their own names, but `text` and `image` for what the questions are about."""
    names = list(dict.fromkeys(name for item in items for name in item.data))
    general = {objects.text: "text", objects.image: "image"}
    reserved = {*taken, COLUMN, *(general[key] for key in (objects.text, objects.image) if key)}
    columns: dict[str, list] = {}
    for name in names:
        column = general.get(name) or (f"data.{name}" if name in reserved else name)
        values = [item.data.get(name) for item in items]
        if name in objects.html:
            values = [text_of_html(value) if isinstance(value, str) else value for value in values]
        if name == objects.image:
            values = find_pictures(values, folder)
        columns[column] = values
    if all(value is None for value in columns.get("id", [0])):
        columns.pop("id")
    return columns


def columns_of_answers(
    items: list[Item], names: Mapping[Control, str], empty: Mapping[Control, Any]
) -> dict[str, list]:
    """A column for each question, null for tasks that nobody answered, or more than one.

    If there are several people, the column `annotations` has all answers to every task.
    """
    people = {answer.annotator for item in items for answer in item.answers}
    several = len(people) > 1 or any(len(item.answers) > 1 for item in items)

    def values_of(answer: Answers) -> dict[str, Any]:
        return {name: answer.values.get(control, empty[control]) for control, name in names.items()}

    answered = [[values_of(answer) for answer in item.answers] for item in items]
    columns = {name: [one[0][name] if len(one) == 1 else None for one in answered] for name in names.values()}
    if several:
        final = any(answer.final for item in items for answer in item.answers)
        columns[COLUMN] = [
            [
                {WHO: answer.annotator, **({FINAL: answer.final} if final else {}), **values}
                for answer, values in zip(item.answers, of_item, strict=True)
            ]
            for item, of_item in zip(items, answered, strict=True)
        ]
    return columns


def to_array(values: list) -> pa.Array:
    """Values as a column; those of several types as JSON, and missing ones alone as texts."""
    try:
        array = pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        array = pa.array([v if isinstance(v, str | None) else json.dumps(v, ensure_ascii=False) for v in values])
    known = fill_type(array.type)
    return array if known == array.type else array.cast(known)


def fill_type(kind: pa.DataType) -> pa.DataType:
    """A type in which values that are always missing are texts."""
    if pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(fill_type(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, fill_type(field.type)) for field in kind])
    return kind


def tell_summary(
    file: str, title: str, items: list[Item], tally: Tally, names: Mapping[Control, str], objects: Objects
) -> None:
    """Tell what the file is, what became of its questions, and what was left out."""
    parts = [f"{title}, {len(items):,} task{'s' * (len(items) != 1)}"]
    parts += [f"'{control.name}' is the column {name}" for control, name in names.items() if control.name != name]
    for key, name in ((objects.text, "text"), (objects.image, "image")):
        if key and key != name:
            parts.append(f"'{key}' is the {name}")
    if objects.html:
        parts.append("the text is that of its HTML without tags")
    if unanswered := sum(not item.answers for item in items):
        parts.append(f"{unanswered:,} without an annotation")
    tell(f"{file}: {'; '.join(parts)}")
    if noted := [f"{count:,} {what}" for what, count in tally.noted.items() if count]:
        tell(f"{file}: {', '.join(noted)}")
    if tally.left_out:
        tell(f"{file}: left out: {', '.join(f'{count:,} {what}' for what, count in tally.left_out.items())}")
