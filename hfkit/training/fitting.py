"""The head, fitted in closed form before the first step, so that the backbone's first update starts from a probe."""

from pathlib import Path
from typing import Any, Protocol

from datasets import Dataset
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import TrainerCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, IntervalStrategy

from hfkit.arguments.training import TransferArguments
from hfkit.contract.abilities import Probed
from hfkit.model.unfreezing import Unfreezing
from hfkit.prefix.callback import Caching
from hfkit.training.plan import closing_layer, find_obstacle, fitted_row
from hfkit.training.resuming import read_state

JUDGE, ONLY = "judge", "only"  # see `FITS`
# In checkpoint-0: the layer that training starts from, where that is not the fitted one.
INITIAL = "hfkit_head.safetensors"
ENTRY = "fitted_head"  # in the log: the penalty that was chosen, and the headline on validation


class Run(Protocol):
    """The attributes of a trainer that are used here."""

    args: TransferArguments
    state: Any
    control: Any
    codec: Any
    model: nn.Module
    train_dataset: Dataset
    eval_dataset: Dataset
    caching: Caching
    unfreezing: Unfreezing
    is_fsdp_enabled: bool
    resumed_from: str | None

    def evaluate(self) -> dict[str, float]: ...
    def _determine_best_metric(self, metrics: dict[str, float], trial: Any) -> bool: ...
    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None: ...


class FitHead(TrainerCallback):
    """Fits the layer that makes the logits to what the frozen layers give it, before the first optimizer step.

    With fit_head=start, training goes on from there. With fit_head=judge it starts from the head as it was, and the fit
    is only a contender: a probe that knows the training rows by heart has a loss of next to nothing, from which the
    blocks learn little. With fit_head=only, training ends with the fit.

    The fit is evaluated like an epoch, and saved as checkpoint-0 where the best weights are kept: the best of a run may
    be the probe itself. The log remembers it, so a resumed run does not fit again. Its penalty is the best of a few on
    the rows that evaluate it, which makes its score on validation a little too good, as it does that of an epoch that
    was chosen on them.
    """

    def __init__(self, trainer: Run) -> None:
        self.trainer = trainer
        self.obstacle: str | None = "training has not begun"  # None: the head is fitted, or was
        self.initial: dict[str, Tensor] = {}  # the layer as it was, where training starts from that

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        trainer = self.trainer
        if self.obstacle is not None or state.global_step:
            return
        if args.fit_head == ONLY:
            control.should_training_stop = True
        linear = closing_layer(model, trainer.unfreezing)
        if was_fitted(state.log_history):
            if args.fit_head == JUDGE:
                self.initial = load_file(Path(trainer.resumed_from, INITIAL))
                linear.load_state_dict(self.initial)
            return
        if args.fit_head == JUDGE:
            self.initial = {name: value.detach().cpu().clone() for name, value in linear.state_dict().items()}
        # Imported here: a run that fits no head need not wait for it.
        from hfkit.training.probe import fit_head

        state.log_history.append({"step": 0, ENTRY: fit_head(trainer, linear)})
        if args.eval_strategy != IntervalStrategy.NO:
            metrics = trainer.evaluate()
            if args.load_best_model_at_end:
                trainer._determine_best_metric(metrics, trial=None)
                state.best_model_checkpoint = str(Path(args.output_dir, f"{PREFIX_CHECKPOINT_DIR}-0"))
                trainer._save_checkpoint(model, trial=None)
        if self.initial:
            linear.load_state_dict(self.initial)

    def write(self, checkpoint: Path) -> None:
        """Keep the layer as it was beside the fitted one: a resumed run may have drawn another."""
        if self.initial and self.trainer.state.global_step == 0:
            save_file(self.initial, checkpoint / INITIAL)

    def decide(self) -> bool:
        """Whether this run starts from a fitted head: asked once, before the plan is made, of all processes.

        A resumed run keeps to what its log says.
        """
        trainer = self.trainer
        self.obstacle = find_obstacle(trainer.model, trainer.unfreezing, trainer.args)
        if self.obstacle is None and trainer.resumed_from is not None:
            fitted = was_fitted(read_state(Path(trainer.resumed_from))["log_history"])
            self.obstacle = None if fitted else "it was not when the run began"
        elif self.obstacle is None:
            self.obstacle = find_obstacle_in_run(trainer)
        return self.obstacle is None and trainer.args.starts_fitted

    def plan_rows(self, rows: list[dict]) -> list[dict]:
        """The rows of the plan behind that of the fit; the fit alone if training ended with it."""
        state, trainer = self.trainer.state, self.trainer
        if not was_fitted(state.log_history) and self.obstacle is not None:
            return rows
        if rows and rows[0]["from_step"]:  # an extension: the fit lies before it
            return rows
        ended = trainer.control.should_training_stop and state.global_step == 0
        return [fitted_row(trainer.model, trainer.unfreezing), *(() if ended else rows)]


def find_obstacle_in_run(trainer: Run) -> str | None:
    """Why the head of a run cannot be fitted, as one batch of it shows, in words; None if it can."""
    if trainer.args.fit_head == JUDGE and not trainer.args.load_best_model_at_end:
        return "the best weights are not kept"
    if not isinstance(trainer.codec, Probed):
        return "the task has no logit for each label and row"
    if trainer.is_fsdp_enabled:
        return "it is fitted to a whole model"
    if not isinstance(trainer.eval_dataset, Dataset) or len(trainer.eval_dataset) < 2:
        return "no validation rows choose its penalty"
    from hfkit.training.probe import makes_logits

    if not makes_logits(trainer, closing_layer(trainer.model, trainer.unfreezing)):
        return "its last layer does not make the logits"
    return None


def was_fitted(log: list[dict[str, Any]]) -> bool:
    """Whether a log says that the head was fitted before the first step."""
    return any(ENTRY in entry for entry in log)
