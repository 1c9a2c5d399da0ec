"""The nearest class mean in the features of the frozen checkpoint: the simplest thing that learns from a few rows."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from datasets import DatasetDict
from torch import Tensor
from torch.nn.functional import normalize

from hfkit.baselines.base import Answers
from hfkit.baselines.frozen.features import OnFrozenFeatures, best_pooling
from hfkit.baselines.frozen.linear import Features, judged, standardised
from hfkit.contract.task import Task
from hfkit.errors import UserError

TEMPERATURE = 0.05  # of the softmax over cosines


@dataclass(frozen=True)
class NearestMean(OnFrozenFeatures):
    """The class whose mean has the largest cosine, of standardised features of the row or token."""

    name: ClassVar[str] = "nearest mean"
    description: ClassVar[str] = "the class of the nearest mean in features of the frozen checkpoint"

    def answers(self, task: Task, dataset: DatasetDict) -> Answers:
        """With the pooling that did best on validation.

        Raises:
            UserError: a row has a number, or several labels.
        """
        found = self.features(task, dataset)
        gold = task.references(dataset["validation"])
        targets = next(iter(found.poolings.values()))["train"].targets
        if targets.ndim == 2 or targets.is_floating_point():
            raise UserError(
                f"baseline '{self.name}'",
                "a mean is that of the rows of one class, and here "
                + ("rows have several labels" if targets.ndim == 2 else "they have numbers"),
                "Leave it out, or use knn",
            )

        def tried(features: dict[str, Features]) -> tuple[float, tuple]:
            logits = cosines_with_means(features, len(found.labels))
            ours, predictions, outputs = judged(task, logits, features, found.prepared, found.labels)
            return task.score(ours, gold)[task.headline], (predictions, outputs)

        pooling, score, (predictions, outputs) = best_pooling(found.poolings, tried)
        return Answers(
            predictions,
            task.probabilities(outputs, found.prepared["test"]),
            {"pooling": pooling, "validation": score, **found.facts},
        )


def cosines_with_means(features: dict[str, Features], labels: int) -> dict[str, Tensor]:
    """Of validation and test: the cosine with every class's mean over the temperature, (positions, labels)."""
    scaled = {split: normalize(found.inputs, dim=1) for split, found in standardised(features).items()}
    targets = features["train"].targets
    means = torch.zeros(labels, scaled["train"].shape[1]).index_add_(0, targets, scaled["train"])
    means = normalize(means, dim=1)
    missing = torch.bincount(targets, minlength=labels) == 0
    found = {}
    for split in ("validation", "test"):
        cosines = scaled[split] @ means.T
        cosines[:, missing] = -1.0  # as far off as can be
        found[split] = cosines / TEMPERATURE
    return found
