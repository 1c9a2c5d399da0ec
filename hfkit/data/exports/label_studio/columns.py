"""Tasks of Label Studio with the answers of people, in general columns."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset

from hfkit.data.annotators import COLUMN, FINAL, WHO
from hfkit.data.exports.label_studio.objects import Objects, find_pictures, read_config
from hfkit.data.exports.label_studio.regions import settle_regions, text_of_html
from hfkit.data.exports.label_studio.results import WHOLE, Answers, Control, Item, Tally
from hfkit.data.notes import tell
from hfkit.errors import DataError

GENERAL = {"choices": "label", "number": "label"}  # the column of the only question of a kind; otherwise the kind


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

    if not several:
        answers = [item.answers[0] if item.answers else Answers(None, {}) for item in items]
        return {
            name: [
                answer.values.get(control, empty[control] if item.answers else None)
                for item, answer in zip(items, answers, strict=True)
            ]
            for control, name in names.items()
        }

    def values_of(answer: Answers) -> dict[str, Any]:
        return {name: answer.values.get(control, empty[control]) for control, name in names.items()}

    answered = [[values_of(answer) for answer in item.answers] for item in items]
    columns = {name: [one[0][name] if len(one) == 1 else None for one in answered] for name in names.values()}
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
