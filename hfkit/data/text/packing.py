"""Documents in rows of one length: what is too long is cut into windows, and what is short shares a row with others."""

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


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


def pack(lengths: Sequence[int] | np.ndarray, room: int) -> list[list[int]]:
    """The numbers of the pieces in every row: the longest first, each into the fullest row that has room for it.

    A function of the lengths alone. Best fit in falling order needs at most 11/9 of the rows of the best packing, and
    of many pieces that are short beside `room` it leaves next to nothing empty.

    Args:
        lengths: of every piece, from 1 to `room`.
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
    return sorted(sorted(row) for row in rows)
