"""The geometry of the ledger's plots: positions in percent and texts, which the templates draw as inline SVG.

Positions are percent of a plot, 0 at the left and at the bottom; labels that must keep clear of each other are placed
in pixels beside a position, for every width that the plot may have.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise, product
from typing import Any

from .plots import labelled, percent, ticks

COLOURS = 8  # curves in one plot: more cannot be told apart, and get a plot each
LETTER = 6.6  # pixels: width of a label's letter at 12 px, generously
LINE = 15  # pixels: height of a label
NARROW, WIDE = (220, 260, 300, 360, 440, 540, 660), (640, 720, 800, 900, 1000, 1100)  # pixels: widths of a plot
HEIGHT = 380  # pixels: of the Pareto plot
SHORT = 28  # letters of a name in a plot


def forest(contenders: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Every contender's mean, interval and seeds on one axis: `ticks` of (percent, text), `rows`, and `best`."""
    reached = [
        [c["interval"]["low"], c["interval"]["high"], c["headline"], *(seed["headline"] for seed in _ok(c))]
        for c in contenders
    ]
    axis = ticks(min(map(min, reached)), max(map(max, reached)), 4)
    rows = [
        {
            "low": percent(c["interval"]["low"], axis),
            "value": percent(c["headline"], axis),
            "high": percent(c["interval"]["high"], axis),
            "seeds": [(percent(seed["headline"], axis), seed) for seed in _ok(c)],
        }
        for c in contenders
    ]
    return {"ticks": labelled(axis), "rows": rows, "best": rows[0]["value"]}


def pareto(contenders: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Score over CPU seconds: `points` in the contenders' order with labels beside them, the `front` of those that no
    cheaper one reaches, and ticks. The axis of seconds is logarithmic.
    """
    seconds = [max(c["cost"]["cpu_seconds"], 1e-3) for c in contenders]  # a logarithm wants more than nothing
    x_axis = _logarithmic(min(seconds), max(seconds))
    scores = [c["headline"] for c in contenders]
    y_axis = ticks(min(scores), max(scores), 4)
    places = [
        (_log_percent(x, x_axis), percent(y, y_axis)) for x, y in zip(seconds, scores, strict=True)
    ]  # fmt: skip
    front, best = [], -math.inf
    for i in sorted(range(len(contenders)), key=lambda i: (seconds[i], -scores[i])):
        if scores[i] > best:
            best = scores[i]
            front.append(i)
    names = [f"{i + 1} {shortened(c['name'])}" for i, c in enumerate(contenders)]
    numbers = [str(i + 1) for i in range(len(contenders))]
    named, numbered = placed(places, names, WIDE, HEIGHT), placed(places, numbers, NARROW, HEIGHT)
    return {
        "points": [
            {
                "x": x,
                "y": y,
                "front": i in front,
                "wide": {"text": names[i], **named[i]},
                "narrow": {"text": numbers[i], **numbered[i]},
            }
            for i, (x, y) in enumerate(places)
        ],
        # A step for each: between two of the front one gets the cheaper one's score.
        "front": [
            *(place for a, b in pairwise(front) for place in (places[a], (places[b][0], places[a][1]))),
            places[front[-1]],
            (100.0, places[front[-1]][1]),
        ],
        "x": [(_log_percent(x, x_axis), f"{x:,g}") for x in x_axis],
        "y": labelled(y_axis),
    }


def learning(contenders: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Validation score by epoch, a small plot for each contender with one line for each seed, all on the same axes."""
    drawn = [(i, c) for i, c in enumerate(contenders) if any(seed["curve"] for seed in c["seeds"])]
    if not drawn:
        return None
    points = [point for _, c in drawn for seed in c["seeds"] for point in seed["curve"]]
    x_axis = ticks(0.0, max(point["epoch"] for point in points), 4)
    scores = [point["validation"] for point in points]
    y_axis = ticks(min(scores), max(scores), 4)
    panels = [
        {
            "number": i + 1,
            "contender": c,
            "lines": [
                {
                    "seed": seed,
                    "points": [
                        (percent(point["epoch"], x_axis), percent(point["validation"], y_axis))
                        for point in seed["curve"]
                    ],
                    "last": seed["curve"][-1]["validation"],
                }
                for seed in c["seeds"]
                if seed["curve"]
            ],
        }
        for i, c in drawn
    ]
    return {"panels": panels, "x": labelled(x_axis), "y": labelled(y_axis)}


def budgets(found: Mapping[str, Any], contenders: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Score by training rows, the rows in powers of two: `curves` with line, band and seeds, `crossovers`, ticks.

    Curves stand in the contenders' order; few of them share one plot, of many each has its own (`together`).
    """
    numbers = {c["name"]: i + 1 for i, c in enumerate(contenders)}
    given = [curve for curve in found["curves"] if curve["points"]]
    if not given:
        return None
    given = sorted(given, key=lambda curve: numbers.get(curve["name"], len(numbers) + 1))
    rows = sorted({point["rows"] for curve in given for point in curve["points"]})
    low, high = math.log2(rows[0]), math.log2(rows[-1])
    reached = [
        value
        for curve in given
        for point in curve["points"]
        for value in (point["low"], point["headline"], point["high"], *point["seeds"])
    ]
    y_axis = ticks(min(reached), max(reached), 5)

    def x(count: float) -> float:
        return round(100 * (math.log2(max(count, 1e-9)) - low) / (high - low), 2) if high > low else 50.0

    def y(value: float) -> float:
        return percent(value, y_axis)

    curves = []
    for i, curve in enumerate(given):
        points = sorted(curve["points"], key=lambda point: point["rows"])
        line = [(x(point["rows"]), y(point["headline"])) for point in points]
        curves.append(
            {
                "name": curve["name"],
                "number": numbers.get(curve["name"]),
                "colour": i % COLOURS,
                "given": points,
                "points": line,
                "band": [(x(p["rows"]), y(p["low"])) for p in points]
                + [(x(p["rows"]), y(p["high"])) for p in reversed(points)],
                "seeds": [(x(p["rows"]), y(value)) for p in points for value in p["seeds"]],
            }
        )
    # Numbers at the lines' ends, moved apart where lines end together: 300 px high, labels of 15.
    ends = apart([curve["points"][-1][1] for curve in curves], 100 * LINE / 300)
    for curve, end in zip(curves, ends, strict=True):
        curve["end"] = end
    inside = [one for one in found["crossovers"] if rows[0] <= one["rows"] <= rows[-1]]
    letters = [chr(ord("A") + i % 26) for i in range(len(found["crossovers"]))]
    where = iter(apart([x(one["rows"]) for one in inside], 7))
    crossovers = [
        {
            "letter": letter,
            "given": one,
            "x": x(one["rows"]) if one in inside else None,
            "label": next(where) if one in inside else None,
            "low": max(0.0, x(one["rows"] if one["low"] is None else one["low"])),
            "high": min(100.0, x(one["rows"] if one["high"] is None else one["high"])),
        }
        for letter, one in zip(letters, found["crossovers"], strict=True)
    ]
    return {
        "curves": curves,
        "together": len(curves) <= COLOURS,
        "crossovers": crossovers,
        "x": _clear([(x(count), f"{count:,}") for count in rows], 230),
        "few_x": _clear([(x(count), f"{count:,}") for count in rows], 190),
        "y": labelled(y_axis),
    }


def reliability(contenders: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Accuracy by confidence, before and after the temperature: `points` of (x, y, radius, bin) and their `line`."""
    panels = []
    for i, c in enumerate(contenders):
        if found := c["calibration"]:
            most = max((one["rows"] for one in found["bins"] + found["bins_scaled"]), default=1)
            series = []
            for name, ece, key in (("before", "ece", "bins"), ("after", "ece_scaled", "bins_scaled")):
                bins = sorted((one for one in found[key] if one["rows"]), key=lambda one: one["confidence"])
                points = [
                    # The area says the rows: the radius goes by the root.
                    (100 * b["confidence"], 100 * b["accuracy"], round(2.5 + 4.5 * math.sqrt(b["rows"] / most), 1), b)
                    for b in bins
                ]
                series.append({"name": name, "ece": found[ece], "points": points})
            panels.append({"number": i + 1, "contender": c, "series": series})
    return panels


def orders(contenders: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The score of every order of a prompt's demonstrations: rows of (contender, before or after, dots), one axis.

    Read from `facts["orders"]`: `before`, and `after` calibration where that was done, each a list of scores.
    """
    rows = []
    for i, c in enumerate(contenders):
        found = c["facts"].get("orders")
        for when in ("before", "after"):
            values = found.get(when) if isinstance(found, dict) else None
            if isinstance(values, list) and values and all(type(value) in (int, float) for value in values):
                rows.append({"number": i + 1, "contender": c, "when": when, "values": values})
    if not rows:
        return None
    axis = ticks(min(min(row["values"]) for row in rows), max(max(row["values"]) for row in rows), 4)
    for row in rows:
        row["dots"] = [percent(value, axis) for value in row["values"]]
    return {"ticks": labelled(axis), "rows": rows}


def differences(classes: Mapping[str, Any], names: Sequence[str], most: int) -> dict[str, Any] | None:
    """Scores by class as (label, the best contender's score, the others' differences to it), widest spread first of
    many classes; `strongest` is what the darkest cell stands for.
    """
    known = [name for name in names if name in classes["scores"]]
    if not known or not classes["labels"]:
        return None
    first, *others = known
    rows = []
    for i, label in enumerate(classes["labels"]):
        scores = [classes["scores"][name][i] for name in known]
        found = [score for score in scores if score is not None]
        gaps = [None if score is None or scores[0] is None else score - scores[0] for score in scores[1:]]
        rows.append(
            {
                "label": label,
                "best": scores[0],
                "cells": list(zip(others, scores[1:], gaps, strict=True)),
                "spread": max(found) - min(found) if found else 0.0,
            }
        )
    shown = rows if len(rows) <= most else sorted(rows, key=lambda row: -row["spread"])[:most]
    strongest = max((abs(gap) for row in shown for *_, gap in row["cells"] if gap is not None), default=0.0)
    return {"first": first, "others": others, "rows": shown, "of": len(rows), "strongest": strongest or 1.0}


def placed(
    places: Sequence[tuple[float, float]], texts: Sequence[str], widths: Sequence[int], height: int
) -> list[dict[str, Any]]:
    """Where each text stands beside its point: `dx`, `dy` in pixels to the text's middle left, right or centre, and
    its `anchor`; no two overlap at any of the widths. A text for which there is no room has `anchor` None.
    """
    chosen: dict[int, dict[str, Any]] = {}
    boxes: list[list[tuple]] = []  # of the texts placed so far, one for every width
    dots = [[_around(x * w / 100, (100 - y) * height / 100, 7) for w in widths] for x, y in places]
    # From the best score down: where it is crowded, those at the top get the good places.
    for i in sorted(range(len(places)), key=lambda i: -places[i][1]):
        for allowed, (dx, dy, anchor) in product((0, len(places)), _candidates()):
            box = [_box(places[i], texts[i], dx, dy, anchor, w, height) for w in widths]
            out = any(
                b[0] < -4 or b[2] > w + 12 or b[1] < -6 or b[3] > height for b, w in zip(box, widths, strict=True)
            )
            if out or any(_meet(a, b) for other in boxes for a, b in zip(box, other, strict=True)):
                continue
            met = sum(any(map(_meet, box, dot)) for j, dot in enumerate(dots) if j != i)
            if met <= allowed:
                boxes.append(box)
                chosen[i] = {"dx": dx, "dy": dy, "anchor": anchor, "far": abs(dx) + abs(dy) > 25}
                break
    return [chosen.get(i, {"dx": 0, "dy": 0, "anchor": None, "far": False}) for i in range(len(places))]


def apart(values: Sequence[float], gap: float) -> list[float]:
    """The values moved as little as that needs to be `gap` from each other, all within 0 to 100 where they fit."""
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


def shortened(name: str) -> str:
    return name if len(name) <= SHORT else name[: SHORT - 1].rstrip() + "…"


def _ok(contender: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [seed for seed in contender["seeds"] if seed["status"] == "ok"]


def _logarithmic(low: float, high: float) -> list[float]:
    """Round numbers around a range of more than nothing: of each decade 1, 2 and 5, or 1 alone where that is many."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    if last - first <= 2:
        steps = [float(f"{digit}e{power}") for power in range(first, last + 1) for digit in (1, 2, 5)]
        below = max(i for i, step in enumerate(steps) if step <= low * (1 + 1e-9))
        above = min(i for i, step in enumerate(steps) if step >= high * (1 - 1e-9) and i > below)
        return steps[below : above + 1]
    return [float(f"1e{power}") for power in range(first, last + 1)]


def _log_percent(value: float, axis: Sequence[float]) -> float:
    return percent(math.log10(value), [math.log10(axis[0]), math.log10(axis[-1])])


def _clear(marks: Sequence[tuple[float, str]], width: int) -> list[tuple[float, str]]:
    """The marks whose texts, centred, do not meet in a plot of that width; the last one stays."""
    kept: list[tuple[float, str]] = []
    for at, text in reversed(marks):
        needed = LETTER * (len(text) + len(kept[-1][1])) / 2 + 6 if kept else 0
        if not kept or (kept[-1][0] - at) * width / 100 >= needed:
            kept.append((at, text))
    return kept[::-1]


def _candidates() -> Iterator[tuple[int, int, str]]:
    """Places beside a point, the usual ones first, then farther away."""
    yield from ((10, 0, "start"), (0, -15, "middle"), (-10, 0, "end"), (0, 15, "middle"))
    for far in (13, 20, 30, 42, 56, 72):
        yield from ((8, -far, "start"), (8, far, "start"), (-8, -far, "end"), (-8, far, "end"))
        yield from ((0, -far, "middle"), (0, far, "middle"), (far, 0, "start"), (-far, 0, "end"))


def _box(place: tuple[float, float], text: str, dx: int, dy: int, anchor: str, width: int, height: int) -> tuple:
    long = LETTER * len(text)
    left = place[0] * width / 100 + dx - {"start": 0, "middle": long / 2, "end": long}[anchor]
    middle = (100 - place[1]) * height / 100 + dy
    return left, middle - LINE / 2, left + long, middle + LINE / 2


def _around(x: float, y: float, radius: float) -> tuple[float, float, float, float]:
    return x - radius, y - radius, x + radius, y + radius


def _meet(a: tuple, b: tuple) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
