"""The contenders of a cross-validation beside each other, with intervals that allow for shared training rows.

Two folds of five train on three quarters of the same rows, so their scores are no independent draws, and the usual
standard error of their mean is too small. Nadeau and Bengio (2003, Inference for the generalization error, Machine
Learning 52) correct it: the variance of the mean of J scores is (1 / J + held out / trained on) times that of a single
one, with Student's t at J - 1 degrees of freedom. Bouckaert and Frank (2004) found it to hold for repeated
cross-validation, which is what several seeds are here: each has folds of its own.

What the intervals speak about is the score that the contender reaches on average when it is trained on as many rows of
the same kind, as a fold is. `benchmarks/fold_coverage.py` counts how often they hold it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtr

from hfkit.ledger.comparison import Pair, holm_shares
from hfkit.ledger.statistics import square_of_luckiest
from hfkit.scores.evidence import SHARE
from hfkit.scores.limits import open_width, quantile_of, scale_length, share_limits
from hfkit.scores.statistics import Interval, holm

NOTE = "over folds and seeds, corrected for the training rows that folds share"
ALIKE = "the folds score alike: the interval is what so many rows leave open"


class Fold(NamedTuple):
    """The score of one contender in one fold of one seed."""

    score: float
    held_out: int  # rows, or units if rows belong to some
    trained: int  # rows, or units


Place = tuple[int, int]  # seed, fold


class FoldComparison:
    """Contenders in the same folds, compared fold by fold.

    Args:
        folds: of each contender its scores, by seed and fold.
        rows: those, or the units, that all folds of a seed hold out together.
        ends: the lowest and the highest value of the score.

    Raises:
        ValueError: a contender without a fold.
    """

    def __init__(
        self,
        folds: Mapping[str, Mapping[Place, Fold]],
        *,
        rows: int,
        ends: tuple[float, float] = SHARE,
        level: float = 0.95,
    ) -> None:
        if not all(folds.values()):
            raise ValueError("every contender needs at least one fold that did not fail")
        self.folds, self.rows, self.ends, self.level = folds, rows, ends, level

    def scores(self) -> dict[str, dict[str, Any]]:
        """Every contender's `headline` (mean over folds and seeds), `spread` and `interval`."""
        return {name: self._score(list(of_one.values())) for name, of_one in self.folds.items()}

    def _score(self, folds: Sequence[Fold]) -> dict[str, Any]:
        scores = np.array([fold.score for fold in folds])
        low, high, note = self._limits(scores, variance_of_mean(scores, folds))
        return {
            "headline": float(scores.mean()),
            "spread": float(scores.std(ddof=1)) if len(scores) > 1 else None,
            "interval": asdict(Interval(low, high, self.level, note)),
        }

    def _limits(self, scores: np.ndarray, variance: float) -> tuple[float, float, str]:
        mean = float(scores.mean())
        if len(scores) < 2:
            return *self._open_limits(mean, scale_length(self.ends, mean)), "of a single fold: what its rows leave open"
        if not variance:
            return *self._open_limits(mean, scale_length(self.ends, mean)), ALIKE
        if self.ends == SHARE and 0 < mean < 1:
            # Wilson's limits: near the ends of the scale, a symmetric interval would reach beyond them.
            return *share_limits(mean, variance, self.rows, self.level, len(scores) - 1), NOTE
        half = quantile_of(self.level, len(scores) - 1) * np.sqrt(variance)
        return float(max(mean - half, self.ends[0])), float(min(mean + half, self.ends[1])), NOTE

    def _open_limits(self, mean: float, length: float) -> tuple[float, float]:
        width = open_width(self.rows, self.level) * length
        return float(max(mean - width, self.ends[0])), float(min(mean + width, self.ends[1]))

    def differences(self, pairs: Sequence[Pair], picked: Collection[str] = ()) -> dict[Pair, dict[str, Any]]:
        """The difference of each pair over the folds that both have, all of them to be claimed together (Holm 1979).

        The keys are those of `Comparison.differences`. No number of rows or seeds that would be needed is named: more
        seeds only draw other folds of the same rows.

        Args:
            picked: contenders that validation chose. The validation rows of one fold are held out by another, so that
                what made them lucky there is in their scores too: their part of the variance grows to that of the
                luckiest of all (see `statistics.allow_for_luck`).
        """
        alpha = 1 - self.level
        luck = square_of_luckiest(len(self.folds))
        found, p_values = [], []
        for a, b in pairs:
            both = [place for place in self.folds[a] if place in self.folds[b]]
            gaps = np.array([self.folds[a][place].score - self.folds[b][place].score for place in both])
            variance = variance_of_mean(gaps, [self.folds[a][place] for place in both])
            variance *= np.mean([max(1.0, luck) if name in picked else 1.0 for name in (a, b)])
            found.append((gaps, float(variance)))
            p_values.append(p_of(gaps, float(variance)))
        facts = {}
        corrected, shares = holm(p_values), holm_shares(p_values, alpha)
        for (a, b), (gaps, variance), p, p_holm, share in zip(pairs, found, p_values, corrected, shares, strict=True):
            facts[a, b] = self._difference((a, b), gaps, variance, p, p_holm, share)
        return facts

    def _difference(
        self, pair: Pair, gaps: np.ndarray, variance: float, p: float, p_holm: float, share: float
    ) -> dict[str, Any]:
        # From the folds of both, unless they have none: then the scores are all there is to go by.
        means = [np.mean([fold.score for fold in self.folds[name].values()]) for name in pair]
        difference = float(gaps.mean()) if len(gaps) else float(means[0] - means[1])
        length = scale_length(self.ends, *means)
        if len(gaps) < 2:
            low, high = -length, length
        elif variance:
            half = quantile_of(1 - share, len(gaps) - 1) * np.sqrt(variance)
            low, high = difference - half, difference + half
        else:
            width = open_width(self.rows, 1 - share) * length
            low, high = difference - width, difference + width
        low, high = max(low, -length), min(high, length)
        different = bool((low > 0 or high < 0) and p_holm < 1 - self.level)
        if not different:
            low, high = min(low, 0.0), max(high, 0.0)
        return {
            "to": pair[1],
            "difference": difference,
            "low": float(low),
            "high": float(high),
            "level": 1 - share,
            "p": p,
            "p_holm": p_holm,
            "different": different,
            "needed_rows": None,
            "needed_seeds": None,
            "note": NOTE,
        }


def variance_of_mean(scores: np.ndarray, folds: Sequence[Fold]) -> float:
    """The variance of the mean of the scores of folds, or of their differences; 0 for a single one.

    Args:
        scores: (folds,).
        folds: their sizes.
    """
    if len(scores) < 2 or np.ptp(scores) < 1e-12:
        return 0.0
    shared = np.mean([fold.held_out for fold in folds]) / np.mean([fold.trained for fold in folds])
    return float((1 / len(scores) + shared) * scores.var(ddof=1))


def p_of(gaps: np.ndarray, variance: float) -> float:
    """The two-sided p of the mean of differences by fold.

    If they are all the same, that many heads or tails in a row are what speaks against chance.
    """
    if len(gaps) < 2 or not gaps.mean():
        return 1.0
    if not variance:
        return float(2.0 ** (1 - len(gaps)))
    return float(2 * stdtr(len(gaps) - 1, -abs(gaps.mean()) / np.sqrt(variance)))
