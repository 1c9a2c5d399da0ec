"""Classification of sentences, documents or pairs of texts: a class, several, or a number for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from transformers import AutoModelForSequenceClassification

from hfkit.arguments.ranges import POSITIVE_COUNT, Range
from hfkit.contract.abilities import Parsed, Prompt
from hfkit.contract.target import Labels
from hfkit.contract.task import Sample
from hfkit.errors import UserError
from hfkit.samples.sentiment import sample_sentiment
from hfkit.tasks.classification.flags import Classification
from hfkit.tasks.classification.texts import LONGEST_TEXT, ClassifiedText, ClassifiedTexts, TextClassifier
from hfkit.tasks.hiding import HidesWords

SIDES = (("First text", "text"), ("Second text", "text_pair"))  # of a pair in a prompt


@dataclass(frozen=True)
class TextClassification(HidesWords, Classification):
    """Texts, or pairs of them, with a class, several, or a number."""

    text_column: str | None = field(
        default=None, metadata={"help": "column of texts; default: the one named text, sentence or the like"}
    )
    text_pair_column: str | None = field(
        default=None,
        metadata={"help": "column of the second text of a pair; default: that of premise and hypothesis or the like"},
    )
    max_length: int | None = field(
        default=None,
        metadata={"help": f"tokens of a text, the rest is cut off; default: {LONGEST_TEXT}, or what the model reads"},
    )

    key: ClassVar[str] = "text-classification"
    tag: ClassVar[str] = "text-classification"
    auto_model: ClassVar[type] = AutoModelForSequenceClassification
    ranges: ClassVar[Mapping[str, Range]] = {"max_length": POSITIVE_COUNT}
    sample: ClassVar[Sample] = Sample("sample-text", sample_sentiment, license="apache-2.0", language="en")

    @property
    def rows(self) -> ClassifiedTexts:
        return ClassifiedTexts(
            self.kind,
            self.problem,
            self.label_column,
            self.cells,
            self.out_of_scope,
            self.unit_column,
            self.text_column,
            self.text_pair_column,
            self.sample.rows,
        )

    def codec(self, checkpoint: str, target: Labels) -> TextClassifier:
        return TextClassifier(
            checkpoint,
            self.path(checkpoint),
            target,
            self.head_config(target),
            self.kind,
            balanced=self.class_weights == "balanced",
            max_length=self.max_length,
            hiding=self.hiding,
        )

    @property
    def view(self) -> ClassifiedText:
        return ClassifiedText(self.kind, self.max_length)

    # Prompts

    def prompt_names(self, labels: list[str]) -> list[str]:
        return labels

    def prompt(self, row: Mapping[str, Any], names: Mapping[str, str], shots: Sequence[Mapping[str, Any]]) -> Prompt:
        """The question for one label of a text, or of a pair of texts.

        Raises:
            UserError: a row has no single label.
        """
        if not self.kind.one_class:
            raise UserError(
                f"problem={self.problem}", "a prompt chooses one label of several", "Use another baseline for this task"
            )
        whole = "the two texts" if "text_pair" in row else "the text"
        return Prompt(
            f"Choose the label that fits {whole}. The labels are: {', '.join(names.values())}.",
            tuple((query_of(shot), names[shot["label"]]) for shot in shots),
            query_of(row),
            "Label:",
            tuple(names.values()),
        )

    def read_completion(self, completion: str, row: Mapping[str, Any], names: Mapping[str, str]) -> Parsed:
        """The label in the first line, in any case and with or without a full stop; otherwise none."""
        first = completion.strip().partition("\n")[0].strip(" .").casefold()
        fitting = [label for label, text in names.items() if text.strip(" .").casefold() == first]
        return Parsed(fitting or [""], bool(fitting))


def query_of(row: Mapping[str, Any]) -> str:
    """A row as it appears in a prompt, each text on one line: prompts are read line by line."""
    if "text_pair" not in row:
        return f"Text: {' '.join(row['text'].split())}"
    return "\n".join(f"{name}: {' '.join(row[key].split())}" for name, key in SIDES)
