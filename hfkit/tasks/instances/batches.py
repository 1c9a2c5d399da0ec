"""Batches of pictures with the masks of their objects, varied in step in training."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from hfkit.data.images.batches import channels_of
from hfkit.data.images.pictures import decode_image
from hfkit.data.images.runs import decode_runs_of
from hfkit.data.seeding import seed_draws
from hfkit.tasks.detection.batches import CROPS, JITTER, LEAST_LEFT, PAD, TRIES, recolour
from hfkit.tasks.detection.boxes import areas, as_boxes, clip_boxes

LEAST_SIDE = 8  # pixels of a crop


class View(NamedTuple):
    """The part of a picture that is shown, and how."""

    sides: tuple[int, int, int, int]  # left, top, right, bottom
    mirrored: bool = False


@dataclass
class InstanceImages:
    """Encoded rows -> `pixel_values` as the checkpoint's own processor makes them, the `sizes` of the pictures (height
    and width), and `reach`, how much of the model's height and width each fills; with answers also `mask_labels` at
    the size of the pixel values and `class_labels`, both with as many places as the picture with most objects needs.
    Behind the last class stands -100.
    """

    processor: Any
    folder: Path

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        pictures, views = [], []
        for row in rows:
            picture, view = self.show(decode_image(row["image"], self.folder, channels_of(self.processor)), row)
            pictures.append(picture)
            views.append(view)
        batch = self.process(pictures)
        batch["sizes"] = torch.tensor([(row["height"], row["width"]) for row in rows])
        if "class_labels" in rows[0]:
            shape = batch["pixel_values"].shape[-2:]
            filled = (batch["reach"] * torch.tensor(shape)).round().int().tolist()
            batch |= stack_targets([shrink_masks(*each) for each in zip(rows, views, filled, strict=True)], shape)
        return batch

    def show(self, picture: Pillow.Image, row: Mapping[str, Any]) -> tuple[Pillow.Image, View]:
        return picture, View((0, 0, *picture.size))

    def process(self, pictures: list[Pillow.Image]) -> dict[str, Tensor]:
        made = self.processor(pictures, return_tensors="pt")
        pixels, inside = made["pixel_values"], made["pixel_mask"].float()
        reach = torch.stack([inside.amax(2).mean(1), inside.amax(1).mean(1)], dim=1)
        return {"pixel_values": pixels, "reach": reach}


@dataclass
class VariedInstances(InstanceImages):
    """Training rows, each varied by the seed, the epoch and its number: a part of it, mirrored or not, recoloured."""

    strength: Literal["none", "light", "standard", "strong"] = "none"
    flipped: bool = False
    seed: int = 0
    epoch: int = 0

    def show(self, picture: Pillow.Image, row: Mapping[str, Any]) -> tuple[Pillow.Image, View]:
        with seed_draws(self.seed, self.epoch, row["row"]):
            view = View((0, 0, *picture.size))
            if torch.rand(()) < CROPS[self.strength]:
                view = View(draw_crop(picture.size, as_boxes(row.get("boxes", []))))
            if self.flipped and torch.rand(()) < 0.5:
                view = view._replace(mirrored=True)
            part = picture.crop(view.sides)
            part = part.transpose(Pillow.Transpose.FLIP_LEFT_RIGHT) if view.mirrored else part
            return recolour(part, JITTER[self.strength]), view


def draw_crop(size: tuple[int, int], boxes: np.ndarray) -> tuple[int, int, int, int]:
    """The sides of a random part of a picture: one that keeps an object, if there is any."""
    (width, height), whole = size, areas(boxes)
    for _ in range(TRIES):
        across, down = torch.empty(2).uniform_(0.5, 1.0).tolist()
        left, top = (torch.rand(2) * torch.tensor([1 - across, 1 - down])).tolist()
        sides = round(left * width), round(top * height), round((left + across) * width), round((top + down) * height)
        if min(sides[2] - sides[0], sides[3] - sides[1]) < LEAST_SIDE:
            break
        moved = clip_boxes(boxes - np.tile(sides[:2], 2), sides[2] - sides[0], sides[3] - sides[1])
        if (areas(moved) >= LEAST_LEFT * whole).any() or not len(boxes):
            return sides
    return 0, 0, width, height


def shrink_masks(row: Mapping[str, Any], view: View, size: Sequence[int]) -> tuple[list[Tensor], list[int]]:
    """The masks and classes of the objects that are left in a view, at the size at which the model sees it.

    They are shrunk by the nearest pixel, and those of which no pixel is left are gone: so do the image processors of
    the models. Each is decoded for itself, so that a large picture with many objects fits the memory.
    """
    left, top, right, bottom = view.sides
    masks, classes = [], []
    for counts, number in zip(row["runs"], row["class_labels"], strict=True):
        whole = decode_runs_of({"size": (row["height"], row["width"]), "counts": counts})
        part = whole[top:bottom, left:right]
        if part.sum() < LEAST_LEFT * whole.sum():
            continue
        pixels = torch.from_numpy(np.ascontiguousarray(part[:, ::-1] if view.mirrored else part))
        near = functional.resize(pixels[None].byte(), list(size), interpolation=InterpolationMode.NEAREST_EXACT)[0]
        if near.any():
            masks.append(near)
            classes.append(number)
    return masks, classes


def stack_targets(targets: Sequence[tuple[list[Tensor], list[int]]], shape: Sequence[int]) -> dict[str, Tensor]:
    """Masks and classes of all pictures, filled up to the most objects of one, and masks with zeros to this shape.

    The image processors fill the masks of smaller pictures with their `ignore_index`, mostly 255: as a part of a mask
    that is a weight of 255 on pixels which do not exist.
    """
    most = max((len(classes) for _, classes in targets), default=0)
    labels = torch.full((len(targets), most), PAD)
    stacked = torch.zeros(len(targets), most, *shape, dtype=torch.uint8)
    for place, (masks, classes) in enumerate(targets):
        labels[place, : len(classes)] = torch.tensor(classes, dtype=torch.long)
        for number, mask in enumerate(masks):
            stacked[place, number, : mask.shape[0], : mask.shape[1]] = mask
    return {"mask_labels": stacked, "class_labels": labels}
