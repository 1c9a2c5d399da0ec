"""The nearest training rows in the features of the frozen checkpoint: nothing is fitted at all."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from hfkit.baselines.base import Answers
from hfkit.baselines.frozen.features import OnFrozenFeatures, best_pooling
from hfkit.baselines.frozen.linear import Features, decode_splits, standardise
from hfkit.baselines.logits import headline_on, score_of
from hfkit.contract.target import names_of
from hfkit.contract.task import Loaded, Task
from hfkit.progress import track

NEIGHBOURS = (1, 3, 5, 10, 20, 50)
SIMILARITIES_AT_ONCE = 1 << 22  # 16 MiB of them
# A vote counts exp(-(distance beyond that of the nearest) / TEMPERATURE), as in Wu et al. 2018 (arXiv 1805.01978).
TEMPERATURE = 0.07
PRIOR = 0.1  # votes for the classes as frequent as they are: they rank those that no neighbour has


@dataclass(frozen=True)
class KNN(OnFrozenFeatures):
    """The votes of the nearest training rows, or tokens, by the cosine of standardised features.

    The nearer a neighbour, the more it counts. Several labels are shares of the votes, decided on validation; numbers
    are weighted means.
    """

    name: ClassVar[str] = "kNN"
    description: ClassVar[str] = "the votes of the nearest training rows in features of the frozen checkpoint"

    def answers(self, task: Task, rows: Loaded) -> Answers:
        """With the pooling and the number of neighbours that did best on validation."""
        frozen = self.features(task, rows)
        codec, encoded, labels = frozen.codec, frozen.encoded, len(names_of(frozen.codec.target))
        references, headline = task.rows.references(rows["validation"]), headline_on(task, rows["validation"])

        def try_pooling(features: dict[str, Features]) -> tuple[float, tuple]:
            train, tries = features["train"], []
            near = find_nearest(features)
            for count in (count for count in NEIGHBOURS if count <= len(train.targets)):
                logits = {split: vote(train.targets, *of_split, count, labels) for split, of_split in near.items()}
                ours, predictions, reduced = decode_splits(codec, logits, features, encoded, headline)
                tries.append((score_of(task, ours, references), (count, predictions, reduced)))
            return task.judge.headline.best(tries, lambda one: one[0])

        best = best_pooling(frozen.poolings, try_pooling, task.judge.headline)
        pooling, score, (count, predictions, reduced) = best
        return Answers(
            predictions,
            codec.probabilities(reduced, encoded["test"]),
            {"pooling": pooling, "neighbours": count, "validation": score, **frozen.facts},
        )


def find_nearest(features: dict[str, Features]) -> dict[str, tuple[Tensor, Tensor]]:
    """Of validation and test: cosines of the nearest training positions, and which they are, (positions, neighbours).

    Memory is bounded: only the cosines of a few positions with all of train exist at a time.
    """
    scaled = {split: normalize(of_split.inputs, dim=1) for split, of_split in standardise(features).items()}
    train = scaled["train"]
    most, at_once = min(max(NEIGHBOURS), len(train)), max(1, SIMILARITIES_AT_ONCE // len(train))
    nearest = {}
    for split in ("validation", "test"):
        parts = track(scaled[split].split(at_once), f"kNN: {split}")
        near = [torch.topk(part @ train.T, most, dim=1) for part in parts]
        nearest[split] = tuple(torch.cat(values) for values in zip(*near, strict=True))
    return nearest


def vote(targets: Tensor, cosines: Tensor, places: Tensor, count: int, labels: int) -> Tensor:
    """The votes of the `count` nearest, (positions, labels): log shares of classes, log odds of labels, or means.

    Args:
        targets: of train, as the loss takes them.
        cosines, places: of the nearest, best first, (positions, neighbours).
    """
    weight = torch.exp((cosines[:, :count] - cosines[:, :1]) / TEMPERATURE)
    if targets.is_floating_point() and targets.ndim == 1:
        # Single precision loses numbers far from 0.
        near = targets.double()[places[:, :count]]
        return ((near * weight).sum(1) / weight.sum(1)).unsqueeze(1)
    if targets.ndim == 1:
        prior = one_hot(targets, labels).double().mean(0)
        total = torch.zeros(len(weight), labels).scatter_add_(1, targets[places[:, :count]], weight)
    else:
        known = targets != -100
        prior = torch.where(known, targets, 0).double().sum(0) / known.sum(0).clamp(min=1)
        targets = torch.where(known, targets, prior.to(targets))  # what is not known says no more than the others
        total = sum(targets[places[:, near]] * weight[:, near, None] for near in range(count))
    # Half a row more keeps a label that training lacks finite.
    prior = (prior * len(targets) + 0.5) / (len(targets) + 1)
    share = (total + PRIOR * prior) / (weight.sum(1, keepdim=True) + PRIOR)
    return share.log() if targets.ndim == 1 else share.logit(1e-6)
