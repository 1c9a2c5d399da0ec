"""A file written piece by piece: it appears whole or not at all, and resumes where it stopped."""

import json
import os
from pathlib import Path
from typing import Any, Self

from xxhash import xxh3_128

from hfkit.errors import UserError
from hfkit.runtime.commands import ANEW, GOES_ON
from hfkit.runtime.durable import explain_no_room, sync, write_file

AT_ONCE = 1 << 20  # bytes


class PartFile:
    """A text file in progress: FILE.part grows, and FILE.part.json says how much of it counts and what it is made from.

    The state holds a digest of the bytes that count, so a part that was changed, or that a power cut filled with
    zeros, starts anew.

    Args:
        work: everything the file is made from, as plain values; a part of other work starts anew. None: always anew.

    Raises:
        UserError: the file cannot be written there.
        Failure: there is no room for it; what counts so far is kept.
    """

    def __init__(self, path: Path, work: Any) -> None:
        self.path, self.work, self.hasher = path, work, xxh3_128()
        self.again = ANEW if work is None else GOES_ON
        self.part, self.state = (path.with_name(path.name + end) for end in (".part", ".part.json"))
        self.rows, size, self.notes = self._read_state()
        try:
            with explain_no_room(path, self.again):
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
        if self.work is None or not (self.state.exists() or self.part.exists()):
            return 0, 0, {}
        try:
            state = json.loads(self.state.read_text(encoding="utf-8"))
            size, digest = state.pop("bytes"), state.pop("digest")
            if state["work"] != self.work:
                return 0, 0, {}
            if self._digest(state, size) == digest:
                return state["rows"], size, state["notes"]
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            pass
        print(f"{self.part}: it is not as it was written, so it begins anew")
        self.hasher.reset()
        return 0, 0, {}

    def _digest(self, state: dict[str, Any], size: int) -> str:
        """A digest of a state, and of as many bytes of the part, which it takes into the running digest."""
        with self.part.open("rb") as file:
            left = size
            while left and (block := file.read(min(left, AT_ONCE))):
                self.hasher.update(block)
                left -= len(block)
        return self._seal(state) if not left else ""

    def _seal(self, state: dict[str, Any]) -> str:
        """A digest of a state, and of the bytes up to here."""
        whole = self.hasher.copy()
        whole.update(json.dumps(state, sort_keys=True).encode())
        return whole.hexdigest()

    def add(self, text: str, rows: int, notes: dict[str, Any]) -> None:
        """Write a piece; it counts once this returns. The notes are available again when the work resumes."""
        piece = text.encode()
        with explain_no_room(self.path, self.again):
            self.file.write(piece)
            self.file.flush()
            os.fsync(self.file.fileno())
        self.hasher.update(piece)
        self.rows += rows
        state = {"rows": self.rows, "work": self.work, "notes": notes}
        state |= {"digest": self._seal(state), "bytes": self.file.tell()}
        write_file(self.state, json.dumps(state), self.again)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, *others: object) -> None:
        try:
            self.file.close()
        except OSError:
            if kind is None:  # otherwise what it could not write was said already
                raise
        if kind is None:
            self.part.replace(self.path)
            self.state.unlink(missing_ok=True)
            sync(self.path.parent)
