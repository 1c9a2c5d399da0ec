"""Image files as pictures: opened, turned upright, in the channels that a model reads."""

from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from hfkit.data.images.scans import SUFFIXES as SCANS
from hfkit.data.images.scans import Refused, kind_of, read_scan, split_part

Pillow.init()  # at once: otherwise every thread would begin to load the plugins
if find_spec("pillow_heif"):
    import pillow_heif

    pillow_heif.register_heif_opener()
# Not all of Pillow's formats: it would hand PostScript to another program.
SAFE = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "AVIF", "HEIF", "JPEG2000")
FORMATS = tuple(kind for kind in SAFE if kind in Pillow.OPEN)
DEEP = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")  # more than 8 bits a pixel
TOP = 65_535  # the white of 16 bits, and of whole numbers in 32
SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".gif", ".webp", ".bmp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".jp2", ".j2k"),
    *SCANS,
    *(".heic", ".heif", ".hif", ".svg"),  # their owner calls them images, and is told where they cannot be read
}
# The EXIF tag of orientation -> the turn that makes the picture upright.
TURNS = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}


def open_image(image: dict[str, Any], folder: Path) -> Pillow.Image:
    """Open an image, without decoding its pixels unless it is a scan; relative paths begin at `folder`."""
    path, part = split_part(image["path"])
    data = (folder / path).read_bytes() if image["bytes"] is None else image["bytes"]
    return Pillow.open(BytesIO(data), formats=FORMATS) if kind_of(data) is None else read_scan(data, part).picture


def turn_upright(image: Pillow.Image, channels: int, turn: int) -> Pillow.Image:
    """The picture as it is meant to be seen, in RGB, or in L for one channel.

    Grey of more than 8 bits is scaled to 8 (see `deep_pixels`); transparent pixels show white; palettes, CMYK (inverted
    where a JPEG says so), YCbCr and HSV become RGB by their tables, without colour profiles; grey is repeated in every
    channel; an animation or a file of several pages shows its first; and the turn of the EXIF tag is done.
    """
    if image.mode in DEEP:
        image = Pillow.fromarray(np.rint(deep_pixels(image) * 255).astype(np.uint8))
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        image = Pillow.alpha_composite(Pillow.new("RGBA", seen.size, "white"), seen)
    mode = "L" if channels == 1 else "RGB"
    image = image if image.mode == mode else image.convert(mode)
    return image.transpose(TURNS[turn]) if turn in TURNS else image


def deep_pixels(image: Pillow.Image) -> np.ndarray:
    """The grey of an image of more than 8 bits, from 0 (black) to 1 (white), (height, width).

    Whole numbers go up to 65,535, floating point up to 1.

    Raises:
        Refused: its pixels leave that range, or may be of 8 bits.
    """
    pixels = np.asarray(image)
    low, high = pixels.min(), pixels.max()
    if image.mode == "F":
        if not (low >= 0 and high <= 1):
            raise Refused("pixels in floating point go from 0 to 1", "Save it with 8 or 16 bits a channel")
        return pixels
    if not (0 <= low and high <= TOP):
        raise Refused("grey in whole numbers goes from 0 to 65,535", "Save it with 8 or 16 bits a channel")
    # A PPM states its white, and Pillow has scaled it; nothing tells a dark image of 16 bits from one of 8.
    if image.mode == "I" and high <= 255 and image.format != "PPM":
        raise Refused("grey of 32 bits that ends at 255 may be of 8 bits or of 16", "Save it with 8 or 16 bits")
    grey = pixels.astype(np.float32) / TOP
    return 1 - grey if is_white_zero(image) else grey


def is_white_zero(image: Pillow.Image) -> bool:
    """True for a TIFF in which 0 is white, which Pillow turns round in 8 bits only."""
    return image.format == "TIFF" and image.tag_v2.get(262) == 0


def decode_image(image: dict[str, Any], folder: Path, channels: int) -> Pillow.Image:
    """The whole picture of a row (see `turn_upright`)."""
    found = open_image(image, folder)
    turn = read_orientation(found)
    return turn_upright(found, channels, turn)


def read_orientation(image: Pillow.Image) -> int:
    """The orientation in the EXIF tag, from 1 (upright) to 8."""
    try:
        found = image.getexif().get(0x0112, 1)
    except Exception:  # a broken tag is not a broken image
        return 1
    return found if found in range(1, 9) else 1


def draft_jpeg(image: Pillow.Image, spare: float) -> None:
    """Let Pillow decode a JPEG at a half, a quarter or an eighth of its size, if it has pixels to spare."""
    if spare >= 2:
        image.draft(None, tuple(int(side / spare) for side in image.size))
