"""Activations on disk: rows of different length in flat files, without padding, read through a memory map."""

import json
import shutil
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}
MAPPED_AT_MOST = 64 << 20  # bytes: pages that were read count as the process's memory until the map is opened again
AROUND_A_ROW = 64 << 10  # bytes that the system reads ahead around each row
CHECKED_AT_ONCE = 16 << 20  # bytes


class Damaged(Exception):
    """Files are missing, cut short, or do not hold the bytes that were written."""


class Overflow(Exception):
    """An activation is not finite in the chosen precision."""


class Writer:
    """Writes one part of a store: the rows of one process, in any order, each once."""

    def __init__(self, folder: Path, part: int, dtype: str, widths: Sequence[int]) -> None:
        """`widths`: for each tap, how many numbers one activation has."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.part, self.dtype, self.widths = folder, part, DTYPES[dtype], list(widths)
        self.files = [(folder / _data_file(tap, part)).open("wb") for tap in range(len(widths))]
        self.sums, self.sizes = [0] * len(widths), [0] * len(widths)
        self.rows: list[np.ndarray] = []
        self.counts: list[np.ndarray] = []

    def append(self, rows: Sequence[int], counts: Sequence[np.ndarray], values: Sequence[Tensor]) -> None:
        """Write some rows.

        Args:
            counts: for each tap, the tokens of each row, (rows,).
            values: for each tap, their activations one after the other, (tokens, width).

        Raises:
            Overflow: an activation is too large for the precision.
        """
        self.rows.append(np.asarray(rows))
        self.counts.append(np.stack(counts))
        for tap, value in enumerate(values):
            stored = value.to(self.dtype)
            # float16 ends at 65,504, and some models go beyond it: a stored infinity would be a silent error.
            if not torch.isfinite(stored).all():
                raise Overflow(f"an activation of {value.abs().max().item():.3g} does not fit into {self.dtype}")
            data = stored.contiguous().view(torch.uint8).cpu().numpy()
            self.files[tap].write(data)
            self.sums[tap] = zlib.crc32(data, self.sums[tap])
            self.sizes[tap] += data.nbytes

    def close(self) -> None:
        """Finish the part. The description is written last: without it the store cannot be opened."""
        for file in self.files:
            file.close()
        rows = np.concatenate(self.rows) if self.rows else np.zeros(0, dtype=np.int64)
        counts = np.concatenate(self.counts, 1) if self.counts else np.zeros((len(self.widths), 0), dtype=np.int64)
        np.save(self.folder / f"rows{self.part}.npy", rows.astype(np.int64))
        np.save(self.folder / f"counts{self.part}.npy", counts.astype(np.int64))
        described = {
            "dtype": str(self.dtype).removeprefix("torch."),
            "widths": self.widths,
            "bytes": self.sizes,
            "crc32": self.sums,
            "index": zlib.crc32(rows.astype(np.int64).tobytes() + counts.astype(np.int64).tobytes()),
        }
        (self.folder / f"part{self.part}.json").write_text(json.dumps(described))


@dataclass
class _Tap:
    files: list[Path]
    width: int
    starts: np.ndarray  # first token of each row within its part, (rows,)
    counts: np.ndarray  # tokens of each row, (rows,)


class Store:
    """The activations of all rows, by tap. Opened only if every byte is still the one that was written."""

    def __init__(self, folder: Path, rows: int) -> None:
        """
        Raises:
            Damaged: it is incomplete or was changed.
        """
        try:
            self._open(folder, rows)
        except (OSError, ValueError, KeyError) as error:
            raise Damaged(str(error)) from error

    def _open(self, folder: Path, rows: int) -> None:
        parts = sorted(folder.glob("part*.json"), key=lambda file: int(file.stem[4:]))
        described = [json.loads(file.read_text()) for file in parts]
        if not described:
            raise Damaged(f"{folder} holds no part")
        self.folder, self.dtype = folder, DTYPES[described[0]["dtype"]]
        found = [np.load(folder / f"rows{part}.npy") for part in range(len(parts))]
        counts = [np.load(folder / f"counts{part}.npy") for part in range(len(parts))]
        for part, facts in enumerate(described):
            if zlib.crc32(found[part].tobytes() + counts[part].tobytes()) != facts["index"]:
                raise Damaged(f"the index of part {part} of {folder} was changed")
        if not np.array_equal(np.sort(np.concatenate(found)), np.arange(rows)):
            raise Damaged(f"{folder} does not hold every row once")
        self.part = np.empty(rows, dtype=np.int16)
        for part, of_part in enumerate(found):
            self.part[of_part] = part
        self.taps = []
        for tap, width in enumerate(described[0]["widths"]):
            files = [folder / _data_file(tap, part) for part in range(len(parts))]
            for file, facts in zip(files, described, strict=True):
                if _checksum(file) != (facts["bytes"][tap], facts["crc32"][tap]):
                    raise Damaged(f"{file} was changed")
            starts, lengths = np.empty(rows, dtype=np.int64), np.empty(rows, dtype=np.int64)
            for of_part, counted in zip(found, counts, strict=True):
                lengths[of_part] = counted[tap]
                starts[of_part] = np.cumsum(counted[tap]) - counted[tap]
            self.taps.append(_Tap(files, width, starts, lengths))
        self._mapped: dict[tuple[int, int], np.ndarray] = {}
        self._seen = 0

    def read(self, tap: int, rows: np.ndarray) -> Tensor:
        """The activations of the rows one after the other, (tokens, width), as float32."""
        of_tap = self.taps[tap]
        counts = of_tap.counts[rows]
        parts = self.part[rows]
        if len(of_tap.files) == 1:
            found = self._map(tap, 0)[_places_in(of_tap.starts[rows], counts)]
        else:
            pieces = [
                self._map(tap, part)[start : start + count]
                for part, start, count in zip(parts, of_tap.starts[rows], counts, strict=True)
            ]
            found = np.concatenate(pieces)
        self._seen += found.nbytes + len(rows) * AROUND_A_ROW
        if self._seen > MAPPED_AT_MOST:
            # Maps are dropped and opened again: otherwise the memory of a process would grow to the size of the store.
            self._mapped, self._seen = {}, 0
        return torch.from_numpy(found).view(self.dtype).float()

    def _map(self, tap: int, part: int) -> np.ndarray:
        """One part of a tap as bytes, (tokens, bytes of a token)."""
        if (tap, part) not in self._mapped:
            of_tap = self.taps[tap]
            size = of_tap.width * self.dtype.itemsize
            file = of_tap.files[part]
            shape = (file.stat().st_size // size, size)
            # An empty file cannot be mapped: a process may have had no rows, or rows without any token that is read.
            if shape[0]:
                self._mapped[tap, part] = np.memmap(file, dtype=np.uint8, mode="r", shape=shape)
            else:
                self._mapped[tap, part] = np.zeros(shape, dtype=np.uint8)
        return self._mapped[tap, part]

    def delete(self) -> None:
        """Delete the files."""
        self._mapped = {}
        shutil.rmtree(self.folder, ignore_errors=True)


def _data_file(tap: int, part: int) -> str:
    return f"tap{tap}.part{part}.bin"


def _places_in(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """All places in the ranges that begin at `starts`: (3, 7) and (2, 1) give 3, 4, 7."""
    ends = np.cumsum(counts)
    return np.repeat(starts - ends + counts, counts) + np.arange(ends[-1] if len(ends) else 0)


def _checksum(file: Path) -> tuple[int, int]:
    """Size and CRC-32 of a file."""
    size = total = 0
    with file.open("rb") as stream:
        while block := stream.read(CHECKED_AT_ONCE):
            size, total = size + len(block), zlib.crc32(block, total)
    return size, total


def free_bytes(folder: Path) -> int:
    """Free space on the disk of `folder`, or of its nearest parent that exists."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def put_in_place(built: Path, place: Path | None) -> None:
    """Move a finished folder to its place, unless another run was first. With None, delete it."""
    try:
        if place is not None:
            built.rename(place)
    except OSError:
        pass  # another run has put the same there: its folder is as good
    shutil.rmtree(built, ignore_errors=True)
