"""Score against labels: every contender's curve over training budgets, and where one curve overtakes another."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from hfkit.ledger.statistics import Side, interval_of, sides_of
from hfkit.scores.statistics import RESAMPLES, by_unit


def crossovers(
    tallies: Mapping[str, Mapping[int, Sequence[np.ndarray]]],
    headline_of: Callable[[np.ndarray], np.ndarray],
    *,
    pairs: Sequence[tuple[str, str]] | None = None,
    units: Sequence | np.ndarray | None = None,
    seed: int = 0,
    level: float = 0.95,
    resamples: int = RESAMPLES,
) -> dict[str, list[dict[str, Any]]]:
    """`curves`: of each contender its `name` and `points` (`rows` trained on, `headline`, `low`, `high`); and
    `crossovers`: of each pair who is `ahead` at the largest budget both have, who is `behind`, and from how many `rows`
    on that is so, with `low` and `high`, `level` and `note`.

    A curve is linear in log2(rows) between its points. Where it crosses another several times, the last crossing
    counts. `rows` is None where one is ahead at every budget; an open end of the interval is None too: below the
    smallest budget, or beyond the largest. The interval is the percentile bootstrap over test rows, the same rows for
    all curves and budgets, with each point's spread over seeds added as a draw from Student's t.

    Args:
        tallies: of each contender and budget one array (test rows, counts) per seed.
        pairs: which to compare; default: all of them.

    Raises:
        ValueError: nothing to compare, or arrays of different rows.
    """
    places = [(name, rows) for name, points in tallies.items() for rows in sorted(points)]
    arrays = [[by_unit(array, units) for array in tallies[name][rows]] for name, rows in places]
    if not arrays:
        raise ValueError("a label-budget curve needs at least one point")
    test_rows = len(arrays[0][0])
    sides = dict(zip(places, sides_of(arrays, headline_of, resamples, seed), strict=True))
    curves = []
    for name in tallies:
        points = []
        for rows in sorted(tallies[name]):
            interval = interval_of(sides[name, rows], test_rows, level)
            points.append(
                {"rows": rows, "headline": sides[name, rows].mean, "low": interval.low, "high": interval.high}
            )
        curves.append({"name": name, "points": points})
    generator = np.random.default_rng(seed)
    moved = {place: _with_seeds(side, generator) for place, side in sides.items()}
    found = []
    for a, b in combinations(tallies, 2) if pairs is None else pairs:
        shared = sorted(set(tallies[a]) & set(tallies[b]))
        gaps = np.array([sides[a, rows].mean - sides[b, rows].mean for rows in shared])
        drawn = np.array([moved[a, rows] - moved[b, rows] for rows in shared])
        found.append(_crossover(a, b, np.array(shared, dtype=float), gaps, drawn, level))
    return {"curves": curves, "crossovers": found}


def _with_seeds(side: Side, generator: np.random.Generator) -> np.ndarray:
    """A point's draws over rows, with its spread over seeds added, (resamples,)."""
    if side.seeds < 2:
        return side.draws
    return side.draws + np.sqrt(side.seeds_share) * generator.standard_t(side.seeds - 1, side.draws.shape)


def _crossover(a: str, b: str, rows: np.ndarray, gaps: np.ndarray, drawn: np.ndarray, level: float) -> dict[str, Any]:
    """Of two curves, by a's lead at each budget: `gaps` (budgets,), and resampled `drawn` (budgets, resamples)."""
    if not len(rows) or gaps[-1] == 0:
        note = "they have no budget in common" if not len(rows) else "they score the same at the largest budget"
        return {"ahead": a, "behind": b, "rows": None, "low": None, "high": None, "level": level, "note": note}
    if gaps[-1] < 0:
        a, b, gaps, drawn = b, a, -gaps, -drawn
    at = float(last_crossing(rows, gaps[:, None])[0])
    places = last_crossing(rows, drawn)
    # Nothing lies between an open end and a number, so no mixing of neighbours.
    low, high = np.quantile(places, [0.5 - level / 2, 0.5 + level / 2], method="inverted_cdf")
    ends = {"low": float(low) if np.isfinite(low) else None, "high": float(high) if np.isfinite(high) else None}
    if not np.isfinite(at):
        note = "ahead at every budget"
        note += "" if low == -np.inf and high == -np.inf else ", though not beyond noise"
    else:
        note = "the order at the largest budget is within noise" if high == np.inf else ""
    return {"ahead": a, "behind": b, "rows": at if np.isfinite(at) else None, **ends, "level": level, "note": note}


def last_crossing(rows: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """From how many rows on a gap stays above zero, (curves,): -inf where always, inf where it does not at the end.

    Args:
        rows: budgets in rising order, (budgets,).
        gaps: the lead at each, (budgets, curves).
    """
    above = gaps > 0
    last = len(rows) - 1 - np.argmin(above[::-1], axis=0)  # the last budget without a lead; argmin: the first False
    found = np.full(gaps.shape[1], -np.inf)
    found[~above[-1]] = np.inf
    within = np.flatnonzero(above[-1] & ~above.all(axis=0))
    start = last[within]
    before, after = gaps[start, within], gaps[start + 1, within]
    share = -before / (after - before)
    steps = np.log2(rows)
    found[within] = 2 ** (steps[start] + share * (steps[start + 1] - steps[start]))
    return found
