"""The flags that all tasks of causal language models have in common."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from transformers import AutoModelForCausalLM

from hfkit.arguments.ranges import COUNT, POSITIVE_COUNT, Range
from hfkit.contract.target import Nothing
from hfkit.contract.task import Task
from hfkit.tasks.language.codec import LONGEST_ROW


@dataclass(frozen=True)
class Language(Task):
    """Texts that a causal language model reads from left to right."""

    max_length: int | None = field(
        default=None,
        metadata={"help": f"tokens that are read at once; default: {LONGEST_ROW}, or what the model reads"},
    )
    stride: int | None = field(
        default=None,
        metadata={
            "help": "tokens that a window of a long text repeats of the one before it, as context; default: a quarter"
            " of the window"
        },
    )

    tag: ClassVar[str] = "text-generation"
    auto_model: ClassVar[type] = AutoModelForCausalLM
    target_kind: ClassVar[type[Nothing]] = Nothing
    ranges: ClassVar[Mapping[str, Range]] = {"max_length": POSITIVE_COUNT, "stride": COUNT}
