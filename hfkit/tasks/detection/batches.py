"""Batches of pictures with boxes: decoded and processed, and varied in training so that boxes stay right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor
from torchvision.transforms import v2
from torchvision.tv_tensors import BoundingBoxes, BoundingBoxFormat
from transformers import PreTrainedConfig

from hfkit.data.images.augmentation import pixels_of
from hfkit.data.images.batches import channels_of
from hfkit.data.images.pictures import decode_image
from hfkit.data.seeding import seed_draws
from hfkit.tasks.detection.boxes import areas, clip_boxes

CROPS = {"none": 0.0, "light": 0.0, "standard": 0.5, "strong": 0.8}  # how often a training picture is cropped
JITTER = {"none": 0.0, "light": 0.1, "standard": 0.3, "strong": 0.5}  # of brightness, contrast and saturation
LEAST_LEFT = 0.3  # of a box's area, or it is gone with the part that was cut off
TRIES = 10  # crops until one holds an object
PAD = -100  # for a class, where another picture has more boxes


@dataclass
class BoxedImages:
    """Encoded rows -> `pixel_values` as the checkpoint's own processor makes them, `class_labels` and `boxes` (centre
    and size), both with as many places as the picture with most boxes needs; behind the last class stands -100.

    Boxes are shares of the picture. Of a model without a mask, which takes padding for a part of the picture, they are
    shares of both together; `reach` is how much of width and height the picture fills.

    Args:
        masked: the model takes a `pixel_mask`, and so knows where a picture ends.
    """

    processor: Any
    folder: Path
    masked: bool

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        answered = "class_labels" in rows[0]
        pictures, boxes, labels = [], [], []
        for row in rows:
            picture = decode_image(row["image"], self.folder, channels_of(self.processor))
            known = np.asarray(row["boxes"] if answered else [], dtype=float).reshape(-1, 4)
            varied = self.vary(picture, known, np.asarray(row["class_labels"] if answered else [], dtype=int), row)
            for made, value in zip((pictures, boxes, labels), varied, strict=True):
                made.append(value)
        batch = self.process(pictures)
        if answered:
            sizes = [(picture.width, picture.height) for picture in pictures]
            batch |= pad_targets(boxes, labels, np.array(sizes), batch["reach"])
        return batch

    def vary(
        self, picture: Pillow.Image, boxes: np.ndarray, labels: np.ndarray, row: Mapping[str, Any]
    ) -> tuple[Pillow.Image, np.ndarray, np.ndarray]:
        """The picture with its boxes (left, top, right, bottom in pixels) and classes."""
        return picture, boxes, labels

    def process(self, pictures: list[Pillow.Image]) -> dict[str, Tensor]:
        made = self.processor(pictures, return_tensors="pt")
        pixels, mask = made["pixel_values"], made.get("pixel_mask")
        if mask is None or self.masked:
            reach = torch.ones(len(pixels), 2)
        else:
            reach = torch.stack([mask.amax(1).float().mean(1), mask.amax(2).float().mean(1)], dim=1)
        batch = {"pixel_values": pixels, "reach": reach}
        return batch | ({"pixel_mask": mask} if mask is not None and self.masked else {})


@dataclass
class VariedBoxes(BoxedImages):
    """Training rows, each varied by the seed, the epoch and its number.

    Args:
        flipped: half of the pictures are mirrored.
        mosaic: four pictures of the batch make one, in half of the cases.
    """

    strength: Literal["none", "light", "standard", "strong"] = "none"
    flipped: bool = False
    mosaic: bool = False
    seed: int = 0
    epoch: int = 0
    beside: list[Mapping[str, Any]] = field(default_factory=list)  # the rows of the batch, for mosaics

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        self.beside = list(rows) if self.mosaic else []
        try:
            return super().__call__(rows)
        finally:
            self.beside = []

    def vary(
        self, picture: Pillow.Image, boxes: np.ndarray, labels: np.ndarray, row: Mapping[str, Any]
    ) -> tuple[Pillow.Image, np.ndarray, np.ndarray]:
        with seed_draws(self.seed, self.epoch, row["row"]):
            if len(self.beside) >= 4 and torch.rand(()) < 0.5:
                picture, boxes, labels = self.lay_mosaic(picture, boxes, labels)
            if torch.rand(()) < CROPS[self.strength]:
                picture, boxes, labels = crop_picture(picture, boxes, labels)
            if self.flipped and torch.rand(()) < 0.5:
                picture, boxes = mirror(picture, boxes)
            return recolour(picture, JITTER[self.strength]), boxes, labels

    def lay_mosaic(
        self, picture: Pillow.Image, boxes: np.ndarray, labels: np.ndarray
    ) -> tuple[Pillow.Image, np.ndarray, np.ndarray]:
        """The picture and three others of the batch, each in a quarter of a picture of its size."""
        width, height = picture.size
        whole = Pillow.new(picture.mode, picture.size)
        others = [self.beside[int(place)] for place in torch.randperm(len(self.beside))[:3]]
        parts = [(picture, boxes, labels)]
        for row in others:
            other = decode_image(row["image"], self.folder, channels_of(self.processor))
            parts.append((other, np.asarray(row["boxes"]).reshape(-1, 4), np.asarray(row["class_labels"], dtype=int)))
        found, classes = [], []
        for place, (part, of_part, labels_of_part) in enumerate(parts):
            left, top = place % 2 * (width // 2), place // 2 * (height // 2)
            whole.paste(part.resize((width // 2, height // 2), Pillow.Resampling.BILINEAR), (left, top))
            scale = np.tile([(width // 2) / part.width, (height // 2) / part.height], 2)
            found.append(of_part * scale + np.tile([left, top], 2))
            classes.append(labels_of_part)
        return whole, np.concatenate(found), np.concatenate(classes)


def pad_targets(
    boxes: Sequence[np.ndarray], labels: Sequence[np.ndarray], sizes: np.ndarray, reach: Tensor
) -> dict[str, Tensor]:
    """Boxes as centre and size, in shares, and their classes, filled up to the most of a picture.

    Args:
        sizes: width and height of every picture, (pictures, 2).
    """
    most = max((len(one) for one in labels), default=0)
    classes = torch.full((len(labels), most), PAD)
    shares = torch.zeros(len(labels), most, 4)
    for place, (of_picture, known) in enumerate(zip(boxes, labels, strict=True)):
        classes[place, : len(known)] = torch.from_numpy(known)
        sides = of_picture / np.tile(sizes[place], 2)
        middle = np.concatenate([(sides[:, :2] + sides[:, 2:]) / 2, sides[:, 2:] - sides[:, :2]], axis=1)
        shares[place, : len(known)] = torch.from_numpy(middle).float() * reach[place].repeat(2)
    return {"class_labels": classes, "boxes": shares}


def crop_picture(
    picture: Pillow.Image, boxes: np.ndarray, labels: np.ndarray
) -> tuple[Pillow.Image, np.ndarray, np.ndarray]:
    """A random part of the picture with the boxes that are left in it; one that keeps an object, if there is any."""
    whole, (width, height) = areas(boxes), picture.size
    for _ in range(TRIES):
        across, down = torch.empty(2).uniform_(0.5, 1.0).tolist()
        left, top = (torch.rand(2) * torch.tensor([1 - across, 1 - down])).tolist()
        sides = round(left * width), round(top * height), round((left + across) * width), round((top + down) * height)
        if sides[2] - sides[0] < 8 or sides[3] - sides[1] < 8:
            return picture, boxes, labels
        moved = clip_boxes(boxes - np.tile(sides[:2], 2), sides[2] - sides[0], sides[3] - sides[1])
        kept = areas(moved) >= LEAST_LEFT * whole
        if kept.any() or not len(boxes):
            return picture.crop(sides), moved[kept], labels[kept]
    return picture, boxes, labels


def mirror(picture: Pillow.Image, boxes: np.ndarray) -> tuple[Pillow.Image, np.ndarray]:
    given = BoundingBoxes(
        torch.from_numpy(boxes.copy()), format=BoundingBoxFormat.XYXY, canvas_size=(picture.height, picture.width)
    )
    return v2.functional.horizontal_flip(picture), v2.functional.horizontal_flip(given).numpy()


def recolour(picture: Pillow.Image, jitter: float) -> Pillow.Image:
    if not jitter:
        return picture
    change = v2.ColorJitter(jitter, jitter, jitter if picture.mode == "RGB" else 0)
    return v2.functional.to_pil_image(change(pixels_of(picture)))


def takes_mask(config: PreTrainedConfig, auto_model: Any) -> bool:
    """Whether the model is told where a picture ends and its padding begins."""
    import inspect

    made = auto_model._model_mapping.get(type(config), None)
    return made is not None and "pixel_mask" in inspect.signature(made.forward).parameters
