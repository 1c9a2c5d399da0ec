"""How a contender's headline score depends on the rows: its value under any weighting of them.

A bootstrap draws how often each row counts, and a paired test swaps the answers of two contenders row by row. Both only
ask an `Evidence`. The same statistics therefore hold for scores that are formulas of sums (`Sums`) and for scores that
are sums of nothing, such as rankings.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, Self

import numpy as np

SPARSE = 0.1  # share of counts other than zero below which a sparse product is faster


class Evidence(Protocol):
    """The part of one contender's answers that its headline score depends on."""

    rows: int

    def headline(self, weights: np.ndarray) -> np.ndarray:
        """The headline if row i counts `weights[:, i]` times: (draws, rows) -> (draws,)."""

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
    """A score that is a formula of counts summed over rows: accuracy, F1, error rates, correlations.

    Args:
        tallies: additive counts of each row, (rows, counts).
        formula: summed counts -> the score, (..., counts) -> (...), defined for every sum.
    """

    def __init__(self, tallies: np.ndarray, formula: Callable[[np.ndarray], np.ndarray]) -> None:
        self.tallies, self.formula = tallies, formula
        self._columns: Any = None

    @property
    def rows(self) -> int:
        return len(self.tallies)

    def headline(self, weights: np.ndarray) -> np.ndarray:
        if len(weights) == 1 and (weights == 1).all():
            # Judges sum their tallies like this. A matrix product rounds otherwise, which shows in the fifth digit of a
            # correlation with predictions that are nearly constant.
            return self.formula(self.tallies.sum(axis=0, keepdims=True))
        if self._columns is None:
            self._columns = columns_of(self.tallies)
        return self.formula((self._columns @ weights.T).T)

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
        return Sums(np.mean([self.tallies, *(other.tallies for other in others)], axis=0), self.formula)

    def by_unit(self, units: Sequence | np.ndarray | None) -> "Sums":
        if units is None:
            return self
        if len(units) != self.rows:
            raise ValueError(f"{len(units)} units of {self.rows} rows")
        _, unit = np.unique(np.asarray(units), return_inverse=True)
        kind = np.result_type(self.tallies.dtype, np.int64)
        summed = np.zeros((unit.max(initial=-1) + 1, self.tallies.shape[1]), dtype=kind)
        np.add.at(summed, unit, self.tallies)
        return Sums(summed, self.formula)


def total(evidence: Evidence) -> float:
    """The headline on all rows, each counted once.

    Raises:
        ValueError: there is no row, or the headline is not finite.
    """
    if not evidence.rows:
        raise ValueError("no rows: a score needs at least one")
    value = float(evidence.headline(np.ones((1, evidence.rows)))[0])
    if not np.isfinite(value):
        raise ValueError(f"a headline score of {value} is not a number; it must be defined for every weighting")
    return value


def columns_of(tallies: np.ndarray) -> Any:
    """Tallies with one row per count, sparse if that is faster: with one count per class nearly all are zero."""
    from scipy.sparse import csr_array

    columns = np.ascontiguousarray(tallies.T, dtype=float)
    return csr_array(columns) if columns.size and np.count_nonzero(columns) < SPARSE * columns.size else columns
