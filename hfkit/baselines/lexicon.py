"""The tagged words of the training set, known by heart: what does not beat it has learnt no more than a list."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from hfkit.baselines.base import Answers, Baseline, column_of
from hfkit.contract.task import Loaded, Task

Words = tuple[str, ...]


@dataclass(frozen=True)
class Lexicon(Baseline):
    """Tags what was tagged in training with the type it had most often.

    For tasks whose rows have `tokens`. Of IOB2 tags it knows the longest strings that were entities; of plain tags
    every word, and gives unknown ones the tag that is most frequent. A string is first looked up as it is written, then
    without regard to case.
    """

    name: ClassVar[str] = "lexicon"
    description: ClassVar[str] = "the longest strings that were tagged in training, with their most frequent tag"

    def answers(self, task: Task, rows: Loaded) -> Answers:
        """A tag for every word of every test row."""
        words = column_of(rows, "tokens", self.name)
        train = list(zip(words["train"], task.rows.references(rows["train"]), strict=True))
        if not all(are_entity_tags(tags) for _, tags in train):
            return Answers(tag_words(train, words["test"]))
        exact, folded = types_of_entities(train)
        longest = max(map(len, exact), default=0)
        return Answers([tag(words, exact, folded, longest) for words in words["test"]])


def are_entity_tags(tags: list[str]) -> bool:
    """Whether tags mark entities in IOB2."""
    return all(name == "O" or name.startswith(("B-", "I-")) for name in tags)


def tag_words(train: list[tuple[list[str], list[str]]], sentences: list[list[str]]) -> list[list[str]]:
    """For each word the tag that it has most often in training."""
    exact: dict[str, Counter] = defaultdict(Counter)
    folded: dict[str, Counter] = defaultdict(Counter)
    every: Counter[str] = Counter()
    for words, tags in train:
        for word, name in zip(words, tags, strict=True):
            exact[word][name] += 1
            folded[word.casefold()][name] += 1
            every[name] += 1

    def look_up(word: str) -> str:
        counts = exact.get(word) or folded.get(word.casefold()) or every
        return counts.most_common(1)[0][0]

    return [[look_up(word) for word in words] for words in sentences]


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
