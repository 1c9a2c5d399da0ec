"""Notes on a user's data: how hfkit understood it, in one line for each thing, printed and kept for the report."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from hfkit.progress import FIRST
from hfkit.runtime.redaction import make_printable


class Notes(NamedTuple):
    """A collection of lines."""

    lines: list[str]
    aloud: bool


_NOTES: ContextVar[Notes | None] = ContextVar("notes", default=None)


@contextmanager
def collect_notes(*, aloud: bool = True) -> Iterator[list[str]]:
    """Within it, what is told is kept, once; yields the lines so far.

    Args:
        aloud: it is also printed, unless an outer collection is not aloud.
    """
    outer = _NOTES.get()
    notes = Notes([], aloud and (outer is None or outer.aloud))
    token = _NOTES.set(notes)
    try:
        yield notes.lines
    finally:
        _NOTES.reset(token)
        if outer is not None:
            outer.lines.extend(line for line in notes.lines if line not in outer.lines)


def tell(line: str) -> None:
    """Print a line, without secrets that it may quote, once for each collection, in the first process of a launcher."""
    line = make_printable(line)
    notes = _NOTES.get()
    if notes is not None:
        if line in notes.lines:
            return
        notes.lines.append(line)
    if FIRST and (notes is None or notes.aloud):
        print(line)
