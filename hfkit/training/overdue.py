"""A resumed run makes up for what was due at the step of its checkpoint, and had not been done when it was cut.

A run that saves by steps and evaluates by epochs saves before it evaluates. Cut in between, it would go on without that
evaluation: it could miss its best epoch, early stopping would count wrongly, and the generator would lack what the
evaluation drew. The loss since the last logging event is kept for the same reason: the log of a resumed run has the
entries of an uninterrupted one.
"""

import json
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor
from transformers import TrainerCallback, TrainerControl
from transformers.trainer_callback import DefaultFlowCallback, TrainerState
from transformers.trainer_pt_utils import nested_gather

from hfkit.training.generators import read_generators

PENDING = "hfkit_pending.json"  # in a checkpoint: what the next entry of the log is made of


class Run(Protocol):
    """The attributes of a trainer that are used here."""

    args: Any
    state: TrainerState
    epoch_steps: int
    resumed_from: str | None
    generators: dict[str, Any] | None  # to be put back before the first batch of a resumed run, if not the checkpoint's
    rates: dict[int, float]
    learning_rate: float
    grad_norm: Any
    _tr_loss: Tensor
    _total_loss_scalar: float
    _globalstep_last_logged: int

    @property
    def begins_extension(self) -> bool: ...
    def _load_rng_state(self, checkpoint: str | None) -> None: ...
    def _maybe_log_save_evaluate(self, tr_loss, grad_norm, model, trial, epoch, ignore_keys_for_eval, start_time): ...


class Overdue(TrainerCallback):
    """Logs, evaluates and saves what the step of the checkpoint lacks, before the first step of a resumed run.

    The last of a trainer's callbacks: the others have to be ready for an evaluation.
    """

    def __init__(self, trainer: Run) -> None:
        self.trainer = trainer

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        trainer = self.trainer
        trainer.generators = None
        if trainer.resumed_from is None or trainer.begins_extension or state.global_step == 0:
            return
        pending = restore_pending(trainer, Path(trainer.resumed_from))
        # The stock loop asks only after a step, and would take one more where the last step is not that of an epoch.
        control.should_training_stop |= state.global_step >= state.max_steps
        due = find_due(args, state, trainer.epoch_steps)
        logs = due.should_log and pending and trainer._globalstep_last_logged < state.global_step
        evaluates = due.should_evaluate and not is_evaluated(state)
        if not (logs or evaluates or state.global_step >= state.max_steps):
            return
        trainer._load_rng_state(trainer.resumed_from)
        if logs or evaluates:
            if state.is_world_process_zero:
                print(f"Made up for at step {state.global_step}: what was due when the run was cut.")
            control.should_log, control.should_evaluate = bool(logs), evaluates
            control.should_save = evaluates and due.should_save
            trainer._maybe_log_save_evaluate(
                trainer._tr_loss,
                trainer.grad_norm,
                model,
                None,
                state.epoch,
                None,
                None,
                learning_rate=trainer.learning_rate,
            )
        trainer.generators = read_generators()


def read_pending(trainer: Run) -> dict[str, Any]:
    """The loss that is not logged yet, and what is logged with it. All processes have to ask."""
    norm = trainer.grad_norm
    return {
        "loss": nested_gather(trainer._tr_loss, trainer.args.parallel_mode).mean().item(),
        "logged": trainer._globalstep_last_logged,
        "grad_norm": norm.item() if isinstance(norm, Tensor) else norm,
        "learning_rate": trainer.learning_rate,
        "rates": sorted(trainer.rates.items()),
    }


def restore_pending(trainer: Run, checkpoint: Path) -> bool:
    """Give a trainer back what `read_pending` found; False where a checkpoint of an earlier version has nothing."""
    if not (checkpoint / PENDING).is_file():
        return False
    pending = json.loads((checkpoint / PENDING).read_text(encoding="utf-8"))
    trainer._tr_loss += pending["loss"]
    trainer._total_loss_scalar -= pending["loss"]  # the mean that is told at the end is of this call's steps
    trainer._globalstep_last_logged = pending["logged"]
    trainer.grad_norm, trainer.learning_rate = pending["grad_norm"], pending["learning_rate"]
    trainer.rates = {int(depth): rate for depth, rate in pending["rates"]}
    return True


def find_due(args: Any, state: TrainerState, epoch_steps: int) -> TrainerControl:
    """The logging, evaluation and saving that are due after the step of a state, by the rules of the stock trainer."""
    flow, due = DefaultFlowCallback(), TrainerControl()
    flow.on_step_end(args, state, due)
    if state.global_step % epoch_steps == 0 or state.global_step >= state.max_steps:
        flow.on_epoch_end(args, state, due)
    return due


def is_evaluated(state: TrainerState) -> bool:
    """Whether the log has an evaluation of the step that it ends with."""
    return any(
        entry.get("step") == state.global_step and any(name.startswith("eval_") for name in entry)
        for entry in state.log_history
    )
