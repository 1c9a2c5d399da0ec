"""How sure a score is: bootstrap intervals and paired comparisons over the rows of one test split."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hfkit.scores.evidence import Evidence, total

RESAMPLES = 2000
HELD = 2**22  # weights in memory at once while resampling, 32 MiB: bounds memory on large test splits

ONE_ROW = "one row: there is nothing to resample, so the interval is unknown"


@dataclass(frozen=True)
class Interval:
    """The range in which a score plausibly lies; a `note` says in plain words if the interval says nothing."""

    low: float
    high: float
    level: float = 0.95
    note: str = ""


def bootstrap_interval(
    evidence: Evidence, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """The expanded percentile bootstrap interval of a headline score, resampling whole rows with replacement.

    Whole rows are resampled, and not the answers within them, which are not independent; rows that belong together are
    one row of `Evidence.by_unit`. The percentile interval (Efron and Tibshirani 1993, chapter 13; for test sets in NLP:
    Koehn 2004) stays inside the range of the score, and with Hesterberg's expansion (see `expanded_limits`) it is not
    too narrow on few rows. In simulations BCa was no closer to its level.
    """
    rows, value = evidence.rows, total(evidence)
    if rows < 2:
        return Interval(value, value, level, ONE_ROW)
    low, high = expanded_limits(resample([evidence], resamples=resamples, seed=seed)[0], rows, level)
    note = "every resample of the rows scores the same, so the interval has no width" if low == high else ""
    return Interval(low, high, level, note)


def paired_difference(
    a: Evidence, b: Evidence, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Any]:
    """The score of `a` minus that of `b` on the same rows: `difference`, `low`, `high`, `level`, `p` and `note`.

    The interval is the paired bootstrap's: each resample draws the same rows for both. `p` is two-sided, from
    approximate randomisation (see `randomisation`).
    """
    if a.rows != b.rows:
        raise ValueError(f"{a.rows} and {b.rows} rows are not the same rows")
    rows = a.rows
    difference = total(a) - total(b)
    if rows < 2:
        low, high, p, note = difference, difference, 1.0, ONE_ROW
    else:
        draws = resample([a, b], resamples=resamples, seed=seed)
        low, high = expanded_limits(draws[0] - draws[1], rows, level)
        p = randomisation(a, b, resamples=resamples, seed=seed)
        note = "every resample of the rows gives the same difference" if low == high else ""
    return {"difference": difference, "low": low, "high": high, "level": level, "p": p, "note": note}


def clearly_different(pair: dict[str, Any]) -> bool:
    """Whether a paired difference may be claimed: its interval excludes zero and the randomisation test agrees."""
    return bool((pair["low"] > 0 or pair["high"] < 0) and pair["p"] < 1 - pair["level"])


def resample(evidences: Sequence[Evidence], *, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """The headline of each evidence in each bootstrap resample of its rows, (evidences, resamples).

    Each resample draws the same rows for all of them. A resample is a vector of how often each row was drawn, so that
    sums are one matrix product and no row is ever copied.

    Raises:
        ValueError: the rows are not the same, or a headline is not finite.
    """
    rows = {evidence.rows for evidence in evidences}
    if len(rows) != 1:
        raise ValueError(f"evidence on {sorted(rows)} rows is not on the same rows")
    parts = [
        np.stack([evidence.headline(weights.T) for evidence in evidences])
        for weights in _draw_counts(rows.pop(), resamples, seed)
    ]
    return _require_finite(np.concatenate(parts, axis=1))


def expanded_limits(draws: np.ndarray, rows: int, level: float) -> tuple[float, float]:
    """The percentile interval of bootstrap draws (resamples,), its levels moved outwards for few rows.

    The plain percentile interval is that of a normal distribution with the variance's divisor n: too narrow by about
    sqrt((n - 1) / n) and by the ratio of normal to t quantiles (Hesterberg 2015, The American Statistician 69).
    """
    from scipy.stats import norm, t

    tail = norm.sf(np.sqrt(rows / (rows - 1)) * t.ppf(0.5 + level / 2, rows - 1))
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def randomisation(a: Evidence, b: Evidence, *, resamples: int = RESAMPLES, seed: int = 0) -> float:
    """The two-sided p of a paired difference by approximate randomisation (Noreen 1989; Yeh 2000).

    Under the null the two answers to a row may be swapped. Rows whose answers do not differ cannot matter. If few rows
    differ, all ways to swap them are counted instead of drawn.
    """
    differing = np.flatnonzero(a.differs(b))
    count = len(differing)
    observed = abs(total(a) - total(b))
    exact = 2**count <= resamples
    as_far = 0
    for swap in _all_swaps(count) if exact else _draw_swaps(count, resamples, seed):
        ours, theirs = a.swap(b, differing, swap.T)
        as_far += int((np.abs(ours - theirs) >= observed - 1e-12).sum())  # sums of other order differ in the last digit
    return as_far / 2**count if exact else (as_far + 1) / (resamples + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values in their order, corrected for multiple comparisons (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    steps = len(order) - np.arange(len(order))
    corrected = np.empty(len(order))
    corrected[order] = np.minimum(np.maximum.accumulate(np.asarray(p_values, dtype=float)[order] * steps), 1)
    return corrected.tolist()


def _draw_counts(rows: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each resample draws each row, (rows, some of the resamples)."""
    generator = np.random.default_rng(seed)
    for many in _portions(rows, resamples):
        # One resample's draws lie together in the stream, so the size of the portions changes no number.
        drawn = generator.integers(0, rows, (many, rows)).T * many + np.arange(many)
        yield np.bincount(drawn.ravel(), minlength=rows * many).reshape(rows, many).astype(float)


def _draw_swaps(rows: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    generator = np.random.default_rng(seed)
    for many in _portions(rows, resamples):
        yield generator.integers(0, 2, (many, rows), dtype=np.int8).T.astype(float)


def _all_swaps(rows: int) -> Iterator[np.ndarray]:
    """Every way to swap some of a few rows, (rows, 2 ** rows)."""
    yield (np.arange(2**rows) >> np.arange(rows)[:, None] & 1).astype(float)


def _portions(rows: int, resamples: int) -> list[int]:
    most = max(1, HELD // max(rows, 1))
    return [min(most, resamples - begun) for begun in range(0, resamples, most)]


def _require_finite(values: np.ndarray) -> np.ndarray:
    if not np.isfinite(values).all():
        wrong = values[~np.isfinite(values)].flat[0]
        raise ValueError(f"a headline score of {wrong} is not a number; it must be defined for every weighting")
    return values
