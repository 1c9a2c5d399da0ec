"""The flags of tasks whose rows are texts, and that may hide words of them in training."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from hfkit.arguments.ranges import PART, Range
from hfkit.data.text.hiding import MOST_IN_SPANS, SPAN, Hiding


@dataclass(frozen=True)
class HidesWords:
    """Training rows that vary from epoch to epoch, and keep their answers."""

    word_dropout: float = field(
        default=0.0,
        metadata={"help": "share of the words hidden behind the mask token in training, so that context must tell"},
    )
    span_masking: float = field(
        default=0.0, metadata={"help": f"the same in spans of words, of {SPAN} words in the mean"}
    )

    ranges: ClassVar[Mapping[str, Range]] = {"word_dropout": PART, "span_masking": Range(0.0, MOST_IN_SPANS)}

    @property
    def hiding(self) -> Hiding:
        return Hiding(self.word_dropout, self.span_masking)
