"""A linear model on small pictures, nothing pretrained: what an image model must beat to see more than colours."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from datasets import DatasetDict
from torch import Tensor, nn

from hfkit.baselines.base import Answers, Baseline, column_of, targets_of
from hfkit.baselines.frozen.linear import Features, Search, best_answers, standardised
from hfkit.contract.task import Task
from hfkit.progress import track

SIDE = 16  # pixels
SEARCH = Search(penalties=(3.0, 1.0, 0.3, 0.1, 3e-2, 1e-2, 3e-3))  # neighbouring pixels say nearly the same


@dataclass(frozen=True)
class PixelProbe(Baseline):
    """Logistic regression on the pixels of images shrunk to `SIDE` x `SIDE`; ridge for numbers.

    For tasks whose rows have an `image` of bytes or a path.
    """

    name: ClassVar[str] = "pixels"
    description: ClassVar[str] = f"a linear model on images shrunk to {SIDE}x{SIDE} pixels, trained from nothing"

    def answers(self, task: Task, dataset: DatasetDict) -> Answers:
        """With the penalty that did best on validation."""
        return image_answers(task, dataset, pixels, SEARCH, name=self.name)


def image_answers(
    task: Task, dataset: DatasetDict, read: Callable[[dict[str, Any]], np.ndarray], search: Search, *, name: str
) -> Answers:
    """Answers of a linear model on what `read` makes of each image, with the penalty that did best on validation.

    Args:
        read: an image of bytes or a path -> (features,).
    """
    labels = task.labels(dataset)
    targets = targets_of(task, dataset, labels)
    features = standardised(
        {
            split: Features(
                features_of(images, read, desc=f"{name}: {split}"),
                torch.as_tensor(targets[split].with_format("torch")["labels"][:]),
                np.ones(len(targets[split]), dtype=bool),
            )
            for split, images in column_of(dataset, "image", name).items()
        }
    )
    head = nn.Linear(features["train"].inputs.shape[1], len(labels))
    gold = task.references(dataset["validation"])
    return best_answers(task, head, features, targets, gold, labels, search, name=name)


def features_of(images: Any, read: Callable[[dict[str, Any]], np.ndarray], *, desc: str) -> Tensor:
    """What `read` makes of every image, (rows, features)."""
    return torch.from_numpy(np.stack([read(image) for image in track(images, desc)]))


def pixels(image: dict[str, Any]) -> np.ndarray:
    """Red, green and blue of a shrunk image from 0 to 1, (SIDE * SIDE * 3,)."""
    return small(image).astype(np.float32) / 255


def small(image: dict[str, Any]) -> np.ndarray:
    """An image of bytes or a path as `SIDE` x `SIDE` pixels in RGB."""
    return shrunk(image, SIDE).reshape(-1)


def shrunk(image: dict[str, Any], side: int) -> np.ndarray:
    """An image of bytes or a path in RGB, (side, side, 3), 0 to 255: a pixel is the mean of what it covers."""
    from PIL import Image  # an extra, which texts do without

    from hfkit.data.images.pictures import decode_image

    return np.asarray(decode_image(image, Path(), 3).resize((side, side), Image.Resampling.BOX))
