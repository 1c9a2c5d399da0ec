"""How a contender's headline score depends on the rows: its value under any weighting of them.

A bootstrap draws how often each row counts, and a paired test swaps the answers of two contenders row by row. Both only
ask an `Evidence`. The same statistics therefore hold for scores that are formulas of sums (`Sums`), for those of two
columns of numbers (`Paired`), and for rankings, which are sums of nothing (`Ranked` in ranked.py).
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol, Self

import numpy as np

SHARE, CORRELATION, DISTANCE = (0.0, 1.0), (-1.0, 1.0), (0.0, np.inf)  # the ends of scales
FAR = 1e-2  # of the squared distance from the centre: a variance below that has lost two digits
CONSTANT = 1e-13  # of the largest number: a standard deviation below that is rounding
SPARSE = 0.1  # share of counts other than zero below which a sparse product is faster


class Evidence(Protocol):
    """The part of one contender's answers that its headline score depends on."""

    rows: int
    ends: tuple[float, float]  # the lowest and the highest value that the headline could ever have

    def headline(self, weights: np.ndarray) -> np.ndarray:
        """The headline if row i counts `weights[:, i]` times: (draws, rows) -> (draws,)."""

    def hits(self) -> np.ndarray | None:
        """1 or 0 for each row, if the headline is nothing but the share of ones, (rows,); None otherwise."""

    def matters(self) -> np.ndarray:
        """Whether each row can move the headline at all, (rows,): a sentence without any entity cannot."""

    def swap(self, other: Self, rows: np.ndarray, swaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The headlines of both contenders, (draws,) each, after swapping their answers to some rows.

        Args:
            other: evidence on the same rows.
            rows: numbers of the rows that may be swapped, (k,).
            swaps: 1 to swap, 0 to leave, (draws, k).
        """

    def differs(self, other: Self) -> np.ndarray:
        """Whether swapping the two answers to a row could change anything, (rows,)."""

    def average(self, others: Sequence[Self]) -> Self:
        """The mean of this evidence and that of other seeds on the same rows."""

    def by_unit(self, units: Sequence | np.ndarray | None) -> Self:
        """The same evidence with the rows of each unit (patient, document) joined into one; None joins none."""


class Sums:
    """A score that is a formula of counts summed over rows: accuracy, F1, error rates, kappa.

    Args:
        tallies: additive counts of each row, (rows, counts). A row of zeros is one that nothing was asked of.
        formula: summed counts -> the score, (..., counts) -> (...), defined for every sum.
        ends: the lowest and the highest value of the formula.
    """

    def __init__(
        self,
        tallies: np.ndarray,
        formula: Callable[[np.ndarray], np.ndarray],
        ends: tuple[float, float] = SHARE,
    ) -> None:
        self.tallies, self.formula, self.ends = tallies, formula, ends
        self._columns: Any = None

    @property
    def rows(self) -> int:
        return len(self.tallies)

    def headline(self, weights: np.ndarray) -> np.ndarray:
        if len(weights) == 1 and (weights == 1).all():
            # Judges sum their tallies like this, and a matrix product may round otherwise.
            return self.formula(self.tallies.sum(axis=0, keepdims=True))
        if self._columns is None:
            self._columns = columns_of(self.tallies)
        return self.formula((self._columns @ weights.T).T)

    def hits(self) -> np.ndarray | None:
        # Asked of the formula instead of declared, so that it holds for every task, and after rows were joined: alone,
        # each row scores 0 or 1, and together they score the mean of that, however often each counts.
        with np.errstate(all="ignore"):
            alone = self.formula(self.tallies)
            if self.ends != SHARE or not ((alone == 0) | (alone == 1)).all():
                return None
            weights = np.random.default_rng(0).integers(1, 100, (2, self.rows)).astype(float)
            means = weights @ alone / weights.sum(axis=1)
            return alone if np.allclose(self.headline(weights), means, rtol=0, atol=1e-12) else None

    def matters(self) -> np.ndarray:
        return (self.tallies != 0).any(axis=1)

    def swap(self, other: "Sums", rows: np.ndarray, swaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # One contender gains by a swap exactly as much as the other loses, so only rows that can be swapped are summed.
        gain = columns_of(other.tallies[rows] - self.tallies[rows])
        moved = (gain @ swaps.T).T
        ours, theirs = self.tallies.sum(axis=0), other.tallies.sum(axis=0)
        return self.formula(ours + moved), self.formula(theirs - moved)

    def differs(self, other: "Sums") -> np.ndarray:
        return (self.tallies != other.tallies).any(axis=1)

    def average(self, others: "Sequence[Sums]") -> "Sums":
        if not others:
            return self
        return Sums(np.mean([self.tallies, *(other.tallies for other in others)], axis=0), self.formula, self.ends)

    def by_unit(self, units: Sequence | np.ndarray | None) -> "Sums":
        if units is None:
            return self
        unit = number_units(units, self.rows)
        kind = np.result_type(self.tallies.dtype, np.int64)
        summed = np.zeros((unit.max(initial=-1) + 1, self.tallies.shape[1]), dtype=kind)
        np.add.at(summed, unit, self.tallies)
        return Sums(summed, self.formula, self.ends)


class Paired:
    """A score of two columns of numbers that depends on their means, variances and covariance: Pearson's r, RMSE.

    Raw sums of squares lose all digits of numbers that are far from zero and close together, so every sum is taken
    about a centre near its mean, and about the mean itself where a weighting moves that far from the centre.

    Args:
        ours: a prediction for each row; of several seeds that count together (seeds, rows), else (rows,).
        gold: the right number for each row, (rows,).
        formula: the five `Moments` -> the score.
        ends: the lowest and the highest value of the formula.
        unit: the number of the unit that each row belongs to, (rows,); default: each is one of its own.
    """

    def __init__(
        self,
        ours: Sequence | np.ndarray,
        gold: Sequence | np.ndarray,
        formula: "Callable[[Moments], np.ndarray]",
        ends: tuple[float, float] = CORRELATION,
        unit: np.ndarray | None = None,
    ) -> None:
        self.ours, self.gold = np.atleast_2d(np.asarray(ours, dtype=float)), np.asarray(gold, dtype=float)
        self.formula, self.ends = formula, ends
        self.unit = np.arange(len(self.gold)) if unit is None else unit

    @property
    def rows(self) -> int:
        return int(self.unit.max(initial=-1)) + 1

    def headline(self, weights: np.ndarray) -> np.ndarray:
        centre = self.ours.mean(), self.gold.mean()
        return self.formula(self._moments(weights @ self._sums(*centre), centre, lambda draw: weights[draw]))

    def hits(self) -> None:
        return None

    def matters(self) -> np.ndarray:
        return np.ones(self.rows, dtype=bool)

    def swap(self, other: "Paired", rows: np.ndarray, swaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        centre = (self.ours.mean() + other.ours.mean()) / 2, self.gold.mean()
        ours, theirs = self._sums(*centre), other._sums(*centre)
        # One contender gains by a swap exactly as much as the other loses.
        moved = swaps @ (theirs - ours)[rows]
        both = self._join_side_by_side(other)

        def weights_of(draw: int, side: int) -> np.ndarray:
            kept = np.ones(self.rows)
            kept[rows] -= swaps[draw]
            return np.concatenate([kept, 1 - kept] if side == 0 else [1 - kept, kept])

        sums = ours.sum(axis=0) + moved, theirs.sum(axis=0) - moved
        first, second = (both._moments(sums[side], centre, partial(weights_of, side=side)) for side in (0, 1))
        return self.formula(first), self.formula(second)

    def differs(self, other: "Paired") -> np.ndarray:
        pooled = [(side.ours.mean(axis=0), (side.ours**2).mean(axis=0)) for side in (self, other)]
        unlike = np.any([mine != theirs for mine, theirs in zip(*pooled, strict=True)], axis=0)
        return np.bincount(self.unit, weights=unlike, minlength=self.rows) > 0

    def average(self, others: "Sequence[Paired]") -> "Paired":
        """The score of the answers of all seeds together."""
        if not others:
            return self
        ours = np.concatenate([self.ours, *(other.ours for other in others)])
        return Paired(ours, self.gold, self.formula, self.ends, self.unit)

    def by_unit(self, units: Sequence | np.ndarray | None) -> "Paired":
        if units is None:
            return self
        return Paired(self.ours, self.gold, self.formula, self.ends, number_units(units, self.rows)[self.unit])

    def _join_side_by_side(self, other: "Paired") -> "Paired":
        """The answers of both sides side by side: twice the rows."""
        seeds = np.lcm(len(self.ours), len(other.ours))
        ours = np.hstack([np.repeat(side.ours, seeds // len(side.ours), axis=0) for side in (self, other)])
        unit = np.concatenate([self.unit, self.unit + self.rows])
        return Paired(ours, np.tile(self.gold, 2), self.formula, self.ends, unit)

    def _sums(self, centre_of_ours: float, centre_of_gold: float) -> np.ndarray:
        """(1, p, g, p², g², pg) about a centre, summed over the rows of each unit, the mean over seeds, (rows, 6)."""
        ours, gold = self.ours - centre_of_ours, self.gold - centre_of_gold
        mean = ours.mean(axis=0)
        columns = np.ones_like(gold), mean, gold, (ours**2).mean(axis=0), gold**2, mean * gold
        return np.stack([np.bincount(self.unit, weights=one, minlength=self.rows) for one in columns], axis=1)

    def _moments(
        self, sums: np.ndarray, centre: tuple[float, float], weights_of: Callable[[int], np.ndarray]
    ) -> "Moments":
        """The moments of sums (draws, 6) about a centre, of which any draw's weights (rows,) can be asked for."""
        means = (sums[:, 1:] / sums[:, :1]).T
        mean, mean_of_gold = means[:2]
        spread, spread_of_gold = means[2] - mean**2, means[3] - mean_of_gold**2
        found = np.stack([mean - mean_of_gold + centre[0] - centre[1], spread, spread_of_gold, means[4]])
        found[3] -= mean * mean_of_gold
        # Without the outlier that drew the centre away from all other rows, a draw's sums have lost their digits.
        for draw in np.flatnonzero((spread < FAR * mean**2) | (spread_of_gold < FAR * mean_of_gold**2)):
            found[:, draw] = self._exact_moments(weights_of(draw)[self.unit])
        for variance, column in ((found[1], self.ours), (found[2], self.gold)):
            # What is left of a constant column is the rounding of its mean.
            variance[variance < (CONSTANT * np.abs(column).max()) ** 2] = 0
        return Moments(*found)

    def _exact_moments(self, weights: np.ndarray) -> tuple[float, ...]:
        """About the means themselves, for one weighting of the single rows."""
        weights = weights / weights.sum()
        mean, mean_of_gold = weights @ self.ours.mean(axis=0), weights @ self.gold
        ours, gold = self.ours - mean, self.gold - mean_of_gold
        spread, together = weights @ (ours**2).mean(axis=0), weights @ (ours.mean(axis=0) * gold)
        return mean - mean_of_gold, spread, weights @ gold**2, together


class Moments(NamedTuple):
    """Of predictions and gold numbers, each (draws,)."""

    gap: np.ndarray  # the mean prediction minus the mean gold number
    variance_of_ours: np.ndarray
    variance_of_gold: np.ndarray
    covariance: np.ndarray


def number_units(units: Sequence | np.ndarray, rows: int) -> np.ndarray:
    """The number of the unit that each row belongs to, (rows,), in the order of the units' names."""
    if len(units) != rows:
        raise ValueError(f"{len(units)} units of {rows} rows")
    return np.unique(np.asarray(units), return_inverse=True)[1]


def total(evidence: Evidence) -> float:
    """The headline on all rows, each counted once.

    Raises:
        ValueError: there is no row, or the headline is not finite or lies off its scale.
    """
    if not evidence.rows:
        raise ValueError("no rows: a score needs at least one")
    value = float(evidence.headline(np.ones((1, evidence.rows)))[0])
    if not np.isfinite(value):
        raise ValueError(f"a headline score of {value} is not a number; it must be defined for every weighting")
    low, high = evidence.ends
    if not low - 1e-9 <= value <= high + 1e-9:
        raise ValueError(f"a headline score of {value} lies outside {low:g} to {high:g}: give its evidence other ends")
    return value


def columns_of(tallies: np.ndarray) -> Any:
    """Tallies with one row per count, sparse if that is faster: with one count per class nearly all are zero."""
    from scipy.sparse import csr_array

    columns = np.ascontiguousarray(tallies.T, dtype=float)
    return csr_array(columns) if columns.size and np.count_nonzero(columns) < SPARSE * columns.size else columns
