"""Answers from a passage by what it shares with the question, with nothing pretrained: a model must beat these.

For tasks whose rows have a `question` and a `context`, and whose answers are stretches of the context: a mapping with
`text`, `start` and `end`, the text empty where there is no answer.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from datasets import Dataset

from hfkit.baselines.base import Answers, Baseline, column_of
from hfkit.baselines.logits import headline_on
from hfkit.contract.task import Loaded, Task

WORD = re.compile(r"\w+(?:['’.,]\w+)*|[^\w\s]")
SENTENCE = re.compile(r"\S.*?(?:[.!?。！？]+[\"'”’)\]]*(?=\s|$)|(?=\n)|$)", re.DOTALL)
ENDS = frozenset('.!?;:()[]"“”')  # no answer reaches across these
LONGEST = (1, 2, 3, 5, 8)  # words of an answer, of which validation chooses
REACH = 12  # words from an answer to a word of the question
THRESHOLDS = 21  # for no answer

Stretch = tuple[int, int, float]  # start, end (characters, excluded), and how sure
Finder = Callable[[str, str], Stretch]


@dataclass(frozen=True)
class LikestSentence(Baseline):
    """The sentence of the passage that is most like the question, by the cosine of TF-IDF weights of words."""

    name: ClassVar[str] = "likest sentence"
    description: ClassVar[str] = "the sentence of the passage that shares most rare words with the question"

    def answers(self, task: Task, rows: Loaded) -> Answers:
        """A whole sentence for each row; none where it is less alike than a threshold that validation chooses."""
        rarity = weigh_words(column_of(rows, "context", self.name)["train"])
        column_of(rows, "question", self.name)

        def find(question: str, passage: str) -> Stretch:
            asked = Counter(words_of(question))
            sentences = [match.span() for match in SENTENCE.finditer(passage)] or [(0, len(passage))]
            alike = [cosine(asked, Counter(words_of(passage[start:end])), rarity) for start, end in sentences]
            best = int(np.argmax(alike))
            return *sentences[best], alike[best]

        return find_answers(task, rows, find, {})


@dataclass(frozen=True)
class NearWords(Baseline):
    """The words that stand nearest to those of the question, without these.

    A run of words without any of the question's scores by the rarity of the question's words around it, each divided
    by its distance. It is the distance-based baseline of MCTest (Richardson et al. 2013) for free stretches.
    """

    name: ClassVar[str] = "near words"
    description: ClassVar[str] = "the words of the passage that are nearest to those of the question"

    def answers(self, task: Task, rows: Loaded) -> Answers:
        """Of as many words at most as did best on validation; none below a threshold that it chooses."""
        rarity = weigh_words(column_of(rows, "context", self.name)["train"])
        column_of(rows, "question", self.name)
        headline = headline_on(task, rows["validation"])
        finders = {longest: make_finder(rarity, longest) for longest in LONGEST}
        scores = {
            longest: headline([to_answer(row, find(row["question"], row["context"])) for row in rows["validation"]])
            for longest, find in finders.items()
        }
        chosen = max(LONGEST, key=scores.__getitem__)
        return find_answers(task, rows, finders[chosen], {"words": chosen})


def make_finder(rarity: dict[str, float], longest: int) -> Finder:
    """A function from question and passage to the best run of at most so many words."""

    def find(question: str, passage: str) -> Stretch:
        asked = {word.casefold() for word in WORD.findall(question) if word[0].isalnum()}
        words = list(WORD.finditer(passage))
        texts = [word[0].casefold() for word in words]
        near = nearness(texts, asked, rarity)
        best = (0, 0, -1.0)
        for first in range(len(words)):
            total = 0.0
            for last in range(first, min(first + longest, len(words))):
                if texts[last] in asked or texts[last] in ENDS:
                    break
                total += near[last] * rarity.get(texts[last], rarity[""])
                score = total / (last - first + 1) ** 0.5
                if score > best[2]:
                    best = words[first].start(), words[last].end(), score
        return best

    return find


def nearness(texts: Sequence[str], asked: set[str], rarity: dict[str, float]) -> np.ndarray:
    """How near the words of the question are to every word of a passage, rare ones counting more, (words,)."""
    near = np.zeros(len(texts))
    for place, text in enumerate(texts):
        if text in asked:
            low, high = max(0, place - REACH), min(len(texts), place + REACH + 1)
            distance = np.abs(np.arange(low, high) - place)
            near[low:high] += rarity.get(text, rarity[""]) / np.maximum(distance, 1)
    return near


def weigh_words(passages: Sequence[str]) -> dict[str, float]:
    """The inverse document frequency of every word of some passages, and under "" that of unknown ones."""
    distinct = set(passages)
    seen = Counter(word for passage in distinct for word in set(words_of(passage)))
    weights = {word: float(np.log((1 + len(distinct)) / (1 + count)) + 1) for word, count in seen.items()}
    return {**weights, "": float(np.log(1 + len(distinct)) + 1)}


def words_of(text: str) -> list[str]:
    return [word.casefold() for word in WORD.findall(text)]


def cosine(one: Counter[str], other: Counter[str], rarity: dict[str, float]) -> float:
    """The cosine of two texts' weighted counts of words."""
    sides = [{word: count * rarity.get(word, rarity[""]) for word, count in side.items()} for side in (one, other)]
    lengths = [sum(value**2 for value in side.values()) ** 0.5 for side in sides]
    shared = sum(value * sides[1].get(word, 0.0) for word, value in sides[0].items())
    return shared / (lengths[0] * lengths[1]) if all(lengths) else 0.0


def find_answers(task: Task, rows: Loaded, find: Finder, facts: dict[str, Any]) -> Answers:
    """The stretches that `find` gives for the test rows; where rows may have no answer, those below a threshold that is
    best on validation are left empty.
    """
    found = [find(row["question"], row["context"]) for row in rows["validation"]]
    threshold, headline = -np.inf, headline_on(task, rows["validation"])
    if not all(task.rows.references(rows["train"])):
        candidates = [-np.inf, *np.quantile([sure for _, _, sure in found], np.linspace(0, 0.95, THRESHOLDS))]
        threshold = max(candidates, key=lambda least: headline(answers_above(rows["validation"], found, least)))
        facts = {**facts, "threshold": None if threshold == -np.inf else float(threshold)}
    asked = [find(row["question"], row["context"]) for row in rows["test"]]
    return Answers(answers_above(rows["test"], asked, threshold), facts=facts)


def answers_above(rows: Dataset, found: Sequence[Stretch], least: float) -> list[dict[str, Any]]:
    """Stretches as answers; below `least` there is none."""
    nothing = {"text": "", "start": None, "end": None}
    return [to_answer(row, one) if one[2] >= least else dict(nothing) for row, one in zip(rows, found, strict=True)]


def to_answer(row: dict[str, Any], stretch: Stretch) -> dict[str, Any]:
    start, end, _ = stretch
    return {"text": row["context"][start:end], "start": start, "end": end}
