"""The judge of masks: how far the areas of each class overlap, summed over all pictures."""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from hfkit.scores.evidence import Sums
from hfkit.scores.score import Score
from hfkit.tasks.masks.answers import Painted
from hfkit.tasks.masks.classes import NONE

MIOU = Score("mean_iou", "mean IoU", hub="mean_iou")
DICE = Score("dice", "mean Dice")
ACCURACY = Score("pixel_accuracy", "pixel accuracy", hub="accuracy")
BOUNDARY = Score("boundary_f1", "boundary F1")
TOLERANCE = 0.0075  # of the diagonal of a picture: Csurka et al. 2013, "What is a good evaluation measure …?"


class Tallies(NamedTuple):
    """Counts of pixels of each class in every picture, (rows, classes) each."""

    both: np.ndarray  # of the class in the gold mask and in the answer
    gold: np.ndarray
    ours: np.ndarray


class Edges(NamedTuple):
    """Counts of pixels at the boundary of each class in every picture, (rows, classes) each."""

    ours_near: np.ndarray  # of the answer, near one of the gold mask
    ours: np.ndarray
    gold_near: np.ndarray  # of the gold mask, near one of the answer
    gold: np.ndarray


class MaskJudge:
    """Intersection over union, the mean over classes of either side; pixels without a gold class do not count."""

    headline: ClassVar[Score] = MIOU
    scores: ClassVar[tuple[Score, ...]] = (MIOU, DICE, ACCURACY, BOUNDARY)

    def score(self, predictions: Sequence[Painted], references: Sequence[Painted]) -> dict[str, float]:
        """All scores by key.

        Dice is the mean over classes of twice the intersection by the sum of both areas. The boundary F1 is the mean
        over classes too: a pixel at a boundary is right within `TOLERANCE` of one of the other side, up and down and
        across.
        """
        tallies, edges = self.compare(predictions, references)
        both, gold, ours = (counts.sum(0) for counts in tallies)
        return {
            "mean_iou": float(mean_iou(np.concatenate([both, gold + ours - both]))),
            "dice": float(mean_of_there(2 * both, gold + ours)),
            "pixel_accuracy": float(both.sum() / max(gold.sum(), 1)),
            "boundary_f1": float(edge_f1(edges)),
        }

    def evidence(self, predictions: Sequence[Painted], references: Sequence[Painted]) -> Sums:
        """The intersection and the union of every class, (rows, 2 * classes)."""
        both, gold, ours = self.compare(predictions, references, edges=False)[0]
        return Sums(np.concatenate([both, gold + ours - both], axis=1), mean_iou)

    def breakdown(self, predictions: Sequence[Painted], references: Sequence[Painted]) -> dict[str, Any]:
        """The scores of each class, and pixels of gold classes by what they were taken for."""
        names = names_of(references)
        table = np.zeros((len(names), len(names)), np.int64)
        for ours, gold in zip(predictions, references, strict=True):
            table += count_pairs(*in_names(ours, gold, names), len(names))[:, : len(names)]
        both, gold, ours = np.diag(table), table.sum(1), table.sum(0)
        per_class = {
            name: {
                "precision": float(both[k] / max(ours[k], 1)),
                "recall": float(both[k] / max(gold[k], 1)),
                "f1": float(2 * both[k] / max(gold[k] + ours[k], 1)),
                "support": int(gold[k]),
            }
            for k, name in enumerate(names)
        }
        confusion = {"gold": list(names), "predicted": list(names), "counts": table.tolist()}
        return {"per_class": per_class, "confusion": confusion, "note": "Counts of pixels; F1 of pixels is Dice."}

    def perfect_predictions(self, references: Sequence[Painted]) -> list[Painted]:
        return list(references)

    def compare(
        self, predictions: Sequence[Painted], references: Sequence[Painted], *, edges: bool = True
    ) -> tuple[Tallies, Edges]:
        """The counts of every picture; without `edges` those of boundaries are empty. One picture is read at a time."""
        names = names_of(references)
        areas, borders = [], []
        for ours, gold in zip(predictions, references, strict=True):
            mine, theirs = in_names(ours, gold, names)
            table = count_pairs(mine, theirs, len(names))
            kept = table[:, : len(names)]
            areas.append((np.diag(kept), table.sum(1), kept.sum(0)))
            if edges:
                borders.append(count_edges(mine, theirs, len(names)))
        shape = (len(areas), 3, len(names))
        found = Tallies(*np.array(areas).reshape(shape).transpose(1, 0, 2))
        return found, Edges(*np.array(borders).reshape(len(borders), 4, len(names)).transpose(1, 0, 2))


def names_of(references: Sequence[Painted]) -> tuple[str, ...]:
    """The classes of gold masks, which are those of all rows of a dataset."""
    return references[0].names if references else ()


def in_names(ours: Painted, gold: Painted, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Both maps with ids of these names, `NONE` where there is no class or another."""
    return tuple(renumber(side.ids(), side.names, names) for side in (ours, gold))


def renumber(ids: np.ndarray, names: tuple[str, ...], wanted: tuple[str, ...]) -> np.ndarray:
    if names == wanted:
        return ids
    table = np.full(256, NONE, np.uint8)
    places = {name: place for place, name in enumerate(wanted)}
    table[: len(names)] = [places.get(name, NONE) for name in names]
    return table[ids]


def count_pairs(ours: np.ndarray, gold: np.ndarray, classes: int) -> np.ndarray:
    """Pixels by gold class and by ours, (classes, classes + 1); the last column is no class."""
    known = gold != NONE
    # Pixels without a gold class are where datasets have borders that nobody can tell.
    pairs = gold[known].astype(np.int64) * (classes + 1) + np.minimum(ours[known], classes)
    return np.bincount(pairs, minlength=classes * (classes + 1)).reshape(classes, classes + 1)


def mean_iou(sums: np.ndarray) -> np.ndarray:
    """Intersections and unions, (…, 2 * classes) -> the mean quotient over classes that are there."""
    both, union = np.split(sums, 2, axis=-1)
    return mean_of_there(both, union)


def mean_of_there(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """The mean of part / whole over the places of the last axis where there is a whole; 0 where there is none."""
    there = whole > 0
    shares = np.where(there, part / np.where(there, whole, 1), 0.0)
    return shares.sum(-1) / np.maximum(there.sum(-1), 1)


def edge_f1(edges: Edges) -> np.ndarray:
    """The mean over classes of F1 at their boundaries; of pictures without any it is 1."""
    ours_near, ours, gold_near, gold = (counts.sum(0).astype(float) for counts in edges)
    there = (ours + gold) > 0
    precision, recall = ours_near / np.maximum(ours, 1), gold_near / np.maximum(gold, 1)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return f1[there].mean() if there.any() else np.float64(1.0)


def count_edges(ours: np.ndarray, gold: np.ndarray, classes: int) -> np.ndarray:
    """The counts of `Edges` for one picture, (4, classes)."""
    radius = max(1, round(TOLERANCE * float(np.hypot(*gold.shape))))
    counts = np.zeros((4, classes), np.int64)
    unknown = gold == NONE
    ours = np.where(unknown, NONE, ours)
    for number in range(classes):
        sides = [find_edges(side, number, unknown) for side in (ours, gold)]
        if not (sides[0].any() or sides[1].any()):
            continue
        mine, theirs = sides
        near_mine, near_theirs = widen(mine, radius), widen(theirs, radius)
        counts[:, number] = (mine & near_theirs).sum(), mine.sum(), (theirs & near_mine).sum(), theirs.sum()
    return counts


def find_edges(ids: np.ndarray, number: int, unknown: np.ndarray) -> np.ndarray:
    """The pixels of a class that have one of another class above, below or beside them."""
    inside = ids == number
    edges = np.zeros_like(inside)
    if not inside.any():
        return edges
    other = ~inside & ~unknown
    edges[1:] |= other[:-1]
    edges[:-1] |= other[1:]
    edges[:, 1:] |= other[:, :-1]
    edges[:, :-1] |= other[:, 1:]
    return edges & inside


def widen(edges: np.ndarray, radius: int) -> np.ndarray:
    """Every pixel within a square of this radius around one of those given."""
    from scipy.ndimage import maximum_filter

    return maximum_filter(edges, size=2 * radius + 1, mode="constant", cval=False) if edges.any() else edges
