"""What every baseline is: a contender without fine-tuning, judged by the task's own score on the same rows."""

from typing import Protocol

from datasets import DatasetDict

from ..tasks.base import Task


class Baseline(Protocol):
    """A rival that a fine-tuned model has to beat to be worth its training."""

    name: str  # as the contenders table shows it
    description: str  # what it does, in one plain phrase

    def predict(self, task: Task, dataset: DatasetDict) -> list:
        """One prediction per row of `dataset["test"]`, in order, as `task.score` takes them.

        `dataset` is what `task.load` gave. Train and validation may be learnt from; the labels of test may not.
        """
        ...
