"""Batches of images: decoded, seen in one or several views, and varied in training."""

import base64
import math
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from datasets import Dataset
from PIL import Image as Pillow
from torch import Tensor
from torchvision.transforms.v2 import functional
from transformers import TimmWrapperImageProcessor

from hfkit.data.images.augmentation import PRESETS, Augmentation, Preset, make_mixer, pixels_of
from hfkit.data.images.cache import Picture, PictureFile, picture_file
from hfkit.data.images.pictures import decode_image, draft_jpeg, open_image, read_orientation, turn_upright
from hfkit.data.seeding import seed_draws
from hfkit.errors import UserError, first_line

WHOLE, MIRRORED, CORNERS = 0, 1, (2, 3, 4, 5)  # views
VIEWS = {"none": (WHOLE,), "flip": (WHOLE, MIRRORED), "crops": (WHOLE, *CORNERS)}
CORNER = 7 / 8  # of each side
SPARE = 1.5  # at most this many times the model's side are the sides of a kept picture


def take_view(picture: Pillow.Image, view: int) -> Pillow.Image:
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
    """The number of channels that the processor normalises: 1 or 3."""
    return len(settings_of(processor)["mean"])


def settings_of(processor: Any) -> dict[str, Any]:
    """The processor's `mean`, one value per channel, and `interpolation`."""
    if isinstance(processor, TimmWrapperImageProcessor):
        config = processor.data_config
        return {"mean": config["mean"], "interpolation": Pillow.Resampling[config["interpolation"].upper()]}
    resample = Pillow.Resampling.BILINEAR if processor.resample is None else Pillow.Resampling(processor.resample)
    return {"mean": processor.image_mean or (0, 0, 0), "interpolation": resample}


class Scale(NamedTuple):
    """A processor's values for black and for white, and the size of its pictures; found by trying it."""

    size: tuple[int, int]  # height, width
    black: Tensor  # (channels, 1, 1)
    white: Tensor
    reversed: bool  # the model reads blue, green, red

    def normalise(self, shares: Tensor) -> Tensor:
        """Pixels from 0 to 1, normalised in place as the processor would have done it."""
        if self.reversed:
            shares.copy_(shares.flip(-3))
        return shares.mul_(self.white - self.black).add_(self.black)

    def pixels(self, values: Tensor) -> Tensor:
        """Normalised values back to uint8."""
        shares = (values - self.black) / (self.white - self.black)
        pixels = shares.mul(255).round().clamp(0, 255).to(torch.uint8)
        return pixels.flip(-3) if self.reversed else pixels


def scale_of(processor: Any) -> Scale:
    """The processor's map of pixels, whatever the names of its settings are.

    Raises:
        UserError: it fails, or its pictures keep different shapes and so make no batch.
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
    """Encoded rows -> `pixel_values` as the checkpoint's own processor makes them, and `labels` if there are any."""

    processor: Any
    folder: Path
    kept: PictureFile | None = field(default=None, kw_only=True)
    levels: Tensor | None = field(default=None, kw_only=True)  # of the kept pictures (see `levels_of`)

    @cached_property
    def channels(self) -> int:
        return channels_of(self.processor)

    @cached_property
    def scale(self) -> Scale:
        return scale_of(self.processor)

    def with_cache(self, rows: Dataset, folder: Path, budget: int) -> Self:
        """This collator with a cache in `folder` for its pictures of these rows; batches stay bit-identical.

        The cache holds the bytes that the processor has resized and cropped, before it normalises them.
        """
        return self.with_cached_views(rows, zip(rows["fingerprint"], rows["view"], strict=True), folder, budget)

    def with_cached_views(self, rows: Dataset, views: Iterable[tuple[str, int]], folder: Path, budget: int) -> Self:
        levels = levels_of(self.processor)
        if to_bytes(self.decode_and_process([rows[0]], [WHOLE])[0], levels) is None:
            name = type(self.processor).__name__
            print(f"Image cache: {name} makes more of pictures than bytes can hold; they are decoded in every epoch")
            return self
        keys = [f"{fingerprint}{view}" for fingerprint, view in views]
        lengths = np.full(len(keys), self.channels * self.scale.size[0] * self.scale.size[1])
        kept = picture_file(folder, keys, lengths, budget, processor=self.processor.to_dict())
        return replace(self, kept=kept, levels=levels)

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        batch = {"pixel_values": self.pixel_values(rows)}
        if "labels" in rows[0]:
            batch["labels"] = torch.tensor([row["labels"] for row in rows])
        return batch

    def pixel_values(self, rows: list[dict[str, Any]]) -> Tensor:
        return self.process(rows, [row["view"] for row in rows])

    def process(self, rows: list[dict[str, Any]], views: list[int]) -> Tensor:
        if self.kept is None:
            return self.decode_and_process(rows, views)
        keys = [f"{row['fingerprint']}{view}" for row, view in zip(rows, views, strict=True)]
        batch = torch.empty(len(rows), self.channels, *self.scale.size)
        missing = []
        for place, key in enumerate(keys):
            if (kept := self.kept.read(key)) is None:
                missing.append(place)
            else:
                batch[place] = normalise_bytes(torch.from_numpy(kept.pixels), self.levels)
        if missing:
            batch[missing] = self.decode_and_process(
                [rows[place] for place in missing], [views[place] for place in missing]
            )
        for place in missing:
            # A picture that bytes cannot hold is made anew the next time.
            if (pixels := to_bytes(batch[place], self.levels)) is not None:
                self.kept.write(keys[place], Picture(pixels.numpy(), (0, 0)))
        return batch

    def decode_and_process(self, rows: list[dict[str, Any]], views: list[int]) -> Tensor:
        pictures = [
            take_view(decode_image(row["image"], self.folder, self.channels), view)
            for row, view in zip(rows, views, strict=True)
        ]
        return self.processor(pictures, return_tensors="pt")["pixel_values"]


@dataclass
class VariedImages(JudgedImages):
    """Training rows, each varied by the seed, the epoch and its number; `mix` then mixes the rows of the batch.

    Decoding and drawing happen in the collator, and so in the loader's workers.

    Args:
        shrunk: take crops from pictures shrunk to `side`, which can be kept (see `with_cache`), not from whole ones.
    """

    preset: Preset = field(default_factory=lambda: PRESETS["none"])
    flipped: bool = False
    mix: str = "none"
    mix_alpha: float = 0.2
    seed: int = 0
    epoch: int = 0
    shrunk: bool = False

    @cached_property
    def augmentation(self) -> Augmentation:
        fill = self.scale.pixels(torch.zeros_like(self.scale.black))  # the colour that becomes 0
        return Augmentation(
            self.preset,
            self.scale.size,
            flipped=self.flipped,
            resample=settings_of(self.processor)["interpolation"],
            fill=tuple(fill.flatten().tolist()),
        )

    @cached_property
    def side(self) -> int:
        """The shorter side of a shrunk picture in pixels; smaller pictures stay as they are.

        Even the smallest crop has as many pixels as the model reads. If the preset goes below 0.44 of the area, the
        picture has `SPARE` times the model's side instead, and crops below that share are enlarged.
        """
        return math.ceil(max(self.scale.size) * min(SPARE, self.preset.scale[0] ** -0.5))

    def with_cache(self, rows: Dataset, folder: Path, budget: int) -> Self:
        """This collator with a cache in `folder` for the pictures of these rows; batches stay the same.

        The cache holds the shrunk pictures that crops are taken from. Their pixels are resampled twice, both times with
        antialiasing: here, by the processor's own filter, and in the crop. Without crops only the mirroring is random,
        and the processor's results for both sides are kept.
        """
        if self.preset.scale is None:
            marks, views = rows["fingerprint"], (WHOLE, MIRRORED) if self.flipped else (WHOLE,)
            return self.with_cached_views(rows, product(marks, views), folder, budget)
        if not self.shrunk:
            return self
        keys = [f"{fingerprint}{WHOLE}" for fingerprint in rows["fingerprint"]]
        width, height = shrunk_size(np.array(rows["width"]), np.array(rows["height"]), self.side)
        made_by = {"side": self.side, "channels": self.channels, "resample": self.augmentation.resample}
        return replace(self, kept=picture_file(folder, keys, width * height * self.channels, budget, **made_by))

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Tensor]:
        batch = super().__call__(rows)
        if self.mix == "none":
            return batch
        mixed = make_mixer(self.mix, self.mix_alpha, rows[0]["classes"])
        with seed_draws(self.seed, self.epoch, *(row["row"] for row in rows)):
            pixel_values, labels = mixed(batch["pixel_values"], batch["labels"])
        return {"pixel_values": pixel_values, "labels": labels}

    def pixel_values(self, rows: list[dict[str, Any]]) -> Tensor:
        if self.preset.scale is None:
            return self.process(rows, [self.draw_mirror(row) for row in rows])
        batch = torch.empty(len(rows), self.channels, *self.scale.size)
        of_row = self.vary_shrunk if self.shrunk else self.vary
        # One by one, while the pixels of an image are still in the CPU's cache.
        for row, place in zip(rows, batch, strict=True):
            with self.seed_row(row):
                of_row(row, place)
            self.scale.normalise(place)
        return batch

    def seed_row(self, row: dict[str, Any]) -> AbstractContextManager[None]:
        return seed_draws(self.seed, self.epoch, row["row"])

    def draw_mirror(self, row: dict[str, Any]) -> int:
        with self.seed_row(row):
            return int(self.flipped and torch.rand(()) < 0.5)

    def vary(self, row: dict[str, Any], out: Tensor) -> None:
        image = open_image(row["image"], self.folder)
        turn = read_orientation(image)
        whole = image.size if turn < 5 else image.size[::-1]
        box = self.augmentation.box(*whole)
        draft_jpeg(image, min((box[2] - box[0]) / self.scale.size[1], (box[3] - box[1]) / self.scale.size[0]))
        picture = turn_upright(image, self.channels, turn)
        self.augmentation(pixels_of(picture.crop(scale_box(box, whole, picture.size))), out)

    def vary_shrunk(self, row: dict[str, Any], out: Tensor) -> None:
        picture = self.shrunk_picture(row)
        pixels = torch.from_numpy(picture.pixels)
        box = scale_box(self.augmentation.box(*picture.size), picture.size, (pixels.shape[1], pixels.shape[0]))
        left, upper, right, lower = box
        self.augmentation(pixels[upper:lower, left:right].permute(2, 0, 1), out)

    def shrunk_picture(self, row: dict[str, Any]) -> Picture:
        """(height, width, channels), the shorter side at most `side`; from the cache, or decoded and then kept."""
        key = f"{row['fingerprint']}{WHOLE}" if self.kept else ""
        if self.kept and (kept := self.kept.read(key)):
            return kept
        image = open_image(row["image"], self.folder)
        turn = read_orientation(image)
        width, height = image.size if turn < 5 else image.size[::-1]
        draft_jpeg(image, min(width, height) / self.side)
        pixels = pixels_of(turn_upright(image, self.channels, turn))
        wanted_width, wanted_height = shrunk_size(width, height, self.side)
        pixels = functional.resize(pixels, [wanted_height, wanted_width], interpolation=self.augmentation.resample)
        made = Picture(pixels.permute(1, 2, 0).contiguous().numpy(), (width, height))
        if self.kept:
            self.kept.write(key, made)
        return made


def scale_box(
    box: tuple[int, int, int, int], whole: tuple[int, int], size: tuple[int, int]
) -> tuple[int, int, int, int]:
    """A box of the whole image, scaled to a smaller picture of it; sizes are width and height."""
    x, y = size[0] / whole[0], size[1] / whole[1]
    left, upper, right, lower = (round(place * share) for place, share in zip(box, (x, y, x, y), strict=True))
    return left, upper, max(right, left + 1), max(lower, upper + 1)


def shrunk_size(width: Any, height: Any, side: int) -> tuple[Any, Any]:
    """Width and height (numbers or arrays), shrunk so that the shorter one is at most `side`."""
    factor = np.minimum(1, side / np.minimum(width, height))
    return tuple(np.maximum(1, np.rint(each * factor)).astype(np.int64) for each in (width, height))


def levels_of(processor: Any) -> Tensor:
    """The processor's value for each byte, (channels, 256), found by trying it."""
    mode = "L" if channels_of(processor) == 1 else "RGB"
    levels = []
    for value in range(256):
        picture = Pillow.new(mode, (8, 8), value if mode == "L" else (value,) * 3)
        made = processor(picture, return_tensors="pt")["pixel_values"][0]
        levels.append(made[:, made.shape[1] // 2, made.shape[2] // 2])
    return torch.stack(levels, 1)


def normalise_bytes(pixels: Tensor, levels: Tensor) -> Tensor:
    """Bytes (channels, height, width) as the processor's values for them."""
    return levels.gather(1, pixels.flatten(1).long()).view(pixels.shape)


def to_bytes(values: Tensor, levels: Tensor) -> Tensor | None:
    """The bytes that the processor turns into exactly these values; None if there are none."""
    black, white = levels[:, :1, None], levels[:, -1:, None]
    pixels = values.sub(black).div_(white - black).mul_(255).round_().clamp_(0, 255).to(torch.uint8)
    return pixels if torch.equal(normalise_bytes(pixels, levels), values) else None


def to_pictures(pixel_values: Tensor, processor: Any) -> list[Pillow.Image]:
    """A model's inputs, (batch, channels, height, width), as pictures again."""
    pixels = scale_of(processor).pixels(pixel_values).permute(0, 2, 3, 1).numpy()
    return [Pillow.fromarray(each.squeeze(-1) if each.shape[-1] == 1 else each) for each in pixels]


def data_uri(picture: Pillow.Image, most: int) -> str:
    """A PNG of at most `most` pixels a side; a tiny picture is enlarged, with its pixels as squares."""
    if (times := most // max(picture.size)) > 1:
        picture = picture.resize((picture.width * times, picture.height * times), Pillow.Resampling.NEAREST)
    picture = picture.copy()
    picture.thumbnail((most, most))
    file = BytesIO()
    picture.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
