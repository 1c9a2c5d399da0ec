"""Scores that rank answers over all rows: average precision, areas under curves, sensitivity at a specificity.

Such a score is a sum of nothing: one confident mistake moves everything ranked below it. Yet what was answered is
matched to what is right only once. However often each row counts, its answers keep their places in the ranking, and
only cumulative weights change. A draw therefore costs two cumulative sums, and never another match or sort.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from hfkit.scores.evidence import SHARE, number_units

HELD = 2**18  # numbers in an array at once, 2 MiB: more would leave the processor's cache
HIT, MISS, LEFT_OUT = 1, 0, -1
RECALLS = np.linspace(0, 1, 101)  # as in COCO's evaluation; the last digits of these decide whether a point is reached
TINY = 1e-300  # nothing is right of nothing: dividing by this keeps that zero


@dataclass(frozen=True)
class Entries:
    """One contender's answers of all rows, and how many there are to find.

    Entries of equal confidence stand in the order of their rows, and within a row as given.
    """

    confidence: np.ndarray  # (entries,)
    hit: np.ndarray  # HIT, MISS or LEFT_OUT by each way to match, such as each overlap asked for, (entries, ways)
    row: np.ndarray  # (entries,)
    group: np.ndarray  # the ranking that each belongs to, such as its class, (entries,)
    positives: np.ndarray  # what there is to find, (rows, groups)
    order: np.ndarray | None = None  # of entries of equal confidence, instead of that of the rows, (entries,)

    @property
    def rows(self) -> int:
        return len(self.positives)

    @property
    def groups(self) -> int:
        return self.positives.shape[1]

    @property
    def ways(self) -> int:
        return self.hit.shape[1]

    @cached_property
    def rankings(self) -> "list[Ranking]":
        """The entries of each group, the most confident first."""
        order = np.lexsort((self._order, -self.confidence, self.group))
        ends = np.searchsorted(self.group[order], np.arange(self.groups + 1))
        parts = [order[begin:end] for begin, end in zip(ends, ends[1:], strict=False)]
        return [Ranking(self.confidence[part], self.hit[part], self.row[part]) for part in parts]

    def join_below(self, other: "Entries") -> "Entries":
        """The answers of both: those of `other` are rows of their own, behind these."""
        return Entries(
            np.concatenate([self.confidence, other.confidence]),
            np.concatenate([self.hit, other.hit]),
            np.concatenate([self.row, other.row + self.rows]),
            np.concatenate([self.group, other.group]),
            np.concatenate([self.positives, other.positives]),
            np.concatenate([self._order, other._order]),
        )

    def join_units(self, unit: np.ndarray) -> "Entries":
        """The same entries as those of units, whose number is given for each row, (rows,)."""
        positives = np.zeros((unit.max(initial=-1) + 1, self.groups), dtype=self.positives.dtype)
        np.add.at(positives, unit, self.positives)
        return Entries(self.confidence, self.hit, unit[self.row], self.group, positives, self._order)

    def differs(self, other: "Entries") -> np.ndarray:
        """Whether each row has other entries there, in whatever order, (rows,)."""
        unlike = (self.positives != other.positives).any(axis=1)
        ours, theirs = (side._by_row() for side in (self, other))
        counts, others = (np.bincount(side.row, minlength=self.rows) for side in (self, other))
        unlike |= counts != others
        first, second = (side[~unlike[side[:, 0].astype(int)]] for side in (ours, theirs))
        unlike[first[(first != second).any(axis=1), 0].astype(int)] = True
        return unlike

    @property
    def _order(self) -> np.ndarray:
        return self.row if self.order is None else self.order

    def _by_row(self) -> np.ndarray:
        """Every entry as numbers, ordered by row and then by all of them, (entries, 3 + ways)."""
        columns = np.column_stack([self.row, self.group, self.confidence, self.hit])
        return columns[np.lexsort(columns.T[::-1])]


class Ranking(NamedTuple):
    """The entries of one group, the most confident first."""

    confidence: np.ndarray  # (entries,)
    hit: np.ndarray  # (entries, ways)
    row: np.ndarray  # (entries,)


class Steps(NamedTuple):
    """The places in a ranking at which something is found, from the top, under each of some weightings.

    Hits that a curve takes together are one step.
    """

    right: np.ndarray  # the weight of hits up to each step, itself included, (steps, draws)
    wrong: np.ndarray  # the weight of misses up to each step, with those of its confidence if taken together
    wrong_above: np.ndarray  # the weight of misses above each step
    positives: np.ndarray  # the weight of what there is to find, (draws,)
    negatives: np.ndarray  # the weight of all misses, (draws,)


@dataclass(frozen=True)
class Curve:
    """A value that is read off a ranking.

    Args:
        read: the value under each weighting, (draws,); nan where there is none, such as without positives.
        together: entries of equal confidence count at once, in no order. COCO's evaluation takes them one by one.
    """

    read: Callable[[Steps], np.ndarray]
    together: bool = True


class Ranked:
    """The mean of what a curve says of every ranking (a class, a finding) and of every way to match.

    A ranking of which it says nothing, such as one without anything to find, is left out of the mean.

    Args:
        seeds: the entries of one run, or of several, of whose scores the mean is taken.
        undefined: the score where nothing can be said of any ranking.
        ends: the lowest and the highest value.
    """

    def __init__(
        self,
        seeds: Entries | Sequence[Entries],
        curve: Curve,
        undefined: float = 0.0,
        ends: tuple[float, float] = SHARE,
    ) -> None:
        self.seeds = (seeds,) if isinstance(seeds, Entries) else tuple(seeds)
        self.curve, self.undefined, self.ends = curve, undefined, ends

    @property
    def rows(self) -> int:
        return self.seeds[0].rows

    def headline(self, weights: np.ndarray) -> np.ndarray:
        return np.mean([self._mean(values) for values in self.values(weights)], axis=0)

    def values(self, weights: np.ndarray) -> Iterator[np.ndarray]:
        """For each seed what the curve says of every ranking, (draws, groups, ways); nan where that is nothing."""
        by_row = np.ascontiguousarray(weights.T, dtype=float)
        for entries in self.seeds:
            found = np.full((len(weights), entries.groups, entries.ways), np.nan)
            positives = entries.positives.T @ by_row
            for group, ranking in enumerate(entries.rankings):
                if entries.positives[:, group].any():
                    self._read_group(ranking, by_row, positives[group], found[:, group])
            yield found

    def hits(self) -> None:
        return None

    def matters(self) -> np.ndarray:
        mattering = np.zeros(self.rows, dtype=bool)
        for entries in self.seeds:
            asked = entries.positives.any(axis=0)
            counted = asked[entries.group] & (entries.hit != LEFT_OUT).any(axis=1)
            mattering |= entries.positives.any(axis=1)
            mattering[entries.row[counted]] = True
        return mattering

    def swap(self, other: "Ranked", rows: np.ndarray, swaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        taken = np.zeros((len(swaps), self.rows))
        taken[:, rows] = swaps
        pairs = [ours.join_below(theirs) for ours, theirs in self._pair_seeds(other)]
        both = Ranked(pairs, self.curve, self.undefined, self.ends)
        return both.headline(np.hstack([1 - taken, taken])), both.headline(np.hstack([taken, 1 - taken]))

    def differs(self, other: "Ranked") -> np.ndarray:
        return np.any([ours.differs(theirs) for ours, theirs in self._pair_seeds(other)], axis=0)

    def average(self, others: "Sequence[Ranked]") -> "Ranked":
        if not others:
            return self
        seeds = [entries for one in (self, *others) for entries in one.seeds]
        return Ranked(seeds, self.curve, self.undefined, self.ends)

    def by_unit(self, units: Sequence | np.ndarray | None) -> "Ranked":
        if units is None:
            return self
        unit = number_units(units, self.rows)
        seeds = [entries.join_units(unit) for entries in self.seeds]
        return Ranked(seeds, self.curve, self.undefined, self.ends)

    def _pair_seeds(self, other: "Ranked") -> list[tuple[Entries, Entries]]:
        """Each seed of one beside one of the other, all of them equally often."""
        pairs = int(np.lcm(len(self.seeds), len(other.seeds)))
        return [(self.seeds[pair % len(self.seeds)], other.seeds[pair % len(other.seeds)]) for pair in range(pairs)]

    def _mean(self, values: np.ndarray) -> np.ndarray:
        known = ~np.isnan(values)
        count = known.sum(axis=(1, 2))
        total = np.where(known, values, 0).sum(axis=(1, 2))
        return np.where(count > 0, total / np.maximum(count, 1), self.undefined)

    def _read_group(self, ranking: Ranking, by_row: np.ndarray, positives: np.ndarray, found: np.ndarray) -> None:
        """Write what the curve says of a ranking by each way to match into `found`, (draws, ways).

        Args:
            by_row: weights, (rows, draws).
            positives: the weight of what there is to find, (draws,).
        """
        places = [_Places.find(ranking, way, self.curve.together) for way in range(found.shape[1])]
        marks = np.unique(np.concatenate([place.marks for place in places]))
        # Ways that leave out the same entries, mostly none, have the same sums.
        counted = {left_out: _count(ranking, left_out, marks, len(by_row)) for left_out in {p.left_out for p in places}}
        many = max(16, HELD // max(len(marks), 1))
        for begin in range(0, len(positives), many):
            weights = np.ascontiguousarray(by_row[:, begin : begin + many])
            seen = {left_out: add_up(counts @ weights) for left_out, counts in counted.items()}
            for way, place in enumerate(places):
                right = add_up(weights.take(ranking.row[place.hits], axis=0))
                steps = place.walk(right, seen[place.left_out], marks, positives[begin : begin + many])
                found[begin : begin + many, way] = self.curve.read(steps)


class _Places(NamedTuple):
    """Where the hits of a ranking are by one way to match; each is the number of an entry, from the top."""

    hits: np.ndarray
    last_hit: np.ndarray  # of each step, as the number of a hit
    last: np.ndarray  # of each step, with the misses of the same confidence if taken together
    first: np.ndarray  # of each step
    left_out: bytes  # numbers of the entries that are neither hits nor misses, to be compared
    end: int

    @classmethod
    def find(cls, ranking: Ranking, way: int, together: bool) -> "_Places":
        hit = ranking.hit[:, way]
        hits, left_out = np.flatnonzero(hit == HIT), np.flatnonzero(hit == LEFT_OUT).astype(np.int64).tobytes()
        if not together:
            return cls(hits, np.arange(len(hits)), hits, hits, left_out, len(hit) - 1)
        begins = np.flatnonzero(np.diff(ranking.confidence, prepend=np.inf))
        ends = np.append(begins[1:], len(hit)) - 1
        block = np.searchsorted(ends, hits)
        last_hit = np.flatnonzero(np.diff(block, append=len(ends)))
        return cls(hits, last_hit, ends[block[last_hit]], begins[block[last_hit]], left_out, len(hit) - 1)

    @property
    def marks(self) -> np.ndarray:
        """The entries up to which sums are needed."""
        return np.concatenate([self.last, self.first[self.first > 0] - 1, [self.end]])[: None if self.end >= 0 else 0]

    def walk(self, right: np.ndarray, seen: np.ndarray, marks: np.ndarray, positives: np.ndarray) -> Steps:
        """The steps under some weightings.

        Args:
            right: the weight of hits up to each, (hits, draws).
            seen: the weight of entries up to each mark, (marks, draws).
        """
        negatives = seen[-1] - right[-1] if len(right) else seen[-1] if len(seen) else np.zeros_like(positives)
        if len(self.last_hit) < len(self.hits):
            right = right[self.last_hit]
        wrong = seen[np.searchsorted(marks, self.last)] - right
        if self.first is self.last:
            return Steps(right, wrong, wrong, positives, negatives)
        above = seen[np.searchsorted(marks, self.first - 1)]
        above[self.first == 0] = 0
        above[1:] -= right[:-1]
        return Steps(right, wrong, above, positives, negatives)


def _count(ranking: Ranking, left_out: bytes, marks: np.ndarray, rows: int) -> csr_array:
    """How many entries each row has from one mark to the next, (marks, rows): weights times this are no loop."""
    kept = np.ones(len(ranking.row))
    kept[np.frombuffer(left_out, dtype=np.int64)] = 0
    # The ranking is the order of marks, so its rows are the columns of a sparse matrix as they stand.
    return csr_array((kept, ranking.row, np.append(0, marks + 1)), shape=(len(marks), rows))


def add_up(rows: np.ndarray) -> np.ndarray:
    """Every row becomes the sum of those up to it: with draws side by side, several times as fast as `cumsum`."""
    for above, here in pairwise(rows):
        here += above
    return rows


def interpolate_precision(steps: Steps) -> np.ndarray:
    """COCO's average precision: the mean over 101 recalls of the best precision at that recall or a higher one."""
    if not len(steps.right):
        return np.where(steps.positives > 0, 0.0, np.nan)
    best = steps.wrong + steps.right
    np.maximum(best, TINY, out=best)
    np.divide(steps.right, best, out=best)
    for below, here in pairwise(best[::-1]):
        np.maximum(below, here, out=here)
    recall = steps.right / np.maximum(steps.positives, TINY)
    reached = (recall * (len(RECALLS) - 1) + 1e-9).astype(np.intp)  # the number of the last point, or of the one before
    reached += RECALLS.take(reached, mode="clip") <= recall  # how many points
    area = best[0] * reached[0] + np.einsum("sd,sd->d", best[1:], reached[1:] - reached[:-1])
    return np.where(steps.positives > 0, area / len(RECALLS), np.nan)


def area_under_roc(steps: Steps) -> np.ndarray:
    """The chance that something right is ranked above something wrong, where ties count half."""
    gained = np.diff(steps.right, axis=0, prepend=0)
    below = steps.negatives - (steps.wrong + steps.wrong_above) / 2
    pairs = steps.positives * steps.negatives
    return np.where(pairs > 0, (gained * below).sum(axis=0) / np.where(pairs > 0, pairs, 1), np.nan)


AVERAGE_PRECISION = Curve(interpolate_precision, together=False)  # of COCO
AUROC = Curve(area_under_roc)
