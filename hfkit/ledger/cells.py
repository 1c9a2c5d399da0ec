"""Cells of a comparison: one contender, one seed, one learning rate, one number of training rows."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any


@dataclass(frozen=True)
class Contender:
    """Somebody who competes: a strategy with flags, or a baseline by its name."""

    name: str  # as the pages show it
    kind: str  # "strategy" or "baseline"
    flags: tuple[str, ...] = ()  # of the recipe, for a strategy
    seeded: bool = True  # whether a seed changes what it answers


@dataclass(frozen=True)
class Cell:
    """One run, which nothing outside it can change."""

    contender: Contender
    seed: int
    factor: float = 1.0  # on the learning rates
    rows: int | None = None  # training rows, drawn with the seed; None: all

    def key(self, facts: Mapping[str, Any]) -> str:
        """A file name: what it is in words, and 12 digits of everything that decides the result, `facts` among it."""
        who = self.contender
        decided = json.dumps(
            [who.name, who.kind, who.flags, self.seed, self.factor, self.rows, facts], sort_keys=True, default=str
        )
        words = [self.contender.name, f"seed{self.seed}"]
        words += [f"x{self.factor:g}"] * (self.factor != 1) + [f"{self.rows}rows"] * (self.rows is not None)
        slug = re.sub(r"[^A-Za-z0-9.]+", "-", "-".join(words)).strip("-")[:80]
        return f"{slug}-{blake2b(decided.encode(), digest_size=6).hexdigest()}"

    @property
    def setting(self) -> str:
        """What tells it from other cells of its contender and seed, in words; empty for a plain run."""
        told = [f"rates x {self.factor:g}"] * (self.factor != 1) + [f"{self.rows} rows"] * (self.rows is not None)
        return ", ".join(told)


Results = Mapping[Cell, Mapping[str, Any]]  # of the cells that have ended


def tuning_cells(contender: Contender, factors: Iterable[float], seed: int) -> list[Cell]:
    """The runs among which validation chooses a learning rate."""
    return [Cell(contender, seed, factor) for factor in factors] if contender.kind == "strategy" else []


def chosen_factor(tried: Iterable[Cell], results: Results) -> float:
    """The factor whose run did best on validation; of equals, and where none ended well, the first. 1 of none tried."""
    scores = {cell.factor: results.get(cell, {}).get("validation") for cell in tried}
    known = [factor for factor, score in scores.items() if score is not None]
    return max(known, key=scores.__getitem__) if known else next(iter(scores), 1.0)


def seeds_of(contender: Contender, seeds: list[int], rows: int | None = None) -> list[int]:
    """The seeds that a contender runs with: the first alone if they change nothing. Rows are drawn anew with each."""
    return seeds if contender.seeded or rows is not None else seeds[:1]


def due(
    contenders: Iterable[Contender],
    results: Results,
    *,
    seeds: list[int],
    factors: list[float],
    budgets: list[int],
) -> list[Cell]:
    """The cells that can be run now or have been: those of a contender's seeds appear once its rate is chosen.

    A contender that its first run was refused for is not asked again.
    """
    found: list[Cell] = []
    for contender in contenders:
        tried = tuning_cells(contender, factors, seeds[0])
        found += tried
        if len(tried) > 1 and not all(cell in results for cell in tried):
            continue
        factor = chosen_factor(tried, results)
        first = tried or [Cell(contender, seeds[0], factor)]
        if all(results.get(cell, {}).get("status") == "skipped" for cell in first):
            found += [cell for cell in first if cell not in found]
            continue
        every = [
            Cell(contender, seed, factor, rows)
            for rows in (None, *budgets)
            for seed in seeds_of(contender, seeds, rows)
        ]
        found += [cell for cell in every if cell not in found]
    return found
