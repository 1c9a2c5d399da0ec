"""The nearest training rows in the features of the frozen checkpoint: nothing is fitted at all."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from datasets import DatasetDict
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from hfkit.baselines.base import Answers
from hfkit.baselines.frozen.features import OnFrozenFeatures, best_pooling
from hfkit.baselines.frozen.linear import Features, judged, standardised
from hfkit.contract.task import Task
from hfkit.progress import track

NEIGHBOURS = (1, 3, 5, 10, 20, 50)
SIMILARITIES_AT_ONCE = 1 << 22  # 16 MiB of them
# A vote counts exp(-(distance beyond that of the nearest) / TEMPERATURE), as in Wu et al. 2018 (arXiv 1805.01978).
TEMPERATURE = 0.07
PRIOR = 0.1  # votes for the classes as frequent as they are: they rank those that no neighbour has


@dataclass(frozen=True)
class KNN(OnFrozenFeatures):
    """The votes of the nearest training rows, or tokens, by the cosine of standardised features.

    The nearer a neighbour the more it counts. Several labels are shares of the votes, decided on validation; numbers
    are weighted means.
    """

    name: ClassVar[str] = "kNN"
    description: ClassVar[str] = "the votes of the nearest training rows in features of the frozen checkpoint"

    def answers(self, task: Task, dataset: DatasetDict) -> Answers:
        """With the pooling and the number of neighbours that did best on validation."""
        found = self.features(task, dataset)
        gold = task.references(dataset["validation"])

        def tried(features: dict[str, Features]) -> tuple[float, tuple]:
            train, best = features["train"], (-np.inf, ())
            near = nearest_of(features)
            for count in (count for count in NEIGHBOURS if count <= len(train.targets)):
                logits = {split: votes(train.targets, *of, count, len(found.labels)) for split, of in near.items()}
                ours, predictions, outputs = judged(task, logits, features, found.prepared, found.labels)
                score = task.score(ours, gold)[task.headline]
                if score > best[0]:
                    best = score, (count, predictions, outputs)
            return best

        pooling, score, (count, predictions, outputs) = best_pooling(found.poolings, tried)
        return Answers(
            predictions,
            task.probabilities(outputs, found.prepared["test"]),
            {"pooling": pooling, "neighbours": count, "validation": score, **found.facts},
        )


def nearest_of(features: dict[str, Features]) -> dict[str, tuple[Tensor, Tensor]]:
    """Of validation and test: cosines of the nearest training positions, and which they are, (positions, neighbours).

    Memory is bounded: the cosines of a few positions with all of train are there at a time.
    """
    scaled = {split: normalize(found.inputs, dim=1) for split, found in standardised(features).items()}
    train = scaled["train"]
    most, at_once = min(max(NEIGHBOURS), len(train)), max(1, SIMILARITIES_AT_ONCE // len(train))
    found = {}
    for split in ("validation", "test"):
        parts = track(scaled[split].split(at_once), f"kNN: {split}")
        near = [torch.topk(part @ train.T, most, dim=1) for part in parts]
        found[split] = tuple(torch.cat(values) for values in zip(*near, strict=True))
    return found


def votes(targets: Tensor, cosines: Tensor, places: Tensor, count: int, labels: int) -> Tensor:
    """What the `count` nearest say, (positions, labels): log shares of classes, log odds of labels, or means.

    Args:
        targets: of train, as the loss takes them.
        cosines, places: of the nearest, best first, (positions, neighbours).
    """
    weight = torch.exp((cosines[:, :count] - cosines[:, :1]) / TEMPERATURE)
    if targets.is_floating_point() and targets.ndim == 1:
        # Numbers far from 0 are lost in single precision.
        near = targets.double()[places[:, :count]]
        return ((near * weight).sum(1) / weight.sum(1)).unsqueeze(1)
    if targets.ndim == 1:
        prior = one_hot(targets, labels).double().mean(0)
        total = torch.zeros(len(weight), labels).scatter_add_(1, targets[places[:, :count]], weight)
    else:
        prior = targets.double().mean(0)
        total = sum(targets[places[:, near]] * weight[:, near, None] for near in range(count))
    # Half a row more keeps a label that training lacks finite.
    prior = (prior * len(targets) + 0.5) / (len(targets) + 1)
    share = (total + PRIOR * prior) / (weight.sum(1, keepdim=True) + PRIOR)
    return share.log() if targets.ndim == 1 else share.logit(1e-6)
