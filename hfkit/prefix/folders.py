"""Folders of stores that several runs share: who builds one, who has one open, and what is left of those that died."""

import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hfkit.prefix.store import description_of
from hfkit.runtime.durable import sync_below
from hfkit.runtime.locks import Held, hold, lock

UNNAMED = re.compile(r"[0-9a-f]{32}\.[0-9a-f]{32}")  # a store that is built, or deleted


@contextmanager
def hold_building(folder: Path) -> Iterator[None]:
    """Tell other runs that a store is being built in `folder`, and delete it if that fails."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with hold(_lock_beside(folder)):
        try:
            yield
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def delete_abandoned(folder: Path) -> None:
    """Delete the stores in `folder` that killed runs have left half built, or half deleted."""
    for left in folder.glob("*.*"):
        if UNNAMED.fullmatch(left.name):
            # On a disk without locks they may be in use, and stay.
            with suppress(Held, OSError), hold(_lock_beside(left), surely=True):
                delete_unheld(left)


def _lock_beside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


def delete_unheld(folder: Path) -> bool:
    """Delete a store, unless a run has it open; false if it is still there."""
    try:
        with description_of(folder, 0).open("rb") as file:
            if not lock(file, shared=False):  # the disk may know no locks, too
                return False
            _delete_at_once(folder)
    except FileNotFoundError:
        _delete_at_once(folder)  # without a description nobody can open it
    except OSError:
        pass
    return not folder.exists()


def _delete_at_once(folder: Path) -> None:
    """Delete a folder so that nobody finds half of it."""
    gone = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}")
    try:
        folder.rename(gone)
    except OSError:
        return
    shutil.rmtree(gone, ignore_errors=True)


def put_in_place(built: Path, place: Path, *, durable: bool) -> bool:
    """Move a finished folder to its place; false if there is one that another run holds.

    Args:
        durable: wait until it is on the disk, for later runs.
    """
    try:
        if durable:
            sync_below(built)
        if delete_unheld(place):
            built.rename(place)
    except OSError:
        pass  # another run was first
    return not built.exists()
