"""The ended runs of a comparison, by contender, and the scores of those that finished."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from datasets import Dataset

from hfkit.ledger.bench import Bench
from hfkit.ledger.cells import Cell, Contender, Result, Results, choose_factor, seeds_of, tuning_cells
from hfkit.ledger.comparison import Comparison
from hfkit.ledger.contest import Contest, Origin
from hfkit.ledger.entries import is_scratch
from hfkit.ledger.queue import Queue
from hfkit.scores.evidence import Evidence


class Runs:
    """The ended cells of one comparison, by contender, seen through one of its tests."""

    def __init__(self, bench: Bench, queue: Queue, cells: list[Cell], test: str) -> None:
        self.bench, self.queue, self.test = bench, queue, test
        self.results: Results = queue.results(cells)
        self.span = bench.spans[test]
        self._evidence: dict[Cell, Evidence] = {}

    def cells_of(self, contender: Contender, rows: int | None = None) -> dict[Cell, Result]:
        """The cells of a contender at its chosen rate, by seed."""
        own = self.bench.own
        factor = choose_factor(self.tuning_cells(contender), self.results, sign=self.bench.sign)
        seeds = seeds_of(contender, own.seeds, rows)
        return {
            cell: result
            for cell, result in self.results.items()
            if cell.contender == contender and cell.rows == rows and cell.factor == factor and cell.seed in seeds
        }

    def tuning_cells(self, contender: Contender) -> list[Cell]:
        """The runs among which validation chooses the rate of a contender."""
        return tuning_cells(contender, self.bench.own.tune, self.bench.own.seeds[0])

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

    def answers(self, contender: Contender) -> list:
        """The answers to the rows of this test, by the first seed that ended well."""
        return next(iter(self.finished_cells(contender).values())).answers[self.span]

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
    def evidence(self) -> dict[str, list[Evidence]]:
        """Of each contender its evidence with all training rows, one per seed."""
        return {self.names[contender]: self.runs.evidence(contender) for contender in self.competing}

    @cached_property
    def contest(self) -> Contest:
        """Who is compared with whom, and the outcome."""
        finished = {self.names[one]: list(self.runs.finished_cells(one).values()) for one in self.competing}
        return Contest(
            Comparison(self.evidence, units=self.runs.units),
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
