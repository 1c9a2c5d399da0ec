"""Masks: pictures whose pixels are numbers of classes."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from PIL import Image as Pillow

from hfkit.data.bad_rows import Fault
from hfkit.data.images.coco_masks import paint_regions
from hfkit.data.images.files import bytes_of, look_in_threads, name_image
from hfkit.data.images.palettes import Palette
from hfkit.data.images.pictures import DEEP, FORMATS, Refused
from hfkit.progress import progress

TOP = 65_535  # the largest number in a mask
LOSSY = ("JPEG", "MPO")
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX")


def read_mask(data: bytes, palette: Palette | None) -> np.ndarray:
    """The numbers in a mask, (height, width), whole.

    Regions in JSON are painted. Grey and the numbers of a palette are taken as they are, and so is grey that was saved
    as RGB. Other colours are looked up in `palette`; one that it lacks gets the number behind its last.

    Raises:
        Refused: it is no mask, or in colours without a palette.
    """
    if data[:1] == b"{":
        return paint_regions(data)
    image = open_mask(data)
    if image.mode in ("P", "PA") and palette is not None:
        image = image.convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBX"):
        pixels = np.asarray(image.convert("RGBA") if image.mode == "RGBX" else image)
        if pixels[..., -1].min(initial=255) < 255 and image.mode != "RGBX":
            raise Refused("a mask says which class every pixel is of, and has no transparent ones", "Save it in grey")
        pixels = pixels[..., :-1]
        pixels = pixels[..., 0] if image.mode in ("LA", "PA") else pixels
    elif image.mode == "1":
        pixels = np.asarray(image).astype(np.uint8)
    else:
        pixels = np.asarray(image)
    if pixels.ndim == 3:
        return look_up_colours(pixels, palette)
    if not np.issubdtype(pixels.dtype, np.integer):
        whole = pixels.astype(np.int64)
        if not (whole == pixels).all():
            raise Refused("the pixels of a mask are whole numbers", "Save it as a PNG in grey")
        pixels = whole
    if pixels.size and not (pixels.min() >= 0 and pixels.max() <= TOP):
        raise Refused("the numbers of a mask go from 0 to 65,535", "Save it as a PNG in grey")
    return pixels


def open_mask(data: bytes) -> Pillow.Image:
    """An opened mask, not decoded yet.

    Raises:
        Refused: it cannot be one.
    """
    try:
        image = Pillow.open(BytesIO(data), formats=FORMATS)
        if image.format in LOSSY:
            raise Refused("a JPEG blurs the numbers of a mask", "Make the masks anew, as PNG")
        image.load()
    except Refused:
        raise
    except Exception as error:  # decoders raise anything on foreign bytes
        raise Refused("a mask is an image that is whole", "Mend or remove it") from error
    if image.mode not in (*MODES, *DEEP):
        raise Refused(f"the pixels of a mask are numbers, and those of mode {image.mode} are none", "Save it in grey")
    return image


def look_up_colours(pixels: np.ndarray, palette: Palette | None) -> np.ndarray:
    """The numbers of colours, (height, width, 3) -> (height, width)."""
    if palette is None:
        if (pixels == pixels[..., :1]).all():
            return pixels[..., 0]
        raise Refused(
            "a mask holds the number of a class in every pixel, and this one is in colours",
            "Say what they stand for with --palette 'sky:0,0,255; tree:0,128,0', or a file of such lines",
        )
    numbers = np.full(pixels.shape[:2], len(palette.colours), np.int32)
    flat = pixels[..., 0].astype(np.int32) << 16 | pixels[..., 1].astype(np.int32) << 8 | pixels[..., 2]
    for number, (red, green, blue) in enumerate(palette.colours):
        numbers[flat == (red << 16 | green << 8 | blue)] = number
    return numbers


@dataclass(frozen=True)
class MaskLook:
    """The numbers in a mask, from one look at it."""

    values: tuple[int, ...] = ()  # its numbers, sorted
    pixels: tuple[int, ...] = ()  # how many of each
    fingerprint: str = ""  # of its file


def look_at_masks(
    rows: Dataset,
    sizes: Sequence[tuple[int, int]],
    column: str,
    palette: Palette | None,
    *,
    known: set[int],
    split: str,
) -> tuple[list[MaskLook], list[Fault]]:
    """A look at every mask, and a fault for each that cannot be used.

    Args:
        rows: with the masks in `image`, located and not decoded.
        sizes: width and height of every picture, upright.
        known: rows that are at fault already, and are not looked at.
    """

    def look_at(row: int, image: dict | None) -> MaskLook:
        return MaskLook() if row in known else look_at_mask(mask_bytes(image), sizes[row], palette)

    looks, faults = [], []
    with (
        ThreadPoolExecutor(torch.get_num_threads()) as pool,
        progress(f"Checking the masks of {split}", len(rows)) as advance,
    ):
        for row, image, seen in look_in_threads(pool, rows, look_at):
            if isinstance(seen, Refused):
                detail = f" ({seen.detail})" if seen.detail else ""
                named = name_image(image).replace("embedded image", "embedded mask").replace("image '", "mask '")
                faults.append(Fault(row, column, named + detail, seen.rule, seen.fix))
                seen = MaskLook()
            looks.append(seen)
            advance()
    return looks, faults


def mask_bytes(image: dict | None) -> bytes:
    """The bytes of a mask's file.

    Raises:
        Refused: there is none.
    """
    if image is None or image["bytes"] is None and image["path"] is None:
        raise Refused("every picture has a mask", "Make one, or remove the picture")
    return bytes_of(image)


def look_at_mask(data: bytes, size: tuple[int, int], palette: Palette | None) -> MaskLook:
    """The numbers of a mask, and how often they come.

    Raises:
        Refused: it is no mask, or of another size than its picture.
    """
    pixels = read_mask(data, palette)
    if pixels.shape[::-1] != size:
        is_of = f"{pixels.shape[1]} x {pixels.shape[0]} pixels, the picture has {size[0]} x {size[1]}"
        raise Refused("a mask is as large as its picture, turned upright", "Make it anew for this picture", is_of)
    counts = np.bincount(pixels.ravel())
    values = np.flatnonzero(counts)
    mark = hashlib.blake2b(data, digest_size=16).hexdigest()
    return MaskLook(tuple(values.tolist()), tuple(counts[values].tolist()), mark)


def read_mask_of(image: dict[str, Any], folder: Path, palette: Palette | None) -> np.ndarray:
    """The numbers in the mask of a row; relative paths begin at `folder`."""
    data = (folder / image["path"]).read_bytes() if image["bytes"] is None else image["bytes"]
    return read_mask(data, palette)
