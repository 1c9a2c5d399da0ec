"""The judge of answers that are stretches of a text: the words they share with a gold answer, as SQuAD counts them."""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np

from hfkit.scores.evidence import Sums, total
from hfkit.scores.score import Score
from hfkit.tasks.classification.errors import confusion
from hfkit.tasks.classification.judges import quotient

F1, EXACT = Score("f1", "F1"), Score("exact_match", "exact match")
ARTICLES = re.compile(r"\b(a|an|the)\b")
# Scripts that write no blanks between words: every letter counts as one.
LETTERS = re.compile("([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff])")
LENGTHS = ((1, 1), (2, 3), (4, 8), (9, None))  # words of the gold answer
ANSWERED, UNANSWERED = "answerable", "unanswerable"


class Match(NamedTuple):
    """How one answer compares with the gold answer that it is most like."""

    f1: float
    exact: float
    precision: float
    recall: float


class AnswerJudge:
    """F1 of words, and exact matches, each with the gold answer of a row that fits best.

    Answers are mappings with a `text`, which is empty where there is no answer. References are the texts of all gold
    answers of a row, and an empty list where there is none.

    Args:
        language: English loses its articles, as in SQuAD's own script; every other language keeps all of its words,
            and loses punctuation of any script.
    """

    headline: ClassVar[Score] = F1
    scores: ClassVar[tuple[Score, ...]] = (F1, EXACT)

    def __init__(self, language: str = "en") -> None:
        self.language = language

    def score(self, predictions: list[Mapping[str, Any]], references: list[list[str]]) -> dict[str, float]:
        """Means over rows, and where some have no answer, the share of those that were left unanswered."""
        matches = self.compare(predictions, references)
        scores = {
            "f1": total(self.evidence(predictions, references)),
            "exact_match": mean([match.exact for match in matches]),
        }
        unanswerable = [match.exact for match, gold in zip(matches, references, strict=True) if not gold]
        return scores | ({"unanswered_accuracy": mean(unanswerable)} if unanswerable else {})

    def evidence(self, predictions: list[Mapping[str, Any]], references: list[list[str]]) -> Sums:
        """F1 of each row, and 1, (rows, 2)."""
        counts = [(match.f1, 1.0) for match in self.compare(predictions, references)]
        return Sums(np.array(counts).reshape(-1, 2), lambda sums: quotient(sums, 0, 1))

    def breakdown(self, predictions: list[Mapping[str, Any]], references: list[list[str]]) -> dict[str, Any]:
        """Mean scores of rows by whether there is an answer, and by how many words the gold one has."""
        groups: dict[str, list[Match]] = {}
        gold_kinds = [ANSWERED if gold else UNANSWERED for gold in references]
        for match, gold, kind in zip(self.compare(predictions, references), references, gold_kinds, strict=True):
            groups.setdefault(kind, []).append(match)
            if gold:
                groups.setdefault(name_length(len(self.words_of(gold[0]))), []).append(match)
        order = [ANSWERED, *(name_length(low) for low, _ in LENGTHS), UNANSWERED]
        per_class = {name: average(groups[name]) for name in order if name in groups}
        said = [ANSWERED if answer["text"] else UNANSWERED for answer in predictions]
        note = "Words shared with the gold answer; groups by its length overlap with the first."
        if len({*said, *gold_kinds}) < 2:
            return {"per_class": per_class, "confusion": None, "note": note}
        return {"per_class": per_class, **confusion(said, gold_kinds), "note": note}

    def perfect_predictions(self, references: list[list[str]]) -> list[dict[str, Any]]:
        return [{"text": gold[0] if gold else "", "start": None, "end": None} for gold in references]

    # One row

    def compare(self, predictions: list[Mapping[str, Any]], references: list[list[str]]) -> list[Match]:
        return [self.match(answer["text"], gold) for answer, gold in zip(predictions, references, strict=True)]

    def match(self, text: str, gold: Iterable[str]) -> Match:
        """An answer beside the gold answers of its row, each score by the one that is best for it."""
        ours = self.words_of(text)
        theirs = [words for one in gold if (words := self.words_of(one))] or [[]]
        best = max((share_words(ours, words) for words in theirs), key=lambda match: match.f1)
        return best._replace(exact=float(any(ours == words for words in theirs)))

    def words_of(self, text: str) -> list[str]:
        """The words that are compared: in lower case, without punctuation, of English without articles."""
        if self.language == "en":
            bare = "".join(letter for letter in text.lower() if letter not in PUNCTUATION)
            return ARTICLES.sub(" ", bare).split()
        bare = "".join(letter for letter in text.lower() if not unicodedata.category(letter).startswith("P"))
        return LETTERS.sub(r" \1 ", bare).split()


PUNCTUATION = frozenset(string.punctuation)


def share_words(ours: list[str], gold: list[str]) -> Match:
    """Precision, recall and F1 of words, as often as each comes; all 1 if both sides are empty, all 0 if one is."""
    if not ours or not gold:
        same = float(ours == gold)
        return Match(same, same, same, same)
    shared = sum((Counter(ours) & Counter(gold)).values())
    precision, recall = shared / len(ours), shared / len(gold)
    return Match(2 * shared / (len(ours) + len(gold)), float(ours == gold), precision, recall)


def average(matches: list[Match]) -> dict[str, Any]:
    """Mean scores of some rows in the report's layout."""
    means = {name: mean([getattr(match, name) for match in matches]) for name in ("precision", "recall", "f1")}
    return {**means, "support": len(matches)}


def name_length(words: int) -> str:
    low, high = next((low, high) for low, high in LENGTHS if high is None or words <= high)
    return f"{low} word" if low == high == 1 else f"{low} to {high} words" if high else f"{low} words or more"


def mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else 0.0
