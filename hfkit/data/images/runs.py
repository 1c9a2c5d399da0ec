"""Run lengths of masks as COCO writes them, and the polygons that it has instead of them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

from hfkit.data.images.pictures import Refused

BITS, SIGN, MORE, FIRST = 5, 0x10, 0x20, 48  # of a letter of COCO's compressed counts
LARGEST = 60  # bits of a count: more would not fit a number of the processor


def encode_runs(mask: np.ndarray) -> dict[str, Any]:
    """A mask of bools, (height, width), as COCO's compressed run lengths: `size` and `counts`."""
    flat = np.concatenate([[False], mask.ravel(order="F"), [False]])
    ends = np.flatnonzero(flat[1:] != flat[:-1])
    counts = np.diff(ends, prepend=0, append=mask.size)
    if len(counts) > 1 and not counts[-1]:
        counts = counts[:-1]
    return {"size": list(mask.shape), "counts": pack_counts(counts.tolist())}


def decode_runs_of(runs: Mapping[str, Any]) -> np.ndarray:
    """The mask of COCO's run lengths, bools (height, width).

    Raises:
        Refused: they are broken, or do not fit the size that they state.
    """
    try:
        height, width = (int(side) for side in runs["size"])
        counts = runs["counts"]
        if isinstance(counts, str | bytes):
            counts = unpack_counts(counts if isinstance(counts, str) else counts.decode("ascii"))
        lengths = np.asarray(counts, dtype=np.int64)
    except (KeyError, TypeError, ValueError, IndexError, UnicodeDecodeError, OverflowError) as error:
        raise Refused("its run lengths are broken", "Export the masks again") from error
    if lengths.ndim != 1 or (lengths < 0).any() or lengths.sum() != height * width:
        raise Refused("run lengths cover the pixels of the picture, no more and no fewer", "Export the masks again")
    values = np.arange(len(lengths)) % 2 == 1
    return np.repeat(values, lengths).reshape(height, width, order="F")


def pack_counts(counts: Sequence[int]) -> str:
    """Counts as letters of six bits, each but the first three as the difference from the one before the last."""
    letters = []
    for place, count in enumerate(counts):
        rest = count - counts[place - 2] if place > 2 else count
        while True:
            part = rest & (2**BITS - 1)
            rest >>= BITS
            more = rest != (-1 if part & SIGN else 0)
            letters.append(chr(FIRST + (part | MORE if more else part)))
            if not more:
                break
    return "".join(letters)


def unpack_counts(letters: str) -> list[int]:
    """The counts of `pack_counts`.

    Raises:
        IndexError: they end within a count.
        ValueError: a letter stands for no six bits.
    """
    values = np.frombuffer(letters.encode("ascii"), np.uint8).astype(np.int64) - FIRST
    if ((values < 0) | (values >= 2 * MORE)).any():
        raise ValueError(letters)
    last = np.flatnonzero(values & MORE == 0)
    if len(values) and (not len(last) or last[-1] != len(values) - 1):
        raise IndexError("counts end within a count")
    if not len(values):
        return []
    first = np.append(0, last[:-1] + 1)
    lengths = last - first + 1
    if BITS * lengths.max() > LARGEST:
        raise ValueError(letters)
    shifts = BITS * (np.arange(len(values)) - np.repeat(first, lengths))
    numbers = np.add.reduceat((values & (2**BITS - 1)) << shifts, first)
    numbers -= np.where(values[last] & SIGN, 1 << BITS * lengths, 0)
    for begin in (1, 2):  # each but the first three is the difference from the one before the last
        numbers[begin::2] = np.cumsum(numbers[begin::2])
    return numbers.tolist()


def draw_region(region: Any, width: int, height: int) -> np.ndarray:
    """The mask of one object, bools (height, width): polygons of x and y in turn, run lengths, or either as JSON.

    Raises:
        Refused: it is none of them, or belongs to a picture of another size.
    """
    if isinstance(region, str):
        try:
            region = json.loads(region)
        except ValueError as error:
            raise Refused("a region is a list of polygons or run lengths", "Export the masks again") from error
    if isinstance(region, Mapping):
        mask = decode_runs_of(region)
        if mask.shape != (height, width):
            rule = f"run lengths are of the size of their picture ({mask.shape[1]} x {mask.shape[0]})"
            raise Refused("run lengths are of the size of their picture", "Export the masks again", rule)
        return mask
    canvas = Pillow.new("1", (width, height))
    pen = ImageDraw.Draw(canvas)
    try:
        polygons = region if region and isinstance(region[0], Sequence) else [region]
        for polygon in polygons:
            points = np.asarray(polygon, dtype=float).reshape(-1, 2)
            if len(points) < 3 or not np.isfinite(points).all():
                raise ValueError("no polygon")
            pen.polygon([tuple(point) for point in points.tolist()], fill=1)
    except (TypeError, ValueError, IndexError, KeyError) as error:
        raise Refused(
            "a polygon is a list of three points or more, x and y in turn", "Export the masks again"
        ) from error
    return np.asarray(canvas)
