"""Regions of pictures as Label Studio writes them, in pixels: boxes, polygons, and the masks of brushes.

Places are given there in percent of the picture's width and height, and turns in degrees, clockwise on the screen,
about the upper left corner of the box.
"""

import math
from collections.abc import Generator, Sequence
from typing import NamedTuple

import numpy as np

from hfkit.errors import UserError

Point = tuple[float, float]


class Box(NamedTuple):
    """An upright box, in pixels from the upper left corner of the picture."""

    left: float
    top: float
    right: float
    bottom: float


def scale_points(points: Sequence[Sequence[float]], width: int, height: int) -> list[Point]:
    """Points in percent of a picture as pixels."""
    return [(x * width / 100, y * height / 100) for x, y in points]


def turn_box(x: float, y: float, across: float, down: float, degrees: float) -> list[Point]:
    """The corners of a turned box: the one it is turned about, then clockwise.

    Args:
        x, y: the corner that is at the upper left before the turn, in pixels.
        across, down: the sides, in pixels.
    """
    # Quarter turns are exact: cos(90 degrees) is 6e-17 and no 0.
    cosine, sine = (round(f(math.radians(degrees)), 15) for f in (math.cos, math.sin))
    sides = ((0, 0), (across, 0), (across, down), (0, down))
    return [(x + a * cosine - b * sine, y + a * sine + b * cosine) for a, b in sides]


def enclose(points: Sequence[Point]) -> Box:
    """The smallest upright box around points."""
    across, down = zip(*points, strict=True)
    return Box(min(across), min(down), max(across), max(down))


def decode_mask(rle: Sequence[int], width: int, height: int) -> np.ndarray:
    """The mask of a brush, from the runs that Label Studio writes: how opaque each pixel is, 0 to 255, (height, width).

    Raises:
        UserError: the runs are broken, or of a picture of another size.
    """
    try:
        values = decode_runs(bytes(rle))
    except (ValueError, IndexError) as error:
        raise UserError("a mask", "its runs are broken", "Export it again") from error
    if len(values) != width * height * 4:
        raise UserError(
            f"a mask of {len(values) // 4:,} pixels",
            f"its picture has {width} x {height}",
            "Export it again, or remove the row",
        )
    # Colours and opacity of each pixel; brushes differ in opacity alone.
    return values.reshape(height, width, 4)[:, :, 3]


def decode_runs(data: bytes) -> np.ndarray:
    """The values of packed runs.

    The bits hold: the number of values (32), bits of a value - 1 (5), bits of four kinds of lengths - 1 (4 each); then
    for each run: 1 if its value is repeated and 0 if it holds a value each, the kind of its length (2), its length - 1,
    and the value or values.

    Raises:
        IndexError: they end too early.
        ValueError: they hold more values than they say.
    """
    bits = read_bits(data)
    next(bits)  # to the first yield
    count, size = bits.send(32), bits.send(5) + 1
    lengths = [bits.send(4) + 1 for _ in range(4)]
    values, place = np.zeros(count, np.uint8), 0
    while place < count:
        repeats, length = bits.send(1), bits.send(lengths[bits.send(2)]) + 1
        if place + length > count:
            raise ValueError("more values than announced")
        values[place : place + length] = bits.send(size) if repeats else [bits.send(size) for _ in range(length)]
        place += length
    return values


def read_bits(data: bytes) -> Generator[int, int, None]:
    """Send how many bits to read, at most 32: yields them as a number, the highest bit first.

    Raises:
        IndexError: there are no more.
    """
    place, number = 0, 0
    while True:
        wanted = yield number
        first, end = place // 8, -(-(place + wanted) // 8)
        if end > len(data):
            raise IndexError("out of bits")
        whole = int.from_bytes(data[first:end], "big")
        number = whole >> (8 * end - place - wanted) & ((1 << wanted) - 1)
        place += wanted
