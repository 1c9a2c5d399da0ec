"""The tag that each word has most often in training: a tagger that does not beat it makes no use of context."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import ClassVar

from hfkit.baselines.base import Answers, Baseline, column_of
from hfkit.contract.task import Loaded, Task


@dataclass(frozen=True)
class WordTags(Baseline):
    """Gives every word the tag that it has most often in training.

    For tasks whose rows have `tokens` and one tag for each. A word is first looked up as it is written, then without
    regard to case; unknown words get the most frequent tag of all.
    """

    name: ClassVar[str] = "word tags"
    description: ClassVar[str] = "the tag that each word has most often in training"

    def answers(self, task: Task, rows: Loaded) -> Answers:
        """A tag for every word of every test row."""
        words = column_of(rows, "tokens", self.name)
        exact: dict[str, Counter[str]] = defaultdict(Counter)
        folded: dict[str, Counter[str]] = defaultdict(Counter)
        every: Counter[str] = Counter()
        for sentence, tags in zip(words["train"], task.rows.references(rows["train"]), strict=True):
            for word, tag in zip(sentence, tags, strict=True):
                for counts in (exact[word], folded[word.casefold()], every):
                    counts[tag] += 1

        def look_up(word: str) -> str:
            counts = exact.get(word) or folded.get(word.casefold()) or every
            return counts.most_common(1)[0][0]

        return Answers([[look_up(word) for word in sentence] for sentence in words["test"]])
