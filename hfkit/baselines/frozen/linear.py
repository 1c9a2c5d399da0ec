"""A linear model on fixed features, fitted through the task's own loss: shared by the probes and TF-IDF."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from datasets import Dataset, DatasetDict
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from hfkit.baselines.base import Answers
from hfkit.baselines.logits import decide, headline_on, score_of
from hfkit.contract.abilities import LabelHead, Tuned
from hfkit.contract.task import Task
from hfkit.progress import track


class Sparse(NamedTuple):
    """Features that are mostly 0, beside their transpose, which the gradient needs."""

    rows: csr_matrix  # (rows, features)
    columns: csr_matrix  # (features, rows)


class Features(NamedTuple):
    """The labelled positions of an encoded split, rows in order: every row, or every labelled token of it."""

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
    reduced: np.ndarray  # of the encoded test rows, (rows, ...)


Loss = Callable[[Tensor, Tensor], Tensor]  # logits and targets -> the mean loss


def best_answers(
    task: Task,
    head: LabelHead,
    linear: nn.Module,
    features: dict[str, Features],
    encoded: DatasetDict,
    validation: Dataset,
    search: Search,
    *,
    name: str,
) -> Answers:
    """Answers to every test row, with the penalty that did best on the loaded rows `validation`."""
    best = fit_best(task, head, linear, features, encoded, validation, search, name=name)
    probabilities = head.probabilities(best.reduced, encoded["test"])
    return Answers(best.predictions, probabilities, {"penalty": best.penalty, "validation": best.score})


def fit_best(
    task: Task,
    head: LabelHead,
    linear: nn.Module,
    features: dict[str, Features],
    encoded: DatasetDict,
    validation: Dataset,
    search: Search,
    *,
    name: str,
) -> Fitted:
    """`linear` fitted with every penalty, and what the one that is best on validation predicts for test.

    Args:
        validation: the loaded rows.
    """
    head.fit_loss(encoded["train"])
    train, references = features["train"], task.rows.references(validation)
    headline = headline_on(task, validation)
    mean, spread = 0.0, 1.0
    if train.targets.ndim == 1 and train.targets.is_floating_point():
        # Single precision loses numbers far from 0.
        mean, spread = scale_of(train.targets)
        train = train._replace(targets=(train.targets - mean) / spread)
    best = None
    for penalty in fit_penalties(linear, train, head.loss_of_logits, search, desc=f"{name}: fitting"):
        with torch.no_grad():
            logits = {split: linear(features[split].inputs) for split in ("validation", "test")}
        if train.places.ndim == 1:
            logits = {split: mean + spread * of_split for split, of_split in logits.items()}
        ours, predictions, reduced = decode_splits(head, logits, features, encoded, headline)
        found = Fitted(score_of(task, ours, references), penalty, predictions, reduced)
        best = found if best is None else task.judge.headline.best((best, found), lambda one: one.score)
    return best


def fit_penalties(linear: nn.Module, train: Features, loss: Loss, search: Search, *, desc: str) -> Iterator[float]:
    """Fit `linear` with one penalty after the other, and yield each once it is.

    They go from the strongest down, so that each fit starts close to its end.
    """
    for parameter in linear.parameters():
        nn.init.zeros_(parameter)
    # Where a row has several labels, the loss is a mean over them too.
    share = len(train.targets) / train.targets.numel()
    for penalty in track(search.penalties, desc):
        fit(linear, train, penalty * share, loss, steps=search.steps, memory=search.memory)
        yield penalty


def decode_splits(
    head: LabelHead,
    logits: Mapping[str, Tensor],
    features: Mapping[str, Features],
    encoded: DatasetDict,
    headline: Callable[[list], float],
) -> tuple[list, list, np.ndarray]:
    """Predictions of validation and of test, the decision tuned on validation, and what test was decoded from.

    Args:
        logits: of both splits, (positions, labels).
        headline: of predictions for validation.
    """
    of_tokens = features["test"].places.ndim == 2
    if of_tokens:
        # Before they are reduced: no threshold can be moved in the best label of each token.
        logits = tune_tokens(head, logits, features["validation"].places, encoded["validation"], headline)
    reduced = {split: place_outputs(logits[split], features[split], head) for split in ("validation", "test")}
    if of_tokens:
        ours, predictions = (head.decode_reduced(of_split, encoded[split]) for split, of_split in reduced.items())
    else:
        ours, predictions = decide(head, reduced, encoded, headline)
    return ours, predictions, reduced["test"]


def tune_tokens(
    head: LabelHead,
    logits: Mapping[str, Tensor],
    places: np.ndarray,
    validation: Dataset,
    headline: Callable[[list], float],
) -> dict[str, Tensor]:
    """Logits of both splits with the decision that is best on validation, as a fine-tuned model's is (see `decide`).

    Args:
        logits: of labelled tokens, (positions, labels).
        places: of those of validation, (rows, tokens).
    """
    if not isinstance(head, Tuned):
        return dict(logits)
    outputs = {"logits": place(logits["validation"].numpy(), places), "positions": np.where(places, 0, -100)}
    shift = torch.from_numpy(head.decision(outputs, validation, headline).shift)
    return {split: of_split + shift.to(of_split.dtype) for split, of_split in logits.items()}


def scale_of(numbers: Tensor) -> tuple[float, float]:
    """Their mean, and their standard deviation, or 1 where all are equal."""
    spread, mean = torch.std_mean(numbers.double(), correction=0)
    return mean.item(), spread.item() or 1.0


def standardise(features: dict[str, Features]) -> dict[str, Features]:
    """Every feature with mean 0 and variance 1 over train, so that one penalty fits all of them."""
    mean, spread = measure_spread(features["train"].inputs)
    return {split: of_split._replace(inputs=(of_split.inputs - mean) / spread) for split, of_split in features.items()}


def measure_spread(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """The mean and the standard deviation of every feature, (features,); of a constant one 1."""
    spread, mean = torch.std_mean(inputs, dim=0, correction=0)
    spread[spread < 1e-6] = 1.0
    return mean, spread


def unscale(linear: nn.Linear, mean: Tensor, spread: Tensor) -> nn.Linear:
    """The linear model of features as they come, from one of features that were standardised."""
    made = nn.Linear(linear.in_features, linear.out_features)
    with torch.no_grad():
        made.weight.copy_(linear.weight / spread)
        made.bias.copy_(linear.bias - made.weight @ mean)
    return made


def fit(linear: nn.Module, train: Features, penalty: float, loss: Loss, *, steps: int = 60, memory: int = 100) -> None:
    """Move `linear` to the minimum of the mean loss plus `penalty` times half its squared weights."""
    # L-BFGS of torch: on 62,730 positions of 384 features a step took 0.08 CPU seconds, scikit-learn's took 3.
    optimizer = torch.optim.LBFGS(
        linear.parameters(), max_iter=steps, history_size=memory, line_search_fn="strong_wolfe"
    )

    def objective() -> Tensor:
        optimizer.zero_grad()
        total = loss(linear(train.inputs), train.targets) + penalty / 2 * linear.weight.square().sum()
        total.backward()
        return total

    optimizer.step(objective)


def place_outputs(logits: Tensor, features: Features, head: LabelHead) -> np.ndarray:
    """Logits of all labelled positions, reduced and back in their rows, with -100 at the other positions.

    Returns:
        (rows, ...), as `LabelHead.decode_reduced` takes it.
    """
    if features.places.ndim == 2:
        # As one long row: positions are decided one by one.
        kept = head.reduce(logits[None], features.targets[None])[0].numpy()
    else:
        kept = head.reduce(logits, features.targets).numpy()
    return place(kept, features.places)


def place(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """One value for each place that is true, (positions, ...), in the places' shape, with -100 at the others."""
    outputs = np.full((*places.shape, *values.shape[1:]), -100, dtype=values.dtype)
    outputs[places] = values
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
