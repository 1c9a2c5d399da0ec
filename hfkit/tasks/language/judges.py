"""The judges of language models: how many bits a text costs under the model, by byte, by word and by token."""

from collections.abc import Sequence
from typing import Any, ClassVar, TypedDict

import numpy as np

from hfkit.scores.evidence import DISTANCE, Sums
from hfkit.scores.score import Score

BITS = Score("bits_per_byte", "bits per byte", better="lower")
WORD = Score("word_perplexity", "perplexity per word", better="lower")
TOKEN = Score("token_perplexity", "perplexity per token", better="lower", hub="perplexity")
EXACT = Score("exact_match", "exact match")
LARGEST_EXPONENT = 700.0  # e to a higher power is no finite float


class Likelihood(TypedDict):
    """How likely the text of a row is under a model."""

    nats: float  # minus the logarithm of its probability
    tokens: int  # into which the contender divides it
    answer: str | None  # that the model wrote itself, if it was asked


def text_of(reference: str | Sequence[str]) -> str:
    """All text of a row that is predicted."""
    return reference if isinstance(reference, str) else "\n".join(reference)


def count_bytes(reference: str | Sequence[str]) -> int:
    """The bytes of a row's text in UTF-8."""
    parts = [reference] if isinstance(reference, str) else reference
    return sum(len(part.encode("utf-8", "replace")) for part in parts)


def to_bits(nats: float, size: int) -> float:
    """Bits per byte."""
    return nats / np.log(2) / max(size, 1)


def perplexity(nats: float, count: float) -> float:
    return float(np.exp(min(nats / max(count, 1), LARGEST_EXPONENT)))


class LikelihoodJudge:
    """Bits per byte of UTF-8: comparable between models with other tokens, and with a counter of bytes.

    Perplexity per word depends on blanks between words, and perplexity per token on the tokens of each contender.

    Args:
        exact: contenders also write answers, which are compared with the gold ones.
    """

    headline: ClassVar[Score] = BITS

    def __init__(self, *, exact: bool = False) -> None:
        self.exact = exact

    @property
    def scores(self) -> tuple[Score, ...]:
        return (BITS, WORD, TOKEN, *([EXACT] if self.exact else []))

    def score(self, predictions: list[Likelihood], references: list) -> dict[str, float]:
        nats, size, words, tokens = self.evidence(predictions, references).tallies.sum(axis=0)
        scores = {
            "bits_per_byte": float(to_bits(nats, size)),
            "word_perplexity": perplexity(nats, words),
            "token_perplexity": perplexity(nats, tokens),
        }
        if self.exact:
            scores["exact_match"] = share_equal(predictions, references)
        return scores

    def evidence(self, predictions: list[Likelihood], references: list) -> Sums:
        """Of each row, (rows, 4): nats, bytes, words, tokens."""
        tallies = [
            (ours["nats"], count_bytes(gold), len(text_of(gold).split()), ours["tokens"])
            for ours, gold in zip(predictions, references, strict=True)
        ]
        return Sums(np.array(tallies, dtype=float).reshape(-1, 4), bits_of_sums, DISTANCE)

    def breakdown(self, predictions: list[Likelihood], references: list) -> dict[str, Any]:
        return {}

    def perfect_predictions(self, references: list) -> list[Likelihood]:
        """Models to which the texts are no surprise at all."""
        return [
            Likelihood(nats=0.0, tokens=0, answer=gold if isinstance(gold, str) else gold[-1]) for gold in references
        ]


def bits_of_sums(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0] / np.log(2) / np.maximum(sums[..., 1], 1)


def share_equal(predictions: list[Likelihood], references: list) -> float:
    """The share of the written answers that are the gold one, blanks at their ends aside; 0 if none was written."""
    pairs = [
        (ours["answer"].strip(), gold[-1].strip())
        for ours, gold in zip(predictions, references, strict=True)
        if ours["answer"] is not None
    ]
    return sum(ours == gold for ours, gold in pairs) / max(len(pairs), 1)
