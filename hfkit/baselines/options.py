"""The right one of a row's options by its length, its place or its words: a model must beat what gives it away.

For tasks whose rows have `options`, of which one is right, and maybe a `question` and a `context`. Answers are mappings
with the `choice`, which is the option's place, and references are such places.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hfkit.baselines.base import Answers, Baseline, column_of
from hfkit.baselines.passages import cosine, weigh_words, words_of
from hfkit.contract.task import Loaded, Task


@dataclass(frozen=True)
class MajorityPlace(Baseline):
    """Says the place at which the right option stands most often in training, or the last one of fewer options."""

    name: ClassVar[str] = "majority place"
    description: ClassVar[str] = "the place at which the right option stands most often in training"

    def answers(self, task: Task, rows: Loaded) -> Answers:
        options = column_of(rows, "options", self.name)["test"]
        usual = Counter(task.rows.references(rows["train"])).most_common(1)[0][0]
        return Answers([{"choice": min(usual, len(of_row) - 1)} for of_row in options], facts={"place": usual})


@dataclass(frozen=True)
class LongestOption(Baseline):
    """Says the longest option: whoever writes wrong ones often takes less trouble."""

    name: ClassVar[str] = "longest option"
    description: ClassVar[str] = "the option with the most letters"

    def answers(self, task: Task, rows: Loaded) -> Answers:
        options = column_of(rows, "options", self.name)["test"]
        return Answers([{"choice": int(np.argmax([len(option) for option in of_row]))} for of_row in options])


@dataclass(frozen=True)
class LikestOption(Baseline):
    """Says the option that shares most rare words with the rest of its row, by the cosine of TF-IDF weights."""

    name: ClassVar[str] = "likest option"
    description: ClassVar[str] = "the option that shares most rare words with its question and passage"

    def answers(self, task: Task, rows: Loaded) -> Answers:
        column_of(rows, "options", self.name)
        texts = [self.whole(row) for row in rows["train"]]
        options = [option for row in rows["train"] for option in row["options"]]
        rarity = weigh_words([*texts, *options])
        return Answers([{"choice": self.choose(row, rarity)} for row in rows["test"]])

    def whole(self, row: dict[str, Any]) -> str:
        """All that a row says beside its options."""
        return "\n".join(row[name] for name in ("context", "question") if row.get(name))

    def choose(self, row: dict[str, Any], rarity: dict[str, float]) -> int:
        told = Counter(words_of(self.whole(row)))
        return int(np.argmax([cosine(told, Counter(words_of(option)), rarity) for option in row["options"]]))
