"""The judge of boxes: COCO's mean average precision, and what a chosen threshold makes of them."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from hfkit.scores.evidence import total
from hfkit.scores.ranked import AVERAGE_PRECISION, HIT, LEFT_OUT, Entries, Ranked
from hfkit.scores.score import Score
from hfkit.tasks.classification.errors import confusion
from hfkit.tasks.detection.boxes import as_boxes, overlaps
from hfkit.tasks.detection.matching import THRESHOLDS, class_names, rank_boxes

MAP, MAP50 = Score("map", "mAP"), Score("map50", "mAP at 50 % overlap")
RECALL, F1 = Score("ar100", "average recall of 100 boxes"), Score("f1", "F1 of the boxes kept")
MISSED, NOTHING = "(missed)", "(nothing there)"
MOST_NAMED = 30  # classes in a note

Answer = Mapping[str, Any]


class BoxJudge:
    """COCO's mean average precision over overlaps from 50 to 95 %, over all predicted boxes.

    Answers are mappings: `boxes` (left, top, right, bottom in pixels), `labels`, `scores`, the highest first, and
    `kept`, how many of the first ones a threshold lets pass. References have `boxes`, `labels` and maybe `crowd`, for
    regions that hold many objects and count neither for nor against anybody.
    """

    headline: ClassVar[Score] = MAP
    scores: ClassVar[tuple[Score, ...]] = (MAP, MAP50, RECALL, F1)

    def score(self, predictions: Sequence[Answer], references: Sequence[Answer]) -> dict[str, float]:
        entries = rank_boxes(predictions, references)
        precisions = average_precisions(entries)
        kept = count_hits(rank_boxes([keep(one) for one in predictions], references))
        found, said, gold = kept.sum(axis=1)
        return {
            "map": total(Ranked(entries, AVERAGE_PRECISION)),
            "map50": mean_of_known(precisions[:, 0]),
            "ar100": mean_of_known(recalls(entries)),
            "f1": 2 * float(found) / max(float(said + gold), 1.0),
        }

    def evidence(self, predictions: Sequence[Answer], references: Sequence[Answer]) -> Ranked:
        return Ranked(rank_boxes(predictions, references), AVERAGE_PRECISION)

    def breakdown(self, predictions: Sequence[Answer], references: Sequence[Answer]) -> dict[str, Any]:
        """Precision and recall of the boxes kept, by class, at an overlap of 50 %; and which class was taken for which.

        The note has the average precision of every class, over all boxes.
        """
        names = class_names(references)
        if not names:
            return {}
        kept = [keep(one) for one in predictions]
        found, said, gold = count_hits(rank_boxes(kept, references)).astype(float)
        per_class = {
            name: {
                "precision": found[place] / max(said[place], 1.0),
                "recall": found[place] / max(gold[place], 1.0),
                "f1": 2 * found[place] / max(said[place] + gold[place], 1.0),
                "support": int(gold[place]),
            }
            for place, name in enumerate(names)
        }
        precisions = average_precisions(rank_boxes(predictions, references)).mean(axis=1)
        known = [(name, value) for name, value in zip(names, precisions.tolist(), strict=True) if not np.isnan(value)]
        said_of = ", ".join(f"{name} {value:.3f}" for name, value in known[:MOST_NAMED])
        note = f"Of the boxes kept, at an overlap of 50 %. Average precision over all boxes and overlaps: {said_of}."
        return {"per_class": per_class, **confusion(*pair_labels(kept, references)), "note": note}

    def perfect_predictions(self, references: Sequence[Answer]) -> list[dict[str, Any]]:
        """The gold boxes; a crowd is none that could be found."""
        answers = []
        for gold in references:
            single = np.flatnonzero(~crowd_of(gold))
            labels = [gold["labels"][place] for place in single]
            boxes = as_boxes(gold["boxes"])[single]
            answers.append({"boxes": boxes, "labels": labels, "scores": np.ones(len(single)), "kept": len(single)})
        return answers


def keep(answer: Answer) -> dict[str, Any]:
    """The boxes that the threshold lets pass."""
    kept = answer["kept"]
    return {**{name: answer[name][:kept] for name in ("boxes", "labels", "scores")}, "kept": kept}


def crowd_of(gold: Answer) -> np.ndarray:
    """Whether each gold box is a crowd, (boxes,)."""
    return np.asarray(gold.get("crowd") or [False] * len(gold["labels"]), dtype=bool)


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


def pair_labels(predictions: Sequence[Answer], references: Sequence[Answer]) -> tuple[list[str], list[str]]:
    """Predicted and gold labels of boxes that lie on one another, whatever their classes; the rest beside nothing."""
    said, meant = [], []
    for ours, gold in zip(predictions, references, strict=True):
        single = np.flatnonzero(~crowd_of(gold))
        labels = [gold["labels"][place] for place in single]
        shared = overlaps(as_boxes(ours["boxes"]), as_boxes(gold["boxes"])[single])
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
