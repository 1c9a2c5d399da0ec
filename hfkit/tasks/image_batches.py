"""Images as a model gets them: decoded, seen from one or several views, varied in training, and in batches."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor
from transformers import TimmWrapperImageProcessor

from ..errors import UserError
from .augmentation import PRESETS, Augmentation, Preset, mixer
from .draws import seeded
from .files import first_line
from .image_files import DEEP, FORMATS, orientation

# How the tag of EXIF says that a picture is to be turned.
TURNS = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}
WHOLE, MIRRORED, CORNERS = 0, 1, (2, 3, 4, 5)  # views
VIEWS = {"none": (WHOLE,), "flip": (WHOLE, MIRRORED), "crops": (WHOLE, *CORNERS)}
CORNER = 7 / 8  # of each side


def opened(image: dict[str, Any], folder: Path) -> Pillow.Image:
    """An image whose pixels are not decoded yet; relative paths begin at `folder`."""
    data = (folder / image["path"]).read_bytes() if image["bytes"] is None else image["bytes"]
    return Pillow.open(BytesIO(data), formats=FORMATS)


def upright(image: Pillow.Image, channels: int, turn: int) -> Pillow.Image:
    """The picture as it is meant to be seen, in RGB, or L for one channel.

    What stands for what: 16-bit grey is divided by 257; what is transparent shows white; palettes, CMYK, YCbCr and HSV
    become RGB by their tables, without colour profiles; grey is repeated in every channel; of an animation the first
    frame counts; and the EXIF tag's turn is done.
    """
    if image.mode in DEEP:
        image = Pillow.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        image = Pillow.alpha_composite(Pillow.new("RGBA", seen.size, "white"), seen)
    mode = "L" if channels == 1 else "RGB"
    image = image if image.mode == mode else image.convert(mode)
    return image.transpose(TURNS[turn]) if turn in TURNS else image


def decoded(image: dict[str, Any], folder: Path, channels: int) -> Pillow.Image:
    """The whole picture of a row (see `upright`)."""
    found = opened(image, folder)
    turn = orientation(found)
    return upright(found, channels, turn)


def viewed(picture: Pillow.Image, view: int) -> Pillow.Image:
    """The whole picture, its mirror image, or the part next to one of its corners."""
    if view == MIRRORED:
        return picture.transpose(Pillow.Transpose.FLIP_LEFT_RIGHT)
    if view in CORNERS:
        right, lower = (view - CORNERS[0]) % 2, (view - CORNERS[0]) // 2
        width, height = max(1, round(picture.width * CORNER)), max(1, round(picture.height * CORNER))
        left, upper = right * (picture.width - width), lower * (picture.height - height)
        return picture.crop((left, upper, left + width, upper + height))
    return picture


def channels_of(processor: Any) -> int:
    """How many channels the processor normalises: 1 or 3."""
    return len(settings_of(processor)["mean"])


def settings_of(processor: Any) -> dict[str, Any]:
    """The processor's `mean`, one value per channel, and `interpolation`."""
    if isinstance(processor, TimmWrapperImageProcessor):
        config = processor.data_config
        return {"mean": config["mean"], "interpolation": Pillow.Resampling[config["interpolation"].upper()]}
    resample = Pillow.Resampling.BILINEAR if processor.resample is None else Pillow.Resampling(processor.resample)
    return {"mean": processor.image_mean or (0, 0, 0), "interpolation": resample}


class Scale(NamedTuple):
    """What a processor makes of black and of white, and how large: found by asking it."""

    size: tuple[int, int]  # height, width
    black: Tensor  # (channels, 1, 1)
    white: Tensor
    reversed: bool  # the model reads blue, green, red

    def normalise(self, shares: Tensor) -> Tensor:
        """Pixels from 0 to 1, made in place what the processor would have made of them."""
        if self.reversed:
            shares.copy_(shares.flip(-3))
        return shares.mul_(self.white - self.black).add_(self.black)

    def pixels(self, normalised: Tensor) -> Tensor:
        """The reverse, back to uint8."""
        shares = (normalised - self.black) / (self.white - self.black)
        pixels = shares.mul(255).round().clamp(0, 255).to(torch.uint8)
        return pixels.flip(-3) if self.reversed else pixels


def scale_of(processor: Any) -> Scale:
    """How the processor maps pixels, whatever the names of its settings are.

    Raises:
        UserError: it fails, or leaves pictures of different shape different, so that they make no batch.
    """
    mode = "L" if channels_of(processor) == 1 else "RGB"
    try:
        made = [
            processor(Pillow.new(mode, size, colour), return_tensors="pt")["pixel_values"][0]
            for size, colour in (
                ((96, 64), "black"),
                ((64, 96), "white"),
                ((64, 64), "red" if mode == "RGB" else "white"),
            )
        ]
    except (ValueError, RuntimeError, TypeError) as error:
        raise UserError(
            f"image processor {type(processor).__name__}",
            f"it cannot take a picture of mode {mode} ({first_line(error)})",
            "Mend preprocessor_config.json, or use another checkpoint",
        ) from error
    if made[0].shape != made[1].shape:
        raise UserError(
            f"image processor {type(processor).__name__}",
            f"pictures of any shape must come out alike, and here are {tuple(made[0].shape)} and "
            f"{tuple(made[1].shape)}",
            'Set do_center_crop, or "size" with height and width, in preprocessor_config.json',
        )
    height, width = made[0].shape[-2:]
    black, white, red = (each[:, height // 2, width // 2].reshape(-1, 1, 1) for each in made)
    return Scale((height, width), black, white, reversed=int(((red - black) / (white - black)).argmax()) == 2)


@dataclass
class JudgedImages:
    """Prepared rows -> `pixel_values` as the checkpoint's own processor makes them, and `labels`."""

    processor: Any
    folder: Path

    @cached_property
    def channels(self) -> int:
        return channels_of(self.processor)

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        return {"pixel_values": self.pixel_values(rows), "labels": torch.tensor([row["labels"] for row in rows])}

    def pixel_values(self, rows: list[dict[str, Any]]) -> Tensor:
        return self.processed([viewed(self.picture(row), row["view"]) for row in rows])

    def picture(self, row: dict[str, Any]) -> Pillow.Image:
        return decoded(row["image"], self.folder, self.channels)

    def processed(self, pictures: list[Pillow.Image]) -> Tensor:
        return self.processor(pictures, return_tensors="pt")["pixel_values"]


@dataclass
class VariedImages(JudgedImages):
    """Training rows, each drawn by the seed, the epoch and its number; `mix` then mixes the rows of the batch.

    Decoding and drawing happen here, so that they happen in the loader's workers.
    """

    preset: Preset = field(default_factory=lambda: PRESETS["none"])
    flipped: bool = False
    mix: str = "none"
    mix_alpha: float = 0.2
    seed: int = 0
    epoch: int = 0

    @cached_property
    def scale(self) -> Scale:
        return scale_of(self.processor)

    @cached_property
    def augmentation(self) -> Augmentation:
        fill = self.scale.pixels(torch.zeros_like(self.scale.black))  # what becomes 0
        return Augmentation(
            self.preset,
            self.scale.size,
            flipped=self.flipped,
            resample=settings_of(self.processor)["interpolation"],
            fill=tuple(fill.flatten().tolist()),
        )

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        batch = super().__call__(rows)
        if self.mix == "none":
            return batch
        mixed = mixer(self.mix, self.mix_alpha, rows[0]["classes"])
        with seeded(self.seed, self.epoch, *(row["row"] for row in rows)):
            pixel_values, labels = mixed(batch["pixel_values"], batch["labels"])
        return {"pixel_values": pixel_values, "labels": labels}

    def pixel_values(self, rows: list[dict[str, Any]]) -> Tensor:
        if self.preset.scale is None:
            return self.processed([self.drawn(self.mirrored, row) for row in rows])
        batch = torch.empty(len(rows), self.channels, *self.scale.size)
        # One by one, while the pixels of an image are still in the processor's cache.
        for row, place in zip(rows, batch, strict=True):
            self.scale.normalise(place.copy_(self.drawn(self.varied, row)))
        return batch

    def drawn(self, of_row: Callable[[dict[str, Any]], Any], row: dict[str, Any]) -> Any:
        with seeded(self.seed, self.epoch, row["row"]):
            return of_row(row)

    def mirrored(self, row: dict[str, Any]) -> Pillow.Image:
        return viewed(self.picture(row), int(self.flipped and torch.rand(()) < 0.5))

    def varied(self, row: dict[str, Any]) -> Tensor:
        image = opened(row["image"], self.folder)
        turn, stored = orientation(image), image.size
        width, height = stored if turn < 5 else stored[::-1]
        box = self.augmentation.box(width, height)
        needed, (wanted_height, wanted_width) = (box[2] - box[0], box[3] - box[1]), self.scale.size
        # A JPEG is decoded at a half, a quarter or an eighth of its size where the crop still has pixels to spare.
        if (spare := min(needed[0] / wanted_width, needed[1] / wanted_height)) >= 2:
            image.draft(None, tuple(int(side / spare) for side in stored))
        picture = upright(image, self.channels, turn)
        x, y = picture.width / width, picture.height / height
        left, upper, right, lower = (round(place * share) for place, share in zip(box, (x, y, x, y), strict=True))
        return self.augmentation(picture, (left, upper, max(right, left + 1), max(lower, upper + 1)))


def as_pictures(pixel_values: Tensor, processor: Any) -> list[Pillow.Image]:
    """What a model gets, (batch, channels, height, width), as pictures again."""
    pixels = scale_of(processor).pixels(pixel_values).permute(0, 2, 3, 1).numpy()
    return [Pillow.fromarray(each.squeeze(-1) if each.shape[-1] == 1 else each) for each in pixels]


def data_uri(picture: Pillow.Image, most: int) -> str:
    """A PNG of at most `most` pixels a side; a tiny picture is enlarged, its pixels staying squares."""
    if (times := most // max(picture.size)) > 1:
        picture = picture.resize((picture.width * times, picture.height * times), Pillow.Resampling.NEAREST)
    picture = picture.copy()
    picture.thumbnail((most, most))
    file = BytesIO()
    picture.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
