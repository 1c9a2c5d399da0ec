"""Evidence of several runs on the same rows, whose headline is the mean of theirs."""

from collections.abc import Sequence

import numpy as np

from hfkit.scores.evidence import Evidence


class SeedMean:
    """An `Evidence` of several seeds: a swap exchanges the answers of all of them to a row."""

    def __init__(self, seeds: Sequence[Evidence]) -> None:
        self.seeds = list(seeds)

    @property
    def rows(self) -> int:
        return self.seeds[0].rows

    @property
    def ends(self) -> tuple[float, float]:
        return self.seeds[0].ends

    def headline(self, weights: np.ndarray) -> np.ndarray:
        return np.mean([seed.headline(weights) for seed in self.seeds], axis=0)

    def hits(self) -> np.ndarray | None:
        return self.seeds[0].hits() if len(self.seeds) == 1 else None

    def matters(self) -> np.ndarray:
        return np.any([seed.matters() for seed in self.seeds], axis=0)

    def swap(self, other: "SeedMean", rows: np.ndarray, swaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sides = [a.swap(b, rows, swaps) for a, b in zip(self.seeds, other.seeds, strict=True)]
        return np.mean([ours for ours, _ in sides], axis=0), np.mean([theirs for _, theirs in sides], axis=0)

    def differs(self, other: "SeedMean") -> np.ndarray:
        return np.any([a.differs(b) for a, b in zip(self.seeds, other.seeds, strict=True)], axis=0)

    def average(self, others: "Sequence[SeedMean]") -> "SeedMean":
        return SeedMean([seed for one in (self, *others) for seed in one.seeds])

    def by_unit(self, units: Sequence | np.ndarray | None) -> "SeedMean":
        return SeedMean([seed.by_unit(units) for seed in self.seeds])
