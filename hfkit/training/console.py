"""How a run says how far it is: a bar on a terminal, a line for every logging event, and values for trackers."""

import copy
import functools
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

from transformers import Trainer, TrainerCallback
from transformers.integrations.integration_utils import get_reporting_integration_callbacks
from transformers.trainer_callback import PrinterCallback, ProgressCallback, TrainerState

from hfkit.progress import progress
from hfkit.runtime.machine import command_of, without_secrets

RATES = "lr/"  # the rate of a depth, for trackers
UNTOLD = re.compile(rf"epoch|stage|total_flos|.*_per_second|{RATES}.*")  # what a line leaves out, or has already
PER_CLASS = ("precision", "recall", "f1", "support")  # the report has them


class TellingTrainer(Trainer):
    """A `Trainer` with one bar for training and one for each judging, lines that a script can read, and trackers that
    see every depth's rate.

    In a notebook the stock trainer's table stays.
    """

    # `TransferTrainer` sets them.
    unfreezing: Any
    _rates: dict[int, float]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.telling = Telling(self)
        if self.pop_callback(ProgressCallback) or self.pop_callback(PrinterCallback):
            self.add_callback(self.telling)
        kinds = tuple(get_reporting_integration_callbacks(self.args.report_to))
        self.trackers = [callback for callback in self.callback_handler.callbacks if isinstance(callback, kinds)]
        for tracker in self.trackers:
            discreet(tracker)
        if "trackio" in self.args.report_to and self.args.run_name is None:
            # What is told after training belongs to the same run, which trackio finds by its name.
            self.args.run_name = f"{Path(self.args.output_dir).name}-{datetime.now():%Y%m%d-%H%M%S}"

    def train(self, *args: Any, **kwargs: Any) -> Any:
        with self.telling.bars:  # a run that breaks off leaves the terminal as it was
            return super().train(*args, **kwargs)

    def evaluation_loop(self, dataloader: Any, description: str, *args: Any, **kwargs: Any) -> Any:
        with progress(description, len(dataloader), leave=False) as self.telling.judged:
            return super().evaluation_loop(dataloader, description, *args, **kwargs)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        # Of every depth: too much for the log of the run, which the report keeps.
        for_trackers = self._rates_by_depth() if self.trackers and "learning_rate" in logs else {}
        logs |= for_trackers
        super().log(logs, start_time)
        for name in for_trackers:
            del logs[name], self.state.log_history[-1][name]

    @property
    def stage(self) -> int:
        """Which stage of the plan the last optimizer step belonged to, from 1."""
        return self.unfreezing.plan.stage(max(0, self.state.global_step - 1)) + 1

    def _rates_by_depth(self) -> dict[str, float]:
        """The rate of every depth in the last optimizer step, 0 where it is frozen, and the stage."""
        unfreezing = self.unfreezing
        learning = {unfreezing.depths.parameters[name] for name, _ in unfreezing.trainable}
        told = {}
        for depth, name in enumerate(unfreezing.depths.names):
            name = f"block_{depth - 1}" if 0 < depth < unfreezing.depths.head else name
            told[f"{RATES}{depth:02d}_{name}"] = self._rates[depth] if depth in learning else 0.0
        return {"stage": self.stage, **told}

    def tell_contenders(self, contenders: Sequence[Mapping[str, Any]], headline: str) -> None:
        """Give trackers the headline of every contender on the test rows, with its interval."""
        told = {}
        for contender in contenders:
            name = re.sub(r"[^\w.-]+", "_", contender["name"]).strip("_")
            told[f"test_{headline}/{name}"] = contender["headline"]
            told[f"test_{headline}_low/{name}"] = contender["interval"]["low"]
            told[f"test_{headline}_high/{name}"] = contender["interval"]["high"]
        for tracker in self.trackers:
            tracker.on_log(self.args, self.state, self.control, logs=dict(told), model=self.model)


class Telling(TrainerCallback):
    """Moves the bars, and prints a line for every logging event."""

    def __init__(self, trainer: TellingTrainer) -> None:
        self.trainer = trainer
        self.bars = ExitStack()
        self.trained: Callable[..., None] | None = None
        self.judged: Callable[..., None] = lambda: None
        self.logged = ""  # loss, and the rate of the head

    def on_train_begin(self, args, state, control, **kwargs):
        self.trained, self.logged = None, ""

    def on_epoch_begin(self, args, state, control, **kwargs):
        # Not before: others have things to print when training begins.
        if self.trained is None and state.is_world_process_zero:
            self.trained = self.bars.enter_context(progress("Training", state.max_steps, done=state.global_step))

    def on_step_end(self, args, state, control, **kwargs):
        if self.trained is not None:
            self.trained(note=self._note(state))

    def _note(self, state: TrainerState) -> str:
        """Beside the bar; with `logged` it fits a terminal of 80 columns."""
        return f"epoch {state.epoch:.2f}, stage {self._stage()}{self.logged}"

    def _stage(self) -> str:
        return f"{self.trainer.stage}/{len(self.trainer.unfreezing.plan.starts)}"

    def on_prediction_step(self, args, state, control, **kwargs):
        self.judged()

    def on_log(self, args, state, control, logs=None, **kwargs):
        if not state.is_world_process_zero:
            return
        print(line_of(logs, state, self._stage() if self.trainer.is_in_train else None), flush=True)
        if self.trained is not None and "loss" in logs:
            self.logged = f", loss {logs['loss']:.4g}, rate {logs['head_learning_rate']:.1e}"
            self.trained(0, note=self._note(state))

    def on_train_end(self, args, state, control, **kwargs):
        self.trained = None
        self.bars.close()


def line_of(logs: Mapping[str, Any], state: TrainerState, stage: str | None) -> str:
    """A logging event as `step=50/1200 epoch=0.42 stage=1/4 loss=0.6931 …`, which `shlex.split` takes apart again.

    Scores of single classes are left out.
    """
    told: dict[str, Any] = {"step": f"{state.global_step}/{state.max_steps}"} if state.max_steps else {}
    if state.epoch is not None:
        told["epoch"] = f"{state.epoch:.2f}"
    if stage is not None:
        told["stage"] = stage
    kinds = [name.partition("support_")[2] for name in logs if "support_" in name]
    of_classes = {f"{score}_{kind}" for score in PER_CLASS for kind in kinds}
    told |= {
        name: value
        for name, value in logs.items()
        if name.removeprefix("eval_") not in of_classes and not UNTOLD.fullmatch(name)
    }
    return " ".join(f"{name}={text_of(value)}" for name, value in told.items())


def text_of(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else shlex.quote(str(value))


def discreet(tracker: TrainerCallback) -> None:
    """Let a tracker see arguments and command line without what is nobody's business: it writes them all down."""
    for name in [name for name in dir(tracker) if name.startswith("on_")]:
        setattr(tracker, name, functools.partial(_told_publicly, getattr(tracker, name)))
    # The rows may be of any split, and it would call all of them test.
    tracker.on_predict = lambda *args, **kwargs: None


def _told_publicly(event: Callable[..., Any], args: Any, *others: Any, **kwargs: Any) -> Any:
    public = copy.copy(args)
    public.to_dict = lambda: without_secrets(args.to_dict())
    public.run_name = without_secrets(args.run_name)
    whole, sys.argv = sys.argv, shlex.split(command_of(sys.argv[0], argv=sys.argv[1:]))
    try:
        return event(public, *others, **kwargs)
    finally:
        sys.argv = whole
