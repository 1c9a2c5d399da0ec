"""What every baseline is: a contender without fine-tuning, judged by the task's own score on the same rows."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import numpy as np
from datasets import Dataset, DatasetDict

from hfkit.contract.task import Task
from hfkit.errors import UserError

# What single baselines take from elsewhere: a package, its module, and the extra of hfkit that brings it.
PACKAGES = {
    "hog": ("scikit-image", "skimage", "vision"),
    "setfit": ("sentence-transformers", "sentence_transformers", "few-shot"),
}


class Answers(NamedTuple):
    """What a contender says of the test rows, and what else a comparison shows of it."""

    predictions: list  # one per test row, in order, as `task.score` takes them
    probabilities: np.ndarray | None = None  # (rows, labels), where a row has one class of several
    facts: Mapping[str, Any] = MappingProxyType({})  # plain values: what validation chose, how many were unparseable


class Baseline(ABC):
    """A rival that a fine-tuned model has to beat to be worth its training."""

    name: str  # as the contenders table shows it
    description: str  # what it does, in one plain phrase
    seeded: ClassVar[bool] = False  # whether it has a field `seed`, which changes its answers

    @abstractmethod
    def answers(self, task: Task, dataset: DatasetDict) -> Answers:
        """One prediction per row of `dataset["test"]`, with probabilities and facts where this baseline has them.

        `dataset` is what `task.load` gave. Train and validation may be learnt from; the labels of test may not.
        """

    def predict(self, task: Task, dataset: DatasetDict) -> list:
        """The predictions of `answers` alone."""
        return self.answers(task, dataset).predictions


def require_package(baseline: str) -> None:
    """Refuse a baseline whose package is not installed. Nothing is imported.

    Raises:
        UserError: naming the package.
    """
    package, module, extra = PACKAGES[baseline]
    if find_spec(module) is None:
        raise UserError(
            f"baseline '{baseline}'",
            f"it needs {package}, which is not installed",
            f'Run: pip install "hfkit[{extra}]"',
        )


def targets_of(task: Task, dataset: DatasetDict, labels: list[str]) -> DatasetDict:
    """What a fit and `task.decode` need of every row, for baselines that make their own inputs: no inputs are here.

    Raises:
        UserError: the task has several answers per row.
    """
    return DatasetDict(
        {
            split: task.targeted(Dataset.from_dict({"place": list(range(len(rows)))}), rows, labels)
            for split, rows in dataset.items()
        }
    )


def column_of(dataset: DatasetDict, name: str, baseline: str) -> dict[str, list]:
    """A column of every split.

    Raises:
        UserError: the task's rows have none of that name.
    """
    columns = dataset["train"].column_names
    if name not in columns:
        raise UserError(
            f"baseline '{baseline}'", f"it reads the column '{name}' of rows that have {columns}", "Leave it out"
        )
    return {split: rows[name] for split, rows in dataset.items()}


def decided(
    task: Task, validation: np.ndarray, test: np.ndarray, prepared: DatasetDict, labels: list[str]
) -> tuple[list, list]:
    """Predictions of validation and test from logits, (prepared rows, labels), the decision tuned on validation.

    Every contender is tuned alike, so that none is ahead by its threshold alone.
    """
    shift = task.decision_bias(validation, prepared["validation"], labels)
    if shift is not None:
        validation, test = validation + shift, test + shift
    return (
        task.decode(validation, prepared["validation"], labels)[0],
        task.decode(test, prepared["test"], labels)[0],
    )
