"""Multiple choice: which of a row's own options is right, however many it has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from transformers import AutoModelForMultipleChoice

from hfkit.arguments.ranges import POSITIVE_COUNT, Range
from hfkit.contract.abilities import Parsed, Prompt
from hfkit.contract.target import Nothing, Target
from hfkit.contract.task import Sample, Task
from hfkit.samples.choices import sample_choices
from hfkit.tasks.choices.codec import LONGEST_PAIR, Chooser
from hfkit.tasks.choices.judge import ChoiceJudge
from hfkit.tasks.choices.rows import RowsOfOptions
from hfkit.tasks.choices.view import ChosenOption


@dataclass(frozen=True)
class MultipleChoice(Task):
    """Questions, contexts or both, each with options of its own, of which one is right."""

    question_column: str | None = field(
        default=None, metadata={"help": "column of what stands right before the options; default: question or the like"}
    )
    context_column: str | None = field(
        default=None, metadata={"help": "column of what stands before that; default: context, passage or the like"}
    )
    options_column: str | None = field(
        default=None, metadata={"help": "column with the list of options; default: choices, options or the like"}
    )
    options_columns: list[str] | None = field(
        default=None, metadata={"help": "columns with one option each; default: ending0 …, choice_a …, A B C D"}
    )
    label_column: str | None = field(
        default=None,
        metadata={"help": "column of the right option: its number, letter or text; default: label, answer"},
    )
    max_length: int | None = field(
        default=None,
        metadata={
            "help": f"tokens of an option and what stands before it, whose start is cut; default: {LONGEST_PAIR}"
        },
    )

    key: ClassVar[str] = "multiple-choice"
    tag: ClassVar[str] = "multiple-choice"
    auto_model: ClassVar[type] = AutoModelForMultipleChoice
    sample: ClassVar[Sample] = Sample("sample-text", sample_choices, license="apache-2.0", language="en")
    target_kind: ClassVar[type[Nothing]] = Nothing
    ranges: ClassVar[Mapping[str, Range]] = {"max_length": POSITIVE_COUNT}

    @property
    def rows(self) -> RowsOfOptions:
        return RowsOfOptions(
            self.question_column,
            self.context_column,
            self.options_column,
            tuple(self.options_columns or ()),
            self.label_column,
            self.unit_column,
            self.sample.rows,
        )

    @property
    def judge(self) -> ChoiceJudge:
        return ChoiceJudge()

    @property
    def view(self) -> ChosenOption:
        return ChosenOption()

    # What a language model is asked

    def prompt_names(self, labels: list[str]) -> list[str]:
        return labels

    def prompt(self, row: Mapping[str, Any], names: Mapping[str, str], shots: Sequence[Mapping[str, Any]]) -> Prompt:
        """The question for one of the row's own options."""
        return Prompt(
            "Choose the answer that is right.",
            tuple((ask_for_option(shot), join_line(shot["options"][shot["label"]])) for shot in shots),
            ask_for_option(row),
            options=tuple(join_line(option) for option in row["options"]),
        )

    def read_completion(self, completion: str, row: Mapping[str, Any], names: Mapping[str, str]) -> Parsed:
        """The option that the first line is, in any case; otherwise none."""
        written = join_line(completion.strip().partition("\n")[0]).casefold()
        places = [place for place, option in enumerate(row["options"]) if join_line(option).casefold() == written]
        return Parsed({"choice": places[0] if places else None}, bool(places))

    def codec(self, checkpoint: str, target: Target) -> Chooser:
        return Chooser(checkpoint, self.path(checkpoint), target, self.head_config(target), max_length=self.max_length)


def ask_for_option(row: Mapping[str, Any]) -> str:
    """A row as it appears in a prompt: what stands before its options, a line each."""
    sides = (("Text", "context"), ("Question", "question"))
    return "\n".join(f"{name}: {join_line(row[key])}" for name, key in sides if row.get(key))


def join_line(text: str) -> str:
    """A text on one line: prompts are read line by line."""
    return " ".join(text.split())
