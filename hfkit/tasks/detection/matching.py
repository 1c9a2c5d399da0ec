"""Which predicted boxes are right: each gold box is given to one prediction, as COCO's evaluation does it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hfkit.scores.ranked import HIT, LEFT_OUT, MISS, Entries
from hfkit.tasks.detection.boxes import as_boxes, overlaps

THRESHOLDS = np.linspace(0.5, 0.95, 10)  # of the overlap, as in COCO's evaluation
MOST = 100  # predictions of a class in a picture, the most confident ones; others do not count


def rank_boxes(predictions: Sequence[Mapping[str, Any]], references: Sequence[Mapping[str, Any]]) -> Entries:
    """All predicted boxes of all pictures, and whether each is a hit at every threshold, by class.

    Classes are those of the gold boxes: of others COCO's evaluation says nothing.
    """
    names = class_names(references)
    numbers = {name: number for number, name in enumerate(names)}
    positives = np.zeros((len(references), len(names)), dtype=np.int32)
    parts: list[tuple[np.ndarray, ...]] = []
    for row, (ours, gold) in enumerate(zip(predictions, references, strict=True)):
        of_gold, boxes = group(gold["labels"], numbers), as_boxes(gold["boxes"])
        crowd = np.asarray(gold.get("crowd") or [False] * len(boxes), dtype=bool)
        for number, places in of_gold.items():
            positives[row, number] = (~crowd[places]).sum()
        scores, classes, found = sort_by_class(ours, numbers)
        hit = np.full((len(scores), len(THRESHOLDS)), MISS, dtype=np.int8)
        for number, places in of_gold.items():
            own = slice(*np.searchsorted(classes, (number, number + 1)))
            hit[own] = match(found[own], boxes[places], crowd[places])
        parts.append((scores, hit, np.full(len(scores), row), classes))
    if not parts:
        none = np.empty(0, dtype=int)
        return Entries(np.empty(0), np.empty((0, len(THRESHOLDS)), np.int8), none, none, positives)
    return Entries(*(np.concatenate(column) for column in zip(*parts, strict=True)), positives)


def sort_by_class(ours: Mapping[str, Any], numbers: Mapping[str, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, class numbers and boxes of a picture's predictions: by class, and of each the most confident first."""
    scores, found = np.asarray(ours["scores"], dtype=float), as_boxes(ours["boxes"])
    classes = np.array([numbers.get(label, -1) for label in ours["labels"]], dtype=int)
    # A stable sort: of equal scores the first stays first, as in COCO's evaluation.
    order = np.lexsort((-scores, classes))
    order = order[classes[order] >= 0]
    classes = classes[order]
    first = np.searchsorted(classes, classes)
    kept = np.arange(len(classes)) - first < MOST
    return scores[order][kept], classes[kept], found[order][kept]


def class_names(references: Sequence[Mapping[str, Any]]) -> list[str]:
    return sorted({label for gold in references for label in gold["labels"]})


def group(labels: Sequence[str], numbers: Mapping[str, int]) -> dict[int, np.ndarray]:
    """The places of each known label, by its number, in order."""
    found: dict[int, list[int]] = {}
    for place, label in enumerate(labels):
        if label in numbers:
            found.setdefault(numbers[label], []).append(place)
    return {number: np.array(found[number]) for number in sorted(found)}


def match(ours: np.ndarray, gold: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    """HIT, MISS or LEFT_OUT of boxes of one class in one picture, the most confident first, (ours, thresholds).

    Each takes the gold box it overlaps most among those that are left. A crowd can be taken by many, which then do not
    count.
    """
    hit = np.full((len(ours), len(THRESHOLDS)), MISS, dtype=np.int8)
    if not len(ours) or not len(gold):
        return hit
    shared = overlaps(ours, gold, crowd)
    least = np.minimum(THRESHOLDS, 1 - 1e-10)[:, None]
    left = np.ones((len(THRESHOLDS), len(gold)), dtype=bool)
    ways = np.arange(len(THRESHOLDS))
    for place in np.flatnonzero(shared.max(axis=1) >= THRESHOLDS[0]):
        fits = left & (shared[place] >= least)
        for kind, of_kind in ((HIT, ~crowd), (LEFT_OUT, crowd)):
            able = fits & of_kind & (hit[place] == MISS)[:, None]
            # Of equal overlaps the last one is taken, as there.
            best = len(gold) - 1 - np.where(able, shared[place], -1)[:, ::-1].argmax(axis=1)
            taken = able[ways, best]
            hit[place, taken] = kind
            if kind == HIT:
                left[ways[taken], best[taken]] = False
    return hit
