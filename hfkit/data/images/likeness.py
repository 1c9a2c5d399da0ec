"""Pictures that look the same: saved again, at another size or quality, or a little brighter.

Each picture is shrunk once. A hash of 64 bits (the signs of its lowest frequencies: Zauner 2010) finds those that may
be alike, by pieces of it that agree; the small pictures themselves then decide. Mirrored and cropped copies are not
found.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from PIL import Image as Pillow

from hfkit.data.images.pictures import draft_jpeg, open_image, read_orientation, turn_upright
from hfkit.progress import progress

SIDE, BLOCK = 32, 8  # pixels of a shrunk picture; frequencies of its hash along each side
PIECES = 8  # of 8 bits each: of two hashes that differ in fewer bits, one piece agrees
FURTHEST = PIECES - 1  # bits
LEAST = 0.99  # correlation of the pixels of two pictures that are the same
FLAT = 4.0  # standard deviation of the pixels, of 256 steps, below which a picture shows too little
AT_ONCE = 1024


class Likeness:
    """Small pictures, their hashes, and which of them show enough to be compared.

    Args:
        pixels: (pictures, SIDE, SIDE, 3) from 0 to 255.
    """

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels.reshape(len(pixels), -1)
        self.hashes = np.zeros(len(pixels), dtype=np.uint64)
        self.shows = np.zeros(len(pixels), dtype=bool)
        for start in range(0, len(pixels), AT_ONCE):
            some = slice(start, start + AT_ONCE)
            self.hashes[some] = hash_pictures(pixels[some])
            self.shows[some] = self.pixels[some].std(1) >= FLAT

    def standard(self, rows: np.ndarray) -> np.ndarray:
        """Pictures without brightness and contrast, (rows, values): their mean product is a correlation."""
        values = self.pixels[rows].astype(np.float32)
        values -= values.mean(1, keepdims=True)
        return values / values.std(1, keepdims=True)

    def __len__(self) -> int:
        return len(self.shows)

    def twins_in(self, other: "Likeness") -> Iterator[tuple[int, int]]:
        """Numbers of pictures here and there that look the same: of each picture here the first one there."""
        best: dict[int, int] = {}
        for ours, theirs in candidates(self.hashes, other.hashes):
            kept = self.shows[ours] & other.shows[theirs]
            for start in range(0, int(kept.sum()), AT_ONCE):
                row, twin = (each[kept][start : start + AT_ONCE] for each in (ours, theirs))
                alike = (self.standard(row) * other.standard(twin)).mean(1) >= LEAST
                for one, its in zip(row[alike].tolist(), twin[alike].tolist(), strict=True):
                    best[one] = min(its, best.get(one, its))
        yield from sorted(best.items())


def look_alike(rows: Dataset, folder: Path) -> Likeness:
    """The likeness of rows with an `image`, whose paths begin at `folder`."""

    def shrink(image: dict) -> np.ndarray:
        found = open_image(image, folder)
        turn = read_orientation(found)
        draft_jpeg(found, min(found.size) / (2 * SIDE))
        small = turn_upright(found, 3, turn).resize((SIDE, SIDE), Pillow.Resampling.BOX)
        return np.asarray(small)

    pixels = np.empty((len(rows), SIDE, SIDE, 3), dtype=np.uint8)
    with ThreadPoolExecutor(torch.get_num_threads()) as pool, progress("Comparing pictures", len(rows)) as advance:
        start = 0
        for batch in rows.select_columns(["image"]).iter(AT_ONCE):
            for place, small in enumerate(pool.map(shrink, batch["image"]), start):
                pixels[place] = small
                advance()
            start += len(batch["image"])
    return Likeness(pixels)


def hash_pictures(pixels: np.ndarray) -> np.ndarray:
    """A hash of 64 bits for each picture, (pictures,): which of its lowest frequencies are above their median."""
    grey = pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    places, waves = np.arange(SIDE) + 0.5, np.arange(BLOCK + 1)
    cosines = np.cos(np.pi / SIDE * waves[:, None] * places).astype(np.float32)  # of the discrete cosine transform
    low = np.einsum("ax,nxy,by->nab", cosines, grey, cosines, optimize=True)[:, 1:, 1:].reshape(len(pixels), -1)
    bits = low > np.median(low, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(">u8")[:, 0].astype(np.uint64)


def candidates(ours: np.ndarray, theirs: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Numbers of hashes that differ in at most `FURTHEST` bits, piece by piece; a pair may come again."""
    for piece in range(PIECES):
        shift = np.uint64(8 * piece)
        keys, other = (((hashes >> shift) & np.uint64(255)).astype(np.int64) for hashes in (ours, theirs))
        order = np.argsort(other, kind="stable")
        starts = np.searchsorted(other[order], np.arange(257))
        for key in np.unique(keys):
            row, twin = np.flatnonzero(keys == key), order[starts[key] : starts[key + 1]]
            if not len(twin):
                continue
            for some in np.array_split(row, -(-len(row) * len(twin) // 2_000_000)):
                near = np.bitwise_count(ours[some][:, None] ^ theirs[twin]) <= FURTHEST
                first, second = np.nonzero(near)
                yield some[first], twin[second]
