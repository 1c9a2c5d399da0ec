"""Decoded pictures in a file: an image is decoded in the first epoch and only read in all later ones."""

import hashlib
import json
import os
import shutil
import struct
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import features
from xxhash import xxh3_64_intdigest

from hfkit.errors import Failure, one_line
from hfkit.runtime.durable import write_file

DECODERS = ("pillow", "torch", "torchvision", "transformers", "timm")
SUFFIX = ".pictures"
SIGN = b"hfkit pictures 1"  # followed by a digest of the file's content: its first 48 bytes
# Of a record: checksum of the rest, key, height, width, channels, width and height of the whole image.
HEAD = struct.Struct("<Q36s3I2I")


class Picture(NamedTuple):
    """Pixels, and the size of the image that they come from."""

    pixels: np.ndarray  # uint8, three dimensions
    size: tuple[int, int]  # width and height, upright


@dataclass(frozen=True, eq=False)
class PictureFile:
    """Pictures by key. Each has its place from the start, so loader workers and processes can fill the file together.

    Each record has a checksum: one that is unfinished, damaged or of another picture counts as missing.
    The file is opened for every record, so nothing has to be handed to a worker, and none of its pages stay in memory.
    """

    path: Path
    keys: np.ndarray  # sorted bytes
    places: np.ndarray  # the start of each record, and the end of the last

    def read(self, key: str) -> Picture | None:
        """The picture; None if it is missing."""
        if (place := self.place(key)) is None:
            return None
        pixels = np.empty(place[1] - place[0] - HEAD.size, np.uint8)
        try:
            with open(self.path, "rb", buffering=0) as file:
                file.seek(place[0])
                head = file.read(HEAD.size)
                # Not written yet: a hole, or the end of the file.
                if not any(head) or file.readinto(pixels) < len(pixels):
                    return None
        except OSError:
            return None
        check, name, *shape, width, height = HEAD.unpack(head)
        if name.rstrip(b"\0") != key.encode() or check != checksum(head[8:], pixels):
            return None
        return Picture(pixels.reshape(shape), (width, height))

    def write(self, key: str, picture: Picture) -> None:
        """Keep the picture, unless it has no place: beyond the budget, or of another size than announced.

        A full disk is reported once; a file that was deleted is not made again.
        """
        place = self.place(key)
        if place is None or place[1] - place[0] != HEAD.size + picture.pixels.size:
            return
        pixels = np.ascontiguousarray(picture.pixels)
        head = HEAD.pack(0, key.encode(), *pixels.shape, *picture.size)[8:]
        try:
            with open(self.path, "r+b", buffering=0) as file:
                file.seek(place[0])
                file.write(struct.pack("<Q", checksum(head, pixels)) + head)
                file.write(pixels)
        except FileNotFoundError:
            pass
        except OSError as error:
            warnings.warn(f"pictures are not kept in {self.path.parent} ({error.strerror})", stacklevel=2)

    def place(self, key: str) -> tuple[int, int] | None:
        found = int(np.searchsorted(self.keys, key.encode()))
        if found == len(self.keys) or self.keys[found] != key.encode():
            return None
        return int(self.places[found]), int(self.places[found + 1])


def picture_file(
    folder: Path, keys: Sequence[str], lengths: np.ndarray, budget: int, **made_by: Any
) -> PictureFile | None:
    """A file in `folder` for these pictures, with those that an earlier run has left there.

    Its name is a digest of the content: which pictures, how they were made (`made_by`), and the versions of the
    decoders. A file of that name that begins with something else is replaced.

    Args:
        keys: at most 36 letters; a picture that occurs twice is kept once.
        lengths: bytes of each picture's pixels.
        budget: bytes that all such files in `folder` may take together, and never more than half of the free disk
            space. If not all pictures fit, a line says how many do.

    Returns:
        None if not even one fits.
    """
    named, first = np.unique(np.array(keys, dtype="S36"), return_index=True)
    records = np.concatenate([[len(SIGN) + 32], HEAD.size + np.asarray(lengths, np.int64)[first]])
    places = np.cumsum(records)  # the start of each, and the end
    versions = {name: version(name) for name in DECODERS} | {"jpeg": features.version("jpg")}
    digest = hashlib.blake2b(json.dumps([made_by, versions], sort_keys=True, default=str).encode(), digest_size=32)
    for content in (named, places):
        digest.update(content.tobytes())
    path = folder / f"{digest.hexdigest()[:16]}{SUFFIX}"
    start = SIGN + digest.digest()
    try:
        return _open_file(path, start, named, places, budget)
    except (OSError, Failure) as error:
        reason = one_line(error).partition(". ")[0]
        print(f"Image cache off: {reason}. Pictures are decoded in every epoch.")
        return None


def _open_file(path: Path, start: bytes, named: np.ndarray, places: np.ndarray, budget: int) -> PictureFile | None:
    """The file at `path`, made anew unless it begins with `start`; None if no picture fits.

    Raises:
        OSError: the folder cannot be written.
        Failure: there is no room for anything.
    """
    folder = path.parent
    folder.mkdir(parents=True, exist_ok=True)
    room = budget - sum(file.stat().st_size for file in folder.glob(f"*{SUFFIX}") if file != path)
    fresh = not (path.is_file() and begins_with(path, start))
    room = min(room, max(shutil.disk_usage(folder).free // 2, 0 if fresh else path.stat().st_size))
    fitting = max(0, int(np.searchsorted(places, room, side="right")) - 1)
    if fitting < len(named):
        print(
            f"Image cache: {fitting:,} of {len(named):,} pictures ({places[-1] / 1e9:.1f} GB) fit into"
            f" {max(0, room) / 1e9:.1f} GB in {folder}; the others are decoded in every epoch"
        )
    if not fitting:
        return None
    if fresh:
        write_file(path, start)
    # A file with holes: records that are not written yet take no space.
    os.truncate(path, int(places[fitting]))
    return PictureFile(path, named[:fitting], places[: fitting + 1])


def checksum(head: bytes, pixels: np.ndarray) -> int:
    return xxh3_64_intdigest(pixels.reshape(-1), seed=xxh3_64_intdigest(head))


def begins_with(path: Path, start: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(start)) == start
