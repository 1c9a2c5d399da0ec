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


Results = Mapping[Cell, Mapping[str, Any]]  # of the cells that have ended


def tuning_cells(contender: Contender, factors: Iterable[float], seed: int) -> list[Cell]:
    """The runs among which validation chooses a learning rate."""
    return [Cell(contender, seed, factor) for factor in factors] if contender.kind == "strategy" else []


def chosen_factor(tried: Iterable[Cell], results: Results) -> float:
    """The factor whose run did best on validation; of equals the first. 1 where none of them ended well."""
    scores = [(cell.factor, results[cell].get("validation")) for cell in tried]
    known = [(factor, score) for factor, score in scores if score is not None]
    return max(known, key=lambda pair: pair[1])[0] if known else 1.0


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
        factor = chosen_factor(tried, results) if len(tried) > 1 else tried[0].factor if tried else 1.0
        first = tried or [Cell(contender, seeds[0], factor)]
        if all(results.get(cell, {}).get("status") == "skipped" for cell in first):
            found += [cell for cell in first if cell not in found]
            continue
        every = [Cell(contender, seed, factor) for seed in (seeds if contender.seeded else seeds[:1])]
        every += [Cell(contender, seed, factor, rows) for rows in budgets for seed in seeds]
        found += [cell for cell in every if cell not in found]
    return found
