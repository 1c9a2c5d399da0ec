"""The files of a folder, without what operating systems and tools have left there."""

import os
import stat
import unicodedata
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from hfkit.errors import UserError

# Names of files and folders that hold nothing of their owner's, in lower case.
LEFTOVERS = {
    *("__macosx", "icon\r"),  # macOS; the others of its names are hidden
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information"),  # Windows
    *("@eadir", "#recycle", "#snapshot", "@recycle"),  # network drives
    *("lost+found", "__pycache__"),
}
# Hidden names that are counted by themselves: a reader knows where they come from.
HIDDEN = {".ds_store", ".ipynb_checkpoints", ".git", ".thumbnails", ".cache", ".appledouble", ".@__thumb"}
STARTS = ("._", "~$")  # AppleDouble files of macOS, and the locks of Office
LOOP, SPECIAL = "links that lead back", "devices and pipes"


class Walk(NamedTuple):
    """The files below a folder."""

    files: list[Path]  # below the folder as it was given, links not resolved
    skipped: Counter[str]  # leftovers, by name or kind
    outside: list[Path]  # links out of the root: they are neither followed nor among the files


def walk_files(
    folder: Path, *, root: Path | None = None, allow_outside: bool = False
) -> tuple[list[Path], Counter[str]]:
    """The files below a folder, and the count of the leftovers that were skipped (see `walk`).

    Raises:
        UserError: a folder cannot be read, or a link leads out of the root and may not.
    """
    found = walk(folder, root=root, allow_outside=allow_outside)
    if found.outside:
        raise refuse_link(found.outside[0])
    return found.files, found.skipped


def walk(folder: Path, *, root: Path | None = None, allow_outside: bool = False) -> Walk:
    """The files below a folder, sorted by their names in one Unicode form, without leftovers and hidden files.

    Links to files and folders within `root` are followed. A link to a folder that the link itself lies in is skipped.

    Args:
        root: the folder of the dataset; default: `folder`.
        allow_outside: follow links out of the root too.

    Raises:
        UserError: a folder cannot be read.
    """
    files: list[Path] = []
    skipped: Counter[str] = Counter()
    outside: list[Path] = []
    base = os.path.realpath(root_of(root or folder))

    def visit(place: Path, real: str, above: tuple[str, ...]) -> None:
        for entry in scan_folder(place):
            path = place / entry.name
            if kind := kind_of_leftover(entry.name):
                skipped[kind] += 1
                continue
            target = os.path.realpath(entry.path) if entry.is_symlink() else os.path.join(real, entry.name)
            if entry.is_symlink() and not (allow_outside or lies_in(target, base)):
                outside.append(path)
            elif not os.path.isdir(entry.path):  # a loop of links is none, and an error of `entry.is_dir`
                if is_special(entry):
                    skipped[SPECIAL] += 1
                else:
                    files.append(path)
            elif target in above:
                skipped[LOOP] += 1
            else:
                visit(path, target, (*above, target))

    start = os.path.realpath(folder)
    visit(folder, start, (start,))
    return Walk(files, skipped, outside)


def list_folder(folder: Path) -> list[Path]:
    """The files and folders in a folder, sorted by their names in one Unicode form, without leftovers.

    Raises:
        UserError: it cannot be read.
    """
    return [folder / entry.name for entry in scan_folder(folder) if not is_leftover(entry.name)]


def scan_folder(place: Path) -> list[os.DirEntry[str]]:
    """The entries of a folder, sorted by their names in one Unicode form.

    Raises:
        UserError: it cannot be read.
    """
    try:
        with os.scandir(place) as entries:
            return sorted(entries, key=lambda entry: (unicodedata.normalize("NFC", entry.name), entry.name))
    except OSError as error:
        raise UserError(
            f"folder '{place}'", f"it cannot be read ({error.strerror})", "Allow reading it, or move it away"
        ) from error


def is_leftover(name: str) -> bool:
    """True for the name of a file or folder that a system or a tool left behind, and for hidden ones."""
    return kind_of_leftover(name) is not None


def kind_of_leftover(name: str) -> str | None:
    """The name by which a leftover is counted; None for a file or folder of the owner's."""
    low = name.lower()
    if low in LEFTOVERS or low in HIDDEN:
        return name.strip()
    start = next((start for start in STARTS if name.startswith(start)), None)
    return f"{start}*" if start else "hidden" if name.startswith(".") else None


def is_special(entry: os.DirEntry[str]) -> bool:
    """True for devices, pipes and sockets, which may be read forever; False for a link to nothing."""
    try:
        return not stat.S_ISREG(entry.stat().st_mode)
    except OSError:
        return False


def root_of(folder: Path) -> Path:
    """The folder that the files of a dataset may lie in: its own, or that of a whole snapshot of the Hub's cache.

    The files of a snapshot are links into the folder `blobs` beside all snapshots.
    """
    whole = folder.absolute()
    for place in (whole, *whole.parents):
        if place.parent.name == "snapshots" and (place.parent.parent / "blobs").is_dir():
            return place.parent.parent
    return folder


def lies_in(path: str, root: str) -> bool:
    return path == root or path.startswith(os.path.join(root, ""))


def refuse_link(link: Path) -> UserError:
    """The error for a link out of the dataset's folder."""
    return UserError(
        f"link '{link}'",
        f"links lead to places in the folder of the dataset, and this one leads to '{os.path.realpath(link)}'",
        "Copy what it leads to into the folder, or give the folder that holds both",
    )


def describe_leftovers(skipped: Counter[str]) -> str:
    """A line such as "leftovers of systems and tools are left out: 28 ._*, 6 .DS_Store"; "" if there are none."""
    listed = ", ".join(f"{count:,} {kind}" for kind, count in skipped.most_common())
    return listed and f"leftovers of systems and tools are left out: {listed}"
