"""The ended runs of a comparison, by contender, and the scores of those that finished."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from datasets import Dataset

from hfkit.ledger.bench import Bench
from hfkit.ledger.cells import Cell, Contender, Result, Results, choose_cell, seeds_of, try_cells, tuning_cells
from hfkit.ledger.comparison import Comparison
from hfkit.ledger.contest import Contest, Origin
from hfkit.ledger.entries import is_scratch
from hfkit.ledger.fold_comparison import Fold, FoldComparison, Place
from hfkit.ledger.queue import Queue
from hfkit.scores.evidence import Evidence


class Runs:
    """The ended cells of one comparison, by contender, seen through one of its tests."""

    def __init__(self, bench: Bench, queue: Queue, cells: list[Cell], test: str) -> None:
        self.bench, self.queue, self.test = bench, queue, test
        self.results: Results = queue.results(cells)
        self.span = bench.spans[test]
        self._evidence: dict[Cell, Evidence] = {}
        self._choices: dict[tuple, Cell] = {}

    def cells_of(self, contender: Contender, rows: int | None = None) -> dict[Cell, Result]:
        """The cells of a contender at its chosen rate, by seed, and of each seed by fold."""
        own = self.bench.own
        seeds = own.seeds if self.bench.folds else seeds_of(contender, own.seeds, rows)
        return {
            cell: result
            for cell, result in self.results.items()
            if cell.contender == contender
            and cell.rows == rows
            and cell.seed in seeds
            and cell == replace(self._choose(cell), seed=cell.seed, rows=cell.rows)
        }

    def _choose(self, cell: Cell) -> Cell:
        """The run that validation chose: one for all seeds, or with folds one in each."""
        seed = cell.seed if cell.fold is not None else self.bench.own.seeds[0]
        place = cell.contender, seed, cell.fold
        if place not in self._choices:
            tried = self._list_tried(*place) or [Cell(cell.contender, seed, fold=cell.fold)]
            self._choices[place] = choose_cell(tried, self.results, sign=self.bench.sign)
        return self._choices[place]

    def _list_tried(self, contender: Contender, seed: int, fold: int | None) -> list[Cell]:
        """The runs among which validation chose."""
        if fold is not None:
            return tuning_cells(contender, self.bench.own.tune, seed, fold)
        return try_cells(contender, self.results, self.bench.own.tune, seed, self.bench.search)[0]

    def tuning_cells(self, contender: Contender) -> list[Cell]:
        """The runs among which validation chooses the settings of a contender, or of its folds."""
        own = self.bench.own
        places = (
            [(seed, fold) for seed in own.seeds for fold in range(own.folds)] if own.folds else [(own.seeds[0], None)]
        )
        return [cell for place in places for cell in self._list_tried(contender, *place)]

    def finished_cells(self, contender: Contender, rows: int | None = None) -> dict[Cell, Result]:
        """Those of its cells that ended well."""
        return {cell: result for cell, result in self.cells_of(contender, rows).items() if result.ok}

    def evidence(self, contender: Contender, rows: int | None = None) -> list[Evidence]:
        """The evidence of its answers to this test, one per seed that ended well."""
        return [self._evidence_of(cell, result) for cell, result in self.finished_cells(contender, rows).items()]

    def _evidence_of(self, cell: Cell, result: Result) -> Evidence:
        if cell not in self._evidence:
            self._evidence[cell] = self.bench.task.judge.evidence(result.answers[self.span], self.references)
        return self._evidence[cell]

    def fold_scores(self, contender: Contender) -> dict[Place, Fold]:
        """Its score in every fold that ended well."""
        return {
            (cell.seed, cell.fold): self._fold_of(cell, self.headline(result))
            for cell, result in self.finished_cells(contender).items()
        }

    def _fold_of(self, cell: Cell, score: float) -> Fold:
        folds, numbers = self.bench.folds, self.bench.folds.numbers_of(cell.seed, cell.fold)
        return Fold(score, *(folds.count_units(numbers[split]) for split in ("test", "train")))

    @cached_property
    def rows(self) -> Dataset:
        """The rows of this test."""
        return self.bench.rows["test"].select(range(self.span.start, self.span.stop))

    @property
    def references(self) -> list:
        return self.bench.references[self.span]

    @cached_property
    def units(self) -> np.ndarray | None:
        """The unit that each row of this test belongs to; None if each row stands for itself."""
        return self.bench.task.units(self.rows)

    def answers(self, contender: Contender) -> list | None:
        """The answers to the rows of this test, by the first seed that ended well; None if none did in all folds."""
        finished, folds = self.finished_cells(contender), self.bench.folds
        if folds is None:
            return next(iter(finished.values())).answers[self.span]
        for seed in self.bench.own.seeds:
            of_seed = {cell.fold: result for cell, result in finished.items() if cell.seed == seed}
            if len(of_seed) == folds.count:
                answers: list = [None] * len(folds.pool)
                for fold, result in of_seed.items():
                    for row, answer in zip(folds.held_out_rows(seed, fold), result.answers, strict=True):
                        answers[row] = answer
                return answers
        return None

    def headline(self, result: Result) -> float:
        return self.scores(result)[self.bench.task.judge.headline.key]

    def scores(self, result: Result) -> Mapping[str, float]:
        # By position: a folder may have been renamed since.
        return list(result.tests.values())[list(self.bench.spans).index(self.test)]


@dataclass(frozen=True)
class Standing:
    """The contenders of one test that finished."""

    runs: Runs
    names: Mapping[Contender, str]  # of all contenders, as the pages show them
    competing: list[Contender]

    @cached_property
    def answers(self) -> dict[Contender, list]:
        """Of each contender its answers to all rows, by its first seed; without those whose folds failed."""
        found = {contender: self.runs.answers(contender) for contender in self.competing}
        return {contender: answers for contender, answers in found.items() if answers is not None}

    @cached_property
    def comparison(self) -> Comparison | FoldComparison:
        """The contenders beside each other: on the same test rows, or in the same folds."""
        runs, names = self.runs, self.names
        if runs.bench.folds is None:
            evidence = {names[contender]: runs.evidence(contender) for contender in self.competing}
            return Comparison(evidence, units=runs.units)
        folds = {names[contender]: runs.fold_scores(contender) for contender in self.competing}
        judge = runs.bench.task.judge
        perfect = judge.evidence(judge.perfect_predictions(runs.references), runs.references)
        return FoldComparison(folds, rows=runs.bench.folds.independent, ends=perfect.ends)

    @cached_property
    def contest(self) -> Contest:
        """Who is compared with whom, and the outcome."""
        finished = {self.names[one]: list(self.runs.finished_cells(one).values()) for one in self.competing}
        return Contest(
            self.comparison,
            validation={name: mean_validation(results) for name, results in finished.items()},
            seconds={
                name: float(np.mean([standalone_cost(result)["cpu_seconds"] for result in results]))
                for name, results in finished.items()
            },
            origins={self.names[one]: origin_of(one) for one in self.competing},
            sign=self.runs.bench.sign,
        )


def origin_of(contender: Contender) -> Origin:
    """Whether it starts from the checkpoint, from scratch, or is a baseline."""
    if contender.kind == "baseline":
        return "baseline"
    return "scratch" if is_scratch(contender.name) else "pretrained"


def mean_validation(results: list[Result]) -> float | None:
    """The mean validation score of some runs; a baseline notes it among its facts if it chose by one."""
    scores = [r.facts.get("validation") if r.validation is None else r.validation for r in results]
    known = [score for score in scores if score is not None]
    return float(np.mean(known)) if known else None


def standalone_cost(result: Result) -> dict[str, float]:
    """The cost of a run by itself: features that another run had computed are paid for too."""
    shared = result.facts.get("features", "computed") != "computed"
    seconds = result.facts.get("backbone_cpu_seconds", 0.0) if shared else 0.0
    return {**result.cost, "cpu_seconds": result.cost["cpu_seconds"] + seconds}
