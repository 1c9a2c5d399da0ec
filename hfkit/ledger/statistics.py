"""Contenders with several seeds on the same test rows: intervals of their scores, and of their differences."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from scipy.special import digamma, ndtr, polygamma, stdtr, stdtrit

from hfkit.scores.evidence import SHARE, Evidence, total
from hfkit.scores.limits import difference_limits, join_limits, number_limits, scale_length, share_limits
from hfkit.scores.statistics import (
    ALIKE,
    RESAMPLES,
    Drawn,
    Interval,
    correct_variance,
    limits_of_difference,
    limits_of_score,
    note_of,
    randomisation,
    resample,
)

POWER = 0.8
CONFIDENCE = 0.8  # how often the range of needed rows holds the number that the true difference needs
MOST_ROWS = 1_000_000  # beyond this, more rows are no advice
MOST_SEEDS = 100


@dataclass(frozen=True)
class Side:
    """One contender: the scores of its seeds, and how their mean moves when the rows are drawn again.

    Args:
        headlines: of each seed on all rows, (seeds,).
        draws: the mean over seeds in each resample of the rows, (resamples,).
        seeds_share: the part of the mean's variance that is due to the seeds alone, whatever the rows.
        mixed_share: the part that is due to different seeds getting different rows right; the row bootstrap already
            contains it.
        matters: whether each row can move one of the scores, (rows,).
        hits: 1 or 0 for each row, if there is one seed and its score is their share, (rows,).
        ends: of the scale of the scores.
        freedom: degrees of freedom of the variance between its seeds.
    """

    headlines: np.ndarray
    draws: np.ndarray
    seeds_share: float
    mixed_share: float
    matters: np.ndarray
    hits: np.ndarray | None
    ends: tuple[float, float]
    freedom: float

    @property
    def seeds(self) -> int:
        return len(self.headlines)

    @property
    def mean(self) -> float:
        return float(self.headlines.mean())

    @property
    def row_variation(self) -> Drawn:
        """The mean of its scores and how the rows move it, whatever the seeds."""
        return Drawn(self.mean, self.draws, self.matters, self.hits, self.ends)


def compare_pair(
    a: Sequence[Evidence],
    b: Sequence[Evidence],
    *,
    units: Sequence | np.ndarray | None = None,
    seed: int = 0,
    level: float = 0.95,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """The score of `a` minus that of `b` on the same rows, treating rows and seeds both as draws from many.

    Args:
        a: one per seed.
        b: one per seed.

    Returns:
        `difference` (of the means over seeds), `low`, `high`, `level`, `p`, `different` (the interval excludes zero and
        p agrees), `needed_rows` and `needed_seeds` (how many of one, with the other unchanged, would detect the
        difference with 80 % power; None if no sensible number would, or one seed cannot tell), and `note`.

        `needed_rows` is a range [low, high] of the rows that a test would need in all, those there are included: for a
        difference at the upper and at the lower end of its own 80 % interval, and so 8 times in 10 it holds the number
        for the true difference. `high` is None if that end is zero or so small that no sensible number would do. The
        rows to add have two digits. `low` may be less than there are: then a lucky test of this size would have told.

    The variance has two sources, added up as in a crossed design of random rows and seeds (Searle, Casella and
    McCulloch 1992, chapter 5; Owen 2007, The pigeonhole bootstrap). That of the rows comes from resampling the same
    rows for all seeds of both sides. That of each side's seeds comes from the spread of their scores, less the spread
    that the row bootstrap attributes to the rows alone. The limits are those of a difference of shares with the whole
    variance (of scores with other ends: the bootstrap's, stretched to it) and with Student's t at Satterthwaite's
    degrees of freedom; in simulations of 2 to 5 seeds they held the truth 94 to 98 times in 100, most often if seeds
    hardly differ. `p` is the larger of that t test's and of approximate randomisation of the rows. A side with one
    seed adds no seed variance: right for a baseline that always answers alike, and noted. With one seed on both sides
    the result is that of `hfkit.scores.statistics`.
    """
    seeds = [[one.by_unit(units) for one in side] for side in (a, b)]
    ours, theirs = sides_of(seeds, resamples, seed)
    rows = seeds[0][0].rows
    p = find_p(ours, theirs, *seeds, rows, resamples, seed)
    return describe_difference(ours, theirs, rows, p, level, 1 - level, 1.0 if units is None else len(units) / rows)


def sides_of(contenders: Sequence[Sequence[Evidence]], resamples: int, seed: int) -> list[Side]:
    """Every contender, from the same resamples of the rows.

    Args:
        contenders: of each its evidence, one per seed.
    """
    if not all(contenders):
        raise ValueError("every contender needs at least one seed that did not fail")
    everyone = [evidence for seeds in contenders for evidence in seeds]
    scores = np.array([total(evidence) for evidence in everyone])
    rows = everyone[0].rows
    draws = resample(everyone, resamples=resamples, seed=seed)
    sides, begun = [], 0
    for own in contenders:
        seeds = len(own)
        these, headlines = draws[begun : begun + seeds], scores[begun : begun + seeds]
        begun += seeds
        seeds_share = mixed_share = 0.0
        if seeds > 1 and rows > 1:
            # The variance between equally good seeds that the rows alone cause.
            mixed_share = (these - headlines[:, None]).var(axis=0, ddof=1).mean() * rows / (rows - 1) / seeds
            seeds_share = max(0.0, headlines.var(ddof=1) / seeds - mixed_share)
        matters = np.any([one.matters() for one in own], axis=0)
        hits = own[0].hits() if seeds == 1 else None
        shares = float(seeds_share), float(mixed_share)
        sides.append(Side(headlines, these.mean(axis=0), *shares, matters, hits, own[0].ends, seeds - 1))
    return sides


def pool_seeds(sides: Sequence[Side]) -> list[Side]:
    """The sides, each with a variance between its seeds to which all contenders have contributed.

    Three seeds that happen to agree are no proof that others would: of equals, the pair with the smallest variance by
    chance is the first to be called different. The variances are shrunk to their common value (Smyth 2004, Statistical
    Applications in Genetics and Molecular Biology 3): the more, the less they differ beyond chance. A contender that
    varies wildly makes them differ, and keeps its own.
    """
    several = [side for side in sides if side.seeds > 1 and np.ptp(side.headlines) > 1e-9]
    if len(several) < 2:
        return list(sides)
    freedoms = np.array([side.freedom for side in several], dtype=float)
    logs = np.log([side.headlines.var(ddof=1) for side in several]) - digamma(freedoms / 2) + np.log(freedoms / 2)
    beyond_chance = float(logs.var(ddof=1) - polygamma(1, freedoms / 2).mean())
    prior = _invert_trigamma(beyond_chance) if beyond_chance > 0 else np.inf  # degrees of freedom of the common value
    common = np.exp(logs.mean() + (digamma(prior / 2) - np.log(prior / 2) if np.isfinite(prior) else 0.0))
    known, pooled = freedoms.sum(), []
    for side in sides:
        if side.seeds > 1:
            weight = min(prior, known)
            variance = (weight * common + side.freedom * side.headlines.var(ddof=1)) / (weight + side.freedom)
            share = max(0.0, float(variance) / side.seeds - side.mixed_share)
            side = replace(side, seeds_share=share, freedom=float(min(weight + side.freedom, known)))
        pooled.append(side)
    return pooled


def _invert_trigamma(value: float) -> float:
    """The degrees of freedom d for which the trigamma function of d / 2 has this value, by bisection."""
    low, high = 1e-3, 1e6
    while high / low > 1 + 1e-9:
        middle = np.sqrt(low * high)
        low, high = (middle, high) if polygamma(1, middle / 2) > value else (low, middle)
    return float(np.sqrt(low * high))


def allow_for_luck(side: Side, contenders: int) -> Side:
    """A contender that validation picked among several: its seeds are not typical ones, but the luckiest.

    The variance between seeds grows to the mean square of the largest of so many normal numbers, as if validation knew
    the luck of the seeds exactly.
    """
    return replace(side, seeds_share=side.seeds_share * max(1.0, square_of_luckiest(contenders)))


def square_of_luckiest(contenders: int) -> float:
    """The mean square of the largest of so many normal numbers."""
    at = np.linspace(-8, 8, 4001)
    density = contenders * np.exp(-(at**2) / 2) / np.sqrt(2 * np.pi) * ndtr(at) ** (contenders - 1)
    return float((at**2 * density).sum() * (at[1] - at[0]))


def _error(
    sides: Sequence[Side], draws: np.ndarray, rows: int, *, more_rows: float = 1.0, more_seeds: float = 1.0
) -> tuple[float, float]:
    """The standard error of a mean or difference and its degrees of freedom, at multiples of the rows and seeds."""
    several = [side for side in sides if side.seeds > 1]
    mixed = sum(side.mixed_share for side in several)
    of_rows = max(0.0, correct_variance(draws, rows) - mixed * (1 - 1 / more_seeds)) / more_rows
    variance = of_rows + sum(side.seeds_share for side in several) / more_seeds
    # Satterthwaite 1946. Each mean square counts in full, even if most of it is due to the rows: with less, intervals
    # of three seeds held the truth only 92 times in 100.
    freed = of_rows**2 / (rows * more_rows - 1)
    for side in several:
        square = side.seeds_share / more_seeds + side.mixed_share / more_rows / more_seeds
        freed += square**2 / (side.freedom + side.seeds * (more_seeds - 1))
    return float(np.sqrt(variance)), max(1.0, variance**2 / freed) if freed else rows - 1.0


def _limits(sides: Sequence[Side], rows: int, level: float) -> tuple[float, float]:
    """The limits of the mean of one side, or of the difference of two, over other rows and seeds."""
    drawn = [side.row_variation for side in sides]
    if rows < 2 or all(side.seeds < 2 for side in sides):
        return limits_of_score(*drawn, level) if len(sides) == 1 else limits_of_difference(*drawn, level)
    matter = int(np.any([side.matters for side in sides], axis=0).sum())
    stretched = _stretched_limits(sides, rows, matter, level)
    if sides[0].ends != SHARE or matter < 2:
        return stretched
    error, freedom = _error(sides, _draws_of(sides), rows)
    if len(sides) == 1:
        limits, variance = (
            share_limits(sides[0].mean, error**2, matter, level, freedom),
            sides[0].row_variation.variance,
        )
        return join_limits(limits, stretched, sides[0].mean, variance, matter)
    a, b = sides
    variances = tuple(_error([side], side.draws, rows)[0] ** 2 for side in sides)
    return difference_limits((a.mean, b.mean), variances, error**2, matter, level, freedom)


def _stretched_limits(sides: Sequence[Side], rows: int, matter: int, level: float) -> tuple[float, float]:
    """Those of the rows alone, stretched to the variance of rows and seeds, within the ends of the scale."""
    draws, value, (floor, ceiling) = _draws_of(sides), sides[0].mean, sides[0].ends
    if len(sides) > 1:
        value, floor, ceiling = value - sides[1].mean, floor - ceiling, ceiling - floor
    length = scale_length(sides[0].ends, *(side.mean for side in sides))
    low, high = number_limits(value, draws, matter, level, (floor, ceiling), length)
    error, freedom = _error(sides, draws, rows)
    half = float(stdtrit(freedom, 0.5 + level / 2)) * error
    of_rows = float(stdtrit(rows - 1, 0.5 + level / 2)) * np.sqrt(correct_variance(draws, rows))
    if of_rows:
        stretch = half / of_rows
        low, high = value - max(0.0, value - low) * stretch, value + max(0.0, high - value) * stretch
    else:
        low, high = min(low, value - half), max(high, value + half)
    return float(max(low, floor)), float(min(high, ceiling))


def _draws_of(sides: Sequence[Side]) -> np.ndarray:
    """The draws of one side, or those of the difference of two."""
    return sides[0].draws - sides[1].draws if len(sides) > 1 else sides[0].draws


def interval_of(side: Side, rows: int, level: float) -> Interval:
    """The interval of the mean over the seeds of one side."""
    return Interval(*_limits([side], rows, level), level, _note([side], rows))


def find_p(
    a: Side,
    b: Side,
    seeds_of_a: Sequence[Evidence],
    seeds_of_b: Sequence[Evidence],
    rows: int,
    resamples: int,
    seed: int,
) -> float:
    """The two-sided p of the difference of two sides: that of randomised rows, or of rows and seeds if it is larger."""
    if rows < 2:
        return 1.0
    means = [first.average(others) for first, *others in (seeds_of_a, seeds_of_b)]
    p = randomisation(*means, resamples=resamples, seed=seed)
    error, freedom = _error((a, b), a.draws - b.draws, rows)
    if a.seeds == b.seeds == 1 or not error:
        return p
    return max(p, float(2 * stdtr(freedom, -abs(a.mean - b.mean) / error)))


def describe_difference(
    a: Side, b: Side, rows: int, p: float, level: float, alpha: float, per_unit: float
) -> dict[str, Any]:
    """The difference of two sides as `compare_pair` returns it.

    Args:
        p: of the difference.
        alpha: the error rate at which rows and seeds that are needed would be tested.
        per_unit: rows of each unit.
    """
    difference, draws = a.mean - b.mean, a.draws - b.draws
    low, high = _limits((a, b), rows, level)

    def detectable(size: float, more_rows: float, more_seeds: float) -> bool:
        error, freedom = _error((a, b), draws, rows, more_rows=more_rows, more_seeds=more_seeds)
        return size >= error * float(stdtrit(freedom, 1 - alpha / 2) + stdtrit(freedom, POWER))

    needed_rows = needed_seeds = None
    if rows > 1 and difference:
        error, freedom = _error((a, b), draws, rows)
        reach = float(stdtrit(freedom, 0.5 + CONFIDENCE / 2)) * error
        sizes = abs(difference) + reach, abs(difference) - reach
        needed_rows = _needed_rows(detectable, sizes, rows, per_unit)
        needed_seeds = _needed_seeds(partial(detectable, abs(difference)), max(a.seeds, b.seeds))
    return {
        "difference": difference,
        "low": low,
        "high": high,
        "level": level,
        "p": p,
        "different": bool((low > 0 or high < 0) and p < 1 - level),
        "needed_rows": needed_rows,
        "needed_seeds": needed_seeds,
        "note": _note((a, b), rows),
    }


def _needed_rows(
    detectable: Callable[[float, float, float], bool], sizes: tuple[float, float], rows: int, per_unit: float
) -> list[int | None] | None:
    """The fewest rows that detect a difference of the first size, and of the second, which is smaller."""
    low, high = (
        _fewest(lambda count, size=size: detectable(size, count / rows, 1), int(MOST_ROWS / per_unit)) for size in sizes
    )
    if low is None:
        return None
    present = round(rows * per_unit)
    return [units and _round_rows(int(np.ceil(units * per_unit)), present) for units in (low, high)]


def _round_rows(needed: int, present: int) -> int:
    """A number of rows of which those to add have two digits: more would claim a precision that it has not."""
    more = needed - present if needed > present else needed
    step = 10 ** max(0, len(str(more)) - 2)
    return needed - more + step * round(more / step)


def _needed_seeds(detectable: Callable[[float, float], bool], seeds: int) -> int | None:
    return _fewest(lambda count: detectable(1, count / seeds), MOST_SEEDS) if seeds > 1 else None


def _fewest(enough: Callable[[int], bool], most: int) -> int | None:
    """The smallest number from 2 to `most` that is enough, by bisection; None if there is none."""
    few = 2
    if most < few or not enough(most):
        return None
    while few < most:
        middle = (few + most) // 2
        few, most = (few, middle) if enough(middle) else (middle + 1, most)
    return most


def _note(sides: Sequence[Side], rows: int) -> str:
    of_rows = note_of([side.row_variation for side in sides], _draws_of(sides))
    if rows < 2 or of_rows not in ("", ALIKE):
        return of_rows
    # Where the seeds vary, the interval is theirs.
    notes = [of_rows] if of_rows and not any(side.seeds_share for side in sides) else []
    if len(sides) > 1 and len({side.seeds > 1 for side in sides}) > 1:
        notes.append("one side has a single run, whose own spread over seeds is not in the interval")
    elif sides[0].seeds < 2:
        notes.append("of a single run: the interval is over test rows alone")
    return "; ".join(notes)
