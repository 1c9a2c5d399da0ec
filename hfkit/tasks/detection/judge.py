"""The judge of boxes: COCO's mean average precision, and what a chosen threshold makes of them."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from hfkit.scores.evidence import total
from hfkit.scores.ranked import AVERAGE_PRECISION, HIT, LEFT_OUT, Entries, Ranked
from hfkit.scores.score import Score
from hfkit.tasks.classification.errors import confusion
from hfkit.tasks.detection.matching import (
    THRESHOLDS,
    Answer,
    class_names,
    crowd_of,
    overlap_boxes,
    rank_objects,
)

MAP, MAP50 = Score("map", "mAP"), Score("map50", "mAP at 50 % overlap")
RECALL, F1 = Score("ar100", "average recall of 100 boxes"), Score("f1", "F1 of the boxes kept")
MISSED, NOTHING = "(missed)", "(nothing there)"
MOST_NAMED = 30  # classes in a note
OF_OBJECTS = ("boxes", "runs", "labels", "scores")  # entries of an answer that have a value for each object


class BoxJudge:
    """COCO's mean average precision over overlaps from 50 to 95 %, over all predicted boxes.

    Answers are mappings: `boxes` (left, top, right, bottom in pixels), `labels`, `scores`, the highest first, and
    `kept`, how many of the first ones a threshold lets pass. References have `boxes`, `labels` and maybe `crowd`, for
    regions that hold many objects and count neither for nor against anybody.
    """

    headline: ClassVar[Score] = MAP
    scores: ClassVar[tuple[Score, ...]] = (MAP, MAP50, RECALL, F1)
    things: ClassVar[str] = "boxes"  # what answers hold, in words

    def overlap(self, ours: Answer, gold: Answer) -> np.ndarray:
        """How far every two objects of a picture overlap, (ours, gold); with a crowd by the area of ours."""
        return overlap_boxes(ours, gold)

    def rank(self, predictions: Sequence[Answer], references: Sequence[Answer]) -> Entries:
        return rank_objects(predictions, references, self.overlap)

    def score(self, predictions: Sequence[Answer], references: Sequence[Answer]) -> dict[str, float]:
        entries = self.rank(predictions, references)
        precisions = average_precisions(entries)
        kept = count_hits(self.rank([keep(one) for one in predictions], references))
        found, said, gold = kept.sum(axis=1)
        return {
            "map": total(Ranked(entries, AVERAGE_PRECISION)),
            "map50": mean_of_known(precisions[:, 0]),
            "ar100": mean_of_known(recalls(entries)),
            "f1": 2 * float(found) / max(float(said + gold), 1.0),
        }

    def evidence(self, predictions: Sequence[Answer], references: Sequence[Answer]) -> Ranked:
        return Ranked(self.rank(predictions, references), AVERAGE_PRECISION)

    def breakdown(self, predictions: Sequence[Answer], references: Sequence[Answer]) -> dict[str, Any]:
        """Precision and recall of the objects kept by class at an overlap of 50 %, and which class was taken for which.

        The note has the average precision of every class, over all objects.
        """
        names = class_names(references)
        if not names:
            return {}
        kept = [keep(one) for one in predictions]
        found, said, gold = count_hits(self.rank(kept, references)).astype(float)
        per_class = {
            name: {
                "precision": found[place] / max(said[place], 1.0),
                "recall": found[place] / max(gold[place], 1.0),
                "f1": 2 * found[place] / max(said[place] + gold[place], 1.0),
                "support": int(gold[place]),
            }
            for place, name in enumerate(names)
        }
        precisions = average_precisions(self.rank(predictions, references)).mean(axis=1)
        known = [(name, value) for name, value in zip(names, precisions.tolist(), strict=True) if not np.isnan(value)]
        said_of = ", ".join(f"{name} {value:.3f}" for name, value in known[:MOST_NAMED])
        things = self.things
        note = (
            f"Of the {things} kept, at an overlap of 50 %. Average precision over all {things} and overlaps: {said_of}."
        )
        return {"per_class": per_class, **confusion(*self.pair_labels(kept, references)), "note": note}

    def perfect_predictions(self, references: Sequence[Answer]) -> list[dict[str, Any]]:
        """The gold objects; a crowd is none that could be found."""
        single = [take_single(gold) for gold in references]
        return [{**gold, "scores": np.ones(len(gold["labels"])), "kept": len(gold["labels"])} for gold in single]

    def pair_labels(self, predictions: Sequence[Answer], references: Sequence[Answer]) -> tuple[list[str], list[str]]:
        """Predicted and gold labels of objects that lie on one another, whatever their classes; the rest beside
        nothing."""
        said, meant = [], []
        for ours, given in zip(predictions, references, strict=True):
            gold = take_single(given)
            labels, shared = gold["labels"], self.overlap(ours, gold)
            left = np.ones(len(labels), dtype=bool)
            for place, label in enumerate(ours["labels"]):
                able = np.where(left, shared[place], 0.0)
                best = int(able.argmax()) if len(able) else 0
                hit = len(able) > 0 and able[best] >= THRESHOLDS[0]
                said.append(label)
                meant.append(labels[best] if hit else NOTHING)
                left[best : best + 1] &= not hit
            said += [MISSED] * int(left.sum())
            meant += [labels[place] for place in np.flatnonzero(left)]
        return said, meant


def keep(answer: Answer) -> dict[str, Any]:
    """The objects that the threshold lets pass."""
    kept = answer["kept"]
    return {name: value[:kept] if name in OF_OBJECTS else value for name, value in answer.items()}


def take_single(gold: Answer) -> dict[str, Any]:
    """The gold objects without crowds."""
    single = np.flatnonzero(~crowd_of(gold)).tolist()
    taken = {name: [value[place] for place in single] if name in OF_OBJECTS else value for name, value in gold.items()}
    taken.pop("crowd", None)
    return taken


def average_precisions(entries: Entries) -> np.ndarray:
    """The average precision of each class at each overlap, (classes, thresholds); nan of a class without gold boxes."""
    evidence = Ranked(entries, AVERAGE_PRECISION)
    return next(evidence.values(np.ones((1, entries.rows))))[0]


def recalls(entries: Entries) -> np.ndarray:
    """The share of gold boxes found at all, (classes, thresholds)."""
    found = np.zeros((entries.groups, len(THRESHOLDS)))
    np.add.at(found, entries.group, entries.hit == HIT)
    gold = entries.positives.sum(axis=0)[:, None]
    return np.where(gold > 0, found / np.maximum(gold, 1), np.nan)


def count_hits(entries: Entries) -> np.ndarray:
    """Of every class the hits at the lowest overlap, the boxes that count, and the gold ones, (3, classes)."""
    first = entries.hit[:, 0]
    counts = [np.bincount(entries.group[kind], minlength=entries.groups) for kind in (first == HIT, first != LEFT_OUT)]
    return np.array([*counts, entries.positives.sum(axis=0)])


def mean_of_known(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if not np.isnan(values).all() else 0.0
