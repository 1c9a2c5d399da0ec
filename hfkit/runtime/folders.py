"""Folders on disk, which are tested before training."""

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
