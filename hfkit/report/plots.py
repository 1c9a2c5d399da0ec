"""The geometry of the report's charts: positions in percent and texts, which the template draws as inline SVG.

The template draws, not a plotting library: labels are escaped like every other text, colours follow the reader's light
or dark mode, and a report costs no import. Positions are percent of the chart, 0 at the left and at the bottom.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MOST_POINTS = 300  # of one curve: more cannot be told apart on a page
COLOURS = 8  # labels share this many
MINUS = "\N{MINUS SIGN}"


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """At most `most` + 1 round numbers from at or below `low` to at or above `high`."""
    if not low < high:
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / most
    unit = 10 ** math.floor(math.log10(rough))
    for step in (unit, 2 * unit, 5 * unit, 10 * unit, 20 * unit):
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        if last - first <= most:
            break
    # Rounded to the step's own decimals, or 3 * 0.1 would be labelled 0.30000000000000004.
    return [round(i * step, max(0, 1 - math.floor(math.log10(step)))) for i in range(first, last + 1)]


def forest(contenders: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Every contender's score and interval on one axis: `ticks` of (percent, text), `rows` of low, value and high."""
    bounds = [x for c in contenders for x in (c["interval"]["low"], c["headline"], c["interval"]["high"])]
    axis = ticks(min(bounds), max(bounds), 4)
    rows = [
        {
            "low": percent(c["interval"]["low"], axis),
            "value": percent(c["headline"], axis),
            "high": percent(c["interval"]["high"], axis),
        }
        for c in contenders
    ]
    return {"ticks": label_ticks(axis), "rows": rows}


def curves(
    log: Sequence[Mapping[str, Any]], headline: str, title: str, plan: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Charts over epochs from a trainer's log: loss, headline score and learning rates; one without data is left out.

    Each has `title`, `lines` (name, points, last value where that says something), `x` and `y` ticks, and `thaws`:
    where a later stage begins.

    Args:
        headline: the key of the headline score in the log, behind `eval_`.
        title: what a reader calls it.
    """
    starts = [row["from_epoch"] for row in plan if row["stage"] != 0][1:]
    wanted = [
        ("Loss", {"training": "loss", "validation": "eval_loss"}, False),
        (f"{title} on validation", {"validation": f"eval_{headline}"}, False),
        # Head and embeddings may differ by a factor of a thousand, which only a logarithmic axis shows.
        ("Learning rate", {"head": "head_learning_rate", "lowest": "lowest_learning_rate"}, True),
    ]
    charts = [_chart(name, _series(log, keys), starts, logarithmic) for name, keys, logarithmic in wanted]
    return [chart for chart in charts if chart]


def heat(confusion: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a confusion table: `name`, `cells` of (count, share of the row, whether it is right), `total`.

    Right is where the two names are the same: rows and columns need not be the same classes in the same order.
    """
    rows = []
    for name, counts in zip(confusion["gold"], confusion["counts"], strict=True):
        total = sum(counts)
        cells = [
            {"count": count, "share": count / total if total else 0.0, "right": name == predicted}
            for predicted, count in zip(confusion["predicted"], counts, strict=True)
        ]
        rows.append({"name": name, "cells": cells, "total": total})
    return rows


def pieces(
    tokens: Sequence[str], spans: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """A sentence cut at its spans: `text`, `label` (empty outside spans), `agreed` (`others` has the same span)."""
    cut, at = [], 0
    for span in sorted(spans, key=lambda span: span["start"]):
        cut.append({"label": "", "text": " ".join(tokens[at : span["start"]]), "agreed": True})
        at = span["end"]
        text = " ".join(tokens[span["start"] : at])
        cut.append({"label": span["label"], "text": text, "agreed": span in others})
    cut.append({"label": "", "text": " ".join(tokens[at:]), "agreed": True})
    return [piece for piece in cut if piece["text"] or piece["label"]]


def colours(labels: Iterable[str]) -> dict[str, int]:
    """A colour number for every label; a label keeps its colour within a report."""
    return {label: i % COLOURS for i, label in enumerate(sorted(set(labels)))}


def _series(log: Sequence[Mapping[str, Any]], keys: Mapping[str, str]) -> dict[str, list[tuple[float, float]]]:
    found = {
        name: [(row["epoch"], row[key]) for row in log if type(row.get(key)) in (int, float) and "epoch" in row]
        for name, key in keys.items()
    }
    return {name: points[:: -(-len(points) // MOST_POINTS)] for name, points in found.items() if points}


def _chart(
    title: str, series: Mapping[str, list[tuple[float, float]]], starts: Sequence[float], logarithmic: bool
) -> dict[str, Any] | None:
    if logarithmic:
        # A decay ends at or near zero, which would stretch a logarithmic axis without end.
        least = 1e-4 * max((y for points in series.values() for _, y in points), default=0.0)
        series = {name: [(x, math.log10(y)) for x, y in points if y > least] for name, points in series.items()}
    series = {name: points for name, points in series.items() if points}
    if not series or (logarithmic and all(len(points) < 2 for points in series.values())):
        return None  # a rate that was logged once stands in the plan, and a point is no curve
    values = [y for points in series.values() for _, y in points]
    last = max(x for points in series.values() for x, _ in points)
    x_axis = ticks(0.0, last, 4)
    y_axis = _decades(min(values), max(values)) if logarithmic else ticks(min(values), max(values), 4)
    lines = [
        {
            "name": name,
            "points": [(percent(x, x_axis), percent(y, y_axis)) for x, y in points],
            "last": "" if logarithmic else f"{points[-1][1]:.3f}".replace("-", MINUS),
        }
        for name, points in series.items()
    ]
    return {
        "title": title,
        "lines": lines,
        "x": label_ticks(x_axis),
        "y": [(percent(y, y_axis), f"1e{y:.0f}") for y in y_axis] if logarithmic else label_ticks(y_axis),
        "thaws": [percent(start, x_axis) for start in starts if start <= x_axis[-1]],
    }


def _decades(low: float, high: float) -> list[float]:
    first, last = math.floor(low), math.ceil(high)
    every = max(1, -(-(last - first) // 4))
    return [float(y) for y in range(first, max(last, first + 1) + every, every)]


def percent(value: float, axis: Sequence[float]) -> float:
    """Where a value lies on the axis, from 0 to 100."""
    return round(100 * (value - axis[0]) / (axis[-1] - axis[0]), 2)


def label_ticks(axis: Sequence[float]) -> list[tuple[float, str]]:
    """An axis' ticks as (percent, text), all with as many decimals as the longest needs."""
    decimals = max((len(f"{tick:.6f}".rstrip("0").partition(".")[2]) for tick in axis), default=0)
    return [(percent(tick, axis), f"{tick:.{decimals}f}".replace("-", MINUS)) for tick in axis]
