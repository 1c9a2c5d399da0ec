"""The splits of a run as they are evaluated, the score that decides, and the decision tuned on validation."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import numpy as np
from datasets import Dataset, DatasetDict
from torch import nn

from hfkit.arguments.training import TransferArguments
from hfkit.contract.abilities import Decision, Tuned
from hfkit.contract.codec import Codec
from hfkit.contract.task import Task
from hfkit.errors import UserError
from hfkit.model.unfreezing import Unfreezing
from hfkit.scores.evidence import Evidence, total


class Evaluated(NamedTuple):
    """The answers to one split, and what they should have been."""

    split: str
    predictions: list
    references: list


class Encoded(Mapping[str, Dataset]):
    """The encoded splits of some rows, each made when it is first asked for."""

    def __init__(self, codec: Codec, splits: DatasetDict, known: Mapping[str, Dataset]) -> None:
        self.codec, self.splits, self.known = codec, splits, dict(known)

    def __getitem__(self, split: str) -> Dataset:
        if split not in self.known:
            self.known[split] = self.codec.encode(self.splits[split], split=split, answers=True)
        return self.known[split]

    def __iter__(self) -> Iterator[str]:
        return iter(self.splits)

    def __len__(self) -> int:
        return len(self.splits)

    def split_of(self, rows: Dataset) -> str:
        """The name of a split.

        Raises:
            UserError: these rows are none.
        """
        for split, known in self.known.items():
            if known is rows:
                return split
        raise UserError(
            f"{len(rows)} rows to evaluate",
            "a trainer evaluates its own splits, whose gold answers it has",
            "Give one of trainer.encoded, such as trainer.encoded['test']",
        )


def choose_best_by(args: TransferArguments, task: Task) -> None:
    """Let the arguments name the score that decides, and on which side it is better: a word error rate is lowest.

    Raises:
        UserError: they name something else; nobody knows on which side that is better, and the worst epoch may be kept.
    """
    judge = task.judge
    if args.metric_for_best_model == "headline":
        args.metric_for_best_model = judge.headline.key
    for score in judge.scores:
        if args.metric_for_best_model in (score.key, f"eval_{score.key}"):
            args.greater_is_better = score.better == "higher"
    known = ["loss", *(score.key for score in judge.scores)]
    if (args.metric_for_best_model or "loss").removeprefix("eval_") not in known:
        raise UserError(
            f"metric_for_best_model='{args.metric_for_best_model}'",
            f"it is a score of this task: {', '.join(known)}",
            "Leave it out, or name one of them",
        )


def in_row_order(outputs: Mapping[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    """Outputs by name, sorted by the rows that they are of."""
    order = np.argsort(rows, kind="stable")
    return {name: values[order] for name, values in outputs.items()}


class Run(Protocol):
    """The attributes of a trainer that are used here."""

    model: nn.Module
    task: Task
    codec: Codec
    encoded: Encoded
    unfreezing: Unfreezing
    evidence: Evidence
    decision: Decision | None
    untuned: list | None
    compute_metrics: Any
    read: Callable[..., dict[str, Any]]

    def predict(self, test_dataset: Dataset) -> Any: ...
    def predictions(self, split: str) -> list: ...
    def references(self, split: str) -> list: ...


def tune_decision(run: Run, *, keep_untuned: bool) -> dict[str, float]:
    """Move the decision of a run to where the headline is best on validation (see `TransferTrainer.tune_decision`)."""
    if not isinstance(run.codec, Tuned):
        run.predict(run.encoded["validation"])
        headline = total(run.evidence)
        return {"before": headline, "after": headline}
    rows, judge, gold = run.encoded["validation"], run.task.judge, run.references("validation")
    with keep_of_outputs(run, run.codec.decision_outputs):
        outputs = run.predict(rows).predictions

    def headline(predictions: list) -> float:
        return judge.headline.sign * total(judge.evidence(predictions, gold))

    decision, sign = run.codec.decision(outputs, rows, headline), judge.headline.sign
    if not decision.shift.any():
        return {"before": sign * decision.before, "after": sign * decision.before}
    # A decision that the headline does not look at (which boxes to keep) would be shown with the same score twice.
    untuned = run.predictions("test") if keep_untuned and decision.before != decision.after else None
    if not run.codec.apply(decision, head_parameters(run), run.model.config):
        return {"before": sign * decision.before, "after": sign * decision.before}
    run.decision, run.untuned = decision, untuned
    return {"before": sign * decision.before, "after": sign * decision.after}


@contextmanager
def keep_of_outputs(run: Run, read: Callable[..., dict[str, Any]]) -> Iterator[None]:
    """Within it evaluations keep something else of the model's output, and score nothing."""
    before, run.read, run.compute_metrics = (run.read, run.compute_metrics), read, None
    try:
        yield
    finally:
        run.read, run.compute_metrics = before


def head_parameters(run: Run) -> list[nn.Parameter]:
    """Those of the head; under adapters the copy that was trained."""
    depths, frozen = run.unfreezing.depths, run.unfreezing.always_frozen
    return [
        parameter
        for name, parameter in run.model.named_parameters()
        if depths.parameters[name] == depths.head and name not in frozen
    ]
