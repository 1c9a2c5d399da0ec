"""Checkpoints that are converted once, into the cache of Hugging Face, and read from there ever after."""

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import torch
from filelock import FileLock
from huggingface_hub import constants

from hfkit.errors import UserError
from hfkit.progress import FIRST
from hfkit.runtime.durable import replace_folder

CHUNK = 2**24  # bytes


def convert_once(sources: Sequence[Path], write: Callable[[Path], None], *facts: str) -> tuple[Path, bool]:
    """The folder with what `write` makes of some files, and whether it was made just now.

    It goes by the content of the files, so that a checkpoint that is saved again is converted again. It appears whole
    or not at all, and other processes wait for the one that makes it.

    Args:
        facts: what else determines the result.

    Raises:
        UserError: the cache cannot be written.
        Failure: it has no room.
    """
    hasher = hashlib.blake2b("\0".join(facts).encode(), digest_size=16)
    for file in sources:
        hasher.update(file.name.encode() + digest_file(file, file.stat().st_size, file.stat().st_mtime_ns))
    folder = place_of_conversions() / hasher.hexdigest()
    if folder.is_dir():
        return folder, False
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if folder.is_dir():
                return folder, False
            # Otherwise a run that converts would draw another head than one that finds it done.
            with replace_folder(folder) as part, torch.random.fork_rng(devices=[]):
                write(part)
    except OSError as error:
        raise UserError(
            f"folder '{folder.parent}'",
            f"a checkpoint of another format is converted there, and it cannot be written ({error.strerror or error})",
            "Make room, or set HF_HOME to another folder",
        ) from error
    return folder, True


def place_of_conversions() -> Path:
    """The folder of the cache that they lie in."""
    return Path(constants.HF_HOME, "hfkit", "checkpoints")


def is_converted(place: str) -> bool:
    """Whether a checkpoint is one of them: a folder that only this machine has, and may lose."""
    return Path(place).is_relative_to(place_of_conversions())


@lru_cache(maxsize=64)
def digest_file(file: Path, size: int, changed: int) -> bytes:
    """16 bytes that change with the content of a file; `size` and `changed` tell when to read it again."""
    hasher = hashlib.blake2b(digest_size=16)
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            hasher.update(chunk)
    return hasher.digest()


@lru_cache(maxsize=256)
def say_once(line: str) -> None:
    """Print a fact about a checkpoint: once, however often it is loaded, and for all processes."""
    if FIRST:
        print(line)
