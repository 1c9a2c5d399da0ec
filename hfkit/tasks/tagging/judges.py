"""The judges of taggers: entities by type and both ends, or tags word by word."""

from itertools import chain
from typing import Any, ClassVar

import numpy as np

from hfkit.data.text.tags import count_orphans, entities
from hfkit.scores.evidence import Sums
from hfkit.scores.score import Score
from hfkit.tasks.classification.errors import class_breakdown
from hfkit.tasks.classification.judges import f1_of_counts, quotient
from hfkit.tasks.tagging.errors import entity_breakdown

F1 = Score("f1", "F1")
ACCURACY = Score("accuracy", "accuracy")
SHARED = (Score("precision", "precision"), Score("recall", "recall"))


class EntityJudge:
    """Strict entity F1: an entity is right if its type and both its ends are."""

    headline: ClassVar[Score] = F1
    scores: ClassVar[tuple[Score, ...]] = (F1, *SHARED, ACCURACY)

    def score(self, predictions: list[list[str]], references: list[list[str]]) -> dict[str, float]:
        """Strict entity scores (see `entity_scores`), and the number of predicted I- tags that continue nothing."""
        # seqeval imports scikit-learn, and a plan or a help text should not wait for that.
        from hfkit.scores.metrics import entity_scores

        return {
            **entity_scores(predictions, references),
            "invalid_predictions": float(sum(map(count_orphans, predictions))),
        }

    def evidence(self, predictions: list[list[str]], references: list[list[str]]) -> Sums:
        """Entities of each sentence, (rows, 3): correct, predicted, gold."""
        pairs = [(set(entities(ours)), set(entities(gold))) for ours, gold in zip(predictions, references, strict=True)]
        counts = [(len(ours & gold), len(ours), len(gold)) for ours, gold in pairs]
        return Sums(np.array(counts).reshape(-1, 3), f1_of_counts)

    def breakdown(self, predictions: list[list[str]], references: list[list[str]]) -> dict[str, Any]:
        return entity_breakdown(predictions, references)

    def perfect_predictions(self, references: list[list[str]]) -> list[list[str]]:
        return references


class TagJudge:
    """Accuracy of tags: the share of words with the right tag."""

    headline: ClassVar[Score] = ACCURACY
    scores: ClassVar[tuple[Score, ...]] = (ACCURACY, Score("macro_f1", "macro F1", hub="f1"))

    def score(self, predictions: list[list[str]], references: list[list[str]]) -> dict[str, float]:
        """Accuracy over words, macro F1 over tags, and the share of sentences without a wrong tag."""
        sums = self.evidence(predictions, references).tallies.sum(axis=0)
        f1s = [scores["f1"] for scores in self.breakdown(predictions, references)["per_class"].values()]
        pairs = list(zip(predictions, references, strict=True))
        return {
            "accuracy": float(quotient(sums, 0, 1)),
            "macro_f1": float(np.mean(f1s)) if f1s else 0.0,
            "whole_sentences": sum(ours == gold for ours, gold in pairs) / max(len(pairs), 1),
        }

    def evidence(self, predictions: list[list[str]], references: list[list[str]]) -> Sums:
        """Words of each sentence, (rows, 2): those with the right tag, and all."""
        counts = [
            (sum(mine == right for mine, right in zip(ours, gold, strict=True)), len(gold))
            for ours, gold in zip(predictions, references, strict=True)
        ]
        return Sums(np.array(counts).reshape(-1, 2), lambda sums: quotient(sums, 0, 1))

    def breakdown(self, predictions: list[list[str]], references: list[list[str]]) -> dict[str, Any]:
        ours, gold = ([[tag] for tag in chain.from_iterable(side)] for side in (predictions, references))
        return class_breakdown(ours, gold, single=True)

    def perfect_predictions(self, references: list[list[str]]) -> list[list[str]]:
        return references
