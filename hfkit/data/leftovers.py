"""Files that systems and tools leave in folders, which are no data."""

from pathlib import Path

LEFTOVERS = {"__macosx", "thumbs.db", "desktop.ini", ".ipynb_checkpoints", "@eadir", "$recycle.bin", "#recycle"}


def is_leftover(name: str) -> bool:
    """True for the name of a file or folder that a system or a tool left behind, and for hidden ones."""
    return name.startswith(".") or name.lower() in LEFTOVERS


def list_folder(folder: Path) -> list[Path]:
    """The files and folders in a folder, sorted, without leftovers."""
    return sorted(path for path in folder.iterdir() if not is_leftover(path.name))
