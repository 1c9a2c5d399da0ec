"""Which evaluation's weights a run keeps: few validation rows cannot tell one good evaluation from the next."""

from typing import Any, Protocol

from transformers import TrainerCallback, TrainerState
from transformers.trainer_callback import ExportableState

from hfkit.arguments.training import TransferArguments
from hfkit.contract.task import Loaded, Task
from hfkit.scores.evidence import Evidence
from hfkit.scores.statistics import draw_scores

LATEST = "latest"


class Run(Protocol):
    """The attributes of a trainer that are used here."""

    args: TransferArguments
    state: TrainerState
    task: Task
    rows: Loaded

    @property
    def evidence(self) -> Evidence: ...


class Keeping(TrainerCallback, ExportableState):
    """Keeps the latest weights whose score is within one standard error of the best (Breiman et al. 1984, 3.4.3).

    The highest of ten scores on a hundred rows is mostly luck, and the luck of an early evaluation costs what the low
    rates at the end of a schedule would have gained. That holds for a head fitted before the first step as well.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.error: float | None = None  # standard error of the best score; None before there is one

    def state(self) -> dict[str, Any]:
        return {"args": {}, "attributes": {"error": self.error}}

    def choose(self, metrics: dict[str, float], *, is_best: bool) -> None:
        """Keep the weights of this evaluation, if they are good enough: the stock trainer kept them if they are best.

        Args:
            is_best: its score is better than all before it.
        """
        run, state, headline = self.run, self.run.state, f"eval_{self.run.task.judge.headline.key}"
        if run.args.keep_weights != LATEST or f"eval_{run.args.metric_for_best_model}" != headline:
            return
        if is_best:
            self.error = standard_error(run)
        elif self.error is not None and abs(state.best_metric - metrics[headline]) <= self.error:
            state.best_global_step = state.global_step


def standard_error(run: Run) -> float:
    """Of the headline of the last evaluation, over other rows or units of validation."""
    evidence = run.evidence.by_unit(run.task.units(run.rows["validation"]))
    return draw_scores([evidence])[0].variance ** 0.5
