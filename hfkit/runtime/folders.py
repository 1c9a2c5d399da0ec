"""Folders and files on disk: a folder is tested before training, and a file is written whole or not at all."""

import os
import tempfile
from pathlib import Path

from hfkit.errors import UserError


def require_writable(folder: Path) -> None:
    """Create the folder, and refuse it now rather than after training.

    Raises:
        UserError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"output_dir={folder}", f"it cannot be written ({error.strerror})", "Choose another --output_dir"
        ) from error


def write_page(path: Path, content: str | bytes) -> None:
    """Write a file that appears whole or not at all, even if others write it at the same time."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_bytes(content.encode() if isinstance(content, str) else content)
    part.replace(path)
