"""Where the pixels that a model reads lie in a picture, and maps of a model's picture brought back to that place."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor
from torch.nn import functional

from hfkit.data.images.batches import Scale, channels_of, scale_of

DETAIL = 224  # pixels of the longer side of a map
NEAR = 0.005  # an edge so near to one of the picture is that: bytes tell places to a few thousandths
INSIDE = 0.98  # of white, from where a pixel of the model's picture is one of the picture and no padding


class Frame(NamedTuple):
    """The edges of the model's picture in the whole picture, upright: shares of its width and height.

    0 to 1 is the whole picture; a processor that crops gives less, and one that pads gives more.
    """

    left: float
    upper: float
    right: float
    lower: float


class Framing:
    """Finds the frames of one image processor, by trying it.

    Whatever its settings are called: it is given a picture whose colours are the places of its pixels.
    """

    def __init__(self, processor: Any) -> None:
        self.processor, self.scale = processor, scale_of(processor)
        self.frame_of = lru_cache(maxsize=1024)(self._find_frame)

    def _find_frame(self, width: int, height: int) -> Frame:
        across, down = ((np.arange(side) + 0.5) / side * 255 for side in (width, height))
        drawn = [np.broadcast_to(across, (height, width)), np.broadcast_to(down[:, None], (height, width))]
        drawn.append(np.full((height, width), 255.0))
        planes = [np.rint(plane).astype(np.uint8) for plane in drawn]
        x, y, white = read_planes(self.processor, self.scale, planes)
        real = white >= INSIDE * 255
        columns, rows = real.any(0), real.any(1)
        left, right = fit_edges(x[rows][:, columns].mean(0) / 255, np.flatnonzero(columns), x.shape[1])
        upper, lower = fit_edges(y[rows][:, columns].mean(1) / 255, np.flatnonzero(rows), y.shape[0])
        return Frame(left, upper, right, lower)


def read_planes(processor: Any, scale: Scale, planes: list[np.ndarray]) -> np.ndarray:
    """Three pictures in grey as the processor makes them, (3, height, width) from 0 to 255."""
    if channels_of(processor) == 1:
        pictures = [Pillow.fromarray(plane) for plane in planes]
        return scale.pixels(processor(pictures, return_tensors="pt")["pixel_values"])[:, 0].numpy().astype(float)
    picture = Pillow.fromarray(np.stack(planes, -1))
    return scale.pixels(processor(picture, return_tensors="pt")["pixel_values"])[0].numpy().astype(float)


def fit_edges(shares: np.ndarray, places: np.ndarray, count: int) -> tuple[float, float]:
    """The shares at both edges of `count` pixels, by a line through those whose share is known.

    Args:
        shares: of the picture, at the middle of each pixel in `places`.
    """
    if len(places) < 2:
        return 0.0, 1.0
    # Bytes end at 0 and 255, and filters look beyond the edge: in the middle the line is exact.
    trim = len(places) // 8
    inner = slice(trim, len(places) - trim)
    slope, start = np.polyfit(places[inner] + 0.5, shares[inner], 1)
    edges = float(start), float(start + slope * count)
    return tuple(float(round(edge)) if abs(edge - round(edge)) < NEAR else edge for edge in edges)


def place_map(found: Tensor, frame: Frame, width: int, height: int) -> np.ndarray:
    """A map over the model's picture as one over the whole picture, (height, width), at most `DETAIL` pixels a side.

    What the model does not read has 0.

    Args:
        found: (rows, columns)
        width, height: of the picture, upright.
    """
    times = min(1.0, DETAIL / max(width, height))
    wide, tall = max(1, round(width * times)), max(1, round(height * times))
    x = ((torch.arange(wide) + 0.5) / wide - frame.left) / (frame.right - frame.left)
    y = ((torch.arange(tall) + 0.5) / tall - frame.upper) / (frame.lower - frame.upper)
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)  # (height, width, 2), from 0 to 1 in the frame
    source = found.detach().float().cpu()[None, None]
    placed = functional.grid_sample(source, grid[None] * 2 - 1, padding_mode="border", align_corners=False)[0, 0]
    return placed.where(((grid >= 0) & (grid <= 1)).all(-1), 0.0).numpy()
