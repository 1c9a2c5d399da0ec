"""The flags that all tasks have in common whose models read a text and write another."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from transformers import AutoModelForSeq2SeqLM, PreTrainedConfig

from hfkit.arguments.ranges import COUNT, POSITIVE_COUNT, Range
from hfkit.contract.abilities import Parsed, Prompt
from hfkit.contract.target import Nothing
from hfkit.contract.task import Task
from hfkit.errors import UserError
from hfkit.tasks.generation.view import WrittenText
from hfkit.tasks.generation.writer import LONGEST_SOURCE, LONGEST_TARGET, PREFIX, Search, Writer


@dataclass(frozen=True)
class Generation(Task):
    """Texts, and the text that is to be written for each."""

    source_column: str | None = field(
        default=None, metadata={"help": "column of the texts that are read; default: the one with a usual name"}
    )
    target_column: str | None = field(
        default=None,
        metadata={"help": "column of the texts that are written, or of lists of equally good ones; default as above"},
    )
    source_prefix: str | None = field(
        default=None,
        metadata={"help": "text put before every source, '' for none; default: what the checkpoint names for the task"},
    )
    max_source_length: int | None = field(
        default=None,
        metadata={"help": f"tokens of a source; default: {LONGEST_SOURCE}, or what the model reads"},
    )
    max_target_length: int | None = field(
        default=None, metadata={"help": f"tokens of a target, learnt and written; default: {LONGEST_TARGET}"}
    )
    num_beams: int | None = field(
        default=None, metadata={"help": "beams of the search; default: 1, or what a finished model was saved with"}
    )
    length_penalty: float | None = field(
        default=None, metadata={"help": "of beam search: above 0 prefers long texts; default: 1"}
    )
    no_repeat_ngram_size: int | None = field(
        default=None, metadata={"help": "no run of so many tokens is written twice; default: 0, any may be"}
    )

    auto_model: ClassVar[type] = AutoModelForSeq2SeqLM
    target_kind: ClassVar[type[Nothing]] = Nothing
    ranges: ClassVar[Mapping[str, Range]] = {
        "max_source_length": POSITIVE_COUNT,
        "max_target_length": POSITIVE_COUNT,
        "num_beams": POSITIVE_COUNT,
        "length_penalty": Range(0.0),
        "no_repeat_ngram_size": COUNT,
    }

    # What a language model is asked

    @property
    @abstractmethod
    def instruction(self) -> tuple[str, str]:
        """The instruction of a prompt, and what stands before the text that is written."""

    def prompt_names(self, labels: list[str]) -> list[str]:
        return labels

    def prompt(self, row: Mapping[str, Any], names: Mapping[str, str], shots: Sequence[Mapping[str, Any]]) -> Prompt:
        """The question for a text about a source, each on one line: prompts are read line by line."""
        instruction, cue = self.instruction
        pairs = [(f"Text: {' '.join(shot['source'].split())}", " ".join(shot["target"][0].split())) for shot in shots]
        return Prompt(instruction, tuple(pairs), f"Text: {' '.join(row['source'].split())}", cue)

    def read_completion(self, completion: str, row: Mapping[str, Any], names: Mapping[str, str]) -> Parsed:
        """The first line."""
        text = completion.strip().partition("\n")[0].strip()
        return Parsed(text, bool(text))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.length_penalty is not None and self.num_beams in (None, 1):
            raise UserError(
                f"length_penalty={self.length_penalty}", "it weighs beams against each other", "Set --num_beams 4 too"
            )

    @property
    def languages(self) -> tuple[str, str] | None:
        """The languages of source and target, as the checkpoint calls them; None if none are named."""
        return None

    @property
    def prefix_keys(self) -> tuple[str, ...]:
        """The names under which a checkpoint may keep its prefix for the task."""
        return (self.key,)

    @property
    def view(self) -> WrittenText:
        return WrittenText()

    def codec(self, checkpoint: str, target: Nothing) -> Writer:
        return Writer(
            checkpoint,
            self.path(checkpoint),
            target,
            self.head_config(target),
            prefix=self.source_prefix,
            prefix_keys=self.prefix_keys,
            languages=self.languages,
            max_source_length=self.max_source_length,
            max_target_length=self.max_target_length,
            search=Search(self.num_beams, self.length_penalty, self.no_repeat_ngram_size),
        )

    @classmethod
    def flags_of(cls, config: PreTrainedConfig) -> dict[str, Any]:
        prefix = config.to_dict().get(PREFIX)
        return {} if prefix is None else {"source_prefix": prefix}
