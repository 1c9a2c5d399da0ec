"""Cells of a comparison: one contender, one seed, one learning rate, one number of training rows or one fold."""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from typing import Any, Literal, Protocol

from hfkit.ledger.space import Changes, changes_text

Pruner = Callable[[int, float], bool]  # evaluation (from 1), its score, higher is better -> whether to end the run


@dataclass(frozen=True)
class Contender:
    """A competitor: a strategy with flags, or a baseline by its name."""

    name: str  # as the pages show it
    kind: str  # "strategy" or "baseline"
    flags: tuple[str, ...] = ()  # of the recipe, for a strategy
    seeded: bool = True  # whether a seed changes its answers


@dataclass(frozen=True)
class Cell:
    """One run, independent of all others."""

    contender: Contender
    seed: int
    factor: float = 1.0  # on the learning rates
    rows: int | None = None  # training rows, drawn with the seed; None: all
    fold: int | None = None  # the one held out, of folds drawn with the seed; None: there are none
    changes: Changes | None = None  # settings of a trial, beside its strategy's own; None: there was no search

    def key(self, facts: Mapping[str, Any]) -> str:
        """A file name: the cell in words, and 12 digits of everything that decides its result.

        Args:
            facts: what decides the result besides the cell itself.
        """
        who = self.contender
        decides = [who.name, who.kind, who.flags, self.seed, self.factor, self.rows, facts]
        if self.fold is not None:  # not otherwise: cells of earlier versions keep their names
            decides.append({"fold": self.fold})
        if self.changes is not None:
            decides.append({"changes": self.changes})
        decided = json.dumps(decides, sort_keys=True, default=str)
        words = [self.contender.name, f"seed{self.seed}"]
        if self.factor != 1:
            words.append(f"x{self.factor:g}")
        if self.rows is not None:
            words.append(f"{self.rows}rows")
        if self.fold is not None:
            words.append(f"fold{self.fold + 1}")
        if self.changes is not None:
            words.append(changes_text(self.changes) or "as-it-is")
        slug = re.sub(r"[^A-Za-z0-9.]+", "-", "-".join(words)).strip("-")[:80]
        return f"{slug}-{blake2b(decided.encode(), digest_size=6).hexdigest()}"

    @property
    def setting(self) -> str:
        """The difference from other cells of this contender and seed, in words; empty for a plain run."""
        words = []
        if self.factor != 1:
            words.append(f"rates x {self.factor:g}")
        if self.rows is not None:
            words.append(f"{self.rows} rows")
        if self.fold is not None:
            words.append(f"fold {self.fold + 1}")
        if self.changes:
            words.append(changes_text(self.changes))
        return ", ".join(words)


@dataclass(frozen=True)
class Result:
    """The outcome of a cell, as plain values; what was not measured is None."""

    status: Literal["ok", "skipped", "failed", "pruned"]
    reason: str = ""  # why it was skipped, failed or ended early
    machine: bool = False  # it failed for something that the contender cannot help, such as a full disk
    answers: list = field(default_factory=list)  # one per test row
    tests: dict[str, dict[str, float]] = field(default_factory=dict)  # all scores, by the name of the test
    collapsed: bool = False  # every row got the same answer
    validation: float | None = None  # the headline
    curve: list[dict[str, float]] = field(default_factory=list)  # `epoch` and `validation`
    cost: dict[str, float] = field(default_factory=dict)
    parameters: int | None = None
    trained_parameters: int | None = None
    latency_ms: float | None = None  # of one row
    learning_rate: float | None = None
    head_learning_rate: float | None = None
    epochs: float | None = None
    rows: int | None = None  # trained on
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return self.status == "ok"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


Results = Mapping[Cell, Result]  # of the cells that have ended
Plan = Callable[[Results], list[Cell]]  # results so far -> the cells that can be run, or have been


class Search(Protocol):
    """Asks for trials of one strategy (see `ledger.search`)."""

    def trials(self, contender: Contender, results: Results) -> tuple[list[Cell], bool]:
        """The trials that can be run or have been, the strategy's own settings first, and whether these are all."""

    def pruner(self, cell: Cell) -> Pruner | None:
        """The judge of a trial that is about to run; None if it is to run to its end."""


def tuning_cells(contender: Contender, factors: Iterable[float], seed: int, fold: int | None = None) -> list[Cell]:
    """The runs among which validation chooses a learning rate."""
    if contender.kind != "strategy":
        return []
    return [Cell(contender, seed, factor, fold=fold) for factor in factors]


def choose_cell(tried: Iterable[Cell], results: Results, *, sign: int = 1) -> Cell:
    """The run with the best validation score. Ties, or no finished run, give the first.

    Args:
        tried: one or more.
        sign: 1, or -1 if a lower score is better.
    """
    scores = {cell: results[cell].validation if cell in results else None for cell in tried}
    known = {cell: sign * score for cell, score in scores.items() if score is not None}
    return max(known, key=known.__getitem__) if known else next(iter(scores))


def try_cells(
    contender: Contender, results: Results, factors: Iterable[float], seed: int, search: Search | None = None
) -> tuple[list[Cell], bool]:
    """The runs among which validation chooses, as far as they are known, and whether the choice can be made."""
    if search is not None and contender.kind == "strategy":
        tried, complete = search.trials(contender, results)
        refused = tried[0] in results and results[tried[0]].status == "skipped"
        return (tried[:1], True) if refused else (tried, complete)
    tried = tuning_cells(contender, factors, seed)
    return tried, len(tried) < 2 or all(cell in results for cell in tried)


def seeds_of(contender: Contender, seeds: list[int], rows: int | None = None) -> list[int]:
    """The seeds that a contender runs with: only the first if they change nothing. Draws of rows differ by seed."""
    return seeds if contender.seeded or rows is not None else seeds[:1]


def plan_cells(
    contenders: Iterable[Contender],
    results: Results,
    *,
    seeds: list[int],
    factors: list[float],
    budgets: list[int],
    folds: int | None = None,
    search: Search | None = None,
    sign: int = 1,
) -> list[Cell]:
    """The cells that can be run now or have been. The other seeds of a contender follow once its rate is chosen.

    Args:
        search: finds settings in place of the factors.
        sign: 1, or -1 if a lower score is better.

    A contender that was refused in its first run is not run again.
    """
    cells: list[Cell] = []
    for contender in contenders:
        if folds:
            cells += plan_folds(contender, results, seeds=seeds, factors=factors, folds=folds, sign=sign)
            continue
        tried, complete = try_cells(contender, results, factors, seeds[0], search)
        cells += tried
        if not complete:
            continue
        first = tried or [Cell(contender, seeds[0])]
        if all(cell in results and results[cell].status == "skipped" for cell in first):
            cells += [cell for cell in first if cell not in cells]
            continue
        chosen = choose_cell(first, results, sign=sign)
        every = [
            replace(chosen, seed=seed, rows=rows)
            for rows in (None, *budgets)
            for seed in seeds_of(contender, seeds, rows)
        ]
        cells += [cell for cell in every if cell not in cells]
    return cells


def plan_folds(
    contender: Contender, results: Results, *, seeds: list[int], factors: list[float], folds: int, sign: int = 1
) -> list[Cell]:
    """The cells of a contender in every fold of every seed.

    Each fold chooses a rate of its own, by its own validation rows: one rate for all would have been chosen by rows
    that other folds are judged on.
    """
    cells: list[Cell] = []
    for seed in seeds:
        for fold in range(folds):
            tried = tuning_cells(contender, factors, seed, fold) or [Cell(contender, seed, fold=fold)]
            cells += tried
            if not cells[len(tried) :] and all(cell in results and results[cell].status == "skipped" for cell in tried):
                return cells
    return cells
