"""Places for the labels of a plot, so that no two overlap at any width that the plot may have."""

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

LETTER = 6.6  # pixels: width of a letter at 12 px, rounded up
LINE = 17  # pixels: height of a label


def place_labels(
    places: Sequence[tuple[float, float]],
    texts: Sequence[str],
    strokes: Sequence[tuple[tuple[float, float], tuple[float, float]]],
    widths: Sequence[int],
    height: int,
) -> list[dict[str, Any]]:
    """A place for each text beside its point, so that no two texts overlap at any of the widths.

    Texts also avoid points and strokes if possible.

    Args:
        places: of the points, in percent.
        strokes: vertical or horizontal lines from place to place.
        widths: of the plot, in pixels.
        height: of the plot, in pixels.

    Returns:
        Of each text `dx` and `dy`, in pixels from the point to the text's middle left, right or centre, its `anchor`,
        None if there is no room for it, and whether it is `far` from its point.
    """
    chosen: dict[int, dict[str, Any]] = {}
    boxes: list[list[tuple]] = []  # of the texts placed so far, one for every width
    dots = [[_around(x * w / 100, (100 - y) * height / 100, 7) for w in widths] for x, y in places]
    drawn = [
        [
            (min(a[0], b[0]) * w / 100 - 2, (100 - max(a[1], b[1])) * height / 100 - 2)
            + (max(a[0], b[0]) * w / 100 + 2, (100 - min(a[1], b[1])) * height / 100 + 2)
            for w in widths
        ]
        for a, b in strokes
    ]
    # From the top down: if it is crowded, those at the top get the good places.
    for i in sorted(range(len(places)), key=lambda i: -places[i][1]):
        for allowed, (dx, dy, anchor) in product((0, 1, len(places)), _candidates()):
            box = [_box(places[i], texts[i], dx, dy, anchor, w, height) for w in widths]
            out = any(
                b[0] < -4 or b[2] > w + 12 or b[1] < -6 or b[3] > height for b, w in zip(box, widths, strict=True)
            )
            if out or any(_meet(a, b) for other in boxes for a, b in zip(box, other, strict=True)):
                continue
            met = sum(2 * any(map(_meet, box, dot)) for j, dot in enumerate(dots) if j != i)
            met += any(any(map(_meet, box, stroke)) for stroke in drawn)
            if met <= 2 * allowed - (allowed == 1):
                boxes.append(box)
                chosen[i] = {"dx": dx, "dy": dy, "anchor": anchor, "far": abs(dx) + abs(dy) > 25}
                break
    return [chosen.get(i, {"dx": 0, "dy": 0, "anchor": None, "far": False}) for i in range(len(places))]


def spread_out(values: Sequence[float], gap: float) -> list[float]:
    """The values, moved as little as it takes to be `gap` apart, and within 0 to 100 if they fit."""
    order = sorted(range(len(values)), key=lambda i: values[i])
    groups: list[tuple[float, int]] = []  # (middle, members) of neighbours that stand side by side
    for i in order:
        middle, count = values[i], 1
        while groups and groups[-1][0] + gap * (groups[-1][1] + count) / 2 > middle:
            before, members = groups.pop()
            middle, count = (before * members + middle * count) / (members + count), members + count
        groups.append((middle, count))
    moved = [middle + gap * (k - (count - 1) / 2) for middle, count in groups for k in range(count)]
    for k in range(len(moved)):
        moved[k] = max(moved[k], moved[k - 1] + gap if k else 0.0)
    for k in reversed(range(len(moved))):
        moved[k] = min(moved[k], moved[k + 1] - gap if k + 1 < len(moved) else 100.0)
    at = dict(zip(order, moved, strict=True))
    return [round(at[i], 2) for i in range(len(values))]


def drop_colliding(marks: Sequence[tuple[float, str]], width: int) -> list[tuple[float, str]]:
    """The marks without those whose centred texts would overlap in a plot of that width; the last one stays."""
    kept: list[tuple[float, str]] = []
    for at, text in reversed(marks):
        needed = (_length(text) + _length(kept[-1][1])) / 2 + 6 if kept else 0
        if not kept or (kept[-1][0] - at) * width / 100 >= needed:
            kept.append((at, text))
    return kept[::-1]


def _candidates() -> Iterator[tuple[int, int, str]]:
    """Places beside a point: the usual ones first, then farther ones."""
    yield from ((10, 0, "start"), (0, -16, "middle"), (-10, 0, "end"), (0, 16, "middle"))
    for far in (13, 20, 30, 42, 56, 72):
        yield from ((8, -far, "start"), (8, far, "start"), (-8, -far, "end"), (-8, far, "end"))
        yield from ((0, -far, "middle"), (0, far, "middle"), (far, 0, "start"), (-far, 0, "end"))


def _length(text: str) -> float:
    """In pixels; a wide East Asian letter counts twice."""
    return LETTER * sum(1 + (unicodedata.east_asian_width(letter) in "WF") for letter in text)


def _box(place: tuple[float, float], text: str, dx: int, dy: int, anchor: str, width: int, height: int) -> tuple:
    long = _length(text)
    left = place[0] * width / 100 + dx - {"start": 0, "middle": long / 2, "end": long}[anchor]
    middle = (100 - place[1]) * height / 100 + dy
    return left, middle - LINE / 2, left + long, middle + LINE / 2


def _around(x: float, y: float, radius: float) -> tuple[float, float, float, float]:
    return x - radius, y - radius, x + radius, y + radius


def _meet(a: tuple, b: tuple) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
