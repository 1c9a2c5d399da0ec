"""A linear model on fixed features, fitted through the task's own loss: what the probes and TF-IDF have in common."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from datasets import DatasetDict
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from hfkit.baselines.base import Answers, decided
from hfkit.contract.task import Task
from hfkit.progress import track


class Sparse(NamedTuple):
    """Features that are mostly 0, beside their transpose, which the gradient needs."""

    rows: csr_matrix  # (rows, features)
    columns: csr_matrix  # (features, rows)


class Features(NamedTuple):
    """The labelled positions of a prepared split, rows in order: every row, or every labelled token of it."""

    inputs: Tensor | Sparse  # (positions, features)
    targets: Tensor  # (positions, ...)
    places: np.ndarray  # (rows,) or (rows, tokens), true where a position is labelled


@dataclass(frozen=True)
class Search:
    """How a linear model is fitted, and which penalties are tried on validation."""

    penalties: tuple[float, ...]  # on half the squared weights, beside the mean loss of a row; from the strongest down
    steps: int = 60  # of L-BFGS for one penalty, at most
    memory: int = 100  # steps that L-BFGS remembers; each takes twice the size of the weights


class Fitted(NamedTuple):
    """A linear model with the penalty that did best on validation."""

    score: float  # on validation
    penalty: float
    predictions: list  # of the test rows
    outputs: np.ndarray  # of the prepared test rows, (rows, ...)


def best_answers(
    task: Task,
    head: nn.Module,
    features: dict[str, Features],
    prepared: DatasetDict,
    gold: list,
    labels: list[str],
    search: Search,
    *,
    name: str,
) -> Answers:
    """Answers to every test row, with the penalty that did best on the answers of validation, `gold`."""
    found = best_fit(task, head, features, prepared, gold, labels, search, name=name)
    probabilities = task.probabilities(found.outputs, prepared["test"])
    return Answers(found.predictions, probabilities, {"penalty": found.penalty, "validation": found.score})


def best_fit(
    task: Task,
    head: nn.Module,
    features: dict[str, Features],
    prepared: DatasetDict,
    gold: list,
    labels: list[str],
    search: Search,
    *,
    name: str,
) -> Fitted:
    """`head` fitted with every penalty, and what the best of them on validation says of test."""
    train, weights = features["train"], task.weights(prepared["train"])
    mean, spread = 0.0, 1.0
    if train.targets.ndim == 1 and train.targets.is_floating_point():
        # Numbers far from 0 are lost in single precision.
        mean, spread = scale_of(train.targets)
        train = train._replace(targets=(train.targets - mean) / spread)
    best = None
    for penalty in fits(head, train, task, weights, search, desc=f"{name}: fitting"):
        with torch.no_grad():
            logits = {split: head(features[split].inputs) for split in ("validation", "test")}
        if train.places.ndim == 1:
            logits = {split: mean + spread * of_split for split, of_split in logits.items()}
        ours, predictions, outputs = judged(task, logits, features, prepared, labels)
        score = task.score(ours, gold)[task.headline]
        if best is None or score > best.score:
            best = Fitted(score, penalty, predictions, outputs)
    return best


def fits(
    head: nn.Module, train: Features, task: Task, weights: Tensor | None, search: Search, *, desc: str
) -> Iterator[float]:
    """Every penalty, once `head` is fitted with it: from the strongest down, so that each fit starts close to its end.

    Args:
        weights: of each label in the loss, (labels,).
    """
    for parameter in head.parameters():
        nn.init.zeros_(parameter)
    # Where a row has several labels the loss is a mean over them too.
    share = len(train.targets) / train.targets.numel()
    for penalty in track(search.penalties, desc):
        fit(
            head,
            train,
            penalty * share,
            lambda logits, targets: task.loss({"logits": logits}, targets, weights=weights),
            steps=search.steps,
            memory=search.memory,
        )
        yield penalty


def judged(
    task: Task, logits: dict[str, Tensor], features: dict[str, Features], prepared: DatasetDict, labels: list[str]
) -> tuple[list, list, np.ndarray]:
    """Predictions of validation and of test, and what test was decoded from, given logits (positions, labels)."""
    validation, test = (placed(logits[split], features[split], task) for split in ("validation", "test"))
    if features["test"].places.ndim == 2:
        # Committed results of token tasks were measured without a tuned decision.
        ours, predictions = (
            task.decode(outputs, prepared[split], labels)[0]
            for split, outputs in (("validation", validation), ("test", test))
        )
    else:
        ours, predictions = decided(task, validation, test, prepared, labels)
    return ours, predictions, test


def scale_of(numbers: Tensor) -> tuple[float, float]:
    """Their mean, and their standard deviation, or 1 where all are equal."""
    spread, mean = torch.std_mean(numbers.double(), correction=0)
    return mean.item(), spread.item() or 1.0


def standardised(features: dict[str, Features]) -> dict[str, Features]:
    """Every feature with mean 0 and variance 1 over train, so that one penalty fits all of them."""
    spread, mean = torch.std_mean(features["train"].inputs, dim=0, correction=0)
    spread[spread < 1e-6] = 1.0  # a constant feature
    return {split: found._replace(inputs=(found.inputs - mean) / spread) for split, found in features.items()}


def fit(
    head: nn.Module,
    train: Features,
    penalty: float,
    loss: Callable[[Tensor, Tensor], Tensor],
    *,
    steps: int = 60,
    memory: int = 100,
) -> None:
    """Move `head` to the minimum of the mean loss plus `penalty` times half its squared weights."""
    # L-BFGS of torch: on 62,730 positions of 384 features a step took 0.08 CPU seconds, scikit-learn's took 3.
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=steps, history_size=memory, line_search_fn="strong_wolfe")

    def objective() -> Tensor:
        optimizer.zero_grad()
        total = loss(head(train.inputs), train.targets) + penalty / 2 * head.weight.square().sum()
        total.backward()
        return total

    optimizer.step(objective)


def placed(logits: Tensor, features: Features, task: Task) -> np.ndarray:
    """What the task keeps of the logits at every labelled position and -100 elsewhere, as `task.decode` takes it."""
    if features.places.ndim == 2:
        # As one long row: positions are decided one by one.
        kept = task.compact(logits[None], features.targets[None])[0].numpy()
    else:
        kept = task.compact(logits, features.targets).numpy()
    outputs = np.full((*features.places.shape, *kept.shape[1:]), -100, dtype=kept.dtype)
    outputs[features.places] = kept
    return outputs


class SparseLinear(nn.Module):
    """`nn.Linear` for `Sparse` inputs."""

    def __init__(self, features: int, labels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(features, labels))
        self.bias = nn.Parameter(torch.zeros(labels))

    def forward(self, inputs: Sparse) -> Tensor:
        return SparseProduct.apply(self.weight, inputs) + self.bias


class SparseProduct(torch.autograd.Function):
    """Sparse rows times dense weights: scipy's product took half the time of torch's, which is in beta and warns."""

    @staticmethod
    def forward(ctx, weight: Tensor, inputs: Sparse) -> Tensor:
        ctx.inputs = inputs
        return torch.from_numpy(inputs.rows @ weight.detach().numpy())

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return torch.from_numpy(ctx.inputs.columns @ gradient.contiguous().numpy()), None
