"""Locks on what two processes must not write at once. The system releases them when their holder dies."""

import errno
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from hfkit.errors import UserError

LOCK = ".hfkit.lock"  # in a folder; beside a file: .NAME.lock
# Of disks that know no locks: there the second one is not noticed.
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}


# Open here. A worker that this process forks, and that outlives it for a while, must not keep them for it.
_held: set[BinaryIO] = set()
if sys.platform != "win32":
    os.register_at_fork(after_in_child=lambda: [file.close() for file in _held])


class Held(Exception):
    """Another process holds the lock; the message says which, as far as it is known."""


@contextmanager
def hold_folder(folder: Path, value: str) -> Iterator[None]:
    """Make the folder, and keep it from all other processes until the block or this process ends.

    Args:
        value: what the user gave, as in `UserError`.

    Raises:
        UserError: another process holds it.
    """
    with _hold_or_refuse(folder / LOCK, value):
        yield


@contextmanager
def hold_file(path: Path, value: str) -> Iterator[None]:
    """Keep a file that is about to be written from all other processes until the block or this process ends.

    Args:
        value: what the user gave, as in `UserError`.

    Raises:
        UserError: another process holds it.
    """
    with _hold_or_refuse(path.with_name(f".{path.name}.lock"), value):
        yield


@contextmanager
def _hold_or_refuse(file: Path, value: str) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            stack.enter_context(hold(file))
        except Held as error:
            fix = "Wait until that one has ended, or choose another place"
            raise UserError(value, f"it is in use by {error}", fix) from None
        except OSError as error:
            raise UserError(value, f"it cannot be written ({error.strerror})", "Choose another place") from error
        yield


@contextmanager
def hold(file: Path, *, surely: bool = False) -> Iterator[None]:
    """Hold the lock that goes by the name of `file`, which says who holds it, until the block or this process ends.

    Args:
        surely: refuse to go on where the disk knows no locks, too.

    Raises:
        Held: another one holds it.
    """
    opened, owner = _acquire(file, surely), os.getpid()
    _held.add(opened)
    try:
        with suppress(OSError):  # a full disk: the lock holds all the same, only nobody can say whose it is
            opened.truncate(0)
            opened.write(json.dumps(_describe_self()).encode())
        yield
    finally:
        # A forked child had this lock open too, and has closed it.
        if os.getpid() == owner:
            with suppress(OSError):
                if _is_open(opened, file):
                    file.unlink()  # before it is released: afterwards it may be another one's
        _held.discard(opened)
        opened.close()


def _acquire(file: Path, surely: bool) -> BinaryIO:
    while True:
        opened = open(os.open(file, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0)
        try:
            locked = lock(opened, shared=False)
            if locked is False or (surely and not locked):
                raise Held(_describe_holder(opened))
            with suppress(FileNotFoundError):
                # The last holder may have deleted the file between our opening and locking it.
                if _is_open(opened, file):
                    return opened
            opened.close()
        except BaseException:
            opened.close()
            raise


def _is_open(opened: BinaryIO, file: Path) -> bool:
    """Whether this is the file of that name, and not a deleted one."""
    return os.path.samestat(os.fstat(opened.fileno()), os.stat(file))


def lock(file: BinaryIO, *, shared: bool) -> bool | None:
    """Lock an open file until it is closed; false if another one's lock is in the way, None on a disk without locks."""
    if sys.platform == "win32":
        return None  # and it neither deletes nor replaces files that are open
    import fcntl

    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        return None if error.errno in NO_LOCKS else False
    return True


def _describe_self() -> dict[str, str | int]:
    return {
        "host": socket.gethostname(),
        "process": os.getpid(),
        "started": datetime.now().astimezone().isoformat(" ", "seconds"),
    }


def _describe_holder(opened: BinaryIO) -> str:
    """Who holds a lock, in words."""
    try:
        holder = json.loads(opened.read(4096))
        return f"process {holder['process']} on {holder['host']}, since {holder['started']}"
    except (OSError, ValueError, LookupError, TypeError):
        return "another process"
