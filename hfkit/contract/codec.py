"""The codec: a model's inputs, its loss, and the meaning of its outputs."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from datasets import Dataset
from torch import Tensor, nn
from transformers import PreTrainedModel

from hfkit.contract.target import Target

Batch = Mapping[str, Tensor]
Output = Mapping[str, Tensor]  # of a model, by name: the ModelOutput of stock classes


class Tokens(NamedTuple):
    """Whole rows as tokens, and how many of them a model reads at once."""

    ids: list[list[int]]  # special tokens included
    limit: int  # tokens
    windowed: bool  # tokens beyond the limit are read in further windows; otherwise they are cut off


class Collator(Protocol):
    """Encoded rows -> one batch of tensors."""

    def __call__(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]: ...


class Codec(Protocol):
    """A checkpoint's processor and the target of a head, together: rows to batches, and outputs to answers.

    Encoded rows have a column `row`: the number of the loaded row that they are, or belong to. Making a codec reads
    the processor, so that a wrong checkpoint is refused before a large dataset is read.
    """

    processor: Any
    target: Target
    collate: Collator  # the same batch every time: for evaluation and probes

    def model(self, *, pretrained: bool = True, finished: bool = False, blocks: Sequence[str] = ()) -> PreTrainedModel:
        """A plain `AutoModelFor…` for the target: fp32 weights, safetensors only, no remote code.

        The head is fresh if the checkpoint has none, or one for another target.

        Args:
            pretrained: False builds the same architecture from random weights.
            finished: refuse a checkpoint that lacks any weight, also one of the head.
            blocks: module paths of the blocks, for an architecture hfkit does not know.

        Raises:
            UserError: the checkpoint cannot be found or read, names weights outside its folder, or lacks some that it
                should have.
        """

    def encode(self, rows: Dataset, *, split: str, answers: bool) -> Dataset:
        """Model inputs for loaded rows, and with `answers` the targets that `loss` needs.

        Args:
            split: the name of the rows, for messages; `train` may be encoded differently from the others.

        Raises:
            DataError: the processor turns a row into nothing; such a codec is `Selective`.
            UserError: a flag of length does not fit the processor.
        """

    def fit_loss(self, encoded: Dataset, *, label_smoothing: float = 0.0) -> None:
        """Learn the settings of the loss from the training rows, such as weights of classes.

        Raises:
            UserError: there is nothing to smooth.
        """

    def loss(self, model: nn.Module, batch: Batch, items: Tensor | int | None = None) -> tuple[Tensor, Output]:
        """Run the model on a batch with answers: the loss, and the model's output.

        Args:
            items: targets of the whole optimizer step, over all micro-batches and processes; None takes this batch's.
                They are labels that are not -100, or what `Counted` counts.
        """

    def inputs(self, batch: Batch) -> dict[str, Tensor]:
        """The part of a batch that the model's forward pass takes."""

    def outputs(self, model: nn.Module, batch: Batch, known: Output | None = None) -> dict[str, Tensor]:
        """The part of a model's output that `decode` reads, by name, (batch, ...) each.

        Args:
            known: the model's output for this batch, if it ran already; a codec that generates runs it all the same.
        """

    def logits(self, output: Output, batch: Batch) -> Tensor:
        """The numbers that an answer is read from, (positions, ...), without padding.

        Used to compare two ways of computing the same model.
        """

    def decode(self, outputs: Mapping[str, np.ndarray], encoded: Dataset) -> list:
        """One plain answer for each row that was encoded, in order.

        Args:
            outputs: of every encoded row, padded with -100.
        """

    def facts(self, encoded: Dataset) -> dict[str, Any]:
        """Facts of a split that only encoding shows, for the report, such as how many rows were cut off."""

    def tokens(self, rows: Dataset) -> Tokens | None:
        """Loaded rows as tokens, neither cut off nor in windows; None for a model that reads none.

        Raises:
            UserError: a flag of length does not fit the tokenizer.
        """
