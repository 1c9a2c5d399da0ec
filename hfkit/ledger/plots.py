"""The geometry of the ledger's plots: positions in percent and texts, which the templates draw as inline SVG.

Positions are percent of a plot, 0 at the left and at the bottom.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from hfkit.ledger.label_places import LINE, drop_colliding, place_labels, spread_out
from hfkit.report.plots import label_ticks, percent, ticks

COLOURS = 8  # curves in one plot: more could not be told apart, and get a plot each
CROSSINGS = 6  # crossovers with a letter in the plot
BANDS = 5  # curves whose bands can be told apart in one plot
LEAST = 0.1  # CPU seconds: less is drawn as this much
NARROW, WIDE = (220, 260, 300, 360, 440, 540, 660), (640, 720, 800, 900, 1000, 1100)  # pixels: widths of a plot
HEIGHT = 380  # pixels: of the Pareto plot
FOOT = 6.0  # percent of it: the distance from the edge of a point that lies off the axis
SHORT = 28  # letters of a name in a plot


def forest(contenders: Sequence[Mapping[str, Any]], sign: int = 1) -> dict[str, Any]:
    """Every contender's mean, interval and seeds on one axis: `ticks` of (percent, text), `rows`, and `best`.

    A row that lies `off` the axis, on the `side` of worse scores, has no interval and no seeds there.

    Args:
        sign: 1, or -1 if a lower score is better.
    """
    axis = _score_axis(contenders, sign)
    rows = [
        {
            "off": _is_off(c["headline"], axis, sign),
            "low": _clamp(c["interval"]["low"], axis),
            "value": _clamp(c["headline"], axis),
            "high": _clamp(c["interval"]["high"], axis),
            "seeds": [
                (percent(seed["headline"], axis), seed) for seed in _ok(c) if not _is_off(seed["headline"], axis, sign)
            ],
        }
        for c in contenders
    ]
    return {
        "ticks": _ticks_inside(axis),
        "rows": rows,
        "best": rows[0]["value"],
        "cut": any(row["off"] for row in rows),
        "side": "left" if sign > 0 else "right",
    }


def pareto(contenders: Sequence[Mapping[str, Any]], sign: int = 1) -> dict[str, Any]:
    """Score over CPU seconds: `points` in the contenders' order with labels beside them, ticks, and the `front`.

    The front is made of those that nothing cheaper reaches. The axis of seconds is logarithmic; scores `off` the axis
    stand at its end.

    Args:
        sign: 1, or -1 if a lower score is better.
    """
    seconds = [max(c["cost"]["cpu_seconds"], LEAST) for c in contenders]
    x_axis = _logarithmic(min(seconds), max(seconds))
    scores, y_axis = [c["headline"] for c in contenders], _score_axis(contenders, sign)
    off = [_is_off(y, y_axis, sign) for y in scores]
    edge, end = (FOOT, 0.0) if sign > 0 else (100 - FOOT, 100.0)
    places = [
        (_log_percent(x, x_axis), edge if is_off else percent(y, y_axis))
        for x, y, is_off in zip(seconds, scores, off, strict=True)
    ]
    front, best = [], -math.inf
    for i in sorted(range(len(contenders)), key=lambda i: (seconds[i], -sign * scores[i])):
        if sign * scores[i] > best:
            best = sign * scores[i]
            front.append(i)
    # Steps: between two points of the front, a budget buys the score of the cheaper one.
    steps = [place for a, b in pairwise(front) for place in (places[a], (places[b][0], places[a][1]))]
    steps += [places[front[-1]], (100.0, places[front[-1]][1])]
    names = [f"{i + 1} {shorten(c['name'])}" for i, c in enumerate(contenders)]
    numbers = [str(i + 1) for i in range(len(contenders))]
    strokes = [*pairwise(steps), *((place, (place[0], end)) for place in places if place[1] == edge)]
    named = place_labels(places, names, strokes, WIDE, HEIGHT)
    numbered = place_labels(places, numbers, strokes, NARROW, HEIGHT)
    points = [
        {
            "x": x,
            "y": y,
            "off": off[i],
            "front": i in front,
            "wide": {"text": names[i], **named[i]},
            "narrow": {"text": numbers[i], **numbered[i]},
        }
        for i, (x, y) in enumerate(places)
    ]
    least = "≤ " if any(c["cost"]["cpu_seconds"] < LEAST for c in contenders) else ""
    return {
        "points": points,
        "front": steps,
        "x": [(_log_percent(x, x_axis), f"{'' if i else least}{x:,g}") for i, x in enumerate(x_axis)],
        "y": _ticks_inside(y_axis),
        "cut": any(off),
        "side": "foot" if sign > 0 else "top",
    }


def learning(contenders: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Validation score by epoch, a small plot for each contender with one line for each seed, all on the same axes."""
    with_curves = [(i, c) for i, c in enumerate(contenders) if any(seed["curve"] for seed in c["seeds"])]
    if not with_curves:
        return None
    points = [point for _, c in with_curves for seed in c["seeds"] for point in seed["curve"]]
    last = max(point["epoch"] for point in points)
    x_axis = ticks(0.0, last, min(4, max(1, math.ceil(last))))  # whole epochs
    scores = [point["validation"] for point in points]
    y_axis = _add_margin(min(scores), max(scores))
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
        for i, c in with_curves
    ]
    lost = any(line["seed"]["status"] == "failed" for panel in panels for line in panel["lines"])
    return {"panels": panels, "x": label_ticks(x_axis), "y": _ticks_inside(y_axis), "lost": lost}


def budgets(found: Mapping[str, Any], contenders: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Score by training rows, the rows in powers of two: `curves` with line, band and seeds, `crossovers`, ticks.

    Curves stand in the contenders' order. They share one plot unless they are too many for that (`together`), with
    their bands if these are few (`banded`); otherwise each has its own plot.
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
    y_axis = _add_margin(min(reached), max(reached))

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
    # Numbers at the ends of lines, moved apart if lines end close together: the plot is 300 px high.
    ends = spread_out([curve["points"][-1][1] for curve in curves], 100 * LINE / 300)
    for curve, end in zip(curves, ends, strict=True):
        curve["end"] = end
    crossings = _crossings(found["crossovers"], rows, x, numbers)
    return {
        "curves": curves,
        "together": len(curves) <= COLOURS,
        "crossovers": crossings,
        "x": drop_colliding([(x(count), f"{count:,}") for count in rows], 230),
        "few_x": drop_colliding([(x(count), f"{count:,}") for count in rows], 190),
        "y": _ticks_inside(y_axis),
        "banded": len(curves) <= BANDS,
    }


def _crossings(
    found: Sequence[Mapping[str, Any]], rows: Sequence[int], x: Callable[[float], float], numbers: Mapping[str, int]
) -> list[dict[str, Any]]:
    """The crossings of curves; a few get a letter and a place in the plot, those of the best contenders first."""
    order = sorted(found, key=lambda one: sorted(numbers.get(one[key], len(numbers)) for key in "ab"))
    inside = [one for one in order if rows[0] <= one["rows"] <= rows[-1]]
    drawn = sorted(inside[:CROSSINGS], key=lambda one: one["rows"])
    labels = spread_out([x(one["rows"]) for one in drawn], 5)
    crossings = [
        {
            "letter": chr(ord("A") + i),
            "given": one,
            "x": x(one["rows"]),
            "label": label,
            "low": max(0.0, x(rows[0] if one["low"] is None else one["low"])),
            "high": min(100.0, x(rows[-1] if one["high"] is None else one["high"])),
        }
        for i, (one, label) in enumerate(zip(drawn, labels, strict=True))
    ]
    return crossings + [{"letter": "", "given": one, "x": None} for one in order if one not in drawn]


def reliability(contenders: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Accuracy by confidence, before and after the temperature: `points` of (x, y, radius, bin) and their `line`."""
    panels = []
    for i, c in enumerate(contenders):
        if found := c["calibration"]:
            series = []
            for name, ece, key in (("before", "ece", "bins"), ("after", "ece_scaled", "bins_scaled")):
                bins = sorted((one for one in found[key] if one["rows"]), key=lambda one: one["confidence"])
                rows = sum(one["rows"] for one in bins)
                points = [
                    # The area is proportional to the rows, so the radius to their root.
                    (100 * b["confidence"], 100 * b["accuracy"], round(2 + 5 * math.sqrt(b["rows"] / rows), 1), b)
                    for b in bins
                ]
                series.append({"name": name, "ece": found[ece], "points": points})
            panels.append({"number": i + 1, "contender": c, "series": series})
    return panels


def orders(contenders: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The score of every order of a prompt's demonstrations: rows of (contender, way, dots), all on one axis.

    Read from `facts["orders"]`: under each way of reading the answers (raw, calibrated) a mapping with `headlines`.
    """
    rows = []
    for i, c in enumerate(contenders):
        found = c["facts"].get("orders")
        for way, spread in found.items() if isinstance(found, dict) else ():
            values = spread.get("headlines") if isinstance(spread, dict) else None
            if isinstance(values, list) and values and all(type(value) in (int, float) for value in values):
                rows.append({"number": i + 1, "contender": c, "way": way, "headlines": values})
    if not rows:
        return None
    axis = _add_margin(min(min(row["headlines"]) for row in rows), max(max(row["headlines"]) for row in rows))
    for row in rows:
        row["dots"] = [percent(value, axis) for value in row["headlines"]]
    return {"ticks": _ticks_inside(axis), "rows": rows}


def differences(classes: Mapping[str, Any], names: Sequence[str], most: int) -> dict[str, Any] | None:
    """Scores by class as (label, the first contender's score, the others' differences from it).

    Of many classes those with the widest spread are shown, the widest first; `strongest` is the darkest cell's value.
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
                "first": scores[0],
                "cells": list(zip(others, scores[1:], gaps, strict=True)),
                "spread": max(found) - min(found) if found else 0.0,
            }
        )
    shown = rows if len(rows) <= most else sorted(rows, key=lambda row: -row["spread"])[:most]
    strongest = max((abs(gap) for row in shown for *_, gap in row["cells"] if gap is not None), default=0.0)
    return {"first": first, "others": others, "rows": shown, "of": len(rows), "strongest": strongest or 1.0}


def shorten(name: str) -> str:
    return name if len(name) <= SHORT else name[: SHORT - 1].rstrip() + "…"


def _score_axis(contenders: Sequence[Mapping[str, Any]], sign: int) -> list[float]:
    """The axis of scores for a plot of contenders, the best first.

    If a few are so much worse that the others could not be told apart, the axis leaves them out.
    """

    def bounds(of: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
        values = [(c["interval"]["low"], c["interval"]["high"], *(seed["headline"] for seed in _ok(c))) for c in of]
        return min(map(min, values)), max(map(max, values))

    best, width = contenders[0]["headline"], contenders[0]["interval"]["high"] - contenders[0]["interval"]["low"]
    behind = abs(best - statistics.median(c["headline"] for c in contenders))
    near = [c for c in contenders if sign * c["headline"] >= sign * best - max(3 * behind, 2 * width)]
    whole, part = bounds(contenders), bounds(near)
    return _add_margin(*(part if part[1] - part[0] < (whole[1] - whole[0]) / 2 else whole))


def _add_margin(low: float, high: float) -> list[float]:
    """The ends of an axis that keeps a little room on both sides."""
    room = 0.05 * (high - low) or 0.5
    return [low - room, high + room]


def _ticks_inside(axis: Sequence[float]) -> list[tuple[float, str]]:
    """The round numbers within an axis, as (percent, text)."""
    found = [tick for tick in ticks(axis[0], axis[1], 6) if axis[0] <= tick <= axis[1]]
    texts = [text for _, text in label_ticks(found)] if len(found) > 1 else [f"{tick:g}" for tick in found]
    return [(percent(tick, axis), text) for tick, text in zip(found, texts, strict=True)]


def _is_off(value: float, axis: Sequence[float], sign: int) -> bool:
    """Whether a value lies beyond the end of worse scores."""
    return value < axis[0] if sign > 0 else value > axis[1]


def _clamp(value: float, axis: Sequence[float]) -> float:
    return percent(min(max(value, axis[0]), axis[1]), axis)


def _ok(contender: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [seed for seed in contender["seeds"] if seed["status"] == "ok"]


def _logarithmic(low: float, high: float) -> list[float]:
    """Round numbers around a range above zero: 1, 2 and 5 of each decade, or only 1 if those would be many."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    if last - first <= 2:
        steps = [float(f"{digit}e{power}") for power in range(first, last + 1) for digit in (1, 2, 5)]
        below = max(i for i, step in enumerate(steps) if step <= low * (1 + 1e-9))
        above = min(i for i, step in enumerate(steps) if step >= high * (1 - 1e-9) and i > below)
        return steps[below : above + 1]
    return [float(f"1e{power}") for power in range(first, last + 1)]


def _log_percent(value: float, axis: Sequence[float]) -> float:
    return percent(math.log10(value), [math.log10(axis[0]), math.log10(axis[-1])])
