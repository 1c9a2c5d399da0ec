"""What some tasks and codecs can do besides: asked for by isinstance, never by name."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from datasets import Dataset
from torch import Tensor, nn

from hfkit.contract.codec import Batch, Codec, Collator, Output
from hfkit.contract.rows import Rows
from hfkit.contract.target import Target, names_of
from hfkit.contract.view import Choice, View


class Prompt(NamedTuple):
    """What a language model is asked of one row, before it is laid out as plain text or as the turns of a chat."""

    instruction: str  # the same for every row
    shots: tuple[tuple[str, str], ...]  # queries with their answers; the last one stands beside the query
    query: str
    cue: str = "Answer:"  # what the answer stands behind in plain text
    options: tuple[str, ...] = ()  # answers to choose from, in the order of the labels; empty: any text


class Parsed(NamedTuple):
    """What a completion says."""

    prediction: Any  # as the judge takes it; a wrong one where nothing could be read
    readable: bool


@runtime_checkable
class Prompted(Protocol):
    """A task that a language model can be asked to do in words."""

    def prompt_names(self, labels: list[str]) -> list[str]:
        """What the answers of a prompt are made of: the labels, or fewer where several of them say one thing."""

    def prompt(self, row: Mapping[str, Any], names: Mapping[str, str], shots: Sequence[Mapping[str, Any]]) -> Prompt:
        """What to ask of a loaded row, whose own answer is not looked at, after the rows `shots` with theirs.

        Args:
            names: what each of `prompt_names` is called in words.

        Raises:
            UserError: these rows cannot be asked about in a prompt.
        """

    def read_completion(self, completion: str, row: Mapping[str, Any], names: Mapping[str, str]) -> Parsed:
        """What a language model's `completion` says of a loaded row."""


@runtime_checkable
class LabelHead(Protocol):
    """Labels and a loss for them, without any input: logits of whatever origin are fitted and read through it."""

    target: Target

    def with_targets(self, encoded: Dataset, rows: Dataset) -> Dataset:
        """`encoded`, one row per loaded row, with what the loss takes as `labels` and with the number of the `row`.

        For contenders that make inputs of their own.

        Raises:
            UserError: a row has more than one answer.
        """

    def fit_loss(self, encoded: Dataset, *, label_smoothing: float = 0.0) -> None:
        """See `Codec.fit_loss`."""

    def class_weights(self, encoded: Dataset) -> Tensor | None:
        """How much each label counts in the loss, (labels,); None: all alike."""

    def loss_of_logits(self, logits: Tensor, labels: Tensor, items: Tensor | int | None = None) -> Tensor:
        """The mean loss over the labels of the whole optimizer step (see `Codec.loss`)."""

    def reduce(self, logits: Tensor, labels: Tensor) -> Tensor:
        """What `decode` reads of the logits at every labelled position; -100 at the others.

        Where a row has one answer, that is all of its logits, (rows, labels).
        """

    def decode_reduced(self, reduced: np.ndarray, encoded: Dataset) -> list:
        """One plain answer for each row, from what `reduce` left."""

    def probabilities(self, reduced: np.ndarray, encoded: Dataset) -> np.ndarray | None:
        """Those of every class, (rows, labels); None unless a row has one of several."""


@runtime_checkable
class Headed(Protocol):
    """A task whose rows have one answer each, which logits made without a checkpoint can give as well."""

    def label_head(self, target: Target) -> LabelHead:
        """The part of a codec that needs no processor."""


@runtime_checkable
class Probed(LabelHead, Protocol):
    """A codec whose answers a linear model on fixed features can give as well: one logit per label and position."""

    def features(self, outputs: Any, batch: Batch) -> Tensor:
        """What a linear model reads of a frozen backbone's outputs: (batch, features), or (batch, tokens, features)
        where every token has a label.
        """


class Decision(NamedTuple):
    """Where the decision lies best on some rows."""

    shift: np.ndarray  # what to add to the logits, (labels,)
    before: float  # the headline as the model came
    after: float  # and with the shift


@runtime_checkable
class Tuned(Protocol):
    """A codec whose decision can be moved on rows that were not trained on, and is saved with the model."""

    def decision_outputs(self, model: nn.Module, batch: Batch, known: Output | None = None) -> dict[str, Tensor]:
        """What `decision` reads of a model's output, as `Codec.outputs` has it."""

    def decision(
        self, outputs: Mapping[str, np.ndarray], encoded: Dataset, headline: Callable[[list], float]
    ) -> Decision:
        """Where the headline is best; a shift of zeros where nothing helps.

        Cross-entropy puts the decision where accuracy is best, and a headline like F1 often wants it elsewhere.

        Args:
            outputs: (encoded rows, ...) of rows that were not trained on, padded with -100. Of a `LabelHead` whose rows
                have one answer each, they are `logits`, (encoded rows, labels).
            headline: of predictions for these rows; more is better.
        """

    def apply(self, decision: Decision, head: Sequence[nn.Parameter]) -> bool:
        """Move the decision in the parameters of the head; False where none of them can hold it."""


@runtime_checkable
class Likely(Protocol):
    """A codec that knows how likely each label is."""

    def likelihoods(self, outputs: Mapping[str, np.ndarray], encoded: Dataset) -> np.ndarray | None:
        """(rows, labels), of several labels a row each by itself; None where the answers are of another kind."""


@runtime_checkable
class Varied(Protocol):
    """A codec that changes training inputs at random where their answers stay true."""

    @property
    def varies(self) -> Literal["rows", "batches"] | None:
        """What is drawn anew in every epoch: something of each row, of whole batches, or nothing."""

    def varied(self, seed: int) -> Collator:
        """The collator of training.

        What it draws is a pure function of the seed, the epoch and the rows: a resumed run and any number of loader
        workers then draw the same. The trainer sets its attribute `epoch` as each one begins.
        """


@runtime_checkable
class Stored(Protocol):
    """A codec whose batches are dear to make, and can be kept on disk."""

    def stored(self, collator: Collator, encoded: Dataset, folder: Path, budget: int) -> Collator:
        """The same batches bit by bit, with at most `budget` bytes kept in `folder`, whatever happens to it."""


@runtime_checkable
class Pictured(Protocol):
    """A codec whose inputs can be looked at."""

    def pictures(self, encoded: Dataset, collator: Collator, limit: int) -> list[dict[str, str]]:
        """At most `limit` encoded rows as `collator` gives them to the model: `picture` and `label` of each."""


@runtime_checkable
class Enumerated(Protocol):
    """A view that knows every answer that a model can give."""

    def choices(self, target: Target) -> Choice:
        """The labels of all answers, for a reader, and whether one row may have several of them."""


@runtime_checkable
class Exported(Protocol):
    """A view that knows how to use the ONNX graph of a model without hfkit."""

    def onnx_snippet(self, inputs: Mapping[str, Sequence[str]], longest: int | None) -> str:
        """A program beside `model.onnx` that asks it, with onnxruntime and transformers alone, and prints the answers.

        Args:
            inputs: the sides of each input: numbers, and names for sides of any length.
            longest: tokens of the longest text that the graph reads; None if it reads no tokens.
        """


@runtime_checkable
class Joined(Protocol):
    """Rows that may hold several texts each."""

    def input_columns(self, facts: Mapping[str, Any]) -> tuple[str, ...]:
        """The columns of a row without an answer.

        Args:
            facts: what the report of the model's run says of its data; {} without one.
        """


def training_collator(codec: Codec, seed: int) -> Collator:
    """The collator of training: that of evaluation, unless something is drawn at random."""
    return codec.varied(seed) if isinstance(codec, Varied) and codec.varies else codec.collate


def varies(codec: Codec) -> Literal["rows", "batches"] | None:
    """What training draws anew in every epoch."""
    return codec.varies if isinstance(codec, Varied) else None


def list_choices(view: View, target: Target) -> Choice:
    """The labels that a model can answer with; none if its answers are of another kind, or not known."""
    if isinstance(view, Enumerated):
        return view.choices(target)
    return Choice(tuple(names_of(target)) if view.answers is Choice else ())


def input_columns(rows: Rows, facts: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns of a row without an answer, given what a report says of the data."""
    return rows.input_columns(facts) if isinstance(rows, Joined) else (rows.main_column,)
