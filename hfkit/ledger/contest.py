"""Who is compared with whom: validation chooses a contender, and the test rows judge the choice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from hfkit.ledger.comparison import Comparison, Pair
from hfkit.ledger.fold_comparison import FoldComparison

Origin = Literal["pretrained", "scratch", "baseline"]


@dataclass(frozen=True)
class Contest:
    """The contenders of one test.

    `chosen` is compared with every other contender, and the chosen strategy with training from scratch and with every
    baseline. Which pairs these are does not depend on a test row. It does depend on how lucky the seeds were, which
    validation sees too, and the differences allow for that.

    Args:
        comparison: their evidence on the test rows.
        validation: the mean score of each on validation rows; None if it has not looked at any.
        seconds: the CPU seconds of a run of each.
        origins: whether each starts from the checkpoint, from scratch, or is a baseline.
        sign: 1, or -1 if a lower score is better.
    """

    comparison: Comparison | FoldComparison
    validation: Mapping[str, float | None]
    seconds: Mapping[str, float]
    origins: Mapping[str, Origin]
    sign: int = 1

    @cached_property
    def scores(self) -> dict[str, dict[str, Any]]:
        """Of each contender its score on the test rows (see `Comparison.scores`)."""
        return self.comparison.scores()

    def names_of(self, origin: Origin) -> list[str]:
        return [name for name, of_one in self.origins.items() if of_one == origin]

    @cached_property
    def chosen(self) -> str | None:
        """The contender that validation chooses among all; None if there is none."""
        return self._choose(list(self.origins))

    @cached_property
    def strategy(self) -> str | None:
        """The strategy that validation chooses among those that start from the checkpoint."""
        return self._choose(self.names_of("pretrained"))

    def _choose(self, names: Sequence[str]) -> str | None:
        """The best on validation; of equals, or if none was validated, the cheapest."""

        def rank(name: str) -> tuple[float, float]:
            validation = self.validation[name]
            return np.inf if validation is None else -self.sign * validation, self.seconds[name]

        return min(names, key=rank, default=None)

    @cached_property
    def _differences(self) -> dict[Pair, dict[str, Any]]:
        pairs = [(name, self.chosen) for name in self.origins if name != self.chosen]
        if self.strategy is not None and self.strategy != self.chosen:
            rivals = self.names_of("scratch") + self.names_of("baseline")
            pairs += [(self.strategy, rival) for rival in rivals if rival != self.chosen]
        return self.comparison.differences(pairs, picked={self.chosen, self.strategy} - {None})

    def difference(self, a: str, b: str) -> dict[str, Any]:
        """The score of `a` minus that of `b` (see `Comparison.differences`), one of the two chosen by validation."""
        if (a, b) in self._differences:
            return self._differences[a, b]
        facts = self._differences[b, a]
        return facts | {"to": b, "difference": -facts["difference"], "low": -facts["high"], "high": -facts["low"]}

    def decide(self, rivals: Sequence[str]) -> dict[str, Any] | None:
        """The difference that decides between the chosen strategy, `of`, and some rivals; None without either.

        That is the one from the best rival that beats it; if none does, from the best of those that it cannot be told
        apart from; if it beats them all, from the best of them.
        """
        if self.strategy is None or not rivals:
            return None
        found = {rival: self.difference(self.strategy, rival) for rival in rivals}

        def rank(rival: str) -> tuple[bool, bool, float]:
            different, ahead = found[rival]["different"], self.sign * found[rival]["difference"] > 0
            return different and not ahead, not different, self.sign * self.scores[rival]["headline"]

        return {"of": self.strategy, **found[max(rivals, key=rank)]}
