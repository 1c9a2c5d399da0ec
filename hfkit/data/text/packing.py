"""Documents in rows of one length: what is too long is cut into windows, and what is short shares a row with others."""

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

MOST_EMPTY = 0.01  # of the rows; below that no document is cut


class Window(NamedTuple):
    """A stretch of the places of a document at which a model predicts the next token."""

    start: int
    end: int  # excluded
    known: int  # places at its beginning that an earlier window has predicted from: they are context only


def cut_windows(places: int, room: int, shared: int = 0) -> list[Window]:
    """Windows of at most `room` places, in which every place counts exactly once; one at least.

    Args:
        shared: places that a window has in common with the one before it, fewer than `room`.
    """
    windows = [Window(0, min(places, room), 0)]
    while windows[-1].end < places:
        start = windows[-1].end - shared
        windows.append(Window(start, min(places, start + room), shared))
    return windows


class Part(NamedTuple):
    """A stretch of a document in a row that it shares with others."""

    piece: int
    start: int
    end: int  # excluded


def pack(lengths: Sequence[int] | np.ndarray, room: int, *, may_cut: bool = True) -> list[list[Part]]:
    """Pieces of documents in as few rows as `MOST_EMPTY` of them asks for; a function of the lengths alone.

    Each goes whole into the fullest row that has room for it, the longest first. Where that leaves too much empty, as
    it does with pieces of two thirds of a row, the emptiest rows are given up, and their pieces are cut to fill the
    largest gaps of the others.

    Args:
        lengths: of every piece, from 1 to `room`.
        may_cut: False leaves rows as empty as they are, where the end of a piece means nothing without its beginning.
    """
    rows = [[Part(piece, 0, int(lengths[piece])) for piece in row] for row in fit_whole(lengths, room)]
    total = int(np.sum(lengths))
    fewest = max(-(-total // room), int(total / (room * (1 - MOST_EMPTY))))
    if may_cut and len(rows) > fewest:
        rows = sorted(rows, key=lambda row: -measure(row))
        rows = pour(rows[:fewest], [part for row in rows[fewest:] for part in row], room)
    return sorted(sorted(row) for row in rows)


def measure(row: Sequence[Part]) -> int:
    return sum(part.end - part.start for part in row)


def pour(rows: list[list[Part]], parts: Sequence[Part], room: int) -> list[list[Part]]:
    """The rows with further parts in their gaps, the largest gap first; a part is cut where one ends."""
    gaps = sorted(((room - measure(row), place) for place, row in enumerate(rows)), key=lambda gap: (-gap[0], gap[1]))
    left = iter(gaps)
    free, place = next(left)
    for piece, start, end in parts:
        while start < end:
            if not free:
                free, place = next(left)
            taken = min(free, end - start)
            rows[place].append(Part(piece, start, start + taken))
            start, free = start + taken, free - taken
    return rows


def fit_whole(lengths: Sequence[int] | np.ndarray, room: int) -> list[list[int]]:
    """The numbers of the pieces in every row: best fit in falling order, at most 11/9 of the rows of the best packing.

    Source: Johnson 1973, "Near-optimal bin packing algorithms".
    """
    rows: list[list[int]] = []
    holders: dict[int, list[int]] = {}  # room that is left -> rows with just so much
    left: list[int] = []  # the keys of `holders`, in rising order
    for piece in np.argsort(-np.asarray(lengths), kind="stable").tolist():
        length = int(lengths[piece])
        place = bisect_left(left, length)
        if place == len(left):
            row, free = len(rows), room
            rows.append([])
        else:
            free = left[place]
            row = holders[free].pop()
            if not holders[free]:
                del holders[free], left[place]
        rows[row].append(piece)
        if rest := free - length:
            if rest not in holders:
                holders[rest] = []
                insort(left, rest)
            holders[rest].append(row)
    return rows
