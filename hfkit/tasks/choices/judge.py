"""The judge of choices: the share of rows whose right option was chosen."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from hfkit.scores.evidence import Sums, total
from hfkit.scores.score import Score
from hfkit.tasks.classification.errors import class_breakdown
from hfkit.tasks.classification.judges import quotient

ACCURACY = Score("accuracy", "accuracy")


class ChoiceJudge:
    """Accuracy. Answers are mappings with the place of the `choice`, and references are such places."""

    headline: ClassVar[Score] = ACCURACY
    scores: ClassVar[tuple[Score, ...]] = (ACCURACY,)

    def score(self, predictions: list[Mapping[str, Any]], references: list[int]) -> dict[str, float]:
        return {"accuracy": total(self.evidence(predictions, references))}

    def evidence(self, predictions: list[Mapping[str, Any]], references: list[int]) -> Sums:
        """Counts of each row, (rows, 2): right, and 1."""
        counts = [(answer["choice"] == gold, 1) for answer, gold in zip(predictions, references, strict=True)]
        return Sums(np.array(counts).reshape(-1, 2), lambda sums: quotient(sums, 0, 1))

    def breakdown(self, predictions: list[Mapping[str, Any]], references: list[int]) -> dict[str, Any]:
        """By the place of the option: a model that favours one has learnt the order."""
        ours = [[name_place(answer["choice"])] for answer in predictions]
        found = class_breakdown(ours, [[name_place(gold)] for gold in references], single=True)
        return {**found, "note": found["note"] or "Classes are the places of the options, counted from 0."}

    def perfect_predictions(self, references: list[int]) -> list[dict[str, Any]]:
        return [{"choice": gold} for gold in references]


def name_place(place: int) -> str:
    return f"option {place}"
