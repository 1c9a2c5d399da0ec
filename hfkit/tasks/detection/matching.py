"""Which predicted objects are right: each gold one is given to one prediction, as COCO's evaluation does it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from hfkit.scores.ranked import HIT, LEFT_OUT, MISS, Entries
from hfkit.tasks.detection.boxes import as_boxes, overlaps

Answer = Mapping[str, Any]
Overlap = Callable[[Answer, Answer], np.ndarray]  # of every two objects of a prediction and a reference, (ours, gold)

THRESHOLDS = np.linspace(0.5, 0.95, 10)  # of the overlap, as in COCO's evaluation
MOST = 100  # predictions of a class in a picture, the most confident ones; others do not count


def rank_boxes(predictions: Sequence[Answer], references: Sequence[Answer]) -> Entries:
    """All predicted boxes of all pictures (see `rank_objects`)."""
    return rank_objects(predictions, references, overlap_boxes)


def overlap_boxes(ours: Answer, gold: Answer) -> np.ndarray:
    """How far boxes overlap, (ours, gold); with a crowd by the area of ours."""
    return overlaps(as_boxes(ours["boxes"]), as_boxes(gold["boxes"]), crowd_of(gold))


def crowd_of(gold: Answer) -> np.ndarray:
    """Whether each gold object is a crowd, (objects,)."""
    return np.asarray(gold.get("crowd") or [False] * len(gold["labels"]), dtype=bool)


def rank_objects(predictions: Sequence[Answer], references: Sequence[Answer], overlap: Overlap) -> Entries:
    """All predicted objects of all pictures, and whether each is a hit at every threshold, by class.

    Classes are those of the gold objects: of others COCO's evaluation says nothing.

    Args:
        overlap: compares the objects of one picture, whether they are boxes or masks.
    """
    names = class_names(references)
    numbers = {name: number for number, name in enumerate(names)}
    positives = np.zeros((len(references), len(names)), dtype=np.int32)
    parts: list[tuple[np.ndarray, ...]] = []
    for row, (ours, gold) in enumerate(zip(predictions, references, strict=True)):
        of_gold, crowd = group(gold["labels"], numbers), crowd_of(gold)
        for number, places in of_gold.items():
            positives[row, number] = (~crowd[places]).sum()
        scores, classes, order = sort_by_class(ours, numbers)
        hit = np.full((len(scores), len(THRESHOLDS)), MISS, dtype=np.int8)
        shared = overlap(ours, gold)[order] if of_gold and len(order) else None
        for number, places in of_gold.items():
            own = slice(*np.searchsorted(classes, (number, number + 1)))
            if own.start < own.stop:
                hit[own] = match(shared[own][:, places], crowd[places])
        parts.append((scores, hit, np.full(len(scores), row), classes))
    if not parts:
        none = np.empty(0, dtype=int)
        return Entries(np.empty(0), np.empty((0, len(THRESHOLDS)), np.int8), none, none, positives)
    return Entries(*(np.concatenate(column) for column in zip(*parts, strict=True)), positives)


def sort_by_class(ours: Answer, numbers: Mapping[str, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, class numbers and places of a picture's predictions: by class, and of each the most confident first."""
    scores = np.asarray(ours["scores"], dtype=float)
    classes = np.array([numbers.get(label, -1) for label in ours["labels"]], dtype=int)
    # A stable sort: of equal scores the first stays first, as in COCO's evaluation.
    order = np.lexsort((-scores, classes))
    order = order[classes[order] >= 0]
    classes = classes[order]
    first = np.searchsorted(classes, classes)
    kept = np.arange(len(classes)) - first < MOST
    return scores[order][kept], classes[kept], order[kept]


def class_names(references: Sequence[Answer]) -> list[str]:
    return sorted({label for gold in references for label in gold["labels"]})


def group(labels: Sequence[str], numbers: Mapping[str, int]) -> dict[int, np.ndarray]:
    """The places of each known label, by its number, in order."""
    found: dict[int, list[int]] = {}
    for place, label in enumerate(labels):
        if label in numbers:
            found.setdefault(numbers[label], []).append(place)
    return {number: np.array(found[number]) for number in sorted(found)}


def match(shared: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    """HIT, MISS or LEFT_OUT of objects of one class in one picture, the most confident first, (ours, thresholds).

    Each takes the gold one it overlaps most among those that are left. A crowd can be taken by many, which then do not
    count.

    Args:
        shared: how far every two overlap, (ours, gold).
    """
    hit = np.full((len(shared), len(THRESHOLDS)), MISS, dtype=np.int8)
    if not shared.size:
        return hit
    least = np.minimum(THRESHOLDS, 1 - 1e-10)[:, None]
    left = np.ones((len(THRESHOLDS), len(crowd)), dtype=bool)
    ways = np.arange(len(THRESHOLDS))
    for place in np.flatnonzero(shared.max(axis=1) >= THRESHOLDS[0]):
        fits = left & (shared[place] >= least)
        for kind, of_kind in ((HIT, ~crowd), (LEFT_OUT, crowd)):
            able = fits & of_kind & (hit[place] == MISS)[:, None]
            # Of equal overlaps the last one is taken, as there.
            best = len(crowd) - 1 - np.where(able, shared[place], -1)[:, ::-1].argmax(axis=1)
            taken = able[ways, best]
            hit[place, taken] = kind
            if kind == HIT:
                left[ways[taken], best[taken]] = False
    return hit
