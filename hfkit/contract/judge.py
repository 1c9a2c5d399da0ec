"""The judge of a task: plain values in, plain floats out. It knows no model, and judges every contender."""

from typing import Any, Protocol

from hfkit.scores.evidence import Evidence
from hfkit.scores.score import Score


class Judge(Protocol):
    """Measures predictions against references, one of each per row."""

    headline: Score  # decides which contender is better
    scores: tuple[Score, ...]  # all with a title and a direction, including the headline

    def score(self, predictions: list, references: list) -> dict[str, float]:
        """All scores by key, the headline first."""

    def evidence(self, predictions: list, references: list) -> Evidence:
        """The headline as a function of how often each row counts."""

    def breakdown(self, predictions: list, references: list) -> dict[str, Any]:
        """Scores per class and a confusion table, in the report's schema; {} if there are none."""

    def perfect_predictions(self, references: list) -> list:
        """The answers of a model that makes no mistake."""
