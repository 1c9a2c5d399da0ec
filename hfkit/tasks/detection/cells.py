"""Marked objects from the cells of a table, in the ways that people and tools write them.

A cell holds a list of objects, or an object of lists; a box is four numbers, or four named ones. Boxes that cannot be
boxes (not finite, corners swapped) are faults, because nobody knows what was meant. Boxes that stand out of their
picture are clipped and those without an area left out, and both are counted.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from hfkit.data.columns import to_words
from hfkit.tasks.detection.boxes import WRITINGS, Writing, clip_boxes, to_corners

BOXES = ("bbox", "bboxes", "box", "boxes", "bounding_box", "bounding_boxes")
LABELS = (
    *("category", "categories", "label", "labels", "class", "classes", "class_label", "class_labels"),
    *("category_id", "label_id", "class_id", "class_name", "category_name", "name", "type"),
)
CROWD = ("iscrowd", "is_crowd", "crowd")
# Named sides, each with the writing that they make.
SIDES: dict[tuple[str, str, str, str], str] = {
    ("left", "top", "right", "bottom"): "xyxy",
    ("xmin", "ymin", "xmax", "ymax"): "xyxy",
    ("x_min", "y_min", "x_max", "y_max"): "xyxy",
    ("x1", "y1", "x2", "y2"): "xyxy",
    ("left", "top", "width", "height"): "xywh",
    ("x", "y", "width", "height"): "xywh",
    ("x", "y", "w", "h"): "xywh",
    ("cx", "cy", "w", "h"): "cxcywh",
    ("x_center", "y_center", "width", "height"): "cxcywh",
}
LEAST = 1e-3  # pixels a side: thinner boxes have no area


class NoObjects(Exception):
    """A cell holds no objects: the value at fault, and the rule that it breaks."""

    def __init__(self, value: str, rule: str) -> None:
        super().__init__(value, rule)
        self.value, self.rule = value, rule


class Marked(NamedTuple):
    """The objects of one picture as they came."""

    boxes: np.ndarray  # four numbers each, (objects, 4)
    labels: list[Any]
    crowd: list[bool]
    writing: Writing | None  # None: the numbers have no names


class Placed(NamedTuple):
    """The objects of one picture in its pixels."""

    boxes: np.ndarray  # left, top, right, bottom, (objects, 4)
    labels: list[str]
    crowd: list[bool]
    clipped: int  # boxes that stood out of the picture
    left_out: int  # boxes without an area


def read_marked(cell: Any, labels: Any = None) -> Marked:
    """The objects in a cell; none if it is empty.

    Args:
        labels: the cell of another column, for boxes that come without.

    Raises:
        NoObjects: it holds something else, a box without a class, or no four numbers.
    """
    if isinstance(cell, str) and cell.strip()[:1] in ("{", "["):
        try:
            cell = json.loads(cell)
        except ValueError as error:
            raise NoObjects(shorten(cell), "objects in a text are written as JSON") from error
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return Marked(np.empty((0, 4)), [], [], None)
    if isinstance(labels, str) and labels.strip()[:1] == "[":
        labels = json.loads(labels)
    if isinstance(cell, Mapping):
        return read_lists(cell)
    if not isinstance(cell, Sequence) or isinstance(cell, str):
        raise NoObjects(to_words(cell), "a cell holds a list of objects, or an object of lists")
    if not len(cell):
        return Marked(np.empty((0, 4)), [], [], None)
    if isinstance(cell[0], Mapping):
        return join([read_one(one) for one in cell])
    if labels is None:
        raise NoObjects(f"{len(cell)} boxes", "every box has a class")
    return read_lists({"bbox": cell, "category": labels})


def read_lists(cell: Mapping[str, Any]) -> Marked:
    """The objects of an object of lists."""
    if cell.get("fault"):
        raise NoObjects(*cell["fault"])
    boxes, labels, crowd = (pick(cell, keys) for keys in (BOXES, LABELS, CROWD))
    if boxes is None or labels is None:
        raise NoObjects(f"an object with {', '.join(cell) or 'nothing'}", "objects have boxes and classes")
    if not isinstance(labels, Sequence) or isinstance(labels, str):
        return read_one(cell)
    if len(boxes) != len(labels):
        raise NoObjects(f"{len(boxes)} boxes and {len(labels)} classes", "every box has a class")
    crowd = [False] * len(boxes) if crowd is None else [bool(one) for one in crowd]
    writing = WRITINGS.get(cell.get("box_format") or "")  # of a file in a known layout
    return Marked(np.array([four_numbers(box) for box in boxes]).reshape(-1, 4), list(labels), crowd, writing)


def read_one(one: Mapping[str, Any]) -> Marked:
    """A single object."""
    box, label, crowd = (pick(one, keys) for keys in (BOXES, LABELS, CROWD))
    given = box if isinstance(box, Mapping) else one
    writing = None
    if box is None or isinstance(box, Mapping):
        sides = next((sides for sides in SIDES if all(given.get(side) is not None for side in sides)), None)
        if sides is None:
            raise NoObjects(f"an object with {', '.join(one) or 'nothing'}", "an object has a box")
        box, writing = [given[side] for side in sides], WRITINGS[SIDES[sides]]
    if label is None:
        raise NoObjects(f"an object with {', '.join(one)}", "every box has a class")
    label = label[0] if isinstance(label, list) and len(label) == 1 else label
    return Marked(np.array([four_numbers(box)]), [label], [bool(crowd)], writing)


def join(parts: Sequence[Marked]) -> Marked:
    writings = {part.writing for part in parts}
    if len(writings) > 1:
        raise NoObjects(f"{len(parts)} objects", "all boxes of a picture are written in one way")
    return Marked(
        np.concatenate([part.boxes for part in parts]),
        [label for part in parts for label in part.labels],
        [crowd for part in parts for crowd in part.crowd],
        writings.pop(),
    )


def four_numbers(box: Any) -> list[float]:
    try:
        numbers = [float(side) for side in box]
    except (TypeError, ValueError) as error:
        raise NoObjects(shorten(to_words(box)), "a box is four numbers") from error
    if len(numbers) != 4:
        raise NoObjects(shorten(to_words(box)), "a box is four numbers")
    return numbers


def place_objects(marked: Marked, writing: Writing, width: int, height: int) -> Placed:
    """Objects in the pixels of their picture.

    Raises:
        NoObjects: a box that is no box.
    """
    for values in marked.boxes:
        if not all(map(math.isfinite, values)):
            raise NoObjects(f"box {name_box(values)}", "the sides of a box are finite numbers")
    corners = to_corners(marked.boxes, writing, width, height)
    for values, (left, top, right, bottom) in zip(marked.boxes, corners, strict=True):
        if right < left or bottom < top:
            swapped = "a box ends to the right of and below its beginning"
            raise NoObjects(
                f"box {name_box(values)}", swapped if writing.format == "xyxy" else "a box has no negative size"
            )
    boxes = clip_boxes(corners, width, height)
    inside = ((boxes[:, 2:] - boxes[:, :2]) >= LEAST).all(axis=1)
    # Rounding to whole pixels is no standing out.
    clipped = int((np.abs(boxes - corners).max(axis=1, initial=0.0) > 1)[inside].sum())
    kept = np.flatnonzero(inside)
    labels, crowd = ([values[number] for number in kept] for values in (marked.labels, marked.crowd))
    return Placed(boxes[kept], labels, crowd, clipped, len(boxes) - len(kept))


def pick(values: Mapping[str, Any], keys: Sequence[str]) -> Any:
    """The value of the first key that is there."""
    return next((values[key] for key in keys if values.get(key) is not None), None)


def name_box(values: Sequence[float]) -> str:
    return f"({', '.join(f'{value:g}' for value in values)})"


def shorten(text: str) -> str:
    return text if len(text) <= 60 else text[:60].rstrip() + " …"
