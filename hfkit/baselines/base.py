"""The contract of a baseline: a contender without fine-tuning, evaluated by the task's own judge on the same rows."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import numpy as np

from hfkit.contract.task import Loaded, Task
from hfkit.errors import UserError

# Packages that single baselines need: the package, its module, and the extra of hfkit that installs it.
PACKAGES = {
    "hog": ("scikit-image", "skimage", "vision"),
    "region-probe": ("scikit-image", "skimage", "vision"),
    "setfit": ("sentence-transformers", "sentence_transformers", "few-shot"),
}


class Answers(NamedTuple):
    """A contender's predictions for the test rows, and what else a comparison shows of it."""

    predictions: list  # one per test row, in order, as the judge takes them
    probabilities: np.ndarray | None = None  # (rows, labels), where a row has one class of several
    facts: Mapping[str, Any] = MappingProxyType({})  # plain values: what validation chose, how many were unparseable


class Baseline(ABC):
    """A rival that a fine-tuned model has to beat to be worth its training."""

    name: str  # as the contenders table shows it
    description: str  # what it does, in one plain phrase
    seeded: ClassVar[bool] = False  # whether it has a field `seed`, which changes its answers

    @abstractmethod
    def answers(self, task: Task, rows: Loaded) -> Answers:
        """One prediction per row of `rows["test"]`, with probabilities and facts where this baseline has them.

        `rows` is what `task.load` returned. It may learn from train and validation, but never from the labels of test.
        """

    def predict(self, task: Task, rows: Loaded) -> list:
        """The predictions of `answers` alone."""
        return self.answers(task, rows).predictions


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


def column_of(rows: Loaded, name: str, baseline: str) -> dict[str, list]:
    """A column of every split.

    Raises:
        UserError: the task's rows have none of that name.
    """
    columns = rows["train"].column_names
    if name not in columns:
        raise UserError(
            f"baseline '{baseline}'", f"it reads the column '{name}' of rows that have {columns}", "Leave it out"
        )
    return {split: of_split[name] for split, of_split in rows.splits.items()}
