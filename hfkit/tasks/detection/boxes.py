"""Boxes as arrays: their formats, overlaps, and what is left of them inside a picture."""

from typing import Any, NamedTuple

import numpy as np

FORMATS = ("xyxy", "xywh", "cxcywh")  # corners; corner and size; centre and size
UNITS = ("pixels", "percent", "shares")
AUTO = "auto"
WHOLE = {"percent": 100.0, "shares": 1.0}  # the value of a whole side
FITTING, BROKEN = 0.998, 0.99  # shares of boxes that fit: from here on a writing is right, below it is wrong
ODD = 3  # boxes that do not fit, at least, where a writing is wrong
SLACK = 0.02  # of a picture's side, by which drawn boxes may stand out


class Writing(NamedTuple):
    """How four numbers say where a box is."""

    format: str
    unit: str

    @property
    def name(self) -> str:
        """As in --box_format."""
        return self.format if self.unit == "pixels" else f"{self.format}-{self.unit}"


WRITINGS = {writing.name: writing for unit in UNITS for form in FORMATS for writing in [Writing(form, unit)]}
CORNERS = WRITINGS["xyxy"]


def as_boxes(boxes: Any) -> np.ndarray:
    """Boxes (left, top, right, bottom) as an array, (boxes, 4), also of none."""
    return np.asarray(boxes, dtype=float).reshape(-1, 4)


def to_corners(
    values: np.ndarray, writing: Writing, width: np.ndarray | float, height: np.ndarray | float
) -> np.ndarray:
    """Four numbers a box as left, top, right and bottom in pixels, (boxes, 4).

    Args:
        width, height: of the picture of every box, in pixels.
    """
    values = as_boxes(values)
    if writing.unit != "pixels":
        scale = np.stack(np.broadcast_arrays(width, height, values[:, 0])[:2], axis=1) / WHOLE[writing.unit]
        values = values * np.tile(scale, 2)
    first, second = values[:, :2], values[:, 2:]
    if writing.format == "xyxy":
        return values
    begin = first if writing.format == "xywh" else first - second / 2
    return np.concatenate([begin, begin + second], axis=1)


def guess_writings(values: np.ndarray, width: np.ndarray, height: np.ndarray) -> list[Writing]:
    """The writings that the numbers of all boxes allow; a single one if they leave no doubt.

    A writing is right if (nearly) all boxes then have a size and lie in their picture, and wrong if many do not.
    """
    shares = {writing: share_fitting(values, writing, width, height) for writing in WRITINGS.values()}
    right = [writing for writing, share in shares.items() if share >= FITTING]
    wrong = min(BROKEN, 1 - ODD / max(len(values), 1))
    doubtful = [writing for writing, share in shares.items() if wrong < share < FITTING]
    # Shares of a side also fit as percent and as pixels: boxes within one pixel of the corner are none.
    small = [writing for writing in right if is_sized(values, writing, width, height)]
    return small if len(small) == 1 and not doubtful else small + doubtful


def share_fitting(values: np.ndarray, writing: Writing, width: np.ndarray, height: np.ndarray) -> float:
    """The share of boxes that have a size and lie in their picture, give or take a little."""
    left, top, right, bottom = to_corners(values, writing, width, height).T
    inside = (left >= -SLACK * width - 1) & (top >= -SLACK * height - 1)
    inside &= (right <= (1 + SLACK) * width + 1) & (bottom <= (1 + SLACK) * height + 1)
    return float(np.mean(inside & (right > left) & (bottom > top))) if len(values) else 0.0


def is_sized(values: np.ndarray, writing: Writing, width: np.ndarray, height: np.ndarray) -> bool:
    """Whether boxes are not all within two hundredths of their picture: those were written in a smaller unit."""
    corners = to_corners(values, writing, width, height)
    return bool((corners[:, 2] > 0.02 * width).any() or (corners[:, 3] > 0.02 * height).any())


def clip_boxes(boxes: np.ndarray, width: float, height: float) -> np.ndarray:
    """The part of each box that is inside the picture, (boxes, 4)."""
    return np.clip(boxes, 0, [width, height, width, height])


def areas(boxes: np.ndarray) -> np.ndarray:
    """The area of each box, (boxes,)."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def overlaps(ours: np.ndarray, gold: np.ndarray, crowd: np.ndarray | None = None) -> np.ndarray:
    """Intersection over union of every two boxes, (ours, gold); with a crowd, over the area of ours, as in COCO."""
    begin = np.maximum(ours[:, None, :2], gold[None, :, :2])
    end = np.minimum(ours[:, None, 2:], gold[None, :, 2:])
    shared = np.clip(end - begin, 0, None).prod(axis=2)
    whole = areas(ours)[:, None] + areas(gold)[None, :] - shared
    if crowd is not None and crowd.any():
        whole[:, crowd] = areas(ours)[:, None]
    return np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)
