"""Pictures with something drawn onto them, in colours and patterns that colour-blind readers can tell apart."""

from collections.abc import Collection

import numpy as np
from PIL import Image as Pillow

from hfkit.data.images.colours import OKABE_ITO

COLOURS = (*OKABE_ITO, "#999999")
PATTERNS = ("plain", "rising", "falling", "dots", "bars")  # of an area, on top of its colour


def to_rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def draw_areas(
    picture: Pillow.Image, ids: np.ndarray, classes: int, most: int, bare: Collection[int] = ()
) -> tuple[Pillow.Image, list[Pillow.Image]]:
    """A picture of at most `most` pixels a side with its areas in colours and patterns and with contours, and a swatch
    of each class.

    Args:
        ids: of the class of every pixel, (height, width); from `classes` on it is none.
        bare: classes that are left as they are, such as the background; their swatches are white.
    """
    times = max(1, most // max(picture.size))
    size = tuple(max(1, round(side * min(times, most / max(picture.size)))) for side in picture.size)
    kind = Pillow.Resampling.NEAREST if times > 1 else Pillow.Resampling.BILINEAR
    pixels = np.asarray(picture.convert("RGB").resize(size, kind)).astype(np.float32)
    ids = np.asarray(Pillow.fromarray(ids).resize(size, Pillow.Resampling.NEAREST))
    for number in set(np.unique(ids[ids < classes]).tolist()) - set(bare):
        inside, colour = ids == number, np.array(to_rgb(COLOURS[number % len(COLOURS)]), np.float32)
        strong = inside & pattern_of(number, ids.shape)
        pixels[inside] = 0.6 * pixels[inside] + 0.4 * colour
        pixels[strong] = 0.25 * pixels[strong] + 0.75 * colour
        pixels[inside & has_other_beside(ids)] = colour
    blank = Pillow.new("RGB", (16, 16), "white")
    swatches = [blank if number in bare else draw_swatch(number) for number in range(classes)]
    return Pillow.fromarray(np.rint(pixels).astype(np.uint8)), swatches


def draw_swatch(number: int) -> Pillow.Image:
    """The colour and the pattern of a class, 16 x 16 pixels."""
    colour = np.array(to_rgb(COLOURS[number % len(COLOURS)]), np.float32)
    strong = pattern_of(number, (16, 16))[..., None]
    return Pillow.fromarray(np.where(strong, colour, 0.5 * colour + 127.5).astype(np.uint8))


def pattern_of(number: int, shape: tuple[int, int]) -> np.ndarray:
    """Where the pattern of a class is strong, bools (height, width): the first have one each, and all have another
    after as many as there are colours."""
    y, x = np.indices(shape)
    kind = PATTERNS[(number + number // len(COLOURS)) % len(PATTERNS)]
    return {
        "plain": np.zeros(shape, bool),
        "rising": (x + y) % 8 < 2,
        "falling": (x - y) % 8 < 2,
        "dots": (x % 6 < 2) & (y % 6 < 2),
        "bars": y % 6 < 2,
    }[kind]


def has_other_beside(ids: np.ndarray) -> np.ndarray:
    """Whether a pixel of another class is above, below or beside, (height, width)."""
    edges = np.zeros(ids.shape, bool)
    down, across = ids[1:] != ids[:-1], ids[:, 1:] != ids[:, :-1]
    edges[1:] |= down
    edges[:-1] |= down
    edges[:, 1:] |= across
    edges[:, :-1] |= across
    return edges
