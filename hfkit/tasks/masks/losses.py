"""The losses of a segmenter, summed over pixels."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from hfkit.tasks.losses import IGNORED, focal_cross_entropy

LossName = Literal["cross-entropy", "dice", "both"]


def pixel_loss(
    logits: Tensor, labels: Tensor, weights: Tensor | None, *, smoothing: float = 0.0, gamma: float = 0.0
) -> Tensor:
    """Cross-entropy, summed over the pixels that have a class.

    Args:
        logits: (batch, classes, height, width).
        labels: ids, (batch, height, width); -100 is ignored.
        weights: of each class, (classes,).
        gamma: of the focal loss; 0 is cross-entropy itself.
    """
    if gamma:
        return focal_cross_entropy(logits.movedim(1, -1).flatten(0, 2), labels.flatten(), gamma, weights)
    return functional.cross_entropy(
        logits, labels, weights, ignore_index=IGNORED, reduction="sum", label_smoothing=smoothing
    )


def dice_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """1 minus the mean Dice over the classes that a batch holds, times its pixels that have a class.

    Source: Milletari et al. 2016, "V-Net", with sums instead of squares, over all rows of the batch together.

    Args:
        logits, labels: see `pixel_loss`.
    """
    known = labels != IGNORED
    shares = logits.softmax(1) * known[:, None]
    gold = functional.one_hot(labels.clamp(min=0), logits.shape[1]).movedim(-1, 1) * known[:, None]
    dims = (0, 2, 3)
    dice = 2 * (shares * gold).sum(dims) / (shares.sum(dims) + gold.sum(dims)).clamp(min=1e-6)
    there = gold.sum(dims) > 0
    return (1 - dice[there].mean() if there.any() else logits.sum() * 0) * known.sum()


def grow(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Logits at the size of the labels, as stock heads make them: bilinear, corners not aligned."""
    if logits.shape[-2:] == torch.Size(size):
        return logits
    return functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)


def best_classes(logits: Tensor, size: tuple[int, int], most: int = 2**25) -> Tensor:
    """The class with the largest logit at every pixel of a larger picture, (height, width) uint8.

    Equal to growing all logits of a row at once and taking the best, without holding them all: those of 150 classes for
    a photo of 12 megapixels would be 7 GB. A channel is grown by itself, so parts of them are.

    Args:
        logits: of one row, (classes, height, width).
        most: numbers in memory at once.
    """
    classes = max(1, most // (size[0] * size[1]))
    best, found = None, None
    for first in range(0, len(logits), classes):
        highest, place = grow(logits[None, first : first + classes].float(), size)[0].max(0)
        place = (place + first).to(torch.uint8)
        if best is None:
            best, found = highest, place
        else:
            found = torch.where(highest > best, place, found)
            best = torch.maximum(best, highest)
    return found
