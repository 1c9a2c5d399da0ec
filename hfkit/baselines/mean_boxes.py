"""The usual box of each class, wherever one looks: a detector that looks at pictures must beat it.

For tasks whose rows have `boxes` (left, top, right, bottom in pixels), their `labels`, and the `width` and `height` of
the picture, and whose answers are a mapping with `boxes`, `labels`, `scores`, the highest first, and `kept`.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from datasets import Dataset

from hfkit.baselines.base import Answers, Baseline, column_of
from hfkit.contract.task import Loaded, Task


@dataclass(frozen=True)
class MeanBoxes(Baseline):
    """The mean box of each class in training, in shares of the picture, as sure as the class is frequent there."""

    name: ClassVar[str] = "mean boxes"
    description: ClassVar[str] = "the mean box of every class of the training rows, in every picture"

    def answers(self, task: Task, rows: Loaded) -> Answers:
        """The same boxes in every picture, stretched with it; those of classes in most training pictures are kept."""
        for column in ("boxes", "labels", "width", "height"):
            column_of(rows, column, self.name)
        means, shares = average_boxes(rows["train"])
        labels = sorted(means, key=lambda label: (-shares[label], label))
        scores = np.array([shares[label] for label in labels])
        usual = np.array([means[label] for label in labels]).reshape(-1, 4)
        kept = int((scores > 0.5).sum())
        test = rows["test"]
        return Answers(
            [
                {"boxes": usual * [width, height, width, height], "labels": labels, "scores": scores, "kept": kept}
                for width, height in zip(test["width"], test["height"], strict=True)
            ]
        )


def average_boxes(train: Dataset) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """The mean box of every class in shares of its picture, (4,), and the share of pictures with that class."""
    boxes, pictures = defaultdict(list), Counter()
    columns: Any = (train[name] for name in ("boxes", "labels", "width", "height"))
    for of_row, labels, width, height in zip(*columns, strict=True):
        pictures.update(set(labels))
        for box, label in zip(of_row, labels, strict=True):
            boxes[label].append(np.array(box) / [width, height, width, height])
    means = {label: np.mean(found, axis=0) for label, found in boxes.items()}
    return means, {label: pictures[label] / len(train) for label in means}
