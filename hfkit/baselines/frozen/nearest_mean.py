"""The nearest class mean in the features of the frozen checkpoint: the simplest thing that learns from a few rows."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import normalize

from hfkit.baselines.base import Answers
from hfkit.baselines.frozen.features import OnFrozenFeatures, best_pooling
from hfkit.baselines.frozen.linear import Features, decode_splits, standardise
from hfkit.baselines.logits import headline_on, score_of
from hfkit.contract.target import names_of
from hfkit.contract.task import Loaded, Task
from hfkit.errors import UserError

TEMPERATURE = 0.05  # of the softmax over cosines


@dataclass(frozen=True)
class NearestMean(OnFrozenFeatures):
    """The class whose mean has the largest cosine, of standardised features of the row or token."""

    name: ClassVar[str] = "nearest mean"
    description: ClassVar[str] = "the class of the nearest mean in features of the frozen checkpoint"

    def answers(self, task: Task, rows: Loaded) -> Answers:
        """With the pooling that did best on validation.

        Raises:
            UserError: a row has a number, or several labels.
        """
        frozen = self.features(task, rows)
        targets = next(iter(frozen.poolings.values()))["train"].targets
        if targets.ndim == 2 or targets.is_floating_point():
            raise UserError(
                f"baseline '{self.name}'",
                "a mean is that of the rows of one class, and here "
                + ("rows have several labels" if targets.ndim == 2 else "they have numbers"),
                "Leave it out, or use knn",
            )
        codec, encoded = frozen.codec, frozen.encoded
        references, headline = task.rows.references(rows["validation"]), headline_on(task, rows["validation"])

        def try_pooling(features: dict[str, Features]) -> tuple[float, tuple]:
            logits = cosines_with_means(features, len(names_of(codec.target)))
            ours, predictions, reduced = decode_splits(codec, logits, features, encoded, headline)
            return score_of(task, ours, references), (predictions, reduced)

        pooling, score, (predictions, reduced) = best_pooling(frozen.poolings, try_pooling, task.judge.headline)
        return Answers(
            predictions,
            codec.probabilities(reduced, encoded["test"]),
            {"pooling": pooling, "validation": score, **frozen.facts},
        )


def cosines_with_means(features: dict[str, Features], labels: int) -> dict[str, Tensor]:
    """Of validation and test: the cosine with every class's mean over the temperature, (positions, labels)."""
    scaled = {split: normalize(of_split.inputs, dim=1) for split, of_split in standardise(features).items()}
    targets = features["train"].targets
    means = torch.zeros(labels, scaled["train"].shape[1]).index_add_(0, targets, scaled["train"])
    means = normalize(means, dim=1)
    missing = torch.bincount(targets, minlength=labels) == 0
    logits = {}
    for split in ("validation", "test"):
        cosines = scaled[split] @ means.T
        cosines[:, missing] = -1.0  # as far off as can be
        logits[split] = cosines / TEMPERATURE
    return logits
