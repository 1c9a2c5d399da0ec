"""How a run reports its progress: bars on a terminal, a line for every logging event, and values for trackers."""

import copy
import functools
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from transformers import TrainerCallback
from transformers.integrations.integration_utils import get_reporting_integration_callbacks
from transformers.trainer_callback import PrinterCallback, ProgressCallback, TrainerState

from hfkit.model.unfreezing import Unfreezing
from hfkit.progress import progress
from hfkit.runtime.machine import command_of, withhold_secrets

RATES = "lr/"  # the rate of a depth, for trackers
LEFT_OUT = re.compile(rf"epoch|stage|total_flos|.*_per_second|{RATES}.*")  # not in a line, or there already
PER_CLASS = ("precision", "recall", "f1", "support")  # the report has them


class Run(Protocol):
    """The attributes of a trainer that are used here."""

    args: Any
    state: TrainerState
    control: Any
    model: Any
    callback_handler: Any
    is_in_train: bool
    unfreezing: Unfreezing
    rates: Mapping[int, float]  # depth -> rate of the last optimizer step
    trackers: list[TrainerCallback]

    def add_callback(self, callback: TrainerCallback) -> None: ...
    def pop_callback(self, callback: type[TrainerCallback]) -> TrainerCallback | None: ...


def replace_printers(run: Run) -> "Console":
    """Bars and lines in place of the stock trainer's; in a notebook its table stays."""
    console = Console(run)
    if run.pop_callback(ProgressCallback) or run.pop_callback(PrinterCallback):
        run.add_callback(console)
    return console


def censor_trackers(run: Run) -> list[TrainerCallback]:
    """The trackers of a run, which from now on see neither secrets nor predictions."""
    kinds = tuple(get_reporting_integration_callbacks(run.args.report_to))
    trackers = [callback for callback in run.callback_handler.callbacks if isinstance(callback, kinds)]
    for tracker in trackers:
        censor(tracker)
    if "trackio" in run.args.report_to and run.args.run_name is None:
        # Contenders are logged after training, to the same run, which trackio finds by its name.
        run.args.run_name = f"{Path(run.args.output_dir).name}-{datetime.now():%Y%m%d-%H%M%S}"
    return trackers


def rates_by_depth(run: Run) -> dict[str, float]:
    """For trackers: the rate of every depth in the last optimizer step, 0 where it is frozen, and the stage."""
    unfreezing, depths = run.unfreezing, run.unfreezing.depths
    learning = {depths.parameters[name] for name, _ in unfreezing.trainable}
    rates = {}
    for depth, name in enumerate(depths.names):
        name = f"block_{depth - 1}" if 0 < depth < depths.head else name
        rates[f"{RATES}{depth:02d}_{name}"] = run.rates[depth] if depth in learning else 0.0
    return {"stage": stage_of(run), **rates}


def add_rates(run: Run, logs: dict[str, float]) -> dict[str, float]:
    """Add rates to a logging event that has one; returns those of every depth, which are for trackers alone.

    They are too much for the log of the run, which the report keeps.
    """
    if "learning_rate" not in logs:
        return {}
    head, lowest = run.unfreezing.depths.head, run.unfreezing.lowest
    logs["head_learning_rate"] = run.rates.get(head, logs["learning_rate"])
    logs["lowest_learning_rate"] = run.rates.get(lowest, logs["learning_rate"])
    logs["lowest_trainable_depth"] = lowest
    for_trackers = rates_by_depth(run) if run.trackers else {}
    logs |= for_trackers
    return for_trackers


def stage_of(run: Run) -> int:
    """Which stage of the plan the last optimizer step belonged to, from 1."""
    return run.unfreezing.plan.stage(max(0, run.state.global_step - 1)) + 1


def log_contenders(
    run: Run, trackers: Iterable[TrainerCallback], contenders: Sequence[Mapping[str, Any]], headline: str
) -> None:
    """Give trackers the headline of every contender on the test rows, with its interval."""
    logs = {}
    for contender in contenders:
        name = re.sub(r"[^\w.-]+", "_", contender["name"]).strip("_")
        logs[f"test_{headline}/{name}"] = contender["headline"]
        logs[f"test_{headline}_low/{name}"] = contender["interval"]["low"]
        logs[f"test_{headline}_high/{name}"] = contender["interval"]["high"]
    for tracker in trackers:
        tracker.on_log(run.args, run.state, run.control, logs=dict(logs), model=run.model)


class Console(TrainerCallback):
    """Moves the bars, and prints a line for every logging event."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.bars = ExitStack()
        self.advance_training: Callable[..., None] | None = None
        self.advance_evaluation: Callable[..., None] = lambda: None
        self.logged = ""  # loss, and the rate of the head

    @contextmanager
    def evaluation(self, description: str, steps: int) -> Iterator[None]:
        """A bar for one evaluation."""
        with progress(description, steps, leave=False) as self.advance_evaluation:
            yield

    def on_train_begin(self, args, state, control, **kwargs):
        self.advance_training, self.logged = None, ""

    def on_epoch_begin(self, args, state, control, **kwargs):
        # Not before: others have things to print when training begins.
        if self.advance_training is None and state.is_world_process_zero:
            bar = progress("Training", state.max_steps, done=state.global_step)
            self.advance_training = self.bars.enter_context(bar)

    def on_step_end(self, args, state, control, **kwargs):
        if self.advance_training is not None:
            self.advance_training(note=self._note(state))

    def _note(self, state: TrainerState) -> str:
        """Beside the bar; with `logged` it fits a terminal of 80 columns."""
        return f"epoch {state.epoch:.2f}, stage {self._stage()}{self.logged}"

    def _stage(self) -> str:
        return f"{stage_of(self.run)}/{len(self.run.unfreezing.plan.starts)}"

    def on_prediction_step(self, args, state, control, **kwargs):
        self.advance_evaluation()

    def on_log(self, args, state, control, logs=None, **kwargs):
        if not state.is_world_process_zero:
            return
        print(line_of(logs, state, self._stage() if self.run.is_in_train else None), flush=True)
        if self.advance_training is not None and "loss" in logs:
            self.logged = f", loss {logs['loss']:.4g}, rate {logs['head_learning_rate']:.1e}"
            self.advance_training(0, note=self._note(state))

    def on_train_end(self, args, state, control, **kwargs):
        self.advance_training = None
        self.bars.close()


def line_of(logs: Mapping[str, Any], state: TrainerState, stage: str | None) -> str:
    """A logging event as `step=50/1200 epoch=0.42 stage=1/4 loss=0.6931 …`, which `shlex.split` takes apart again.

    Scores of single classes are left out.
    """
    line: dict[str, Any] = {"step": f"{state.global_step}/{state.max_steps}"} if state.max_steps else {}
    if state.epoch is not None:
        line["epoch"] = f"{state.epoch:.2f}"
    if stage is not None:
        line["stage"] = stage
    kinds = [name.partition("support_")[2] for name in logs if "support_" in name]
    of_classes = {f"{score}_{kind}" for score in PER_CLASS for kind in kinds}
    line |= {
        name: value
        for name, value in logs.items()
        if name.removeprefix("eval_") not in of_classes and not LEFT_OUT.fullmatch(name)
    }
    return " ".join(f"{name}={text_of(value)}" for name, value in line.items())


def text_of(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else shlex.quote(str(value))


def censor(tracker: TrainerCallback) -> None:
    """Let a tracker see arguments and command line without secrets: it writes everything down."""
    for name in [name for name in dir(tracker) if name.startswith("on_")]:
        setattr(tracker, name, functools.partial(_call_publicly, getattr(tracker, name)))
    # The rows may be of any split, and it would call all of them test.
    tracker.on_predict = lambda *args, **kwargs: None


def _call_publicly(event: Callable[..., Any], args: Any, *others: Any, **kwargs: Any) -> Any:
    public = copy.copy(args)
    public.to_dict = lambda: withhold_secrets(args.to_dict())
    public.run_name = withhold_secrets(args.run_name)
    whole, sys.argv = sys.argv, shlex.split(command_of(sys.argv[0], argv=sys.argv[1:]))
    try:
        return event(public, *others, **kwargs)
    finally:
        sys.argv = whole
