"""The strategy that picks itself: a linear probe first, then stage by stage for as long as validation gains by it."""

from typing import Any, Protocol

from accelerate import PartialState
from datasets import Dataset
from torch import nn
from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState

from hfkit.contract.task import Loaded, Task
from hfkit.errors import UserError
from hfkit.model.unfreezing import FreezePlan, Unfreezing
from hfkit.scores.evidence import Evidence, total
from hfkit.scores.score import Score
from hfkit.scores.statistics import paired_difference

ENTRY = "auto"  # a decision in the log
LEVEL = 0.05  # a gain is one where chance alone would make as much less often than this
PATIENCE = 4  # evaluations in a row without a gain end a stage that is not the last
STRIKES = 2  # stages in a row that were worse than the best before them, beyond noise, end training
STOP, ON = "stop", "go on"
ENOUGH = "even answers without a fault would not be better beyond noise"


def refuse_blind(args: Any, task: Task, rows: Any) -> None:
    """Refuse flags under which no stage could be judged, or the best one not be restored.

    Raises:
        UserError: naming the flag.
    """
    needed = {
        "load_best_model_at_end": True,
        "metric_for_best_model": task.judge.headline.key,
        "lora_rank": 0,
        "adapter": None,
        "restore_callback_states_from_checkpoint": False,
    }
    wrong = [f"{name}={getattr(args, name)}" for name, value in needed.items() if getattr(args, name) != value]
    if not wrong and isinstance(rows, Dataset) and len(rows) > 1:
        return
    raise UserError(
        f"strategy='auto', {', '.join(wrong) or f'validation rows: {rows}'}",
        "every stage is judged by the headline on validation rows, and the best one is restored",
        "Give validation rows and --eval_strategy epoch --save_strategy epoch --load_best_model_at_end true"
        " --metric_for_best_model headline (KEEP_BEST in a recipe), or choose another --strategy",
    )


def chance_of(now: Evidence, before: Evidence, headline: Score) -> dict[str, float]:
    """By how much one scores above the other on the same rows or units, its interval, and the one-sided p of a gain."""
    pair = paired_difference(now, before)
    found = {name: float(pair[name]) for name in ("difference", "low", "high")}
    return found | {"p": pair["p"] / 2 if headline.sign * pair["difference"] > 0 else 1 - pair["p"] / 2}


def is_worse(gain: dict[str, float]) -> bool:
    """Whether a stage is below the best before it by more than chance alone would make."""
    return 1 - gain["p"] < LEVEL


def decide(
    gain: dict[str, float] | None, left: float, strikes: int, *, last: bool, waited: int = 0, sign: int = 1
) -> tuple[str, str]:
    """`stop` or `go on`, and why, in words.

    A stage that is no better is no reason to stop: from a fitted head the first steps of the blocks are often down, and
    few validation rows could not tell. Nor is a score that validation could hardly see improve: test rows may differ.

    Args:
        gain: of the stage over the best before it, as `chance_of` has it; None of the first.
        left: the one-sided p of answers without a fault against the best so far.
        strikes: stages in a row that were worse beyond noise, this one included.
        last: no stage is left.
        waited: evaluations in a row without a gain, if they are more than the patience is; else 0.
        sign: -1 where a lower headline is better.
    """
    if gain is None:
        found = "the first to be judged"
    elif gain["difference"] == 0:
        found = "no better"
    else:
        noise = "beyond" if min(gain["p"], 1 - gain["p"]) < LEVEL else "within"
        found = f"{'better' if sign * gain['difference'] > 0 else 'worse'}, {noise} noise"
    if left >= LEVEL:
        found = f"{found}; {ENOUGH}"
    if last:
        return STOP, f"{found}; nothing is left to thaw"
    if waited:
        return STOP, f"{found}; {waited} evaluations without a gain"
    if strikes >= STRIKES:
        return STOP, f"{found}, {strikes} stages in a row"
    return ON, found


class Run(Protocol):
    """The attributes of a trainer that are used here."""

    task: Task
    codec: Any
    rows: Loaded
    model: nn.Module
    train_dataset: Dataset
    eval_dataset: Dataset
    judged: Dataset
    evaluated: Any
    unfreezing: Unfreezing
    total_steps: int
    is_in_train: bool

    def references(self, split: str) -> list: ...


class Auto(TrainerCallback, ExportableState):
    """Judges the fitted head and every stage at its end, and stops where training no longer pays.

    The plan holds all stages that may come and stays a pure function of the step; a decision only ends it. Decisions
    are kept in the log, so a resumed run knows them. The weights of an evaluation are restored at the end (see
    `Keeping`): `FitHead`, which comes after this, saves the fitted head as checkpoint-0.
    """

    def __init__(self, trainer: Run) -> None:
        self.trainer = trainer
        self.before: list | None = None  # predictions of the best evaluation before this stage
        self.within: list | None = None  # and of the best one in it
        self.best: float | None = None  # goodness of the best evaluation since the first step
        self.waited = 0  # evaluations in a row without a gain

    def state(self) -> dict[str, Any]:
        """Kept in a checkpoint: a resumed run compares with the same answers."""
        names = ("before", "within", "best", "waited")
        return {"args": {}, "attributes": {name: getattr(self, name) for name in names}}

    # Called by the training loop

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        decided = decisions(state.log_history)
        if state.global_step or decided:
            kept = state.stateful_callbacks[type(self).__name__]["attributes"]
            for name, value in kept.items():
                setattr(self, name, value)
            if decided and decided[-1]["decision"] == STOP:
                self._end(state, control)
            return
        self.before, self.within, self.best, self.waited = None, None, None, 0

    def on_evaluate(self, args, state, control, **kwargs):
        trainer, plan = self.trainer, self.trainer.unfreezing.plan
        if not trainer.is_in_train or trainer.judged is not trainer.eval_dataset:
            return
        found = trainer.evaluated.predictions
        goodness = self._goodness(found)
        if state.global_step:
            # A fitted head may be far ahead at first: what counts is that training gains.
            gained = self.best is None or goodness > self.best
            self.best, self.waited = (goodness, 0) if gained else (self.best, self.waited + 1)
        if self.within is None or goodness > self._goodness(self.within):
            self.within = found
        ends = [*plan.starts[1:], trainer.total_steps]
        if state.global_step == 0:
            self._decide(state, control, 0, trainer.unfreezing.depths.head)
            return
        stage = sum(end < state.global_step for end in ends)  # the one that this step was taken in
        patience = PATIENCE if args.patience is None else args.patience
        waited = self.waited if patience and self.waited >= patience else 0
        if waited and stage + 1 < len(ends) and self._chance_left() < LEVEL:
            waited = 0  # the next stage may do what this one could not
        if waited or state.global_step in ends:
            self._decide(state, control, stage + 1, plan.lowest[stage], waited)

    def _evidence(self, predictions: list) -> Evidence:
        """The evidence of answers to validation, by unit: ten rows of one patient are no ten chances to be better."""
        trainer = self.trainer
        evidence = trainer.task.judge.evidence(predictions, trainer.references("validation"))
        return evidence.by_unit(trainer.task.units(trainer.rows["validation"]))

    def _goodness(self, predictions: list) -> float:
        return self.trainer.task.judge.headline.sign * total(self._evidence(predictions))

    def _chance_left(self) -> float:
        """The one-sided p of answers without a fault against the best so far."""
        judge = self.trainer.task.judge
        perfect = self._evidence(judge.perfect_predictions(self.trainer.references("validation")))
        best = max((one for one in (self.before, self.within) if one is not None), key=self._goodness)
        return chance_of(perfect, self._evidence(best), judge.headline)["p"]

    def _decide(self, state: Any, control: Any, stage: int, lowest: int, waited: int = 0) -> None:
        trainer, judge = self.trainer, self.trainer.task.judge
        headline, within = judge.headline, self._evidence(self.within)
        entry: dict[str, Any] = {"stage": stage, "lowest_depth": lowest, "validation": total(within)}
        gain, strikes = None, 0
        if self.before is None:
            self.before = self.within
        else:
            before = self._evidence(self.before)
            gain = chance_of(within, before, headline)
            entry |= {"best_before": total(before), **gain}
            earlier = decisions(state.log_history)
            strikes = earlier[-1]["worse_in_a_row"] + 1 if is_worse(gain) else 0
            if headline.sign * gain["difference"] > 0:
                self.before = self.within
        last = state.global_step >= trainer.total_steps
        decision, why = decide(gain, self._chance_left(), strikes, last=last, waited=waited, sign=headline.sign)
        entry |= {"worse_in_a_row": strikes, "decision": decision, "why": why}
        state.log_history.append({"step": state.global_step, ENTRY: entry})
        self.within = None
        if PartialState().is_main_process:
            print(to_line(entry, headline.key))
        if decision == STOP:
            self._end(state, control)

    def _end(self, state: Any, control: Any) -> None:
        """Stop here, and let the plan say what was trained."""
        trainer, step = self.trainer, state.global_step
        plan = trainer.unfreezing.plan
        control.should_training_stop = True
        begun = sum(start < step for start in plan.starts)
        if begun:
            trainer.unfreezing.plan = FreezePlan(plan.starts[:begun], plan.lowest[:begun])
        else:
            trainer.unfreezing.plan = FreezePlan((0,), (trainer.unfreezing.depths.head,))
        trainer.total_steps = max(1, step)


def decisions(log: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The decisions in a log, in order."""
    return [entry[ENTRY] for entry in log if ENTRY in entry]


def to_line(entry: dict[str, Any], headline: str) -> str:
    """A decision as one line."""
    gain = ""
    if "difference" in entry:
        low, high = entry["low"], entry["high"]
        gain = f" ({entry['difference']:+.3f} [{low:+.3f}, {high:+.3f}], p = {entry['p']:.2f})"
    return (
        f"Stage {entry['stage']}, depths from {entry['lowest_depth']}: validation {headline} {entry['validation']:.3f}"
        f"{gain}: {entry['decision']}, {entry['why']}."
    )
