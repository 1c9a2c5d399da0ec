"""The common part of codecs whose model gives one logit per label, for a row or for every token."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedConfig

from hfkit.contract.abilities import Decision
from hfkit.contract.codec import Batch, Collator, Output
from hfkit.contract.target import Labels
from hfkit.model.parallel import add_to_parameter
from hfkit.tasks.checkpoint_codec import CheckpointCodec
from hfkit.tasks.losses import IGNORED, category_divergence, focal_cross_entropy


class LabelCodec(CheckpointCodec, ABC):
    """A checkpoint's processor and the labels of a head.

    Args:
        checkpoint: as the user named it.
        path: the folder or Hub id that it stands for.
        head_config: the entries for the head in the model's configuration.
    """

    collate: Collator

    def __init__(self, checkpoint: str, path: str, target: Labels, head_config: Mapping[str, Any]) -> None:
        super().__init__(checkpoint, path, head_config)
        self.target = target
        self.labels = list(target.names)
        self.label_smoothing = self.gamma = 0.0
        self.weights: Tensor | None = None  # of each label in the loss, (labels,)

    def tokens(self, rows: Dataset) -> None:
        return None

    def facts(self, encoded: Dataset) -> dict[str, Any]:
        return {}

    # The loss

    def fit_loss(self, encoded: Dataset, *, label_smoothing: float = 0.0) -> None:
        self.label_smoothing, self.weights, self.gamma = label_smoothing, self.class_weights(encoded), 0.0

    def focus(self, gamma: float) -> None:
        self.gamma = gamma

    def class_weights(self, encoded: Dataset) -> Tensor | None:
        return None

    def loss(self, model: nn.Module, batch: Batch, items: Tensor | int | None = None) -> tuple[Tensor, Output]:
        output = model(**self.inputs(batch))
        return self.loss_of_logits(output["logits"], batch["labels"], items), output

    def loss_of_logits(self, logits: Tensor, labels: Tensor, items: Tensor | int | None = None) -> Tensor:
        """Cross-entropy over every label of the optimizer step, regardless of micro-batches and processes.

        Many heads of transformers accept `num_items_in_batch` and ignore it, so gradient accumulation and several
        processes each multiply the gradient. Here the sum over labels is divided once, by their count in the step.

        Args:
            logits: (batch, ..., labels).
            labels: ids, (batch, ...); -100 is ignored.
        """
        logits = logits.float().view(-1, logits.shape[-1])
        weights = None if self.weights is None else self.weights.to(logits)
        if self.gamma:
            total = focal_cross_entropy(logits, labels.view(-1), self.gamma, weights)
        else:
            total = functional.cross_entropy(
                logits,
                labels.view(-1),
                weights,
                ignore_index=IGNORED,
                reduction="sum",
                label_smoothing=self.label_smoothing,
            )
        return total / self.count(labels, items).clamp(min=1)

    def divergence(self, output: Output, batch: Batch, items: Tensor | int | None = None) -> Tensor:
        logits, (labels, _) = output["logits"].float(), batch["labels"].chunk(2)
        one, other = (half[labels != IGNORED] for half in logits.chunk(2))
        return category_divergence(one, other) / self.count(labels, items).clamp(min=1)

    def count(self, labels: Tensor, items: Tensor | int | None) -> Tensor:
        """The number of labels in the whole optimizer step, or in a batch if `items` is None."""
        return (labels != IGNORED).sum() if items is None else torch.as_tensor(items)

    # Inputs and outputs

    def inputs(self, batch: Batch) -> dict[str, Tensor]:
        """The part of a batch that the model's forward pass takes."""
        return {name: value for name, value in batch.items() if name != "labels"}

    @abstractmethod
    def logits(self, output: Output, batch: Batch) -> Tensor: ...

    def outputs(self, model: nn.Module, batch: Batch, known: Output | None = None) -> dict[str, Tensor]:
        output = model(**self.inputs(batch)) if known is None else known
        return {"reduced": self.reduce(output["logits"], self.positions(batch))}

    def decision_outputs(self, model: nn.Module, batch: Batch, known: Output | None = None) -> dict[str, Tensor]:
        output = model(**self.inputs(batch)) if known is None else known
        # With the positions in the batch: a tokenizer may pad on the left.
        return {"logits": output["logits"], "positions": self.positions(batch)}

    @abstractmethod
    def positions(self, batch: Batch) -> Tensor:
        """A mask of the positions whose answers are read, -100 elsewhere; the labels of a batch with answers."""

    @abstractmethod
    def reduce(self, logits: Tensor, labels: Tensor) -> Tensor: ...

    def decode(self, outputs: Mapping[str, np.ndarray], encoded: Dataset) -> list:
        return self.decode_reduced(outputs["reduced"], encoded)

    @abstractmethod
    def decode_reduced(self, reduced: np.ndarray, encoded: Dataset) -> list: ...

    def probabilities(self, reduced: np.ndarray, encoded: Dataset) -> np.ndarray | None:
        return None

    # The decision

    def apply(self, decision: Decision, head: Sequence[nn.Parameter], config: PreTrainedConfig) -> bool:
        """Move the bias with one value per label, if the head has exactly one."""
        biases = [parameter for parameter in head if parameter.shape == (len(self.labels),)]
        if len(biases) != 1:
            return False
        add_to_parameter(biases[0], torch.from_numpy(decision.shift))
        return True
