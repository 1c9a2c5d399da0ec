"""The loss, the decision and the answers of every classifier, from one logit per label and row."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

import numpy as np
from datasets import Dataset, Value
from torch import Tensor

from hfkit.contract.abilities import Decision
from hfkit.contract.codec import Batch, Output
from hfkit.contract.target import Labels
from hfkit.errors import UserError
from hfkit.tasks.classification.kinds import Kind
from hfkit.tasks.label_codec import LabelCodec


class Classifier(LabelCodec):
    """A processor and the labels of a head that classifies rows.

    Args:
        kind: the kind of answers.
        balanced: all labels have equal weight in the loss, however rare they are.
    """

    def __init__(
        self,
        checkpoint: str,
        path: str,
        target: Labels,
        head_config: Mapping[str, Any],
        kind: Kind,
        *,
        balanced: bool = False,
    ) -> None:
        super().__init__(checkpoint, path, target, head_config)
        self.kind, self.balanced = kind, balanced

    def with_numbers(self, encoded: Dataset, rows: Dataset, *, answers: bool) -> Dataset:
        """`encoded` with the number of the `row`, and with `answers` also the loss's `labels`."""
        # Without a new fingerprint every value would be hashed, for a cache that is not used.
        if answers:
            values, feature = self.kind.targets(rows["label"][:], self.labels)
            encoded = encoded.add_column("labels", values, new_fingerprint=uuid4().hex, feature=feature)
        return encoded.add_column("row", np.arange(len(rows)), new_fingerprint=uuid4().hex, feature=Value("int32"))

    def with_targets(self, encoded: Dataset, rows: Dataset) -> Dataset:
        return self.with_numbers(encoded, rows, answers=True)

    # The loss

    def fit_loss(self, encoded: Dataset, *, label_smoothing: float = 0.0) -> None:
        if label_smoothing and not self.kind.names_labels:
            raise UserError(
                f"label_smoothing_factor={label_smoothing}", "numbers have no classes to smooth", "Leave it out"
            )
        super().fit_loss(encoded, label_smoothing=label_smoothing)

    def focus(self, gamma: float) -> None:
        if gamma and not self.kind.names_labels:
            raise UserError(f"focal_loss={gamma}", "numbers have no classes to be in doubt of", "Leave it out")
        super().focus(gamma)

    def class_weights(self, encoded: Dataset) -> Tensor | None:
        return self.kind.weights(encoded.with_format("torch")["labels"][:]) if self.balanced else None

    def loss_of_logits(self, logits: Tensor, labels: Tensor, items: Tensor | int | None = None) -> Tensor:
        """The mean loss over the labels of the whole optimizer step.

        Args:
            logits: (batch, labels).
            labels: ids (batch,), shares of all labels (batch, labels), or numbers (batch,).
            items: elements of `labels` in the whole step; None takes this batch's.
        """
        logits = logits.float()
        weights = None if self.weights is None else self.weights.to(logits)
        total = self.kind.loss(logits, labels, self.label_smoothing, weights, self.gamma)
        return total / self.count(labels, items).clamp(min=1)

    def divergence(self, output: Output, batch: Batch, items: Tensor | int | None = None) -> Tensor:
        one, other = output["logits"].float().chunk(2)
        return self.kind.divergence(one, other) / self.count(batch["labels"].chunk(2)[0], items).clamp(min=1)

    def count(self, labels: Tensor, items: Tensor | int | None) -> Tensor:
        return self.kind.count(labels, items)

    # The answers

    def positions(self, batch: Batch) -> Tensor:
        return next(iter(batch.values()))  # every row has one answer

    def decision_outputs(self, model: Any, batch: Batch, known: Output | None = None) -> dict[str, Tensor]:
        output = model(**self.inputs(batch)) if known is None else known
        return {"logits": output["logits"].float()}

    def logits(self, output: Output, batch: Batch) -> Tensor:
        return output["logits"]

    def reduce(self, logits: Tensor, labels: Tensor) -> Tensor:
        return logits.float()

    def decode_reduced(self, reduced: np.ndarray, encoded: Dataset) -> list:
        """One plain answer for each row, by the mean over its views if it was encoded as several."""
        return self.kind.answers(mean_by_row(reduced, encoded), self.labels)

    def probabilities(self, reduced: np.ndarray, encoded: Dataset) -> np.ndarray | None:
        return self.kind.probabilities(mean_by_row(reduced, encoded))

    def likelihoods(self, outputs: Mapping[str, np.ndarray], encoded: Dataset) -> np.ndarray | None:
        return self.kind.likelihoods(mean_by_row(outputs["reduced"], encoded))

    def decision(
        self, outputs: Mapping[str, np.ndarray], encoded: Dataset, headline: Callable[[list], float]
    ) -> Decision:
        logits = outputs["logits"]
        before = headline(self.decode_reduced(logits, encoded))
        shift = self.kind.shift(mean_by_row(logits, encoded), first_of_row(encoded["labels"][:], encoded))
        if shift is None:
            return Decision(np.zeros(len(self.labels)), before, before)
        return Decision(shift, before, headline(self.decode_reduced(logits + shift.astype(logits.dtype), encoded)))


def mean_by_row(outputs: np.ndarray, encoded: Dataset) -> np.ndarray:
    """The mean output of every row over its views, (rows, labels)."""
    row = np.array(encoded["row"][:])
    means = np.zeros((row.max(initial=-1) + 1, outputs.shape[-1]))
    np.add.at(means, row, outputs)
    return means / np.bincount(row)[:, None]


def first_of_row(values: list, encoded: Dataset) -> list:
    """The value of each row's first view."""
    first = np.unique(np.array(encoded["row"][:]), return_index=True)[1]
    return [values[i] for i in first]
