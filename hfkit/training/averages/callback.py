"""The callback that averages weights: what it keeps in training, and what it chooses on validation at the end."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate.utils import broadcast
from datasets import Dataset
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import TrainerCallback, TrainerState

from hfkit.arguments.training import TransferArguments
from hfkit.contract.codec import Codec, Collator
from hfkit.contract.task import Task
from hfkit.errors import UserError
from hfkit.model.unfreezing import Unfreezing, saved_state
from hfkit.training.averages.interpolation import interpolate
from hfkit.training.averages.moving import MovingAverage
from hfkit.training.averages.soup import Ingredients, cook, rank_steps
from hfkit.training.extension import last_step_of
from hfkit.training.resuming import announce

FILE = "hfkit_averages.safetensors"  # in a checkpoint, and in the mark that training has ended
AVERAGE, START = "average/", "start/"  # before the names of its tensors
SOUP, WISE_FT = "soup", "wise_ft"  # entries in the log
CHOSEN_ON = "the validation rows that these scores are of"


class Run(Protocol):
    """The attributes of a trainer that are used here."""

    args: TransferArguments
    state: TrainerState
    task: Task
    codec: Codec
    model: nn.Module
    train_dataset: Dataset
    eval_dataset: Dataset
    data_collator: Collator
    encoded: Mapping[str, Dataset]
    unfreezing: Unfreezing
    accelerator: Any
    judged: Dataset
    is_in_train: bool
    extensions: list[dict]
    resumed_from: str | None
    is_fsdp_enabled: bool

    def predict(self, test_dataset: Dataset) -> Any: ...


def refuse_averages(run: Run) -> None:
    """Refuse averages of a model in parts, and a choice without rows to choose on, or by another score.

    Raises:
        UserError: naming the flag.
    """
    args = run.args
    named = " ".join(f"--{name}" for name in ("ema", "soup", "wise_ft") if vars(args)[name])
    if args.averages and run.is_fsdp_enabled:
        rule = "averages are made of whole weights"
        raise UserError(f"{named} with FSDP", rule, "Launch with recipes/accelerate/ddp.yaml, or leave it out")
    if args.chooses and not len(run.encoded["validation"]):
        raise UserError(named, "validation rows decide, and there are none", "Leave it out")
    metric, headline = args.metric_for_best_model, run.task.judge.headline.key
    if args.soup and args.load_best_model_at_end and metric not in (headline, f"eval_{headline}"):
        rule = f"a soup begins with the best weights by {headline}, and others were to be kept"
        raise UserError(f"{named} with metric_for_best_model={metric}", rule, "Leave out one of them")


class Averages(TrainerCallback):
    """Keeps a moving average of what learns (--ema), and at the end averages the best weights of the run (--soup) and
    goes back towards its start (--wise_ft).

    - Evaluations see the averages, so the best checkpoint is the one whose averages are best. A checkpoint holds both:
      the weights to go on from, and the averages to be kept.
    - The start is where the blocks took their first step. The head is part of it if it had been fitted, or had learnt
      by itself, until then; one that began at random with the blocks keeps its weights of the end. So do blocks that
      were drawn anew.

    It comes behind the callbacks that fit a head when training begins.
    """

    def __init__(self, run: Run) -> None:
        refuse_averages(run)
        self.run = run
        self.average = None if run.args.ema is None else MovingAverage(run.args.ema)
        self.start: dict[str, Tensor] = {}  # whatever may learn, on the CPU, as training found it
        self.head_start: dict[str, Tensor] = {}  # where it is part of the start
        self.tensors: dict[str, Tensor] = {}  # of the model: whatever learns at the moment
        self.ingredients = Ingredients(Path(run.args.output_dir))
        self._lowest: int | None = None  # trainable depth, when they were found

    # Called by the trainer

    def begin(self) -> None:
        """Note the weights that training starts from, before it reads a checkpoint of its own.

        A run that is resumed was built from the same ones: that is part of its identity.
        """
        run = self.run
        if run.args.chooses and (run.resumed_from is None or not self.start):
            self.start = to_cpu(self._find_learning(0))

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within it the model has its averaged weights."""
        if self.average is None or not self.average.values:
            yield
            return
        self.average.swap(self.tensors)
        try:
            yield
        finally:
            self.average.swap(self.tensors)

    def choose(self) -> None:
        """Choose on validation between the weights that training ended with and others. All processes have to ask."""
        if self.run.args.soup_size:
            self._choose_soup()
        if self.run.args.wise_ft:
            self._choose_share()
        self.start = {}

    def _choose_soup(self) -> None:
        run, headline = self.run, self.run.task.judge.headline
        steps = self.ingredients.find_whole(self._rank_steps())
        if not steps:
            announce("Soup: there is nothing to average.")
            return
        tensors = self._find_learning(min(run.unfreezing.plan.lowest))
        soup = cook(run, tensors, self.start, steps, self.ingredients.read, self._headline, headline.sign)
        self._note(SOUP, soup)

    def _choose_share(self) -> None:
        run, args, depths = self.run, self.run.args, self.run.unfreezing.depths
        start = {
            name: value for name, value in self.start.items() if depths.parameters.get(name, self._drawn) < self._drawn
        }
        chosen = interpolate(
            run, start | self.head_start, self.start, args.wise_ft_shares, self._headline, run.task.judge.headline.sign
        )
        if chosen is None:
            announce("WiSE-FT: the weights have not moved from where they began.")
            return
        self._note(WISE_FT, chosen | {"head": "interpolated" if self.head_start else "kept"})

    def _note(self, name: str, chosen: dict[str, Any]) -> None:
        """Put a choice into the log, and say it."""
        run = self.run
        run.state.log_history.append({"step": run.state.global_step, name: chosen | {"chosen_on": CHOSEN_ON}})
        announce(f"{to_words(name, chosen, run.task.judge.headline.key)}, chosen on these rows.")

    def clear(self) -> None:
        """Delete what was kept to choose from, once nothing will be chosen any more. All processes may ask."""
        if self.run.args.should_save:
            self.ingredients.clear()

    def write(self, folder: Path) -> None:
        """Write into a checkpoint what a resumed run needs, and the averages that its evaluation has judged."""
        found = {f"{START}{name}": value for name, value in self.head_start.items()}
        if self.average is not None:
            found |= {f"{AVERAGE}{name}": value for name, value in self.average.values.items()}
        if found:
            save_file({name: value.contiguous() for name, value in found.items()}, folder / FILE)

    def write_result(self, folder: Path) -> None:
        """Write into the mark that training has ended what the weights of its checkpoint have become since."""
        if self.run.args.averages:
            learnt = self._find_learning(min(self.run.unfreezing.plan.lowest))
            save_file(
                {f"{AVERAGE}{name}": value.detach().contiguous() for name, value in learnt.items()}, folder / FILE
            )

    @torch.no_grad()
    def read(self, folder: Path) -> None:
        """Give the model the averages that a checkpoint or a mark holds, if it holds any."""
        held = read_part(folder, AVERAGE)
        for name, value, _ in saved_state(self.run.model, self.run.unfreezing.depths):
            if name in held:
                value.copy_(held[name])

    # Called by the training loop

    def on_train_begin(self, args, state, control, **kwargs):
        self.tensors, self.head_start, self._lowest = {}, {}, None
        if self.average is not None:
            self.average.values = {}
        resumed = self.run.resumed_from
        if resumed is not None:
            self.head_start = read_part(Path(resumed), START)
            if self.average is not None:
                held = read_part(Path(resumed), AVERAGE)
                self.average.values = {name: value.to(args.device) for name, value in held.items()}
                self._follow()
        if args.soup_size:
            if args.should_save:
                self.ingredients.begin(resumed and Path(resumed), state.global_step)
            self.run.accelerator.wait_for_everyone()

    def on_step_begin(self, args, state, control, **kwargs):
        if self.average is not None and self.run.unfreezing.lowest != self._lowest:
            self._follow()
        plan, head = self.run.unfreezing.plan, self.run.unfreezing.depths.head
        step = state.global_step
        if self.start and step == 0:
            found = self._find_head()
            if any(not torch.equal(value.detach().cpu(), self.start[name]) for name, value in found.items()):
                self.head_start = to_cpu(found)  # it was fitted
        if self.start and step > 0 and plan.lowest_trainable(step) < head == plan.lowest_trainable(step - 1):
            self.head_start = to_cpu(self._find_head())  # it learnt by itself until now

    def on_step_end(self, args, state, control, **kwargs):
        if self.average is not None:
            self.average.update(self.tensors, state.global_step)

    def on_evaluate(self, args, state, control, **kwargs):
        run = self.run
        if not args.soup_size or not run.is_in_train or run.judged is not run.eval_dataset:
            return
        best = self._rank_steps()
        if state.global_step in best:
            # What was drawn at random is kept even while it is frozen: a resumed run may draw something else.
            kept = self._find_learning(min(run.unfreezing.lowest, self._drawn))
            averages = self.average.values if self.average is not None else {}
            self.ingredients.write(run, state.global_step, {name: averages.get(name, kept[name]) for name in kept})
        if args.should_save:
            self.ingredients.keep(best)

    def on_train_end(self, args, state, control, **kwargs):
        if self.average is None:
            return
        if not (args.load_best_model_at_end and state.best_model_checkpoint is not None):
            self.average.swap(self.tensors)
            for value in self.tensors.values():
                if not isinstance(value, nn.Parameter):  # the first process saves its own running statistics
                    value.copy_(broadcast(value.detach().clone()))
        self.average.values, self.tensors = {}, {}

    # Where to find what

    def _follow(self) -> None:
        """Average what has thawed from now on."""
        self._lowest = self.run.unfreezing.lowest
        self.tensors = self._find_learning(self._lowest)
        self.average.add(self.tensors)

    def _find_learning(self, lowest: int) -> dict[str, Tensor]:
        """Parameters and saved buffers that training changes while `lowest` is the lowest trainable depth, by name."""
        unfreezing = self.run.unfreezing
        return {
            name: value
            for name, value, depth in saved_state(self.run.model, unfreezing.depths)
            if depth >= lowest and name not in unfreezing.always_frozen
        }

    @property
    def _drawn(self) -> int:
        """The lowest depth with weights that were drawn at random."""
        args = self.run.args
        return self.run.unfreezing.depths.head - args.reinit_blocks if args.pretrained else 0

    def _find_head(self) -> dict[str, Tensor]:
        learning = self._find_learning(self.run.unfreezing.depths.head)
        return {name: value for name, value in learning.items() if isinstance(value, nn.Parameter)}

    def _rank_steps(self) -> list[int]:
        """The steps of the best evaluations so far; of a run that was extended, since then."""
        run, headline = self.run, self.run.task.judge.headline
        begun = last_step_of(run.extensions) if run.extensions else -1
        log = [entry for entry in run.state.log_history if entry.get("step", 0) > begun]
        return rank_steps(log, f"eval_{headline.key}", headline.sign, run.args.soup_size)

    def _headline(self) -> float:
        metrics = self.run.predict(self.run.encoded["validation"]).metrics
        return float(metrics[f"test_{self.run.task.judge.headline.key}"])  # as the log has it, to the last bit


def to_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies in main memory."""
    return {name: value.detach().cpu().clone() for name, value in tensors.items()}


def read_part(folder: Path, prefix: str) -> dict[str, Tensor]:
    """The tensors that `FILE` in a folder holds under names that begin so; none where it is missing."""
    if not (folder / FILE).is_file():
        return {}
    held = load_file(folder / FILE)
    return {name.removeprefix(prefix): value for name, value in held.items() if name.startswith(prefix)}


def to_words(name: str, chosen: Mapping[str, Any], headline: str) -> str:
    """A choice as text."""
    if name == SOUP:
        steps = ", ".join(map(str, chosen["steps"]))
        alone = f"Soup: the weights of step {steps} alone"
        what = f"Soup: the average of the weights of steps {steps}" if "," in steps else alone
    else:
        what = f"WiSE-FT: {chosen['share']:g} of the way from the start to the end"
    return f"{what}, validation {headline} {chosen['before']:.3f} before and {chosen['after']:.3f} after"


def describe_averages(args: TransferArguments, log: list[dict[str, Any]], headline: str) -> list[str]:
    """The averages that a run ended with, in words."""
    found = [f"weights averaged with decay {args.ema:g}"] if args.ema is not None else []
    chosen = [(name, entry[name]) for entry in log for name in (SOUP, WISE_FT) if name in entry]
    return found + [to_words(name, choice, headline) for name, choice in chosen]
