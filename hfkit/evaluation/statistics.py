"""How sure a score is: bootstrap intervals and paired comparisons over the rows of one test split."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

RESAMPLES = 2000
GATHERED = 2**22  # counts held at once while resampling, about 32 MiB: bounds memory on large test splits


@dataclass(frozen=True)
class Interval:
    """Where the score plausibly lies; a `note` says in plain words when the interval carries no information."""

    low: float
    high: float
    level: float = 0.95
    note: str = ""


def bootstrap_interval(
    tallies: np.ndarray,
    headline_of: Callable[[np.ndarray], np.ndarray],
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """The percentile bootstrap interval of a headline score, resampling whole rows with replacement.

    Rows (sentences) are resampled, not words or entities: those within a row are not independent. The percentile
    interval (Efron and Tibshirani 1993, chapter 13; for test sets in NLP: Koehn 2004) stays inside the range of the
    score and, unlike BCa, needs no jackknife, whose cost grows with the square of the rows.

    Args:
        tallies: additive counts of each row, (rows, counts).
        headline_of: the score of summed counts, (..., counts) -> (...).
    """
    rows = len(tallies)
    if rows < 2:
        value = _finite(headline_of(_sums(tallies)))
        return Interval(value, value, level, "one row: there is nothing to resample, so the interval is unknown")

    def score(index: np.ndarray, axis: int = -1) -> np.ndarray:
        return headline_of(tallies[index].sum(axis=-2))

    low, high = _percentiles(score, rows, tallies.shape[1], level, resamples, seed)
    note = "every resample of the rows scores the same, so the interval has no width" if low == high else ""
    return Interval(low, high, level, note)


def paired_difference(
    tallies_a: np.ndarray,
    tallies_b: np.ndarray,
    headline_of: Callable[[np.ndarray], np.ndarray],
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """By how much `a` scores above `b` on the same rows: `difference`, `low`, `high`, `level`, `p` and `note`.

    The interval is the paired percentile bootstrap: each resample draws the same rows for both. `p` is two-sided, from
    approximate randomisation (Noreen 1989; Yeh 2000): under the null the two answers to a row may be swapped.
    """
    if tallies_a.shape != tallies_b.shape:
        raise ValueError(f"tallies of shape {tallies_a.shape} and {tallies_b.shape} are not of the same rows")
    from scipy.stats import permutation_test

    rows, counts = tallies_a.shape
    difference = _finite(headline_of(_sums(tallies_a)) - headline_of(_sums(tallies_b)))
    if rows < 2:
        note = "one row: there is nothing to resample, so the interval is unknown"
        return {
            "difference": difference,
            "low": difference,
            "high": difference,
            "level": level,
            "p": 1.0,
            "note": note,
        }

    def gap(index: np.ndarray, axis: int = -1) -> np.ndarray:
        return headline_of(tallies_a[index].sum(axis=-2)) - headline_of(tallies_b[index].sum(axis=-2))

    low, high = _percentiles(gap, rows, 2 * counts, level, resamples, seed)
    both = np.concatenate([tallies_a, tallies_b])

    def swapped(a: np.ndarray, b: np.ndarray, axis: int = -1) -> np.ndarray:
        return headline_of(both[a].sum(axis=-2)) - headline_of(both[b].sum(axis=-2))

    test = permutation_test(
        (np.arange(rows), np.arange(rows, 2 * rows)),
        swapped,
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=max(1, GATHERED // (2 * rows * counts)),
        axis=-1,
        rng=np.random.default_rng(seed),
    )
    note = "every resample of the rows gives the same difference" if low == high else ""
    return {
        "difference": difference,
        "low": low,
        "high": high,
        "level": level,
        "p": _finite(test.pvalue),
        "note": note,
    }


def clearly_different(pair: dict[str, Any]) -> bool:
    """Whether a paired difference may be called one: its interval leaves out zero and the randomisation test agrees."""
    return bool((pair["low"] > 0 or pair["high"] < 0) and pair["p"] < 1 - pair["level"])


def _percentiles(
    statistic: Callable, rows: int, counts: int, level: float, resamples: int, seed: int
) -> tuple[float, float]:
    from scipy.stats import bootstrap

    found = bootstrap(
        # The rows' numbers are resampled, not their counts, so that one draw picks whole rows, for both of a pair.
        (np.arange(rows),),
        statistic,
        vectorized=True,
        axis=-1,
        method="percentile",
        confidence_level=level,
        n_resamples=resamples,
        batch=max(1, GATHERED // (rows * counts)),
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return _finite(found.low), _finite(found.high)


def _sums(tallies: np.ndarray) -> np.ndarray:
    if not len(tallies):
        raise ValueError("no rows: a score needs at least one")
    return tallies.sum(axis=0)


def _finite(value: Any) -> float:
    if not np.isfinite(value):
        raise ValueError(f"a headline score of {value} is not a number; headline_of must be defined for every sum")
    return float(value)
