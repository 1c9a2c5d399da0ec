"""A file written piece by piece: it appears whole or not at all, and resumes where it stopped."""

import json
import os
from pathlib import Path
from typing import Any, Self

from hfkit.errors import UserError


class PartFile:
    """A text file in progress: FILE.part grows, and FILE.part.json says how much of it counts and what it is made from.

    Args:
        work: everything the file is made from, as plain values; a part of other work starts anew. None: always anew.

    Raises:
        UserError: the file cannot be written there.
    """

    def __init__(self, path: Path, work: Any) -> None:
        self.path, self.work = path, work
        self.part, self.state = (path.with_name(path.name + end) for end in (".part", ".part.json"))
        self.rows, size, self.notes = self._read_state()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.file = self.part.open("r+b" if self.rows else "wb")
        except OSError as error:
            raise UserError(
                f"output '{path}'", f"it cannot be written ({error.strerror})", "Give a file in a folder of your own"
            ) from error
        self.file.truncate(size)
        self.file.seek(size)

    def _read_state(self) -> tuple[int, int, dict[str, Any]]:
        """The rows and bytes of the part that count, and its notes."""
        try:
            state = json.loads(self.state.read_text(encoding="utf-8"))
            if self.work is not None and state["work"] == self.work and self.part.stat().st_size >= state["bytes"]:
                return state["rows"], state["bytes"], state["notes"]
        except (OSError, ValueError, LookupError, TypeError):
            pass
        return 0, 0, {}

    def add(self, text: str, rows: int, notes: dict[str, Any]) -> None:
        """Write a piece; it counts once this returns. The notes are available again when the work resumes."""
        self.file.write(text.encode())
        self.file.flush()
        os.fsync(self.file.fileno())
        self.rows += rows
        state = {"rows": self.rows, "bytes": self.file.tell(), "work": self.work, "notes": notes}
        new = self.state.with_name(self.state.name + ".new")
        new.write_text(json.dumps(state), encoding="utf-8")
        new.replace(self.state)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, *others: object) -> None:
        self.file.close()
        if kind is None:
            self.part.replace(self.path)
            self.state.unlink(missing_ok=True)
