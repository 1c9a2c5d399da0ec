"""A linear model on small pictures, nothing pretrained: what an image model must beat to see more than colours."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from datasets import DatasetDict
from torch import Tensor, nn
from tqdm.auto import tqdm

from ..tasks.base import Task
from .base import Baseline, column_of, targets_of
from .linear import Features, Search, best_predictions, standardised

SIDE = 16  # pixels
SEARCH = Search(penalties=(3.0, 1.0, 0.3, 0.1, 3e-2, 1e-2, 3e-3))  # neighbouring pixels say nearly the same


@dataclass(frozen=True)
class PixelProbe(Baseline):
    """Logistic regression on the pixels of images shrunk to `SIDE` x `SIDE`; ridge for numbers.

    For tasks whose rows have an `image` of bytes or a path.
    """

    name: ClassVar[str] = "pixels"
    description: ClassVar[str] = f"a linear model on images shrunk to {SIDE}x{SIDE} pixels, trained from nothing"

    def predict(self, task: Task, dataset: DatasetDict) -> list:
        """Decoded predictions of every test row, with the penalty that did best on validation."""
        labels = task.labels(dataset)
        targets = targets_of(task, dataset, labels)
        features = standardised(
            {
                split: Features(
                    pixels(images, desc=f"{self.name}: {split}"),
                    torch.as_tensor(targets[split].with_format("torch")["labels"][:]),
                    np.ones(len(targets[split]), dtype=bool),
                )
                for split, images in column_of(dataset, "image", self.name).items()
            }
        )
        head = nn.Linear(features["train"].inputs.shape[1], len(labels))
        gold = task.references(dataset["validation"])
        return best_predictions(task, head, features, targets, gold, labels, SEARCH, name=self.name)


def pixels(images: Any, *, desc: str) -> Tensor:
    """Red, green and blue of every shrunk image from 0 to 1, (rows, SIDE * SIDE * 3)."""
    shrunk = [small(image) for image in tqdm(images, desc=desc, disable=None)]
    return torch.from_numpy(np.stack(shrunk).astype(np.float32) / 255)


def small(image: dict[str, Any]) -> np.ndarray:
    """An image of bytes or a path as `SIDE` x `SIDE` pixels in RGB."""
    from PIL import Image  # an extra, which texts do without

    from ..pictures import decoded

    return np.asarray(decoded(image, Path(), 3).resize((SIDE, SIDE), Image.Resampling.BOX)).reshape(-1)
