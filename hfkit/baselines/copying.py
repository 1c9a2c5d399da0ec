"""Texts that are copied: the first sentences of a source, or all of it. A model that writes has to beat them."""

import re
from dataclasses import dataclass
from typing import ClassVar

from hfkit.baselines.base import Answers, Baseline, column_of
from hfkit.contract.task import Loaded, Task

# Behind a mark that ends a sentence, and what closes with it; blanks follow, except in Chinese and Japanese.
END = re.compile(r"(?<=[.!?…])[\"'”“’»)\]]*\s+|(?<=[。！？])")


def split_sentences(text: str) -> list[str]:
    """The sentences of a text, roughly: 'Dr. Brown' is taken for two."""
    places = [0, *(match.end() for match in END.finditer(text)), len(text)]
    pieces = (text[start:end].strip() for start, end in zip(places, places[1:], strict=False))
    return [piece for piece in pieces if piece]


@dataclass(frozen=True)
class Lead(Baseline):
    """Writes the first sentences of every source. For tasks whose rows have a `source` and whose answers are texts.

    In news the first three sentences are a strong summary (Nallapati et al. 2017).
    """

    sentences: int = 3

    @property
    def name(self) -> str:
        return f"lead-{self.sentences}"

    @property
    def description(self) -> str:
        return "the first sentence of the source" if self.sentences == 1 else (
            f"the first {self.sentences} sentences of the source"
        )  # fmt: skip

    def answers(self, task: Task, rows: Loaded) -> Answers:
        """The beginning of every test row's source."""
        sources = column_of(rows, "source", self.name)["test"]
        return Answers([" ".join(split_sentences(source)[: self.sentences]) for source in sources])


@dataclass(frozen=True)
class Copy(Baseline):
    """Writes every source as it is. For tasks whose rows have a `source` and whose answers are texts."""

    name: ClassVar[str] = "copy"
    description: ClassVar[str] = "the source as it is"

    def answers(self, task: Task, rows: Loaded) -> Answers:
        """The source of every test row."""
        return Answers(list(column_of(rows, "source", self.name)["test"]))
