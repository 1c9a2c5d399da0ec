"""Score against labels: every contender's curve over training budgets, and where one curve overtakes another."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from hfkit.ledger.statistics import Side, interval_of, sides_of
from hfkit.scores.evidence import Evidence
from hfkit.scores.statistics import RESAMPLES


def find_crossovers(
    evidence: Mapping[str, Mapping[int, Sequence[Evidence]]],
    *,
    sign: int = 1,
    pairs: Sequence[tuple[str, str]] | None = None,
    units: Sequence | np.ndarray | None = None,
    seed: int = 0,
    level: float = 0.95,
    resamples: int = RESAMPLES,
) -> dict[str, list[dict[str, Any]]]:
    """The curves of all contenders, and where two of them cross.

    A curve is linear in log2(rows) between its points. If two curves cross several times, the last crossing counts. The
    interval of a crossing is the percentile bootstrap over test rows, the same rows for all curves and budgets, with
    each point's spread over seeds added as a draw from Student's t.

    Args:
        evidence: of each contender and budget one per seed, all on the same test rows.
        sign: 1, or -1 if a lower headline is better.
        pairs: which to compare; default: all of them.

    Returns:
        `curves`: of each contender its `name` and `points` (`rows` trained on, `headline`, `low`, `high`).
        `crossovers`: of each pair the one `ahead` at the largest budget that both have, the one `behind`, the number of
        `rows` from which on that is so, with `low` and `high`, `level` and `note`. `rows` is None if one is ahead at
        every budget. An open end of the interval is None too: below the smallest budget, or beyond the largest.

    Raises:
        ValueError: nothing to compare, or evidence on different rows.
    """
    places = [(name, rows) for name, points in evidence.items() for rows in sorted(points)]
    seeds = [[one.by_unit(units) for one in evidence[name][rows]] for name, rows in places]
    if not seeds:
        raise ValueError("a label-budget curve needs at least one point")
    test_rows = seeds[0][0].rows
    sides = dict(zip(places, sides_of(seeds, resamples, seed), strict=True))
    curves = []
    for name in evidence:
        points = []
        for rows in sorted(evidence[name]):
            interval = interval_of(sides[name, rows], test_rows, level)
            points.append(
                {"rows": rows, "headline": sides[name, rows].mean, "low": interval.low, "high": interval.high}
            )
        curves.append({"name": name, "points": points})
    generator = np.random.default_rng(seed)
    draws = {place: _draws_with_seeds(side, generator) for place, side in sides.items()}
    crossovers = []
    for a, b in combinations(evidence, 2) if pairs is None else pairs:
        shared = sorted(set(evidence[a]) & set(evidence[b]))
        leads = np.array([sign * (sides[a, rows].mean - sides[b, rows].mean) for rows in shared])
        drawn_leads = np.array([sign * (draws[a, rows] - draws[b, rows]) for rows in shared])
        crossovers.append(_crossover(a, b, np.array(shared, dtype=float), leads, drawn_leads, level))
    return {"curves": curves, "crossovers": crossovers}


def _draws_with_seeds(side: Side, generator: np.random.Generator) -> np.ndarray:
    """A point's draws over rows, with its spread over seeds added, (resamples,)."""
    if side.seeds < 2:
        return side.draws
    return side.draws + np.sqrt(side.seeds_share) * generator.standard_t(side.seeds - 1, side.draws.shape)


def _crossover(a: str, b: str, rows: np.ndarray, leads: np.ndarray, drawn: np.ndarray, level: float) -> dict[str, Any]:
    """The crossing of two curves.

    Args:
        leads: by how much a is better at each budget, (budgets,).
        drawn: the same in each resample, (budgets, resamples).
    """
    if not len(rows) or leads[-1] == 0:
        note = "they have no budget in common" if not len(rows) else "they score the same at the largest budget"
        return {"ahead": a, "behind": b, "rows": None, "low": None, "high": None, "level": level, "note": note}
    if leads[-1] < 0:
        a, b, leads, drawn = b, a, -leads, -drawn
    at = float(last_crossing(rows, leads[:, None])[0])
    places = last_crossing(rows, drawn)
    # An open end and a number have no mean, so the quantile takes one of its neighbours.
    low, high = np.quantile(places, [0.5 - level / 2, 0.5 + level / 2], method="inverted_cdf")
    ends = {"low": float(low) if np.isfinite(low) else None, "high": float(high) if np.isfinite(high) else None}
    if not np.isfinite(at):
        certain = low == -np.inf and high == -np.inf
        note = "ahead at every budget" if certain else "ahead at every budget, though not beyond noise"
    else:
        note = "the order at the largest budget is within noise" if high == np.inf else ""
    return {"ahead": a, "behind": b, "rows": at if np.isfinite(at) else None, **ends, "level": level, "note": note}


def last_crossing(rows: np.ndarray, leads: np.ndarray) -> np.ndarray:
    """The number of rows from which on a lead stays above zero, (curves,).

    -inf if it always is, inf if it is not at the end.

    Args:
        rows: budgets in rising order, (budgets,).
        leads: the lead at each, (budgets, curves).
    """
    above = leads > 0
    last = len(rows) - 1 - np.argmin(above[::-1], axis=0)  # the last budget without a lead: argmin finds a False
    found = np.full(leads.shape[1], -np.inf)
    found[~above[-1]] = np.inf
    within = np.flatnonzero(above[-1] & ~above.all(axis=0))
    start = last[within]
    before, after = leads[start, within], leads[start + 1, within]
    share = -before / (after - before)
    steps = np.log2(rows)
    found[within] = 2 ** (steps[start] + share * (steps[start + 1] - steps[start]))
    return found
