"""How sure a score is: bootstrap intervals and paired comparisons over the rows of one test split."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hfkit.scores.evidence import SHARE, Evidence, total
from hfkit.scores.limits import difference_limits, join_limits, number_limits, scale_length, share_limits

RESAMPLES = 2000
HELD = 2**22  # weights in memory at once while resampling, 32 MiB: bounds memory on large test splits

ONE_ROW = "one row: there is nothing to resample, and the interval is what that leaves open"
NO_ROW = "nothing was asked in any row: the score is unknown"
ALIKE = "resampling the rows changes nothing: the interval is what so many rows leave open"


@dataclass(frozen=True)
class Interval:
    """The range in which a score plausibly lies; a `note` says in plain words what it is if nothing varies."""

    low: float
    high: float
    level: float = 0.95
    note: str = ""


@dataclass(frozen=True)
class Drawn:
    """A score, and how it moves when the rows are drawn again."""

    value: float
    draws: np.ndarray  # the score in each resample, (resamples,)
    matters: np.ndarray  # whether each row can move it, (rows,)
    hits: np.ndarray | None  # 1 or 0 for each row, if the score is their share, (rows,)
    ends: tuple[float, float]

    @property
    def variance(self) -> float:
        """Over other rows."""
        if self.hits is None:
            return correct_variance(self.draws, len(self.matters))
        return self.value * (1 - self.value) / len(self.hits)


def bootstrap_interval(
    evidence: Evidence, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """The interval of a headline score over other rows like these.

    Whole rows are resampled, and not the answers within them, which are not independent; rows that belong together are
    one row of `Evidence.by_unit`. A score from 0 to 1 gets the limits of a share with the variance that the resamples
    have (`share_limits`; if each row is right or wrong they are Wilson's, and no resample is needed). Any other score
    gets the expanded percentile interval (`number_limits`). No interval is without width: where nothing varies, it is
    what so many rows leave open (`open_width`).
    """
    (drawn,) = draw_scores([evidence], resamples=resamples, seed=seed)
    low, high = limits_of_score(drawn, level)
    return Interval(low, high, level, note_of([drawn], drawn.draws))


def paired_difference(
    a: Evidence, b: Evidence, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Any]:
    """The score of `a` minus that of `b` on the same rows: `difference`, `low`, `high`, `level`, `p` and `note`.

    Each resample draws the same rows for both. Of two scores from 0 to 1 the interval is that of the difference of two
    shares (`difference_limits`; Tango's if each row is right or wrong), of others the expanded percentile interval.
    `p` is two-sided, from approximate randomisation (see `randomisation`).
    """
    if a.rows != b.rows:
        raise ValueError(f"{a.rows} and {b.rows} rows are not the same rows")
    drawn = draw_scores([a, b], resamples=resamples, seed=seed)
    low, high = limits_of_difference(*drawn, level)
    p = randomisation(a, b, resamples=resamples, seed=seed)
    note = note_of(drawn, drawn[0].draws - drawn[1].draws)
    return {
        "difference": drawn[0].value - drawn[1].value,
        "low": low,
        "high": high,
        "level": level,
        "p": p,
        "note": note,
    }


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


def draw_scores(evidences: Sequence[Evidence], *, resamples: int = RESAMPLES, seed: int = 0) -> list[Drawn]:
    """Each evidence's score and its draws, from the same resamples of the rows."""
    values = [total(evidence) for evidence in evidences]
    draws = resample(evidences, resamples=resamples, seed=seed)
    return [
        Drawn(value, row, evidence.matters(), evidence.hits(), evidence.ends)
        for evidence, value, row in zip(evidences, values, draws, strict=True)
    ]


def limits_of_score(drawn: Drawn, level: float) -> tuple[float, float]:
    """The limits of a score over other rows."""
    rows = int(drawn.matters.sum())
    numbers = number_limits(drawn.value, drawn.draws, rows, level, drawn.ends, scale_length(drawn.ends, drawn.value))
    if drawn.ends != SHARE or rows < 2:
        return numbers
    limits = share_limits(drawn.value, drawn.variance, rows, level)
    return limits if drawn.hits is not None else join_limits(limits, numbers, drawn.value, drawn.variance, rows)


def limits_of_difference(a: Drawn, b: Drawn, level: float) -> tuple[float, float]:
    """The limits of the difference of two scores over other rows, the same for both."""
    rows = int((a.matters | b.matters).sum())
    if a.ends == SHARE and rows > 1:
        return difference_limits((a.value, b.value), (a.variance, b.variance), variance_between(a, b), rows, level)
    span, length = a.ends[1] - a.ends[0], scale_length(a.ends, a.value, b.value)
    return number_limits(a.value - b.value, a.draws - b.draws, rows, level, (-span, span), length)


def variance_between(a: Drawn, b: Drawn) -> float:
    """The variance of the difference of two scores over other rows."""
    if a.hits is None or b.hits is None:
        return correct_variance(a.draws - b.draws, len(a.matters))
    return float((a.hits - b.hits).var() / len(a.hits))


def correct_variance(draws: np.ndarray, rows: int) -> float:
    """The variance over other rows that resamples (resamples,) tell: theirs has the divisor n."""
    return float(draws.var(ddof=1)) * rows / (rows - 1) if rows > 1 else 0.0


def note_of(drawn: Sequence[Drawn], draws: np.ndarray) -> str:
    """In words what an interval is, if resampling did not make it."""
    rows = int(np.any([one.matters for one in drawn], axis=0).sum())
    if rows < 2:
        return ONE_ROW if rows else NO_ROW
    return ALIKE if not np.ptp(draws) else ""


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
