"""Activations on disk: rows of different length in flat files, without padding, and a checksum of every row.

Files are opened once and stay open, and every row is checked each time it is read. So a folder may be deleted or
changed while a run uses it: what was deleted can still be read, and what was changed is noticed (`Damaged`).
"""

import json
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor
from xxhash import xxh3_64_intdigest

from hfkit.runtime.locks import lock

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}
RESTORED_AT_MOST = 256 << 20  # bytes of rows in memory that were computed again, because their own were changed


class Damaged(Exception):
    """Files are missing, cut short, or do not hold the bytes that were written."""

    def __init__(self, fault: str, rows: Sequence[int] = ()) -> None:
        super().__init__(fault)
        self.rows = list(rows)  # that could not be read


class Overflow(Exception):
    """An activation is not finite in the chosen precision."""


class Writer:
    """Writes one part of a store: the rows of one process, in any order, each once."""

    def __init__(self, folder: Path, part: int, dtype: str, widths: Sequence[int]) -> None:
        """`widths`: for each tap, how many numbers one activation has."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.part, self.dtype, self.widths = folder, part, DTYPES[dtype], list(widths)
        self.files = [(folder / _data_file(tap, part)).open("wb") for tap in range(len(widths))]
        self.rows: list[np.ndarray] = []
        self.counts: list[np.ndarray] = []
        self.sums: list[np.ndarray] = []

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
        sums = []
        for tap, value in enumerate(values):
            pieces = split_rows(value, counts[tap], self.dtype)
            self.files[tap].writelines(pieces)
            sums.append(np.array([xxh3_64_intdigest(piece) for piece in pieces], dtype=np.uint64))
        self.sums.append(np.stack(sums))

    def close(self) -> None:
        """Finish the part. The description is written last: without it the store cannot be opened."""
        for file in self.files:
            file.close()
        none = np.zeros((len(self.widths), 0), dtype=np.int64)
        index = {
            "rows": np.concatenate([np.zeros(0, dtype=np.int64), *self.rows]).astype(np.int64),
            "counts": np.concatenate([none, *self.counts], 1).astype(np.int64),
            "sums": np.concatenate([none.astype(np.uint64), *self.sums], 1),
        }
        for name, values in index.items():
            np.save(self.folder / f"{name}{self.part}.npy", values)
        described = {
            "dtype": str(self.dtype).removeprefix("torch."),
            "widths": self.widths,
            "index": _sum_of_index(*index.values()),
        }
        description_of(self.folder, self.part).write_text(json.dumps(described))


def split_rows(values: Tensor, counts: np.ndarray, dtype: torch.dtype) -> list[memoryview]:
    """The bytes of every row, as they are stored.

    Args:
        values: activations one after the other, (tokens, width).
        counts: the tokens of each row, (rows,).

    Raises:
        Overflow: an activation is too large for the precision.
    """
    stored = values.to(dtype)
    # float16 ends at 65,504, and some models go beyond it: a stored infinity would be a silent error.
    if not torch.isfinite(stored).all():
        raise Overflow(f"an activation of {values.abs().max().item():.3g} does not fit into {dtype}")
    data = memoryview(stored.contiguous().view(torch.uint8).cpu().numpy().reshape(-1))
    ends = np.cumsum(counts) * (values.shape[1] * dtype.itemsize)
    return [data[start:end] for start, end in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)]


@dataclass
class _Tap:
    files: list[BinaryIO]  # one for each part
    width: int
    starts: np.ndarray  # first token of each row within its part, (rows,)
    counts: np.ndarray  # tokens of each row, (rows,)
    sums: np.ndarray  # checksum of each row, (rows,)


class Store:
    """The activations of all rows, by tap. Opened only if every byte is still the one that was written."""

    def __init__(self, folder: Path, rows: int) -> None:
        """
        Raises:
            Damaged: it is incomplete or was changed.
        """
        self.folder = folder
        self.restored: dict[tuple[int, int], memoryview] = {}  # tap and row -> bytes that replace those on disk
        self._restored_bytes = 0
        self._opened = ExitStack()
        try:
            self._hold()
            self._open(rows)
        except Damaged:
            self.close()
            raise
        except (OSError, EOFError, ValueError, TypeError, LookupError) as error:  # of files with foreign content
            self.close()
            raise Damaged(str(error)) from error

    def _hold(self) -> None:
        """Tell other runs that this folder is in use, until the store is closed (see `hfkit.prefix.folders`)."""
        lock(self._opened.enter_context(description_of(self.folder, 0).open("rb")), shared=True)

    def _open(self, rows: int) -> None:
        folder = self.folder
        parts = sorted(folder.glob("part*.json"), key=lambda file: int(file.stem[4:]))
        described = [json.loads(file.read_text()) for file in parts]
        self.dtype = DTYPES[described[0]["dtype"]]
        found, counts, sums = (
            [np.load(folder / f"{name}{part}.npy") for part in range(len(parts))] for name in ("rows", "counts", "sums")
        )
        for part, facts in enumerate(described):
            if _sum_of_index(found[part], counts[part], sums[part]) != facts["index"]:
                raise Damaged(f"the index of part {part} of {folder} was changed")
        if not np.array_equal(np.sort(np.concatenate(found)), np.arange(rows)):
            raise Damaged(f"{folder} does not hold every row once")
        self.part = np.empty(rows, dtype=np.int16)
        for part, of_part in enumerate(found):
            self.part[of_part] = part
        self.taps = []
        for tap, width in enumerate(described[0]["widths"]):
            files = [
                self._opened.enter_context((folder / _data_file(tap, part)).open("rb", buffering=0))
                for part in range(len(parts))
            ]
            starts, lengths = np.empty(rows, dtype=np.int64), np.empty(rows, dtype=np.int64)
            summed = np.empty(rows, dtype=np.uint64)
            for of_part, counted, of_rows in zip(found, counts, sums, strict=True):
                lengths[of_part], summed[of_part] = counted[tap], of_rows[tap]
                starts[of_part] = np.cumsum(counted[tap]) - counted[tap]
            self.taps.append(_Tap(files, width, starts, lengths, summed))
            for of_part in found:
                self._check(tap, of_part)

    def _check(self, tap: int, rows: np.ndarray) -> None:
        """Read all rows of a part once, in the order of the file."""
        of_tap = self.taps[tap]
        sizes = (of_tap.counts[rows] * of_tap.width * self.dtype.itemsize).tolist()
        place = memoryview(bytearray(max(sizes, default=0)))
        starts = (of_tap.starts[rows] * of_tap.width * self.dtype.itemsize).tolist()
        for row, size, start, wanted in zip(rows.tolist(), sizes, starts, of_tap.sums[rows].tolist(), strict=True):
            if not self._fill(place[:size], tap, row, start, wanted):
                raise self._damage_of(tap, [row])

    def _damage_of(self, tap: int, rows: list[int]) -> Damaged:
        return Damaged(f"{self.taps[tap].files[self.part[rows[0]]].name} was changed", rows)

    def read(self, tap: int, rows: np.ndarray) -> Tensor:
        """The activations of the rows one after the other, (tokens, width), as float32.

        Raises:
            Damaged: with the rows whose bytes are not those that were written.
        """
        of_tap = self.taps[tap]
        size = of_tap.width * self.dtype.itemsize  # bytes of a token
        counts = of_tap.counts[rows]
        found, end, lost = np.empty(int(counts.sum()) * size, dtype=np.uint8), 0, []
        whole = memoryview(found)
        sizes = (counts * size).tolist()
        # All at once: a number taken out of an array by itself costs as much as reading a row.
        places, sums = (of_tap.starts[rows] * size).tolist(), of_tap.sums[rows].tolist()
        for row, length, start, wanted in zip(rows.tolist(), sizes, places, sums, strict=True):
            if not self._fill(whole[end : end + length], tap, row, start, wanted):
                lost.append(row)
            end += length
        if lost:
            raise self._damage_of(tap, lost)
        return torch.from_numpy(found).view(self.dtype).view(-1, of_tap.width).float()

    def _fill(self, place: memoryview, tap: int, row: int, start: int, wanted: int) -> bool:
        """Read one row into its place; false if its bytes are not those that were written.

        Args:
            start: of the row in its file, in bytes.
            wanted: its checksum.
        """
        if self.restored and (tap, row) in self.restored:
            place[:] = self.restored[tap, row]
            return True
        files = self.taps[tap].files
        file = files[self.part[row]] if len(files) > 1 else files[0]
        try:
            # Not through a memory map: the system kills a process that reads behind the end of a file cut short.
            file.seek(start)
            length = file.readinto(place)
        except OSError:
            return False
        return length == len(place) and xxh3_64_intdigest(place) == wanted

    def restore(self, tap: int, rows: Sequence[int], counts: np.ndarray, values: Tensor) -> None:
        """Take these activations instead of those on disk from now on; arguments as for `Writer.append`, of one tap.

        Raises:
            Damaged: more rows were restored than memory is meant for.
        """
        for row, piece in zip(rows, split_rows(values, counts, self.dtype), strict=True):
            if (tap, int(row)) not in self.restored:
                self.restored[tap, int(row)] = piece
                self._restored_bytes += len(piece)
        if self._restored_bytes > RESTORED_AT_MOST:
            raise Damaged(f"too much of {self.folder} was changed")

    def close(self) -> None:
        """Close the files; nothing can be read any more."""
        self._opened.close()
        self.restored = {}

    def delete(self) -> None:
        """Close and delete the files."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _data_file(tap: int, part: int) -> str:
    return f"tap{tap}.part{part}.bin"


def description_of(folder: Path, part: int) -> Path:
    """The file without which a part cannot be opened; it is written last, and locked while the store is open."""
    return folder / f"part{part}.json"


def _sum_of_index(rows: np.ndarray, counts: np.ndarray, sums: np.ndarray) -> int:
    return xxh3_64_intdigest(rows.tobytes() + counts.tobytes() + sums.tobytes())
