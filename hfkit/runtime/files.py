"""Files that somebody names or wrote: looked at before they are opened, and what is wrong with one in plain words.

Opening a pipe waits for whoever writes into it, reading a device may never end, and JSON of the wrong kind fails far
from where it was read. So whatever takes a path from a user or from a folder of somebody else asks here first.
"""

import errno
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hfkit.errors import Failure, UserError, first_line
from hfkit.runtime.durable import NO_ROOM, describe_room

KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
NAMES = {dict: "an object", list: "a list", str: "a string", bool: "a truth value", int: "a number", float: "a number"}
MOST_BYTES = 500_000_000  # of a file that is read at once
# What an error of the operating system means, and what to do about it.
MEANINGS = {
    errno.EACCES: ("permission is missing", "Allow it, or use another place"),
    errno.EPERM: ("permission is missing", "Allow it, or use another place"),
    errno.EROFS: ("it lies on a disk that can only be read", "Use another place"),
    errno.ENOENT: ("there is no such file or folder", "Check the path"),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "Check the path"),
    errno.EISDIR: ("it is a folder, not a file", "Check the path"),
    errno.EEXIST: ("something of this name is there already", "Move it away, or use another place"),
    errno.ENOTEMPTY: ("the folder is not empty", "Move it away, or use another place"),
    errno.ELOOP: ("it is a link that leads back to itself", "Mend the link, or give the file itself"),
    errno.ENAMETOOLONG: ("the name is too long for this file system", "Give a shorter one"),
    errno.ENXIO: ("it is a socket or a device, not a file", "Give a file"),
    errno.ESTALE: ("the network drive that it lies on is gone", "Mount it again"),
    errno.ENOTCONN: ("the network drive that it lies on is gone", "Mount it again"),
    errno.EIO: ("the disk could not be read or written", "Check the disk"),
}


def find_fault(path: Path) -> str | None:
    """Why a path is no file that can be read, in words; None if it is one. Nothing is opened."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            return f"it is a link to '{os.readlink(path)}', which does not exist"
        return "there is no such file or folder"
    except OSError as error:
        return describe_os_error(error)[0]
    except ValueError:  # a NUL character
        return "it is no path"
    kind = next((name for is_kind, name in KINDS if is_kind(mode)), None)
    if kind is not None:
        return f"it is {kind}, not a file"
    return None if os.access(path, os.R_OK) else "it cannot be read: permission is missing"


def require_file(path: Path, named: str, fix: str = "Give a file that can be read") -> None:
    """Refuse a path that is no file, or none that can be read.

    Raises:
        UserError: with what it is instead.
    """
    fault = find_fault(path)
    if fault is not None:
        raise UserError(named, fault, fix)


def expand_home(path: str) -> Path:
    """The path with its ~ or ~user replaced, and as it stands if there is no such user."""
    return Path(os.path.expanduser(path))


def is_same_place(one: Path, other: Path) -> bool:
    """Whether two paths lead to the same place, links resolved; False for what leads nowhere."""
    return os.path.realpath(one) == os.path.realpath(other)


def read_object(path: Path, named: str, fix: str, most: int = MOST_BYTES) -> dict[str, Any]:
    """The JSON object that a file holds.

    Raises:
        UserError: it is no file that can be read, too large, or holds anything else.
    """
    require_file(path, named, fix)
    size = path.stat().st_size
    if size > most:
        raise UserError(named, f"it takes at most {most:,} bytes, and this file {size:,}", fix)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise UserError(named, "it is nested too deep", fix) from error
    except OSError as error:
        raise UserError(named, describe_os_error(error)[0], fix) from error
    except ValueError as error:  # no UTF-8, no JSON, or a number of thousands of digits
        raise UserError(named, f"it cannot be read as JSON ({first_line(error)})", fix) from error
    if not isinstance(content, dict):
        raise UserError(named, f"it holds an object, and this is {name_kind(content)}", fix)
    return content


def name_kind(value: Any) -> str:
    """The kind of a value of JSON, in its own words."""
    names = {
        dict: "an object",
        list: "a list",
        str: "a string",
        bool: "a truth value",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "null")


def describe_os_error(error: OSError) -> tuple[str, str]:
    """The meaning of an error of the operating system, and what to do about it."""
    if error.errno == errno.ENOENT and not has_working_folder():
        return "the folder that the command runs in has been deleted", "Change into one that exists"
    number = error.errno if error.errno is not None else 0
    return MEANINGS.get(number, (error.strerror or first_line(error), "Check the path, the disk and its permissions"))


def has_working_folder() -> bool:
    try:
        os.getcwd()
    except OSError:
        return False
    return True


def find_os_error(error: BaseException | None) -> OSError | None:
    """The error of the operating system that an error is or was caused by; None if there is none.

    Libraries raise errors of their own in its place, with advice that fits none of its causes.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, OSError) and error.errno is not None and error.strerror is not None:
            return error
        seen.add(id(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return None


def explain_os_error(error: OSError, named: str) -> UserError | Failure:
    """An error of the operating system as one line: no room is a failure, everything else can be mended by the user.

    Args:
        named: what was to be read or written, for an error that names no place.
    """
    place = str(error.filename) if isinstance(error.filename, str) else named
    if error.errno in NO_ROOM:
        return Failure(f"{place}: no room is left on the disk ({describe_room(Path(place))})", "Make room there")
    rule, fix = describe_os_error(error)
    return UserError(place, rule, fix)


@contextmanager
def explain_os_errors(named: str) -> Iterator[None]:
    """Within it, an error of the operating system becomes one line that says what it is (see `explain_os_error`)."""
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        if error.errno is None:
            raise
        raise explain_os_error(error, named) from error
