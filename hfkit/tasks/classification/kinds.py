"""The four kinds of answers to a classified row: one label, several, a number, or a place on a scale.

A kind knows its gold answers, the targets of the loss, and the meaning of logits. `KINDS` maps the flag --problem to
its kind; all other code asks the kind.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from datasets import DatasetDict, List, Value
from torch import Tensor
from torch.nn import functional

from hfkit.contract.judge import Judge
from hfkit.contract.target import Labels
from hfkit.contract.view import Choice, Mistake, Number, Shown
from hfkit.tasks.classification.answers import label_reader, label_sort_key, labels_reader, number_reader
from hfkit.tasks.classification.errors import choice_mistakes, number_mistakes
from hfkit.tasks.classification.judges import ClassJudge, LabelSetJudge, NumberJudge, ScaleJudge
from hfkit.tasks.classification.thresholds import best_shifts
from hfkit.tasks.classification.writing import PLAIN, Writing
from hfkit.tasks.losses import (
    binary_divergence,
    category_divergence,
    focal_binary,
    focal_cross_entropy,
    number_divergence,
)

RANKED = 5  # labels in a prediction


class Kind(ABC):
    """One kind of answer."""

    problem_type: ClassVar[str]  # of transformers
    feature: ClassVar[Any]  # of the column of gold answers
    stand_in: ClassVar[Any]  # replaces an answer at fault
    names_labels: ClassVar[bool] = False  # answers are labels, and train must have them
    one_class: ClassVar[bool] = False  # a row has exactly one of several classes
    draws_classes: ClassVar[bool] = True  # many rows have equal answers, so validation gets a share of each
    shown: ClassVar[type[Shown]] = Number

    @abstractmethod
    def reader(self, names: list[str] | None, writing: Writing = PLAIN) -> Callable[[Any], Any]:
        """A function from a value of the column to a plain answer; it raises `NoAnswer`.

        Args:
            names: those of the ids, if the column has them.
            writing: how the answers of the column are written.
        """

    def labels_of(self, answer: Any) -> list[str]:
        """The labels of a gold answer."""
        return []

    def classes_of(self, values: list) -> list[tuple[str, ...]] | None:
        """The classes of each gold answer, by which splits are drawn; None if there are none."""
        return [(str(value),) for value in values] if self.draws_classes else None

    @abstractmethod
    def target(self, splits: DatasetDict) -> Labels:
        """The target of a head for such answers."""

    @abstractmethod
    def judge(self, outside: str | None) -> Judge: ...

    # Learning

    @abstractmethod
    def targets(self, gold: list, labels: list[str]) -> tuple[list, Any]:
        """The target of the loss for every row, and the feature of that column."""

    def weights(self, targets: Tensor) -> Tensor | None:
        """Weights under which all labels count equally, (labels,)."""
        return None

    @abstractmethod
    def loss(
        self, logits: Tensor, labels: Tensor, smoothing: float, weights: Tensor | None, gamma: float = 0.0
    ) -> Tensor:
        """The loss summed over a batch: logits (batch, labels); `gamma` above 0 makes it a focal loss."""

    @abstractmethod
    def divergence(self, one: Tensor, other: Tensor) -> Tensor:
        """How far the logits of two passes are apart, summed over a batch: (batch, labels) each."""

    def count(self, labels: Tensor, items: Tensor | int | None) -> Tensor:
        """The divisor of those sums: the number of labels in the whole optimizer step."""
        return torch.as_tensor(labels.numel() if items is None else items)

    # Deciding

    @abstractmethod
    def answers(self, logits: np.ndarray, labels: list[str]) -> list:
        """Plain answers to logits, (rows, labels)."""

    def probabilities(self, logits: np.ndarray) -> np.ndarray | None:
        """Class probabilities, if a row has one class."""
        return None

    def likelihoods(self, logits: np.ndarray) -> np.ndarray | None:
        """The likelihood of each label, each by itself if a row may have several."""
        return self.probabilities(logits)

    def shift(self, logits: np.ndarray, targets: list) -> np.ndarray | None:
        """The shift of the logits with the best headline; None if nothing helps."""
        return None

    def speak_for(self, answers: list, logits: Tensor, labels: list[str]) -> Tensor:
        """How strongly the logits of each row speak for an answer to it, (rows,), for gradients."""
        return logits[:, 0]

    # Showing

    def record(self, prediction: Any) -> Any:
        """A prediction as JSON."""
        return prediction

    def show(self, answer: Any) -> Shown:
        """A prediction or a reference, to be shown."""
        return Number(answer)

    def mistakes(
        self, predictions: list, references: list, show_row: Callable[[int], Shown], limit: int
    ) -> list[Mistake]:
        return number_mistakes(predictions, references, show_row, limit)

    def rank_mistakes(
        self, predictions: list, references: list, likelihoods: np.ndarray | None, labels: list[str]
    ) -> list[tuple[int, float | None]]:
        """See `Explained.rank_mistakes`."""
        misses = np.abs(np.array(predictions, dtype=float) - np.array(references, dtype=float))
        return [(int(row), None) for row in np.argsort(-misses, kind="stable") if misses[row] > 0]

    def facts(self, gold: list) -> dict[str, Any]:
        """The distribution of a split's answers, for the report."""
        return {"mean": float(np.mean(gold)), "lowest": float(min(gold)), "highest": float(max(gold))}


class Named(Kind):
    """Answers that are labels."""

    names_labels = True
    shown = Choice

    @abstractmethod
    def pair(self, prediction: Any, gold: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The gold labels of a row, and those of a prediction for it, as far as the gold ones are known."""

    def mistakes(
        self, predictions: list, references: list, show_row: Callable[[int], Shown], limit: int
    ) -> list[Mistake]:
        pairs = [self.pair(ours, gold) for ours, gold in zip(predictions, references, strict=True)]
        return choice_mistakes(pairs, show_row, limit, several=not self.one_class)

    def rank_mistakes(
        self, predictions: list, references: list, likelihoods: np.ndarray | None, labels: list[str]
    ) -> list[tuple[int, float | None]]:
        """Of several labels the decision that is most clearly wrong counts: one that was invented or missed."""
        found = []
        for row, (prediction, answer) in enumerate(zip(predictions, references, strict=True)):
            gold, ours = self.pair(prediction, answer)
            if set(gold) != set(ours):
                known = dict(zip(labels, likelihoods[row].tolist(), strict=True))
                missed = [] if self.one_class else [1 - known.get(label, 0.0) for label in gold if label not in ours]
                found.append((row, max([known[label] for label in ours if label not in gold] + missed)))
        return sorted(found, key=lambda one: -one[1])

    def target(self, splits: DatasetDict) -> Labels:
        """All labels of all splits: numbers by value, then names by letter."""
        names = {name for rows in splits.values() for gold in rows["label"][:] for name in self.labels_of(gold)}
        return Labels(tuple(sorted(names, key=label_sort_key)), self.problem_type)

    def facts(self, gold: list) -> dict[str, Any]:
        counts = Counter(label for answer in gold for label in self.labels_of(answer))
        return {"classes": dict(sorted(counts.items(), key=lambda item: label_sort_key(item[0])))}


class OneLabel(Named):
    """One label per row, predicted as the `RANKED` likeliest, best first."""

    problem_type = "single_label_classification"
    feature = Value("string")
    stand_in = ""
    one_class = True

    def reader(self, names: list[str] | None, writing: Writing = PLAIN) -> Callable[[Any], str]:
        return label_reader(names, writing)

    def labels_of(self, answer: str) -> list[str]:
        return [answer]

    def judge(self, outside: str | None) -> ClassJudge:
        return ClassJudge(outside)

    def targets(self, gold: list[str], labels: list[str]) -> tuple[list[int], Any]:
        ids = {label: i for i, label in enumerate(labels)}
        return [ids[label] for label in gold], Value("int64")

    def weights(self, targets: Tensor) -> Tensor:
        """rows / (classes * rows of the class)"""
        counts = torch.bincount(targets)
        # A class without training rows never enters the loss.
        return len(targets) / ((counts > 0).sum() * counts.clamp(min=1))

    def loss(
        self, logits: Tensor, labels: Tensor, smoothing: float, weights: Tensor | None, gamma: float = 0.0
    ) -> Tensor:
        """Cross-entropy with ids (batch,), or with shares of all labels (batch, labels)."""
        if gamma:
            return focal_cross_entropy(logits, labels, gamma, weights)
        return functional.cross_entropy(logits, labels, weights, reduction="sum", label_smoothing=smoothing)

    def divergence(self, one: Tensor, other: Tensor) -> Tensor:
        return category_divergence(one, other)

    def count(self, labels: Tensor, items: Tensor | int | None) -> Tensor:
        # Mixed labels are a row of shares, and the trainer counts each share as a label.
        return super().count(labels, items) / (labels.shape[1] if labels.ndim == 2 else 1)

    def answers(self, logits: np.ndarray, labels: list[str]) -> list[list[str]]:
        ranked = np.argsort(-logits, axis=-1, kind="stable")[:, :RANKED]
        return [[labels[i] for i in row] for row in ranked]

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        return torch.from_numpy(logits).softmax(-1).numpy()

    def speak_for(self, answers: list, logits: Tensor, labels: list[str]) -> Tensor:
        """The logit of the best label above the mean of all: what raises every logit speaks for none."""
        best = torch.tensor([labels.index(self.show(answer).labels[0]) for answer in answers], device=logits.device)
        return logits.gather(1, best[:, None])[:, 0] - logits.mean(1)

    def record(self, prediction: list[str]) -> str:
        return prediction[0]

    def show(self, answer: str | list[str]) -> Choice:
        return Choice((answer if isinstance(answer, str) else answer[0],))

    def pair(self, prediction: Any, gold: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return (gold,), self.show(prediction).labels


class SeveralLabels(Named):
    """Any number of labels per row, as lists."""

    problem_type = "multi_label_classification"
    feature = List(Value("string"))
    stand_in: ClassVar[list] = []

    def reader(self, names: list[str] | None, writing: Writing = PLAIN) -> Callable[[Any], list[str]]:
        return labels_reader(names, writing)

    def labels_of(self, answer: list[str]) -> list[str]:
        return answer

    def classes_of(self, values: list) -> list[tuple[str, ...]]:
        return [tuple(map(str, value or ())) for value in values]

    def judge(self, outside: str | None) -> LabelSetJudge:
        return LabelSetJudge()

    def targets(self, gold: list[list[str]], labels: list[str]) -> tuple[list[list[float]], Any]:
        """A 0 or 1 for each label."""
        return [[float(label in of_row) for label in labels] for of_row in map(set, gold)], List(Value("float32"))

    def weights(self, targets: Tensor) -> Tensor:
        """rows without the label / rows with it"""
        having = targets.sum(0)
        # Otherwise a label of every row would have no weight, and a label of no row an infinite one.
        return (len(targets) - having).clamp(min=1) / having.clamp(min=1)

    def loss(
        self, logits: Tensor, labels: Tensor, smoothing: float, weights: Tensor | None, gamma: float = 0.0
    ) -> Tensor:
        """Binary cross-entropy with shares of all labels, (batch, labels)."""
        if gamma:
            return focal_binary(logits, labels, gamma, weights)
        soft = labels * (1 - smoothing) + smoothing / 2
        return functional.binary_cross_entropy_with_logits(logits, soft, pos_weight=weights, reduction="sum")

    def divergence(self, one: Tensor, other: Tensor) -> Tensor:
        return binary_divergence(one, other)

    def answers(self, logits: np.ndarray, labels: list[str]) -> list[list[str]]:
        return [[labels[i] for i in np.flatnonzero(row > 0)] for row in logits]

    def likelihoods(self, logits: np.ndarray) -> np.ndarray:
        return torch.from_numpy(logits).sigmoid().numpy()

    def speak_for(self, answers: list, logits: Tensor, labels: list[str]) -> Tensor:
        """The sum of the logits of the labels in the answer; of a row without any, the largest logit."""
        shown = [self.show(answer).labels for answer in answers]
        given = torch.tensor([[label in of_row for label in labels] for of_row in shown], device=logits.device)
        return torch.where(given.any(1), (logits * given).sum(1), logits.amax(1))

    def shift(self, logits: np.ndarray, targets: list) -> np.ndarray | None:
        """A threshold for each label, as a shift of its logit, so that 0 still decides."""
        return best_shifts(logits, np.array(targets, dtype=bool))

    def show(self, answer: Sequence[str]) -> Choice:
        return Choice(tuple(answer), several=True)

    def pair(self, prediction: Any, gold: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return tuple(gold), tuple(prediction)


class OneNumber(Kind):
    """A number per row."""

    problem_type = "regression"
    feature = Value("float64")
    stand_in = 0.0
    draws_classes = False

    def reader(self, names: list[str] | None, writing: Writing = PLAIN) -> Callable[[Any], float]:
        return number_reader(names, writing, whole=False)

    def target(self, splits: DatasetDict) -> Labels:
        return Labels(("score",), self.problem_type)

    def judge(self, outside: str | None) -> Judge:
        return NumberJudge()

    def targets(self, gold: list, labels: list[str]) -> tuple[list[float], Any]:
        return [float(value) for value in gold], Value("float32")

    def loss(
        self, logits: Tensor, labels: Tensor, smoothing: float, weights: Tensor | None, gamma: float = 0.0
    ) -> Tensor:
        """Squared error with numbers (batch,)."""
        return (logits.squeeze(-1) - labels).square().sum()

    def divergence(self, one: Tensor, other: Tensor) -> Tensor:
        return number_divergence(one, other)

    def answers(self, logits: np.ndarray, labels: list[str]) -> list:
        return [float(value) for value in logits[:, 0]]


class Grade(OneNumber):
    """A place on a scale of whole numbers; the model's output is a number."""

    feature = Value("int64")
    stand_in = 0
    draws_classes = True

    def reader(self, names: list[str] | None, writing: Writing = PLAIN) -> Callable[[Any], int]:
        return number_reader(names, writing, whole=True)

    def target(self, splits: DatasetDict) -> Labels:
        """One label, 'LOWEST to HIGHEST' of train."""
        grades = set(next(iter(splits.values()))["label"][:])
        return Labels((f"{min(grades)} to {max(grades)}",), self.problem_type)

    def judge(self, outside: str | None) -> ScaleJudge:
        return ScaleJudge()

    def answers(self, logits: np.ndarray, labels: list[str]) -> list[int]:
        low, high = ends_of(labels)
        return [int(value) for value in np.clip(np.round(logits[:, 0]), low, high)]

    def show(self, answer: int) -> Number:
        return Number(answer, whole=True)


KINDS: dict[str, Kind] = {
    "single-label": OneLabel(),
    "multi-label": SeveralLabels(),
    "regression": OneNumber(),
    "ordinal": Grade(),
}


def ends_of(labels: list[str]) -> tuple[int, int]:
    """The ends of a scale, from its only label."""
    low, _, high = labels[0].partition(" to ")
    return int(low), int(high)
