"""Optional abilities of tasks and codecs: asked for by isinstance, never by name."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from datasets import Dataset
from torch import Tensor, nn
from transformers import PreTrainedConfig

from hfkit.contract.codec import Batch, Codec, Collator, Output
from hfkit.contract.rows import Rows
from hfkit.contract.target import Target, names_of
from hfkit.contract.view import Choice, Picture, View
from hfkit.data.bad_rows import Fault


class Prompt(NamedTuple):
    """A question to a language model about one row, before it is laid out as plain text or as the turns of a chat."""

    instruction: str  # the same for every row
    shots: tuple[tuple[str, str], ...]  # solved examples: queries with their answers; the last one is next to the query
    query: str
    cue: str = "Answer:"  # precedes the answer in plain text
    options: tuple[str, ...] = ()  # answers to choose from, in the order of the labels; empty: any text


class Parsed(NamedTuple):
    """The answer that a completion gives."""

    prediction: Any  # as the judge takes it; a wrong one if nothing could be read
    readable: bool


@runtime_checkable
class Prompted(Protocol):
    """A task that a language model can do from a prompt."""

    def prompt_names(self, labels: list[str]) -> list[str]:
        """The names that answers to a prompt use: the labels, or fewer if several of them mean one thing."""

    def prompt(self, row: Mapping[str, Any], names: Mapping[str, str], shots: Sequence[Mapping[str, Any]]) -> Prompt:
        """The question about a loaded row, without its answer, after the solved examples `shots`.

        Args:
            names: the words for each of `prompt_names`.

        Raises:
            UserError: these rows cannot be asked about in a prompt.
        """

    def read_completion(self, completion: str, row: Mapping[str, Any], names: Mapping[str, str]) -> Parsed:
        """The answer to a loaded row in a language model's `completion`."""


@runtime_checkable
class AskedInParts(Protocol):
    """A task whose answer to a row is put together from those to several questions, each with its options."""

    def ask_parts(self, row: Mapping[str, Any], names: Mapping[str, str]) -> list[Prompt]:
        """The questions about a loaded row, without a look at its answer; none where there is nothing to ask.

        Args:
            names: the words for each of `Prompted.prompt_names`.
        """

    def join_parts(self, row: Mapping[str, Any], names: Mapping[str, str], chosen: Sequence[str]) -> Any:
        """The prediction, as the judge takes it, that follows from the option `chosen` for each of the questions."""


@runtime_checkable
class Selective(Protocol):
    """A codec whose processor cannot read every checked row."""

    def find_unreadable(self, rows: Dataset) -> list[Fault]:
        """A fault for each loaded row that `encode` refuses."""


@runtime_checkable
class LabelHead(Protocol):
    """Labels and their loss, without any input: fits and reads logits of any origin."""

    target: Target

    def with_targets(self, encoded: Dataset, rows: Dataset) -> Dataset:
        """`encoded`, one row per loaded row, with the loss's `labels` and the number of the `row`.

        For contenders that make their own inputs.

        Raises:
            UserError: a row has more than one answer.
        """

    def fit_loss(self, encoded: Dataset, *, label_smoothing: float = 0.0) -> None:
        """See `Codec.fit_loss`."""

    def class_weights(self, encoded: Dataset) -> Tensor | None:
        """The weight of each label in the loss, (labels,); None: all equal."""

    def loss_of_logits(self, logits: Tensor, labels: Tensor, items: Tensor | int | None = None) -> Tensor:
        """The mean loss over the labels of the whole optimizer step (see `Codec.loss`)."""

    def reduce(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The part of the logits that `decode` reads at every labelled position; -100 elsewhere.

        If a row has one answer, that is all of its logits, (rows, labels).
        """

    def decode_reduced(self, reduced: np.ndarray, encoded: Dataset) -> list:
        """One plain answer for each row, from the result of `reduce`."""

    def probabilities(self, reduced: np.ndarray, encoded: Dataset) -> np.ndarray | None:
        """Class probabilities, (rows, labels); None unless each row has exactly one class."""


@runtime_checkable
class Headed(Protocol):
    """A task whose rows have one answer each, so that logits without a checkpoint can answer them too."""

    def label_head(self, target: Target) -> LabelHead:
        """The part of a codec that needs no processor."""


@runtime_checkable
class Probed(LabelHead, Protocol):
    """A codec whose task a linear model on frozen features can do too: one logit per label and position."""

    def features(self, outputs: Any, batch: Batch) -> Tensor:
        """A frozen backbone's features for a linear model, (batch, features), or (batch, tokens, features) if every
        token has a label.
        """


@runtime_checkable
class Pooled(Protocol):
    """A codec that makes one vector of a row's tokens in the way that its checkpoint asks for."""

    pooling: str  # its name: features that were kept under another are computed again


class Decision(NamedTuple):
    """The best place for the decision on some rows."""

    shift: np.ndarray  # to be added to the logits, (labels,); or to another number that decides, (1,)
    before: float  # the headline without the shift
    after: float  # the headline with it


@runtime_checkable
class Tuned(Protocol):
    """A codec whose decision can be tuned on held-out rows and saved with the model."""

    def decision_outputs(self, model: nn.Module, batch: Batch, known: Output | None = None) -> dict[str, Tensor]:
        """The part of a model's output that `decision` reads, in the form of `Codec.outputs`."""

    def decision(
        self, outputs: Mapping[str, np.ndarray], encoded: Dataset, headline: Callable[[list], float]
    ) -> Decision:
        """The decision with the best headline; a shift of zeros if nothing helps.

        Cross-entropy puts the decision where accuracy is best; a headline like F1 often needs it elsewhere.

        Args:
            outputs: (encoded rows, ...) of held-out rows, padded with -100. Of a `LabelHead` whose rows
                have one answer each, they are `logits`, (encoded rows, labels).
            headline: scores predictions for these rows; higher is better.
        """

    def apply(self, decision: Decision, head: Sequence[nn.Parameter], config: PreTrainedConfig) -> bool:
        """Move the decision in the parameters of the head; False if none of them can hold it.

        Args:
            config: of the model, saved with it. What no parameter can hold, such as a margin between two kinds of
                answers, is an entry of its own there, named hfkit_….
        """


@runtime_checkable
class Focused(Protocol):
    """A codec whose loss can turn to the labels that the model is in doubt of."""

    def focus(self, gamma: float) -> None:
        """Give the labels of probability p weights of (1 - p) ** gamma in the loss, until the loss is fitted again.

        Raises:
            UserError: there are no labels.
        """


@runtime_checkable
class Compared(Protocol):
    """A codec that knows how far two predictions for the same rows are apart."""

    def divergence(self, output: Output, batch: Batch, items: Tensor | int | None = None) -> Tensor:
        """The mean divergence of the predictions for the first half of a batch from those for the second half.

        Args:
            output, batch: the rows of the batch come twice, all of them and then all of them again.
            items: as for `Codec.loss`; the mean is over as many, for it is added to that loss.
        """


@runtime_checkable
class Likely(Protocol):
    """A codec that knows how likely each label is."""

    def likelihoods(self, outputs: Mapping[str, np.ndarray], encoded: Dataset) -> np.ndarray | None:
        """(rows, labels), each label by itself if a row may have several; None for other kinds of answers."""


@runtime_checkable
class Varied(Protocol):
    """A codec that varies training inputs at random without changing their answers."""

    @property
    def varies(self) -> Literal["rows", "batches"] | None:
        """The random part of every epoch: something of each row, of whole batches, or nothing."""

    def vary(self, seed: int) -> Collator:
        """The collator of training.

        Its draws are a pure function of the seed, the epoch and the rows, so a resumed run and any number of loader
        workers draw the same. The trainer sets its attribute `epoch` at the start of each one.
        """


@runtime_checkable
class Stored(Protocol):
    """A codec whose batches are expensive to make and can be kept on disk."""

    def store(self, collator: Collator, encoded: Dataset, folder: Path, budget: int) -> Collator:
        """A collator of bit-identical batches that keeps at most `budget` bytes in `folder`, whatever happens to it."""


@runtime_checkable
class Counted(Protocol):
    """A codec whose targets are not the labels of a batch, such as the ends of an answer or the boxes of a picture."""

    def count_targets(self, batch: Batch) -> int:
        """The number of targets in a batch, over which `Codec.loss` takes its mean.

        Without this ability it is the number of labels that are not -100. The batch may hold its answers alone.
        """


@runtime_checkable
class Pictured(Protocol):
    """A codec whose inputs can be shown as pictures."""

    def pictures(self, encoded: Dataset, collator: Collator, limit: int) -> list[dict[str, str]]:
        """At most `limit` encoded rows as `collator` passes them to the model: the `picture` and `label` of each."""


@runtime_checkable
class Explained(Protocol):
    """A codec that knows which places of its rows, which are pictures, an answer rests on."""

    def saliency(self, model: nn.Module, encoded: Dataset, answers: Sequence[Any]) -> list[np.ndarray]:
        """How much every place of a picture speaks for the answer to it, (height, width) of each, from 0 to 1.

        A map covers the whole picture, upright, whatever of it the model reads; its sides are in proportion to the
        picture's. The model is left as it was, gradients included.

        Args:
            encoded: without answers (see `Codec.encode`).
            answers: one plain answer for each row that was encoded.

        Raises:
            UserError: the model's architecture does not allow it.
        """

    def rank_mistakes(
        self, predictions: list, references: list, likelihoods: np.ndarray | None
    ) -> list[tuple[int, float | None]]:
        """The rows whose predictions are wrong, those first of which the model is surest, and how sure it is.

        Where it does not know how sure it is (None), those that are furthest off come first.

        Args:
            likelihoods: see `Likely`.
        """

    def overlay(self, row: Mapping[str, Any], saliency: np.ndarray, most: int) -> Picture:
        """The picture of a loaded or encoded row under the colours of its map, at most `most` pixels a side."""


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
class MultiText(Protocol):
    """Rows that may hold several texts each."""

    def input_columns(self, facts: Mapping[str, Any]) -> tuple[str, ...]:
        """The columns of a row without an answer.

        Args:
            facts: what the report of the model's run says of its data; {} without one.
        """


class Stretch(NamedTuple):
    """A text that is to be predicted, and the text before it."""

    before: str
    text: str


@runtime_checkable
class Spoken(Protocol):
    """Rows whose answers say how likely texts are, so that a counter of characters can answer them too."""

    def stretches(self, rows: Dataset) -> list[list[Stretch]]:
        """The texts of every loaded row that are to be predicted, in order."""

    def to_answer(self, nats: float, symbols: int) -> Any:
        """The answer to a row, as the judge takes it.

        Args:
            nats: minus the logarithm of the probability of all its texts.
            symbols: into which the contender divides them.
        """


@runtime_checkable
class Pixelwise(Protocol):
    """Rows of an `image` whose answers give every pixel one of the target's labels."""

    def read_map(self, row: Mapping[str, Any]) -> np.ndarray:
        """The place of each pixel's gold label among those of the target, uint8 (height, width); 255 where it has
        none."""

    def to_map(self, places: np.ndarray, target: Target) -> Any:
        """The answer of such places, as the judge takes it."""


@runtime_checkable
class Personal(Protocol):
    """Rows of pictures of people whom nothing may name."""

    @property
    def shows_pictures(self) -> bool:
        """Whether a report, and so a card and a push, may show the pictures."""

    def says_burnt_in(self, image: Mapping[str, Any]) -> bool:
        """Whether the file of a loaded row's image says that text about the person stands in its pixels."""

    def read_grey(self, image: Mapping[str, Any]) -> Any:
        """The picture of a loaded row as a grey one of Pillow."""


@runtime_checkable
class Conversed(Protocol):
    """A codec whose model answers in a conversation."""

    def reply(
        self,
        model: nn.Module,
        turns: Sequence[Mapping[str, str]],
        *,
        most_tokens: int | None = None,
        temperature: float = 0.0,
    ) -> Iterator[str]:
        """The answer to the last turn, piece by piece as it is written.

        Args:
            turns: a `role` (system, user or assistant) and a `content` each; the last is the user's. Where they are
                more than the model reads, the first ones are left out.
            most_tokens: of the answer; None: those of the task.
            temperature: 0 takes the likeliest token every time; otherwise tokens are drawn with torch's generator.

        Raises:
            UserError: the turns do not fit the model.
        """


def training_collator(codec: Codec, seed: int) -> Collator:
    """The collator of training: that of evaluation, unless inputs vary at random."""
    return codec.vary(seed) if isinstance(codec, Varied) and codec.varies else codec.collate


def varies(codec: Codec) -> Literal["rows", "batches"] | None:
    """The random part of every epoch (see `Varied.varies`); None if there is none."""
    return codec.varies if isinstance(codec, Varied) else None


def find_unreadable(codec: Codec | None, rows: Dataset, numbers: Sequence[int]) -> list[Fault]:
    """A fault for each of the rows with these numbers that the codec cannot read."""
    if not isinstance(codec, Selective) or not len(numbers):
        return []
    return [replace(fault, row=int(numbers[fault.row])) for fault in codec.find_unreadable(rows.select(numbers))]


def list_choices(view: View, target: Target) -> Choice:
    """The labels that a model can answer with; none if its answers are of another kind, or not known."""
    if isinstance(view, Enumerated):
        return view.choices(target)
    return Choice(tuple(names_of(target)) if view.answers is Choice else ())


def input_columns(rows: Rows, facts: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns of a row without an answer, given what a report says of the data."""
    return rows.input_columns(facts) if isinstance(rows, MultiText) else (rows.main_column,)
