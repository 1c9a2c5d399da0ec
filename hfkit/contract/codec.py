"""What a model sees of rows, what its loss is, and what its output means."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from datasets import Dataset
from torch import Tensor, nn
from transformers import PreTrainedModel

from hfkit.contract.target import Target

Batch = Mapping[str, Tensor]
Output = Mapping[str, Tensor]  # of a model: what stock classes call a ModelOutput, by name


class Tokens(NamedTuple):
    """Rows as a tokenizer writes them, whole, and what a model reads of them at once."""

    ids: list[list[int]]  # special tokens included
    limit: int  # tokens
    windowed: bool  # what is beyond the limit is read in further windows, else cut off


class Collator(Protocol):
    """Encoded rows -> one batch of tensors."""

    def __call__(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]: ...


class Codec(Protocol):
    """A checkpoint's processor and the target of a head, together: rows to batches, and outputs to answers.

    Encoded rows have a column `row`, the number of the row that they are (a part of). Making a codec reads the
    processor, and so refuses a wrong checkpoint before a large dataset is read.
    """

    processor: Any
    target: Target
    collate: Collator  # the same batch every time: what a model is evaluated and probed on

    def model(self, *, pretrained: bool = True, finished: bool = False, blocks: Sequence[str] = ()) -> PreTrainedModel:
        """A plain `AutoModelFor…` for the target: fp32 weights, safetensors only, no remote code.

        The head is fresh where the checkpoint has none, or one for another target.

        Args:
            pretrained: False builds the same architecture from random weights.
            finished: refuse a checkpoint that lacks any weight, those of the head too.
            blocks: those of an architecture hfkit does not know.

        Raises:
            UserError: the checkpoint cannot be found or read, names weights outside its folder, or lacks some that it
                should have.
        """

    def encode(self, rows: Dataset, *, split: str, answers: bool) -> Dataset:
        """Model inputs for loaded rows, with what `loss` needs of their answers if there are any.

        Args:
            split: what the rows are called, for messages; `train` may be encoded in another way than the others.

        Raises:
            DataError: the processor makes nothing of a row.
            UserError: a flag of length does not fit the processor.
        """

    def fit_loss(self, encoded: Dataset, *, label_smoothing: float = 0.0) -> None:
        """Learn from the training rows what the loss needs to know, such as the weights of classes.

        Raises:
            UserError: there is nothing to smooth.
        """

    def loss(self, model: nn.Module, batch: Batch, items: Tensor | int | None = None) -> tuple[Tensor, Output]:
        """Run the model on a batch with answers: the loss, and what the model returned.

        Args:
            items: targets of the whole optimizer step, over all micro-batches and processes; None takes this batch's.
        """

    def inputs(self, batch: Batch) -> dict[str, Tensor]:
        """The part of a batch that the model's forward pass takes."""

    def outputs(self, model: nn.Module, batch: Batch, known: Output | None = None) -> dict[str, Tensor]:
        """What `decode` reads of a model's output, by name, (batch, ...) each.

        Args:
            known: what the model has returned for this batch already; a codec that generates runs it all the same.
        """

    def logits(self, output: Output, batch: Batch) -> Tensor:
        """The numbers that an answer is read from, (positions, ...), without those of padding.

        Two ways of computing a model are compared by them.
        """

    def decode(self, outputs: Mapping[str, np.ndarray], encoded: Dataset) -> list:
        """One plain answer for each row that was encoded, in order.

        Args:
            outputs: of every encoded row, padded with -100.
        """

    def facts(self, encoded: Dataset) -> dict[str, Any]:
        """For the report: what only encoding shows of a split, such as how many rows were cut off."""

    def tokens(self, rows: Dataset) -> Tokens | None:
        """Loaded rows as tokens, neither cut off nor in windows; None where a model reads none.

        Raises:
            UserError: a flag of length does not fit the tokenizer.
        """
