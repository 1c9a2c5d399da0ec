"""Batches of pictures with their masks, varied in step in training."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from hfkit.data.images.augmentation import Preset, pixels_of
from hfkit.data.images.batches import MIRRORED, JudgedImages, VariedImages, scale_box
from hfkit.data.images.masks import Palette, read_mask_of
from hfkit.data.images.pictures import decode_image
from hfkit.tasks.losses import IGNORED
from hfkit.tasks.masks.classes import NONE, read_legend, to_ids

# No turns and shears, as in TrivialAugment: where they fill a picture up, its mask would have no class.
PRESETS = {
    "none": Preset(),
    "light": Preset(scale=(0.6, 1.0), jitter=0.1),
    "standard": Preset(scale=(0.25, 1.0), jitter=0.3),
    "strong": Preset(scale=(0.1, 1.0), jitter=0.5),
}


@dataclass
class JudgedMasks(JudgedImages):
    """Encoded rows -> `pixel_values`, the `sizes` of the pictures, and `labels` if there are masks."""

    palette: Palette | None = field(default=None, kw_only=True)

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        batch = {"pixel_values": self.pixel_values(rows), "sizes": sizes_of(rows)}
        if "mask" in rows[0]:
            batch["labels"] = torch.stack([self.labels(row, row["view"]) for row in rows])
        return batch

    def ids(self, row: dict[str, Any]) -> Tensor:
        """The ids of a row's mask, uint8 (height, width)."""
        ids = to_ids(read_mask_of(row["mask"], self.folder, self.palette), read_legend(row["legend"]))
        return torch.from_numpy(np.ascontiguousarray(ids))

    def labels(self, row: dict[str, Any], view: int) -> Tensor:
        labels = to_labels(self.ids(row), self.scale.size)
        return labels.flip(-1) if view == MIRRORED else labels


@dataclass
class VariedMasks(VariedImages):
    """Training rows, picture and mask varied alike by the seed, the epoch and the number of the row."""

    palette: Palette | None = field(default=None, kw_only=True)

    ids, labels = JudgedMasks.ids, JudgedMasks.labels

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        if self.preset.scale is None:
            views = [self.draw_mirror(row) for row in rows]
            pixels = self.process(rows, views)
            labels = [self.labels(row, view) for row, view in zip(rows, views, strict=True)]
        else:
            pixels, labels = torch.empty(len(rows), self.channels, *self.scale.size), []
            for row, place in zip(rows, pixels, strict=True):
                with self.seed_row(row):
                    labels.append(self.vary_both(row, place))
                self.scale.normalise(place)
        return {"pixel_values": pixels, "sizes": sizes_of(rows), "labels": torch.stack(labels)}

    def vary_both(self, row: dict[str, Any], out: Tensor) -> Tensor:
        """A part of the picture into `out`, from 0 to 1, and the labels of the same part."""
        if self.shrunk:
            picture = self.shrunk_picture(row)
            pixels, whole = torch.from_numpy(picture.pixels).permute(2, 0, 1), picture.size
        else:
            decoded = decode_image(row["image"], self.folder, self.channels)
            pixels, whole = pixels_of(decoded), decoded.size
        box = self.augmentation.box(*whole)
        left, upper, right, lower = scale_box(box, whole, (pixels.shape[2], pixels.shape[1]))
        mirrored = bool(self.flipped and torch.rand(()) < 0.5)
        self.steps(pixels[:, upper:lower, left:right], out, mirrored=mirrored)
        left, upper, right, lower = box
        labels = to_labels(self.ids(row)[upper:lower, left:right], self.scale.size)
        return labels.flip(-1) if mirrored else labels

    def steps(self, part: Tensor, out: Tensor, *, mirrored: bool) -> None:
        pixels = functional.resize(part, list(self.scale.size), interpolation=self.augmentation.resample)
        out.copy_(pixels.flip(-1) if mirrored else pixels).div_(255)
        for step in self.augmentation.steps:
            out.copy_(step(out))


def sizes_of(rows: list[dict[str, Any]]) -> Tensor:
    """Height and width of the pictures, upright, (rows, 2)."""
    return torch.tensor([(row["upright_height"], row["upright_width"]) for row in rows])


def to_labels(ids: Tensor, size: tuple[int, int]) -> Tensor:
    """Ids at the size that the model reads, by the nearest pixel, and -100 for those of no class."""
    near = functional.resize(ids[None], list(size), interpolation=InterpolationMode.NEAREST_EXACT)[0].long()
    return near.masked_fill_(near == NONE, IGNORED)
