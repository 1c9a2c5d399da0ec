"""Batches of pictures with their masks, varied in step in training."""

import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor
from torchvision.transforms.v2 import functional

from hfkit.data.images.augmentation import Preset, pixels_of
from hfkit.data.images.batches import MIRRORED, JudgedImages, VariedImages, scale_box
from hfkit.data.images.cache import Picture, PictureFile, picture_file
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
class Masked(JudgedImages):
    """Batches of pictures with masks, judged or varied: how masks become labels, and where they are kept."""

    palette: Palette | None = field(default=None, kw_only=True)
    kept_masks: PictureFile | None = field(default=None, kw_only=True)

    @property
    def cropped(self) -> bool:
        """Whether labels are those of a part of the picture."""
        return False

    def with_cache(self, rows: Dataset, folder: Path, budget: int) -> Self:
        """This collator with a cache in `folder`; batches stay the same.

        Beside the pictures it holds the ids of masks, at the model's size, or whole where parts are cut out of them.
        """
        stored = super().with_cache(rows, folder, budget)
        if stored is self or "mask" not in rows.column_names:
            return stored
        sizes = (rows["upright_height"], rows["upright_width"]) if self.cropped else self.scale.size
        lengths = np.broadcast_to(np.multiply(*map(np.asarray, sizes)), len(rows))
        keys = [key_of(mark, legend) for mark, legend in zip(rows["mask_fingerprint"], rows["legend"], strict=True)]
        made_by = {"palette": self.palette, "size": None if self.cropped else self.scale.size}
        return replace(stored, kept_masks=picture_file(folder, keys, lengths, budget, **made_by))

    def ids(self, row: dict[str, Any]) -> np.ndarray:
        """The ids of a row's mask, uint8: (height, width) of the model's input, or whole where it is cropped."""
        key = key_of(row["mask_fingerprint"], row["legend"]) if self.kept_masks else ""
        if self.kept_masks and (kept := self.kept_masks.read(key)):
            return kept.pixels[0]
        numbers = read_mask_of(row["mask"], self.folder, self.palette)
        ids = to_ids(numbers if self.cropped else take_nearest(numbers, self.scale.size), read_legend(row["legend"]))
        if self.kept_masks:
            self.kept_masks.write(key, Picture(ids[None], (0, 0)))
        return ids

    def empty_labels(self, rows: list[dict[str, Any]]) -> Tensor:
        return torch.empty(len(rows), *self.scale.size, dtype=torch.int64)


@dataclass
class JudgedMasks(Masked):
    """Encoded rows -> `pixel_values`, the `sizes` of the pictures, and `labels` if there are masks."""

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        batch = {"pixel_values": self.pixel_values(rows), "sizes": sizes_of(rows)}
        if "mask" in rows[0]:
            batch["labels"] = self.empty_labels(rows)
            for row, place in zip(rows, batch["labels"], strict=True):
                write_labels(self.ids(row), place, mirrored=row["view"] == MIRRORED)
        return batch


@dataclass
class VariedMasks(Masked, VariedImages):
    """Training rows, picture and mask varied alike by the seed, the epoch and the number of the row."""

    @property
    def cropped(self) -> bool:
        return self.preset.scale is not None

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        labels = self.empty_labels(rows)
        if self.cropped:
            pixels = torch.empty(len(rows), self.channels, *self.scale.size)
            for row, place, of_row in zip(rows, pixels, labels, strict=True):
                with self.seed_row(row):
                    self.vary_both(row, place, of_row)
                self.scale.normalise(place)
        else:
            views = [self.draw_mirror(row) for row in rows]
            pixels = self.process(rows, views)
            for row, view, of_row in zip(rows, views, labels, strict=True):
                write_labels(self.ids(row), of_row, mirrored=view == MIRRORED)
        return {"pixel_values": pixels, "sizes": sizes_of(rows), "labels": labels}

    def vary_both(self, row: dict[str, Any], out: Tensor, labels: Tensor) -> None:
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
        part = take_nearest(self.ids(row)[upper:lower, left:right], self.scale.size)
        write_labels(part, labels, mirrored=mirrored)

    def steps(self, part: Tensor, out: Tensor, *, mirrored: bool) -> None:
        pixels = functional.resize(part, list(self.scale.size), interpolation=self.augmentation.resample)
        out.copy_(pixels.flip(-1) if mirrored else pixels).div_(255)
        for step in self.augmentation.steps:
            out.copy_(step(out))


def sizes_of(rows: list[dict[str, Any]]) -> Tensor:
    """Height and width of the pictures, upright, (rows, 2)."""
    return torch.tensor([(row["upright_height"], row["upright_width"]) for row in rows])


def key_of(fingerprint: str, legend: str) -> str:
    """The key by which the ids of a mask are kept: its file, and what the numbers in it stand for."""
    return f"{fingerprint}{zlib.crc32(legend.encode()) & 0xFFFF:04x}"


def take_nearest(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The values of (height, width) at another size, by the nearest pixel, as torch's `nearest-exact` has it."""
    # In whole numbers: others land beside the place where one pixel ends and the next begins.
    rows, columns = ((2 * np.arange(new) + 1) * old // (2 * new) for new, old in zip(size, values.shape, strict=True))
    return values.take(columns, axis=1).take(rows, axis=0)


def write_labels(ids: np.ndarray, out: Tensor, *, mirrored: bool) -> None:
    """Ids into `out`, (height, width), with -100 for those of no class."""
    labels = out.numpy()
    labels[...] = ids[:, ::-1] if mirrored else ids
    if (ids == NONE).any():
        labels[labels == NONE] = IGNORED
