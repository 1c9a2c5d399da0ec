"""A linear model on small pictures, nothing pretrained: an image model that beats it sees more than colours."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from hfkit.baselines.base import Answers, Baseline, column_of
from hfkit.baselines.frozen.linear import Features, Search, best_answers, standardise
from hfkit.baselines.logits import label_head, target_splits
from hfkit.contract.target import names_of
from hfkit.contract.task import Loaded, Task
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

    def answers(self, task: Task, rows: Loaded) -> Answers:
        """With the penalty that did best on validation."""
        return image_answers(task, rows, read_pixels, SEARCH, name=self.name)


def image_answers(
    task: Task, rows: Loaded, read_image: Callable[[dict[str, Any]], np.ndarray], search: Search, *, name: str
) -> Answers:
    """Answers of a linear model on numbers read of each image, with the penalty that did best on validation.

    Args:
        read_image: an image of bytes or a path -> (features,).
    """
    head = label_head(task, rows, name)
    targets = target_splits(head, rows)
    features = standardise(
        {
            split: Features(
                read_images(images, read_image, desc=f"{name}: {split}"),
                torch.as_tensor(targets[split].with_format("torch")["labels"][:]),
                np.ones(len(targets[split]), dtype=bool),
            )
            for split, images in column_of(rows, "image", name).items()
        }
    )
    linear = nn.Linear(features["train"].inputs.shape[1], len(names_of(head.target)))
    return best_answers(task, head, linear, features, targets, rows["validation"], search, name=name)


def read_images(images: Any, read_image: Callable[[dict[str, Any]], np.ndarray], *, desc: str) -> Tensor:
    """The numbers read of every image, (rows, features)."""
    return torch.from_numpy(np.stack([read_image(image) for image in track(images, desc)]))


def read_pixels(image: dict[str, Any]) -> np.ndarray:
    """Red, green and blue of a shrunk image from 0 to 1, (SIDE * SIDE * 3,)."""
    return shrink(image, SIDE).reshape(-1).astype(np.float32) / 255


def shrink(image: dict[str, Any], side: int) -> np.ndarray:
    """An image of bytes or a path in RGB, (side, side, 3), 0 to 255: a pixel is the mean of the area that it covers."""
    from PIL import Image  # an extra that texts do without

    from hfkit.data.images.pictures import decode_image

    return np.asarray(decode_image(image, Path(), 3).resize((side, side), Image.Resampling.BOX))
