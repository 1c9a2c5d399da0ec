"""Masks of objects from the cells of a table: lists of polygons or run lengths, and maps of numbered objects."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from hfkit.data.columns import to_words
from hfkit.data.images.pictures import Refused
from hfkit.data.images.runs import draw_region, encode_runs, pack_counts
from hfkit.tasks.detection.cells import CROWD, LABELS, NoObjects, pick, shorten

REGIONS = ("segmentation", "segmentations", "polygon", "polygons", "rle", "rles")


class Regions(NamedTuple):
    """The objects of one picture as they came."""

    regions: list[Any]  # polygons or run lengths
    labels: list[Any]
    crowd: list[bool]


class Masks(NamedTuple):
    """The objects of one picture by their pixels."""

    runs: list[str]  # compressed counts
    boxes: list[list[float]]  # around the pixels: left, top, right, bottom
    labels: list[Any]
    crowd: list[bool]
    left_out: int  # objects without a pixel


def read_regions(cell: Any, labels: Any = None) -> Regions:
    """The objects in a cell; none if it is empty.

    Args:
        labels: the cell of another column, for regions that come without.

    Raises:
        NoObjects: it holds something else, or a region without a class.
    """
    if isinstance(cell, str) and cell.strip()[:1] in ("{", "["):
        try:
            cell = json.loads(cell)
        except ValueError as error:
            raise NoObjects(shorten(cell), "objects in a text are written as JSON") from error
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return Regions([], [], [])
    if labels is not None and isinstance(cell, Sequence):
        cell = {"segmentation": cell, "category": json.loads(labels) if isinstance(labels, str) else labels}
    if isinstance(cell, Mapping):
        return read_lists(cell)
    if not isinstance(cell, Sequence) or isinstance(cell, str):
        raise NoObjects(to_words(cell), "a cell holds a list of objects, or an object of lists")
    if not all(isinstance(one, Mapping) for one in cell):
        raise NoObjects(f"{len(cell)} regions", "every object has a class")
    single = [[pick(one, keys) for keys in (REGIONS, LABELS, CROWD)] for one in cell]
    if any(label is None for _, label, _ in single):
        raise NoObjects("an object without a class", "every object has a class")
    return Regions([one[0] for one in single], [one[1] for one in single], [bool(one[2]) for one in single])


def read_lists(cell: Mapping[str, Any]) -> Regions:
    """The objects of an object of lists."""
    if cell.get("fault"):
        raise NoObjects(*cell["fault"])
    regions, labels, crowd = (pick(cell, keys) for keys in (REGIONS, LABELS, CROWD))
    if regions is None or labels is None:
        raise NoObjects(f"an object with {', '.join(cell) or 'nothing'}", "objects have regions and classes")
    if len(regions) != len(labels):
        raise NoObjects(f"{len(regions)} regions and {len(labels)} classes", "every object has a class")
    crowd = [False] * len(labels) if crowd is None else [bool(one) for one in crowd]
    return Regions(list(regions), list(labels), crowd)


def paint_regions(found: Regions, width: int, height: int) -> Masks:
    """The pixels of regions in a picture of this size.

    Raises:
        NoObjects: a region is broken, or is of another picture.
    """
    runs, boxes, kept = [], [], []
    for place, region in enumerate(found.regions):
        if not region:
            continue
        try:
            mask = draw_region(region, width, height)
        except Refused as error:
            value = f"object {place + 1} ('{found.labels[place]}'){f': {error.detail}' if error.detail else ''}"
            raise NoObjects(value, error.rule) from error
        if mask.any():
            runs.append(encode_runs(mask)["counts"])
            boxes.append(enclose(mask))
            kept.append(place)
    labels, crowd = ([values[place] for place in kept] for values in (found.labels, found.crowd))
    return Masks(runs, boxes, labels, crowd, len(found.regions) - len(kept))


def enclose(mask: np.ndarray) -> list[float]:
    """Left, top, right and bottom of the box around the pixels of a mask."""
    down, across = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return [float(side) for side in (across[0], down[0], across[-1] + 1, down[-1] + 1)]


def split_map(numbers: np.ndarray) -> tuple[list[int], Masks]:
    """The numbers in a map of objects, (height, width), in order, and the pixels of each; 0 is none.

    They have no classes yet.
    """
    height = numbers.shape[0]
    flat = numbers.ravel(order="F")
    begin = np.flatnonzero(np.append(True, flat[1:] != flat[:-1]))
    end = np.append(begin[1:], len(flat))
    found, runs, boxes = [], [], []
    order = np.argsort(flat[begin], kind="stable")
    firsts = np.flatnonzero(np.append(True, np.diff(flat[begin][order]) != 0))
    for places in np.split(order, firsts[1:]):
        number = int(flat[begin[places[0]]])
        if number:
            found.append(number)
            runs.append(join_runs(begin[places], end[places], len(flat)))
            boxes.append(enclose_runs(begin[places], end[places], height))
    return found, Masks(runs, boxes, [], [False] * len(found), 0)


def join_runs(begin: np.ndarray, end: np.ndarray, total: int) -> str:
    """Compressed counts of runs in the order of the picture's columns."""
    edges = np.stack([begin, end], axis=1).ravel()
    counts = np.diff(edges, prepend=0, append=total).tolist()
    return pack_counts(counts if counts[-1] else counts[:-1])


def enclose_runs(begin: np.ndarray, end: np.ndarray, height: int) -> list[float]:
    """The box around runs: a run that goes on in the next column reaches from top to bottom."""
    first, last = begin // height, (end - 1) // height
    top = np.where(first == last, begin % height, 0).min()
    bottom = np.where(first == last, (end - 1) % height + 1, height).max()
    return [float(side) for side in (first.min(), top, last.max() + 1, bottom)]


def name_numbers(numbers: Sequence[int], labels: Any, single: str) -> list[Any]:
    """The class of each numbered object of a map.

    Args:
        labels: one for each number, in their order; None: all are of the class `single`.

    Raises:
        NoObjects: there are more or fewer labels than numbers.
    """
    if labels is None:
        return [single] * len(numbers)
    labels = json.loads(labels) if isinstance(labels, str) else labels
    if len(labels) != len(numbers):
        raise NoObjects(f"{len(numbers)} objects and {len(labels)} classes", "every object has a class")
    return list(labels)
