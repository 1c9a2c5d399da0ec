"""The contenders of one test beside each other: their scores, and the differences that may be claimed together."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from hfkit.ledger.statistics import allow_for_luck, describe_difference, find_p, interval_of, pool_seeds, sides_of
from hfkit.scores.evidence import Evidence
from hfkit.scores.statistics import RESAMPLES, holm

Pair = tuple[str, str]  # the names of two contenders: the first minus the second


class Comparison:
    """Contenders on the same test rows, all resampled together.

    Args:
        evidence: of each contender one per seed, all on the same test rows; a baseline has one.
        units: the unit (patient, document) of each row; rows of one unit are drawn together.

    Raises:
        ValueError: a contender without seeds, or evidence on different rows.
    """

    def __init__(
        self,
        evidence: Mapping[str, Sequence[Evidence]],
        *,
        units: Sequence | np.ndarray | None = None,
        seed: int = 0,
        level: float = 0.95,
        resamples: int = RESAMPLES,
    ) -> None:
        self.seed, self.level, self.resamples = seed, level, resamples
        self.evidence = {name: [one.by_unit(units) for one in seeds] for name, seeds in evidence.items()}
        sides = sides_of(list(self.evidence.values()), resamples, seed) if evidence else []
        self.sides = dict(zip(evidence, sides, strict=True))
        self.rows = next((seeds[0].rows for seeds in self.evidence.values()), 0)
        self.per_unit = 1.0 if units is None or not self.rows else len(units) / self.rows

    def scores(self) -> dict[str, dict[str, Any]]:
        """Every contender's `headline` (mean over seeds), `spread` and `interval`.

        The spread is the standard deviation over seeds, None for one seed.
        """
        return {
            name: {
                "headline": side.mean,
                "spread": float(side.headlines.std(ddof=1)) if side.seeds > 1 else None,
                "interval": asdict(interval_of(side, self.rows, self.level)),
            }
            for name, side in self.sides.items()
        }

    def differences(self, pairs: Sequence[Pair], picked: Collection[str] = ()) -> dict[Pair, dict[str, Any]]:
        """The difference of each pair as `compare_pair` has it, with `p_holm`, all of them to be claimed together.

        Where no two contenders differ, any of the pairs is called different at most 1 - `level` of the time (Holm
        1979). The pairs must not be chosen by the scores that are compared here: the best of ten equals, picked by
        these rows, would be called different from one of the others 11 times in 100. Holm asks for p values that hold
        far out in the tails, where the variance of three seeds is too uncertain, so contenders share what they know of
        it (`pool_seeds`).

        Args:
            picked: contenders that were chosen for their scores elsewhere, by the same seeds (`allow_for_luck`).

        `different` goes by the corrected p, and so do the limits: each pair has those of the level at which Holm tests
        it (`level`), and where the test cannot tell, they reach to zero. A reader who looks at the limits and one who
        looks at p must not come to different conclusions.
        """
        alpha, count = 1 - self.level, len(pairs)
        sides = dict(zip(self.sides, pool_seeds(list(self.sides.values())), strict=True))
        several = sum(side.seeds > 1 for side in sides.values())
        sides |= {name: allow_for_luck(sides[name], several) for name in picked if sides[name].seeds > 1}
        swaps = max(self.resamples, int(2 * count / alpha))  # fewer could not give a p that stays small when corrected
        tests = [
            find_p(sides[a], sides[b], self.evidence[a], self.evidence[b], self.rows, swaps, self.seed)
            for a, b in pairs
        ]
        found = {}
        for (a, b), p, p_holm, share in zip(pairs, tests, holm(tests), holm_shares(tests, alpha), strict=True):
            facts = describe_difference(sides[a], sides[b], self.rows, p, 1 - share, share, self.per_unit)
            different = facts["different"] and p_holm < alpha
            if not different:
                facts |= {"low": min(facts["low"], 0.0), "high": max(facts["high"], 0.0)}
            found[a, b] = {**facts, "to": b, "p_holm": p_holm, "different": different}
        return found


def holm_shares(p_values: Sequence[float], alpha: float) -> list[float]:
    """The error rate at which Holm's procedure tests each p value: alpha / m for the smallest, and so on.

    The procedure ends at the first p value that it does not reject; those that follow share its rate.
    """
    order = np.argsort(p_values, kind="stable")
    shares = np.empty(len(order))
    share, ended = alpha, False
    for rank, place in enumerate(order):
        if not ended:
            share = alpha / (len(order) - rank)
            ended = p_values[place] >= share
        shares[place] = share
    return shares.tolist()
