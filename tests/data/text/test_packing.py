"""Documents in rows: each place counts once, rows are nearly full, and the same lengths give the same rows."""

import random

import pytest

from hfkit.data.text.packing import MOST_EMPTY, cut_windows, measure, pack


@pytest.mark.parametrize(("places", "room", "shared"), [(1, 8, 0), (8, 8, 0), (9, 8, 0), (100, 8, 3), (64, 8, 7)])
def test_every_place_counts_in_exactly_one_window(places, room, shared):
    windows = cut_windows(places, room, shared)
    counted = [place for window in windows for place in range(window.start + window.known, window.end)]
    assert counted == list(range(places))
    assert all(0 < window.end - window.start <= room for window in windows)
    assert all(window.known == shared for window in windows[1:])


def test_an_empty_document_has_a_window():
    assert [tuple(window) for window in cut_windows(0, 8)] == [(0, 0, 0)]


def places_of(rows, lengths):
    return sorted((part.piece, place) for row in rows for part in row for place in range(part.start, part.end))


@pytest.mark.parametrize("shortest, longest", [(1, 40), (1, 128), (60, 90), (70, 70), (128, 128)])
def test_rows_hold_every_place_once_and_are_nearly_full(shortest, longest):
    draw = random.Random(longest)
    lengths = [draw.randint(shortest, longest) for _ in range(500)]
    rows = pack(lengths, 128)
    assert places_of(rows, lengths) == [(piece, place) for piece, size in enumerate(lengths) for place in range(size)]
    assert max(map(measure, rows)) <= 128
    assert 1 - sum(lengths) / (128 * len(rows)) <= MOST_EMPTY + 1 / len(rows)
    assert rows == pack(lengths, 128)


def test_short_documents_are_never_cut():
    draw = random.Random(0)
    lengths = [draw.randint(1, 40) for _ in range(500)]
    assert all(part.end - part.start == lengths[part.piece] for row in pack(lengths, 128) for part in row)


def test_pieces_that_may_not_be_cut_stay_whole_whatever_stays_empty():
    assert [[tuple(part) for part in row] for row in pack([70, 70, 50], 128, may_cut=False)] == [
        [(0, 0, 70)],
        [(1, 0, 70), (2, 0, 50)],
    ]
