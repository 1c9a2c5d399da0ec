"""The writer of everything that must survive: files and folders that appear whole or not at all, and are on the disk.

What is unfinished lies beside the place it is for, under a hidden name. It gets its own name once every byte is on the
disk, so neither a killed process nor a power cut leaves half of it behind, and what was there before stays until then.
"""

import errno
import itertools
import os
import re
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from hfkit.errors import Failure

# EFBIG: a limit on the size of files (`ulimit -f`), or one of the file system.
NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
OS_ERROR = re.compile(r"\bos error (\d+)\b")  # in the messages of libraries written in Rust, such as safetensors
TORCH_WRITER = re.compile(r"inline_container|PytorchStreamWriter|iostream error")  # they never say why they failed
HIDDEN = re.compile(r"\.(?P<name>.+)\.(?P<host>[^.]*)\.(?P<process>\d+)\.\d+\.part", re.DOTALL)
_numbers = itertools.count()


def write_file(path: Path, content: str | bytes, again: str | None = None) -> None:
    """Write a file, even if others write it at the same time: one of them is there in the end, and whole.

    Raises:
        Failure: there is no room; the earlier file is still there.
    """
    with replace_file(path, again) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def replace_file(path: Path, again: str | None = None) -> Iterator[Path]:
    """Give the path of an empty file beside `path`; when the block ends, it takes the place of `path`.

    If the block fails, it is deleted, and the earlier file stays. Permissions are those that the umask gives, whatever
    the library that wrote the file thinks of them.

    Args:
        again: as for `explain_no_room`.

    Raises:
        Failure: there is no room.
    """
    with explain_no_room(path, again):
        delete_abandoned(path)
        part = _hide_beside(path)
        try:
            part.touch()
            mode = part.stat().st_mode
            yield part
            part.chmod(mode)
            sync(part)
            os.replace(part, path)
        except Exception as error:
            _raise_if_full(error, path, again)  # while what fills the disk is still there
            raise
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
        sync(path.parent)


@contextmanager
def replace_folder(folder: Path, again: str | None = None) -> Iterator[Path]:
    """Give an empty folder beside `folder`; when the block ends, it takes the place of `folder` with all that it holds.

    If the block fails, it is deleted, and the earlier folder stays. An earlier folder is moved aside for the moment
    between two renames; a process killed right there leaves it beside, under the hidden name.

    Args:
        again: as for `explain_no_room`.

    Raises:
        Failure: there is no room.
    """
    with explain_no_room(folder, again):
        folder.parent.mkdir(parents=True, exist_ok=True)
        delete_abandoned(folder)
        part, earlier = _hide_beside(folder), None
        try:
            part.mkdir()
            yield part
            permit(part)
            sync_below(part)
            if folder.exists():
                earlier = folder.rename(_hide_beside(folder))
            try:
                part.rename(folder)
            except OSError:
                if earlier is not None:
                    earlier.rename(folder)
                raise
        except Exception as error:
            _raise_if_full(error, folder, again)
            raise
        finally:
            shutil.rmtree(part, ignore_errors=True)
        sync(folder.parent)
        if earlier is not None:
            shutil.rmtree(earlier, ignore_errors=True)


def permit(place: Path) -> None:
    """Give a file, or all files below a folder, the permissions that the umask gives.

    safetensors makes its files through a temporary one, which nobody but its owner may read.
    """
    files = [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]
    probe = _hide_beside(place if place.is_file() else place / "probe")
    try:
        probe.touch()
        mode = probe.stat().st_mode
    finally:
        probe.unlink(missing_ok=True)
    for file in files:
        if file.stat().st_mode & mode != mode:
            file.chmod(file.stat().st_mode | mode)


def sync(place: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    if sys.platform == "win32" and place.is_dir():
        return  # Windows opens no folders
    number = os.open(place, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # of file systems that cannot be told to
            raise
    finally:
        os.close(number)


def sync_below(folder: Path) -> None:
    """Wait until a folder and all that it holds are on the disk."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() or path.is_file():
            sync(path)
    sync(folder)


def delete_abandoned(path: Path) -> None:
    """Delete what processes of this machine that no longer run have left unfinished beside `path`."""
    try:
        beside = [(entry.name, found) for entry in os.scandir(path.parent) if (found := HIDDEN.fullmatch(entry.name))]
    except FileNotFoundError:
        return
    for name, found in beside:
        ours = found["name"] == _shorten(path.name) and found["host"] == _name_host()
        if ours and not psutil.pid_exists(int(found["process"])):
            left = path.with_name(name)
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)


def _hide_beside(path: Path) -> Path:
    """A name beside `path` that says what it is for, and which process writes it."""
    return path.with_name(f".{_shorten(path.name)}.{_name_host()}.{os.getpid()}.{next(_numbers)}.part")


def _shorten(name: str) -> str:
    return name[:60]  # 255 bytes are allowed, and a letter may take four


def _name_host() -> str:
    return re.sub(r"[^\w-]", "_", socket.gethostname())[:30]


# A full disk, in whatever guise


@contextmanager
def explain_no_room(place: Path, again: str | None = None) -> Iterator[None]:
    """Turn "no room on the disk" into one line with the place and the room that is left.

    Args:
        place: what is written within the block. What was there before must be kept, for the line says so.
        again: what running the same command again does, as in `hfkit.errors`, where that is known.

    Raises:
        Failure: there was no room. Every other error is left as it is.
    """
    try:
        yield
    except Failure:
        raise
    except Exception as error:
        _raise_if_full(error, place, again)
        raise


def require_room(place: Path, again: str | None = None) -> None:
    """Refuse to go on where not even a megabyte can be written.

    Raises:
        Failure: as of `explain_no_room`.
    """
    if not _has_room(place):
        with explain_no_room(place, again):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _raise_if_full(error: BaseException, place: Path, again: str | None) -> None:
    if is_no_room(error, place):
        raise Failure(
            f"'{place}' cannot be written: no room is left ({describe_room(place)}). What was there before is kept",
            "Make room there, and run the same command again" if again is None else f"Make room there: {again}",
        ) from error


def is_no_room(error: BaseException, place: Path) -> bool:
    """Whether an error, or one that led to it, means that there is no room on the disk of `place`."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        if isinstance(found, OSError) and found.errno in NO_ROOM:
            return True
        if any(int(number) in NO_ROOM for number in OS_ERROR.findall(str(found))):
            return True
        if isinstance(found, RuntimeError) and TORCH_WRITER.search(str(found)) and not _has_room(place):
            return True
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
    return False


def _has_room(place: Path) -> bool:
    """Whether a megabyte can be written beside `place`. Quotas do not show in the free space of a disk."""
    probe = _hide_beside(_find_folder(place) / "probe")
    try:
        probe.write_bytes(bytes(1 << 20))
        sync(probe)
    except OSError as error:
        return error.errno not in NO_ROOM
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    return True


def describe_room(place: Path) -> str:
    """How much room the disk of a place has, in words."""
    usage = measure_disk(place)
    return f"{_show_size(usage.free)} of {_show_size(usage.total)} are free"


def measure_disk(place: Path) -> Any:
    """The disk of a place, or of the nearest folder above it that exists: bytes as `total`, `used` and `free`."""
    return shutil.disk_usage(_find_folder(place))


def _show_size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size < 1e9 else f"{size / 1e9:,.1f} GB"


def _find_folder(place: Path) -> Path:
    return next(folder for folder in (place, *place.absolute().parents) if folder.is_dir())
