"""Rows of a test's own making, as a task loads them."""

from datasets import DatasetDict

from hfkit.contract.task import Loaded, Task


def with_target(task: Task, splits: DatasetDict) -> Loaded:
    """Splits in the task's own columns, with the target that the task makes of them."""
    return Loaded(splits, task.rows.target(splits))


def headline_of(task: Task, predictions: list, rows: Loaded) -> float:
    """The headline of predictions for the test rows."""
    return task.judge.score(predictions, task.rows.references(rows["test"]))[task.judge.headline.key]
