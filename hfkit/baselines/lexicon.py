"""The entities of the training set, known by heart: a model that does not beat it has learnt no more than a list."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from hfkit.baselines.base import Answers, Baseline, column_of
from hfkit.contract.task import Loaded, Task
from hfkit.errors import UserError

Words = tuple[str, ...]


@dataclass(frozen=True)
class Lexicon(Baseline):
    """Tags the longest strings that were entities in training with the type they had most often.

    For tasks whose rows have `tokens` and whose references are IOB2 tags. A string is first looked up as it is
    written, then without regard to case.
    """

    name: ClassVar[str] = "lexicon"
    description: ClassVar[str] = "the longest strings that were entities in training, with their most frequent type"

    def answers(self, task: Task, rows: Loaded) -> Answers:
        """IOB2 tags of every test row.

        Raises:
            UserError: the tags mark no entities.
        """
        words = column_of(rows, "tokens", self.name)
        plain = [label for label in rows.labels if label != "O" and not label.startswith(("B-", "I-"))]
        if plain:
            raise UserError(
                f"baseline '{self.name}' with the label '{plain[0]}'",
                "it knows entities, which IOB2 tags mark",
                "Use --baseline word-tags, which knows the tag of every word",
            )
        train = zip(words["train"], task.rows.references(rows["train"]), strict=True)
        exact, folded = types_of_entities(train)
        longest = max(map(len, exact), default=0)
        return Answers([tag(words, exact, folded, longest) for words in words["test"]])


def entities_of(words: list[str], tags: list[str]) -> Iterator[tuple[Words, str]]:
    """(words, type) of every entity that IOB2 `tags` mark."""
    starts = [place for place, name in enumerate(tags) if name.startswith("B-")]
    for start in starts:
        end = start + 1
        while end < len(tags) and tags[end] == "I-" + tags[start][2:]:
            end += 1
        yield tuple(words[start:end]), tags[start][2:]


def types_of_entities(sentences: Iterable[tuple[list[str], list[str]]]) -> tuple[dict[Words, str], dict[Words, str]]:
    """The most frequent type of every entity string: as written, and case-folded. A tie goes to the first seen."""
    exact: dict[Words, Counter] = defaultdict(Counter)
    folded: dict[Words, Counter] = defaultdict(Counter)
    for words, tags in sentences:
        for entity, kind in entities_of(words, tags):
            exact[entity][kind] += 1
            folded[fold(entity)][kind] += 1
    exact, folded = (
        {entity: counts.most_common(1)[0][0] for entity, counts in table.items()} for table in (exact, folded)
    )
    return exact, folded


def fold(words: Words) -> Words:
    return tuple(word.casefold() for word in words)


def tag(words: list[str], exact: dict[Words, str], folded: dict[Words, str], longest: int) -> list[str]:
    """IOB2 tags of `words`: from left to right, the longest known string wins; other words are O."""
    tags, place = ["O"] * len(words), 0
    while place < len(words):
        for length in range(min(longest, len(words) - place), 0, -1):
            span = tuple(words[place : place + length])
            kind = exact.get(span) or folded.get(fold(span))
            if kind:
                tags[place : place + length] = [f"B-{kind}"] + [f"I-{kind}"] * (length - 1)
                break
        else:
            length = 1
        place += length
    return tags
