"""The most frequent answer, whatever is asked: a score that does not beat it is worth nothing."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from datasets import Dataset

from hfkit.baselines.base import Answers, Baseline
from hfkit.baselines.logits import decide, headline_on, label_head, target_splits
from hfkit.baselines.pixel_classes import paint_most_frequent
from hfkit.contract.abilities import Pixelwise
from hfkit.contract.target import names_of
from hfkit.contract.task import Loaded, Task


@dataclass(frozen=True)
class Majority(Baseline):
    """Says the same of every row: labels by how frequent they are in training, or the mean of its numbers.

    For tasks with one answer per row, or per pixel. Of several labels it says those whose share in training is above
    the threshold that is best on validation.
    """

    name: ClassVar[str] = "majority"
    description: ClassVar[str] = (
        "the most frequent answer of the training rows, or the mean of their numbers, whatever is asked"
    )

    def answers(self, task: Task, rows: Loaded) -> Answers:
        """The same prediction for every test row."""
        if isinstance(task.rows, Pixelwise):
            return Answers(paint_most_frequent(task.rows, rows))
        head = label_head(task, rows, self.name)
        targets = target_splits(head, rows)
        logits = constant_logits(targets["train"], len(names_of(head.target)))
        tiled = {split: np.tile(logits, (len(targets[split]), 1)) for split in ("validation", "test")}
        return Answers(decide(head, tiled, targets, headline_on(task, rows["validation"]))[1])


def constant_logits(train: Dataset, labels: int) -> np.ndarray:
    """The best logits that look at no input, (labels,): log shares, log odds of several labels, or the mean."""
    targets = train.with_format("numpy")["labels"][:]
    # Half a row more keeps a label that training lacks finite.
    if targets.ndim == 2:
        known = targets != -100
        having = np.where(known, targets, 0).sum(0)
        return np.log(having + 0.5) - np.log(known.sum(0) - having + 0.5)
    if np.issubdtype(targets.dtype, np.integer):
        return np.log((np.bincount(targets, minlength=labels) + 0.5) / len(targets))
    return targets.mean(keepdims=True, dtype=float)
