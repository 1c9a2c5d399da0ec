"""A training that is asked to end does so at a safe point, with a checkpoint, on all processes at the same step."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import nn
from transformers import TrainerCallback, TrainerState
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, SaveStrategy

from hfkit.arguments.training import TransferArguments
from hfkit.runtime.commands import ANEW, GOES_ON, TRAINING, signals

ELSEWHERE = "a signal to another process"


class Run(Protocol):
    """The attributes of a trainer that are used here."""

    args: TransferArguments
    state: TrainerState
    model: nn.Module
    is_in_train: bool

    def _save_checkpoint(self, model: nn.Module, trial: None) -> None: ...


class Interrupted(KeyboardInterrupt):
    """An evaluation was left: the weights are those of the last step, and may not have been saved."""


class Interruption(TrainerCallback):
    """Ends training after the step, or in the evaluation, in which a signal asks for it (see `Signals`).

    A checkpoint of that step is written where a run can be resumed from one. The evaluation that was left, or that was
    due at this step, is made up for by the run that goes on.
    """

    def __init__(self, trainer: Run) -> None:
        self.trainer = trainer
        self._saved: int | None = None  # the step of the last checkpoint of this training

    @contextmanager
    def at_safe_points(self) -> Iterator[None]:
        """Within it, from the first step on, a signal does not interrupt what is being computed or written.

        Raises:
            KeyboardInterrupt: with what the same command will do, in words.
        """
        self._saved = None
        try:
            yield
        except Interrupted:
            if self._can_save and self._saved != self.trainer.state.global_step:
                self.trainer._save_checkpoint(self.trainer.model, None)
                self._saved = self.trainer.state.global_step
            self._end()
        finally:
            signals.promise = None
        if signals.asked is not None:  # too late for any of the steps
            self._end()

    # Called by the training loop

    def on_step_begin(self, args, state, control, **kwargs):
        if signals.promise is None:  # before the first step there is nothing to lose
            written = "and a checkpoint is written" if self._can_save else "and no checkpoint is written"
            signals.promise = f"the optimizer step ends, {written}"

    def on_step_end(self, args, state, control, **kwargs):
        if not self._is_asked():
            return
        if not self._can_save:
            self._end()
        control.should_save, control.should_evaluate = True, False

    def on_save(self, args, state, control, **kwargs):
        self._saved = state.global_step
        if signals.promise is not None and self._is_asked():
            self._end()

    def on_prediction_step(self, args, state, control, **kwargs):
        if self.trainer.is_in_train and signals.promise is not None and self._is_asked():
            raise Interrupted

    @property
    def _can_save(self) -> bool:
        args = self.trainer.args
        return args.save_strategy != SaveStrategy.NO and not args.save_only_model

    def _is_asked(self) -> bool:
        """Whether a process of this run was asked to end, the same on all of them."""
        args = self.trainer.args
        if args.world_size > 1:
            asked = torch.tensor(int(signals.asked is not None), device=args.device)
            torch.distributed.all_reduce(asked, torch.distributed.ReduceOp.MAX)
            if asked.item() and signals.asked is None:
                signals.asked = ELSEWHERE
        return signals.asked is not None

    def _end(self) -> None:
        raise KeyboardInterrupt(self._again())

    def _again(self) -> str:
        if not self._can_save:
            return ANEW
        if self._saved is None:
            return ""  # what is always said
        written = f"{PREFIX_CHECKPOINT_DIR}-{self._saved}"
        if self.trainer.args.resume_from_checkpoint in (True, "auto"):
            return f"{GOES_ON} from {written}"
        return TRAINING.replace("its last checkpoint", written)
