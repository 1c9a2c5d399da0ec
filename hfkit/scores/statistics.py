"""How sure a score is: bootstrap intervals and paired comparisons over the rows of one test split."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

RESAMPLES = 2000
HELD = 2**22  # weights held at once while resampling, 32 MiB: bounds memory on large test splits
SPARSE = 0.1  # share of counts other than zero below which a sparse product is faster

ONE_ROW = "one row: there is nothing to resample, so the interval is unknown"


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
    """The expanded percentile bootstrap interval of a headline score, resampling whole rows with replacement.

    Rows (sentences) are resampled, not words or entities: those within a row are not independent; rows that belong
    together are summed `by_unit` first. The percentile interval (Efron and Tibshirani 1993, chapter 13; for test sets
    in NLP: Koehn 2004) stays inside the range of the score, and with Hesterberg's expansion (see `expanded_limits`)
    it is not too narrow on few rows. In simulations BCa was no closer to its level.

    Args:
        tallies: additive counts of each row, (rows, counts).
        headline_of: the score of summed counts, (..., counts) -> (...).
    """
    rows, value = len(tallies), _finite(headline_of(_sums(tallies)))
    if rows < 2:
        return Interval(value, value, level, ONE_ROW)
    low, high = expanded_limits(resampled([tallies], headline_of, resamples=resamples, seed=seed)[0], rows, level)
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

    The interval is the paired bootstrap's: each resample draws the same rows for both. `p` is two-sided, from
    approximate randomisation (see `randomisation`).
    """
    if tallies_a.shape != tallies_b.shape:
        raise ValueError(f"tallies of shape {tallies_a.shape} and {tallies_b.shape} are not of the same rows")
    rows = len(tallies_a)
    difference = _finite(headline_of(_sums(tallies_a)) - headline_of(_sums(tallies_b)))
    if rows < 2:
        low, high, p, note = difference, difference, 1.0, ONE_ROW
    else:
        draws = resampled([tallies_a, tallies_b], headline_of, resamples=resamples, seed=seed)
        low, high = expanded_limits(draws[0] - draws[1], rows, level)
        p = randomisation(tallies_a, tallies_b, headline_of, resamples=resamples, seed=seed)
        note = "every resample of the rows gives the same difference" if low == high else ""
    return {"difference": difference, "low": low, "high": high, "level": level, "p": p, "note": note}


def clearly_different(pair: dict[str, Any]) -> bool:
    """Whether a paired difference may be called one: its interval leaves out zero and the randomisation test agrees."""
    return bool((pair["low"] > 0 or pair["high"] < 0) and pair["p"] < 1 - pair["level"])


def by_unit(tallies: np.ndarray, units: Sequence | np.ndarray | None) -> np.ndarray:
    """Tallies summed over the rows of each unit (patient, document), (units, counts); None: every row is its own."""
    if units is None:
        return tallies
    if len(units) != len(tallies):
        raise ValueError(f"{len(units)} units of {len(tallies)} rows")
    _, unit = np.unique(np.asarray(units), return_inverse=True)
    summed = np.zeros((unit.max(initial=-1) + 1, tallies.shape[1]), dtype=np.result_type(tallies.dtype, np.int64))
    np.add.at(summed, unit, tallies)
    return summed


def resampled(
    tallies: Sequence[np.ndarray],
    headline_of: Callable[[np.ndarray], np.ndarray],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> np.ndarray:
    """The headline of each tallies array in each bootstrap resample of its rows, (arrays, resamples).

    All arrays are of the same rows, and one resample draws the same rows of all of them. A resample is a vector of
    how often each row was drawn, so that one matrix product sums all resamples and no row is ever copied.

    Raises:
        ValueError: the arrays have different rows, or a headline is not finite.
    """
    rows = {len(array) for array in tallies}
    if len(rows) != 1:
        raise ValueError(f"tallies of {sorted(rows)} rows are not of the same rows")
    columns = [_columns(array) for array in tallies]
    parts = [
        np.stack([headline_of((array @ weights).T) for array in columns])
        for weights in _drawn(rows.pop(), resamples, seed)
    ]
    return _all_finite(np.concatenate(parts, axis=1))


def expanded_limits(draws: np.ndarray, rows: int, level: float) -> tuple[float, float]:
    """The percentile interval of bootstrap draws (resamples,), its levels moved outwards for few rows.

    The plain percentile interval is that of a normal distribution with the variance's divisor n: too narrow by about
    sqrt((n - 1) / n) and by the ratio of normal to t quantiles (Hesterberg 2015, The American Statistician 69).
    """
    from scipy.stats import norm, t

    tail = norm.sf(np.sqrt(rows / (rows - 1)) * t.ppf(0.5 + level / 2, rows - 1))
    low, high = np.quantile(draws, [tail, 1 - tail])
    return float(low), float(high)


def randomisation(
    tallies_a: np.ndarray,
    tallies_b: np.ndarray,
    headline_of: Callable[[np.ndarray], np.ndarray],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> float:
    """The two-sided p of a paired difference by approximate randomisation (Noreen 1989; Yeh 2000).

    Under the null the two answers to a row may be swapped. Rows where they do not differ cannot matter, and where few
    do, all ways of swapping are counted instead of drawn.
    """
    differing = (tallies_a != tallies_b).any(axis=1)
    count = int(differing.sum())
    all_a, all_b = _sums(tallies_a), _sums(tallies_b)
    observed = abs(_finite(headline_of(all_a) - headline_of(all_b)))
    gain = _columns(tallies_b[differing] - tallies_a[differing])
    exact = 2**count <= resamples
    as_far = 0
    for swap in _ways(count) if exact else _swaps(count, resamples, seed):
        moved = (gain @ swap).T
        gaps = np.abs(headline_of(all_a + moved) - headline_of(all_b - moved))
        as_far += int((gaps >= observed - 1e-12).sum())  # sums of other order differ in the last digit
    return as_far / 2**count if exact else (as_far + 1) / (resamples + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """p values in their order, each corrected for there being several (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    steps = len(order) - np.arange(len(order))
    corrected = np.empty(len(order))
    corrected[order] = np.minimum(np.maximum.accumulate(np.asarray(p_values, dtype=float)[order] * steps), 1)
    return corrected.tolist()


def _drawn(rows: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each row is in each resample, (rows, some of the resamples)."""
    generator = np.random.default_rng(seed)
    for many in _portions(rows, resamples):
        # One resample's draws lie together in the stream, so that the portions do not matter.
        drawn = generator.integers(0, rows, (many, rows)).T * many + np.arange(many)
        yield np.bincount(drawn.ravel(), minlength=rows * many).reshape(rows, many).astype(float)


def _swaps(rows: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    generator = np.random.default_rng(seed)
    for many in _portions(rows, resamples):
        yield generator.integers(0, 2, (many, rows), dtype=np.int8).T.astype(float)


def _ways(rows: int) -> Iterator[np.ndarray]:
    """Every way of swapping some of few rows, (rows, 2 ** rows)."""
    yield (np.arange(2**rows) >> np.arange(rows)[:, None] & 1).astype(float)


def _portions(rows: int, resamples: int) -> list[int]:
    most = max(1, HELD // max(rows, 1))
    return [min(most, resamples - begun) for begun in range(0, resamples, most)]


def _columns(tallies: np.ndarray) -> Any:
    """Tallies with a row per count, sparse where that is faster: with a count per class nearly all are zero."""
    from scipy.sparse import csr_array

    columns = np.ascontiguousarray(tallies.T, dtype=float)
    return csr_array(columns) if columns.size and np.count_nonzero(columns) < SPARSE * columns.size else columns


def _sums(tallies: np.ndarray) -> np.ndarray:
    if not len(tallies):
        raise ValueError("no rows: a score needs at least one")
    return tallies.sum(axis=0)


def _finite(value: Any) -> float:
    return float(_all_finite(np.asarray(value)))


def _all_finite(values: np.ndarray) -> np.ndarray:
    if not np.isfinite(values).all():
        wrong = values[~np.isfinite(values)].flat[0]
        raise ValueError(f"a headline score of {wrong} is not a number; headline_of must be defined for every sum")
    return values
