"""Tasks of Label Studio for rows that people should look at again, with their present answers, and its configuration.

The answers are predictions (pre-annotations), which people accept or change. Whatever a task says is about the object
of its name, and answers the question `QUESTION`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Literal
from urllib.parse import quote
from xml.etree import ElementTree

QUESTION = "label"
VERSION = "present answer"  # of the predictions
LOCAL = "/data/local-files/?d="  # where a server of Label Studio shows the files of its own machine

Kind = Literal["choices", "labels", "number"]


@dataclass(frozen=True)
class Region:
    """A label for the characters of a text from `start` to, but not including, `end`."""

    start: int
    end: int
    label: str


@dataclass(frozen=True)
class Present:
    """The present answer to a row; None says that there is none, or none that can be read."""

    choices: tuple[str, ...] | None = None
    spans: tuple[Region, ...] | None = None
    number: float | None = None


@dataclass(frozen=True)
class Task:
    """A row to look at: what people see, its present answer, and where it stands."""

    data: Mapping[str, str]
    about: str  # the key of the data that the question is about
    present: Present = field(default_factory=Present)
    meta: Mapping[str, Any] = field(default_factory=dict)


def address_of(path: PurePath) -> str:
    """The address of a picture, by its path below the folder that the server shows."""
    return LOCAL + quote(path.as_posix())


def write_tasks(tasks: Iterable[Task]) -> list[dict[str, Any]]:
    """Tasks as Label Studio imports them."""
    return [write_task(number, task) for number, task in enumerate(tasks)]


def write_task(number: int, task: Task) -> dict[str, Any]:
    results = write_results(number, task)
    predictions = {"predictions": [{"model_version": VERSION, "result": results}]} if results else {}
    return {"data": dict(task.data), "meta": dict(task.meta), **predictions}


def write_results(number: int, task: Task) -> list[dict[str, Any]]:
    """The present answer as results: one for each span, otherwise one or none."""
    present, names = task.present, {"from_name": QUESTION, "to_name": task.about}
    if present.spans is not None:
        text = task.data[task.about]
        return [
            {"id": f"{number}-{place}", **names, "type": "labels", "value": write_span(span, text)}
            for place, span in enumerate(present.spans)
        ]
    if present.choices:
        return [{"id": f"{number}-0", **names, "type": "choices", "value": {"choices": list(present.choices)}}]
    if present.number is not None:
        return [{"id": f"{number}-0", **names, "type": "number", "value": {"number": present.number}}]
    return []


def write_span(span: Region, text: str) -> dict[str, Any]:
    """A span in the units of a browser, in which an emoji is two."""
    start, end = (len(text[:place].encode("utf-16-le")) // 2 for place in (span.start, span.end))
    return {"start": start, "end": end, "text": text[span.start : span.end], "labels": [span.label]}


def write_config(
    kind: Kind, objects: Sequence[str], pictures: Sequence[str], labels: Sequence[str], *, several: bool
) -> str:
    """The labelling configuration of the tasks, in XML.

    Args:
        objects: the keys of the data, first the one that the question is about.
        pictures: those of them that are pictures.
        labels: the names that may be given.
        several: a row may have several of them.
    """
    view = ElementTree.Element("View")
    for name in objects:
        ElementTree.SubElement(view, "Image" if name in pictures else "Text", name=name, value=f"${name}")
    if kind == "number":
        ElementTree.SubElement(view, "Number", name=QUESTION, toName=objects[0])
    elif kind == "labels":
        question = ElementTree.SubElement(view, "Labels", name=QUESTION, toName=objects[0])
        for label in labels:
            ElementTree.SubElement(question, "Label", value=label)
    else:
        choice = "multiple" if several else "single"
        question = ElementTree.SubElement(view, "Choices", name=QUESTION, toName=objects[0], choice=choice)
        for label in labels:
            ElementTree.SubElement(question, "Choice", value=label)
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"
