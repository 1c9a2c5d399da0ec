"""Notes on a user's data: how hfkit understood it, in one line for each thing, printed and kept for the report."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from hfkit.progress import FIRST

_NOTES: ContextVar[list[str] | None] = ContextVar("notes", default=None)


@contextmanager
def collect_notes() -> Iterator[list[str]]:
    """Within it, what is told is kept too; yields the lines so far."""
    outer, notes = _NOTES.get(), []
    token = _NOTES.set(notes)
    try:
        yield notes
    finally:
        _NOTES.reset(token)
        if outer is not None:
            outer += [line for line in notes if line not in outer]


def tell(line: str) -> None:
    """Print a line once for each collection, in the first process of a launcher."""
    notes = _NOTES.get()
    if notes is not None:
        if line in notes:
            return
        notes.append(line)
    if FIRST:
        print(line, file=sys.stdout)
