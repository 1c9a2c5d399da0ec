"""Who is better: plain values in, plain floats out. A judge knows no model, and every contender goes through it."""

from typing import Any, Protocol

from hfkit.scores.evidence import Evidence
from hfkit.scores.score import Score


class Judge(Protocol):
    """Measures predictions against references, one of each per row."""

    headline: Score  # the one that decides
    scores: tuple[Score, ...]  # those with a name and a direction of their own, the headline among them

    def score(self, predictions: list, references: list) -> dict[str, float]:
        """All scores by their keys, the headline first."""

    def evidence(self, predictions: list, references: list) -> Evidence:
        """How the headline depends on how often each row counts."""

    def breakdown(self, predictions: list, references: list) -> dict[str, Any]:
        """For the report: scores per class and a confusion table, as its schema has them; {} where there are none."""

    def perfect_predictions(self, references: list) -> list:
        """What a model without a mistake would answer."""
