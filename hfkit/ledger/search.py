"""Searches over the settings of a strategy: which trials to run next, given the results of those that have ended.

A trial is a cell like any other, so that a search that was stopped is not lost: the same questions are asked again, and
answered from the cells that there are. Random search asks for all trials at once. Optuna (Akiba et al. 2019) asks for
one after the other, each from the results of those before, so a strategy keeps one worker busy at a time; other
strategies run beside it. Its sampler is the tree-structured Parzen estimator, and a trial that is behind the median of
the earlier ones at the same evaluation is ended (pruned). Both are functions of the seed and of the results.
"""

import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from hfkit.arguments.training import TransferArguments
from hfkit.errors import UserError
from hfkit.ledger.cells import Cell, Contender, Pruner, Result, Results
from hfkit.ledger.space import HEAD_RATE, RATES, Choice, Space, Span, round_value

if TYPE_CHECKING:
    import optuna

STARTUP = 4  # trials that are drawn at random, and never pruned, before Optuna goes by results
FIRST_LOOK = 2  # evaluation of a trial that may be the last one

SpaceOf = Callable[[Contender], tuple[Space, TransferArguments]]  # of a contender: its space and its own settings


@dataclass(frozen=True)
class RandomSearch:
    """Trials that are drawn independently of each other, all at once."""

    space_of: SpaceOf
    count: int
    seed: int

    def trials(self, contender: Contender, results: Results) -> tuple[list[Cell], bool]:
        space, _ = self.space_of(contender)
        cells = [Cell(contender, self.seed, changes=())]
        for number in range(1, self.count):
            generator = np.random.default_rng([self.seed, number])
            drawn = ((name, round_value(span.draw(generator))) for name, span in space.items())
            cells.append(Cell(contender, self.seed, changes=tuple(drawn)))
        return cells, all(cell in results for cell in cells)

    def pruner(self, cell: Cell) -> Pruner | None:
        return None


@dataclass(frozen=True)
class OptunaSearch:
    """Trials that Optuna asks for one by one, from the results of those before.

    Args:
        sign: 1, or -1 if a lower score is better.
    """

    space_of: SpaceOf
    count: int
    seed: int
    sign: int = 1
    _asked: dict[Contender, "Asked"] = field(default_factory=dict, repr=False, compare=False)

    def trials(self, contender: Contender, results: Results) -> tuple[list[Cell], bool]:
        asked = self._asked.get(contender)
        if asked is None or not asked.agrees_with(results):  # a cell was run again
            asked = self._asked[contender] = Asked(contender, *self.space_of(contender), self.seed, self.sign)
        asked.go_on(results, self.count)
        ended = [cell in results for cell in asked.cells]
        known = ended.index(False) + 1 if False in ended else len(ended)
        return asked.cells[:known], len(asked.cells) == self.count and all(ended)

    def pruner(self, cell: Cell) -> Pruner:
        asked = self._asked[cell.contender]  # that is where the cell comes from
        before = asked.cells[: asked.cells.index(cell)]
        return prune_by_median([asked.told[one] for one in before], self.sign)


class Asked:
    """The trials of one strategy that Optuna has asked for, and the results that it was told."""

    def __init__(self, contender: Contender, space: Space, args: TransferArguments, seed: int, sign: int) -> None:
        optuna = import_optuna()
        self.contender, self.space, self.args, self.seed, self.sign = contender, space, args, seed, sign
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP)
        self.study = optuna.create_study(direction="maximize", sampler=sampler)
        self.distributions = {name: distribution_of(span) for name, span in space.items()}
        self.cells = [Cell(contender, seed, changes=())]
        self.asked: list[optuna.Trial | None] = [None]  # the first is the strategy as it is, which nobody asked for
        self.told: dict[Cell, Result] = {}

    def agrees_with(self, results: Results) -> bool:
        """Whether what was told is what the results are, as far as they are given."""
        return all(results.get(cell, result) == result for cell, result in self.told.items())

    def go_on(self, results: Results, count: int) -> None:
        """Tell what has ended, and ask for the next trial, as long as the last one has ended."""
        while self.cells[-1] in results and self.cells[-1] not in self.told:
            self._tell(self.asked[-1], results[self.cells[-1]])
            self.told[self.cells[-1]] = results[self.cells[-1]]
            while len(self.cells) < count:
                trial = self.study.ask(self.distributions)
                changes = tuple((name, round_value(trial.params[name])) for name in self.space)
                cell = Cell(self.contender, self.seed, changes=changes)
                self.cells.append(cell)
                self.asked.append(trial)
                if cell not in self.told:
                    break
                self._tell(trial, self.told[cell])  # of few values, some are drawn again

    def _tell(self, trial: "optuna.Trial | None", result: Result) -> None:
        optuna = import_optuna()
        state = optuna.trial.TrialState.FAIL
        if result.status == "pruned" and result.curve:
            state = optuna.trial.TrialState.PRUNED
        elif result.validation is not None:
            state = optuna.trial.TrialState.COMPLETE
        value = self.sign * result.validation if result.validation is not None else None
        if trial is None:
            if state == optuna.trial.TrialState.COMPLETE and (params := own_settings(self.args, self.space)):
                params = {name: params[name] for name in self.distributions}
                self.study.add_trial(
                    optuna.trial.create_trial(params=params, distributions=self.distributions, value=value)
                )
            return
        for number, point in enumerate(result.curve, 1):
            trial.report(self.sign * point["validation"], number)
        self.study.tell(trial, value if state == optuna.trial.TrialState.COMPLETE else None, state=state)


def own_settings(args: TransferArguments, space: Space) -> dict[str, Any] | None:
    """The strategy's own settings as values of the space, moved to its nearest end; None if a choice lacks one."""
    found: dict[str, Any] = {}
    for name, span in space.items():
        value = 1.0 if name in (RATES, HEAD_RATE) else vars(args).get(name)
        if isinstance(span, Choice):
            if value not in span.values:
                return None
            found[name] = value
        else:
            found[name] = float(np.clip(span.low if value is None else value, span.low, span.high))
    return found


def distribution_of(span: Span | Choice) -> Any:
    distributions = import_optuna().distributions
    if isinstance(span, Choice):
        return distributions.CategoricalDistribution(span.values)
    return distributions.FloatDistribution(span.low, span.high, log=span.log)


def prune_by_median(earlier: Iterable[Result], sign: int) -> Pruner:
    """A judge that ends a run whose best score so far is below the median of earlier ones at the same evaluation.

    Args:
        earlier: results of the trials before it.
        sign: 1, or -1 if a lower score is better.
    """
    optuna = import_optuna()
    pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=FIRST_LOOK)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    for result in earlier:
        if not result.curve:
            continue
        scores = {number: sign * point["validation"] for number, point in enumerate(result.curve, 1)}
        ended = result.validation is not None
        state = optuna.trial.TrialState.COMPLETE if ended else optuna.trial.TrialState.PRUNED
        value = sign * result.validation if ended else None
        study.add_trial(optuna.trial.create_trial(state=state, value=value, intermediate_values=scores))
    trial = study.ask()

    def falls_behind(number: int, score: float) -> bool:
        trial.report(score, number)
        return bool(trial.should_prune())

    return falls_behind


def import_optuna() -> Any:
    """The package, without its lines about each trial.

    Raises:
        UserError: it is not installed.
    """
    if importlib.util.find_spec("optuna") is None:
        raise UserError("tuner='optuna'", "the package optuna is not installed", 'Run pip install "hfkit[tune]"')
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
