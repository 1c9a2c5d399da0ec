"""Answers that give every pixel a class: packed where a model gave them, and read from the file where they are gold."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from datasets import Dataset

from hfkit.data.images.palettes import Palette
from hfkit.tasks.masks.classes import read_legend, to_ids


class Painted(Protocol):
    """A class for every pixel of a picture."""

    names: tuple[str, ...]

    def ids(self) -> np.ndarray:
        """The place of each pixel's class among the names, uint8 (height, width); 255 where it has none."""


@dataclass(frozen=True)
class PackedMap:
    """The answer of a model, in some hundred bytes."""

    packed: bytes
    width: int
    height: int
    names: tuple[str, ...]

    def ids(self) -> np.ndarray:
        return np.frombuffer(zlib.decompress(self.packed), np.uint8).reshape(self.height, self.width)


@dataclass(frozen=True, eq=False)
class GoldMap:
    """The mask of a loaded row, which is read anew whenever it is asked for: a split of them takes no memory."""

    rows: Dataset
    row: int
    palette: Palette | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return read_legend(self.rows[self.row]["legend"]).names

    def ids(self) -> np.ndarray:
        from hfkit.data.images.masks import read_mask_of

        row = self.rows[self.row]
        return to_ids(read_mask_of(row["mask"], Path(), self.palette), read_legend(row["legend"]))


def pack_map(ids: np.ndarray, names: Sequence[str]) -> PackedMap:
    """An answer of ids, uint8 (height, width)."""
    height, width = ids.shape
    return PackedMap(zlib.compress(np.ascontiguousarray(ids)), width, height, tuple(names))
