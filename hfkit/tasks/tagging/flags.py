"""The flags and the codec that all tasks have in common whose rows are words with tags."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from transformers import AutoModelForTokenClassification

from hfkit.arguments.ranges import COUNT, POSITIVE_COUNT, Range
from hfkit.contract.target import Labels
from hfkit.contract.task import Task
from hfkit.tasks.hiding import HidesWords
from hfkit.tasks.tagging.codec import LONGEST_WINDOW, WordTagger
from hfkit.tasks.tagging.rows import TOKENS_COLUMNS


@dataclass(frozen=True)
class Tagging(HidesWords, Task):
    """A tag for every word of a sentence that is split into words already."""

    tokens_column: str | None = field(
        default=None,
        metadata={"help": f"column of words; default: the one named {' or '.join(TOKENS_COLUMNS)}"},
    )
    split_words: Literal["words", "marks", "characters"] | None = field(
        default=None,
        metadata={
            "help": "how running text is split: 'words' keep marks inside them, 'marks' parts them at every mark and"
            " between letters and digits, 'characters' at every character; default: words, if they fit the spans"
        },
    )
    max_length: int | None = field(
        default=None,
        metadata={"help": f"tokens in a window; default: what the tokenizer allows, at most {LONGEST_WINDOW}"},
    )
    stride: int | None = field(
        default=None,
        metadata={"help": "tokens shared by two windows of one document; default: a quarter of the window"},
    )

    tag: ClassVar[str] = "token-classification"
    auto_model: ClassVar[type] = AutoModelForTokenClassification
    ranges: ClassVar[Mapping[str, Range]] = {"max_length": POSITIVE_COUNT, "stride": COUNT}

    def codec(self, checkpoint: str, target: Labels) -> WordTagger:
        return WordTagger(
            checkpoint,
            self.path(checkpoint),
            target,
            self.head_config(target),
            max_length=self.max_length,
            stride=self.stride,
            hiding=self.hiding,
        )
