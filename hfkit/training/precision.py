"""The precision of a run, measured on this machine before its first step (`--precision auto`).

A batch is judged and trained on in float32 and in the half precision of the device. The half one is taken if it is
faster both ways by more than noise and its logits are those of float32 within `AGREE`. Nothing is left of the trial:
no weight, statistic, gradient or random draw differs, so a run ends with the same bits as one with that precision by
name. The choice is part of the run's identity, and a resumed run keeps it without another trial.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from accelerate import PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import convert_outputs_to_fp32, gather_object, send_to_device
from datasets import Dataset
from torch import Tensor, nn
from transformers import TrainerCallback, TrainerState

from hfkit.arguments.precision import HALVES
from hfkit.arguments.training import TransferArguments
from hfkit.contract.codec import Batch, Codec, Collator
from hfkit.data.batches import rows_to_fetch
from hfkit.errors import first_line
from hfkit.model.forwards import wrap_forwards
from hfkit.model.unfreezing import Unfreezing
from hfkit.runtime.machine import has_bfloat16, measure
from hfkit.training.budget import count_epoch_steps
from hfkit.training.checkpoints import RUN_FILE, differences, read_identity
from hfkit.training.claiming import identify
from hfkit.training.extension import place_of
from hfkit.training.generators import read_generators, set_generators
from hfkit.training.plan import plan_stages

ENTRY = "precision"  # in the log
NAMES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
DTYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
SETTINGS = frozenset(f"settings.{name}" for name in (*HALVES, "cache_dtype"))  # that are settled here

AGREE = 0.05  # of the spread of the logits, which may be the mean distance of those in half precision
WORTH = 1.15  # times as fast: less is not told from noise, and float32 is exact
CLEAR = 1.3  # times as fast in the first trial, which costs more for being the first, needs no second one
# A trial takes about as long as three steps. The operations are those of about ten seconds on one core.
FEWEST_BATCHES, FEWEST_OPERATIONS = 20, 1e12


class Run(Protocol):
    """The attributes of a trainer that are used here."""

    args: TransferArguments
    model: nn.Module
    codec: Codec
    data_collator: Collator
    train_dataset: Dataset
    unfreezing: Unfreezing
    is_fsdp_enabled: bool

    def create_accelerator_and_postprocess(self) -> None: ...
    def floating_point_ops(self, inputs: dict[str, Any]) -> int: ...


@dataclass(frozen=True)
class Choice:
    """The precision that is taken, and what speaks for it."""

    taken: str
    words: str
    step: float | None = None  # times as fast as float32 is a step in half precision, and a batch judged
    judging: float | None = None
    apart: float | None = None  # mean distance of the logits, as a share of their spread

    def to_line(self) -> str:
        return f"Precision: {NAMES[self.taken]}: {self.words}."


class Precision(TrainerCallback):
    """Settles the precision of a run before anything of it is computed, and writes a trial into the log."""

    def __init__(self, trainer: Run) -> None:
        self.trainer = trainer
        self.choice: Choice | None = None  # of a trial
        self.cost: dict[str, float] = {}  # of the trial
        self.settled = trainer.args.mixed_precision != "no" or trainer.args.precision != "auto"

    def settle(self, asked: str | bool | None) -> None:
        """Take the precision that was recorded for this run, or the one that a trial is for; all processes together.

        Args:
            asked: the checkpoint that the run goes on from; True and 'auto' mean the newest one in `output_dir`.
        """
        args = self.trainer.args
        found = find_recorded(self.trainer, asked) if "auto" in (args.precision, args.cache_dtype) else None
        if not self.settled:
            self._settle(found and next((name for name in HALVES if found.get(name)), "fp32"))
        if args.cache_dtype == "auto":
            args.cache_dtype = (found or {}).get("cache_dtype") or ("bfloat16" if args.bf16 else "float16")

    def _settle(self, taken: str | None) -> None:
        self.settled, run = True, self.trainer
        if taken is None and reason_against(run) is None:
            with measure() as self.cost:
                # Only the first process measures: the others would disturb it, and might come to another answer.
                found = try_precisions(run) if PartialState().is_main_process else None
                self.choice = gather_object([found])[0]
        if self.choice is not None:
            taken = self.choice.taken
            if PartialState().is_main_process:
                print(self.choice.to_line())
        if taken in HALVES:
            compute_in(run, taken)

    def on_train_begin(self, args, state: TrainerState, control, **kwargs):
        if self.choice is not None and not any(ENTRY in entry for entry in state.log_history):
            entry = {"step": state.global_step, ENTRY: {**asdict(self.choice), "line": self.choice.to_line()}}
            state.log_history.append(entry)

    def add_cost(self, cost: dict[str, float]) -> None:
        """Count the trial in with the cost of the training that it was for."""
        for name in ("wall_seconds", "cpu_seconds"):
            cost[name] += self.cost.pop(name, 0.0)


def find_recorded(run: Run, asked: str | bool | None) -> dict[str, Any] | None:
    """The settings of the checkpoint that a run goes on from, or of the same run in its output directory.

    So a run that is started again ends as it did, also where a trial is a close call.
    """
    folder = Path(run.args.output_dir if asked in (None, False, True, "auto") else asked)
    if not (folder / RUN_FILE).is_file():
        return None
    saved = read_identity(folder)
    if not asked and not {place_of(found) for found in differences(saved, identify(run))} <= SETTINGS:
        return None  # another run, that will be refused or overwritten
    return saved["settings"]


def reason_against(run: Run) -> str | None:
    """Why no trial is made, in words; None where one is."""
    args = run.args
    if half_of(args.device) is None:
        return f"no half precision is known to pay on this {args.device.type}"
    if run.is_fsdp_enabled:
        return "a model in parts runs in all processes together"
    epoch_steps, steps = lengths(run)
    if steps * args.gradient_accumulation_steps < FEWEST_BATCHES:
        return "too few steps for a trial to pay"
    frozen = lowest_of(run) >= run.unfreezing.depths.head
    passes = epoch_steps if frozen and args.prefix_cache else steps
    share = 1 / 3 if frozen else 1.0  # of a step: its forward pass
    operations = passes * share * args.gradient_accumulation_steps * run.floating_point_ops(batch_of(run))
    return "training is too short for a trial to pay" if operations < FEWEST_OPERATIONS else None


def half_of(device: torch.device) -> str | None:
    """The half precision that a kind of device computes in, if any."""
    if device.type == "cpu":
        return "bf16" if has_bfloat16() else None
    if device.type == "xpu":
        return "bf16"
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return None


def lengths(run: Run) -> tuple[int, int]:
    """Optimizer steps of an epoch, and of the whole training, as the arguments have them."""
    args = run.args
    epoch = count_epoch_steps(args, len(run.train_dataset))
    return epoch, args.max_steps if args.max_steps > 0 else math.ceil(args.num_train_epochs * epoch)


def lowest_of(run: Run) -> int:
    """The lowest depth that learns in the end."""
    epoch, steps = lengths(run)
    return plan_stages(run.model, run.unfreezing, run.args, steps, epoch).lowest[-1]


def batch_of(run: Run) -> Batch:
    """As many training rows as a step takes, evenly spaced."""
    rows = np.linspace(0, len(run.train_dataset) - 1, run.args.train_batch_size).astype(int)
    batch = run.data_collator(rows_to_fetch(run.train_dataset).__getitems__(rows.tolist()))
    return send_to_device(batch, run.args.device)


def try_precisions(run: Run) -> Choice:
    """Compute a batch in float32 and in half precision, judged and trained on, and choose."""
    half, lowest = half_of(run.args.device), lowest_of(run)
    with leave_no_trace(run):
        batch = batch_of(run)
        try:
            return compare(run, half, batch, lowest)
        except RuntimeError as error:  # an operation that has no kernel in this precision
            return Choice("fp32", f"the model does not run in {NAMES[half]} ({first_line(error)})")


def compare(run: Run, half: str, batch: Batch, lowest: int) -> Choice:
    """The choice that a batch speaks for; cheap questions first."""
    name = NAMES[half]
    seconds, logits = {}, {}
    for precision in ("fp32", half):
        seconds[precision], logits[precision] = judge(run, precision, batch)
    if not torch.isfinite(logits["fp32"]).all():
        return Choice("fp32", "its logits are not finite, and no trial would tell anything")
    if not torch.isfinite(logits[half]).all():
        return Choice("fp32", f"{name} gives logits that are not finite")
    apart = distance(logits["fp32"], logits[half])
    if apart > AGREE:
        return Choice("fp32", f"logits in {name} are {apart:.2g} of their spread away", apart=apart)
    judging = seconds["fp32"] / seconds[half]
    if judging > 1 / CLEAR:  # otherwise not even the first pass through new kernels explains it
        judging = min_of(run, seconds, half, lambda precision: judge(run, precision, batch)[0])
    if judging < WORTH:
        return Choice("fp32", f"{name} judges a batch {judging:.1f}x as fast here", judging=judging, apart=apart)
    step = judging
    if lowest < run.unfreezing.depths.head:  # a frozen prefix has no backward pass
        # Half precision first: what the first backward pass costs beside is not counted in its favour.
        times = {precision: train(run, precision, batch, lowest) for precision in (half, "fp32")}
        if not math.isfinite(sum(times.values())):
            return Choice("fp32", f"{name} gives gradients that are not finite", judging=judging, apart=apart)
        step = times["fp32"] / times[half]
        if step < CLEAR:
            step = min_of(run, times, half, lambda precision: train(run, precision, batch, lowest))
    words = f"{name} is {step:.1f}x a step here" if step < WORTH else f"{step:.1f}x a step here"
    words += f", {judging:.1f}x in judging; logits within {apart:.2g} of their spread"
    return Choice(half if step >= WORTH else "fp32", words, step, judging, apart)


def min_of(run: Run, seconds: dict[str, float], half: str, again: Callable[[str], float]) -> float:
    """How many times as fast half precision is, by the better of two trials each; `seconds` are those of the first."""
    best = {precision: min(before, again(precision)) for precision, before in seconds.items()}
    return best["fp32"] / best[half]


def distance(logits: Tensor, other: Tensor) -> float:
    """The mean distance of two computations of the same logits, (positions, ...), as a share of their spread.

    Both by squares. The spread is that of each logit over the positions: what does not vary decides nothing.
    """
    spread = (logits - logits.mean(0)).square().mean().sqrt()
    return ((logits - other).square().mean().sqrt() / spread.clamp_min(1e-12)).item()


def judge(run: Run, precision: str, batch: Batch) -> tuple[float, Tensor]:
    """Seconds of judging a batch, and its logits in float32."""
    run.model.eval()
    with torch.no_grad(), autocast(run.model, precision):
        began = clock(run.args.device)
        _, output = run.codec.loss(run.model, batch)
        seconds = clock(run.args.device) - began
    return seconds, run.codec.logits(output, batch).float()


def train(run: Run, precision: str, batch: Batch, lowest: int) -> float:
    """Seconds of a forward and backward pass with everything from `lowest` up learning; nan if it is not finite."""
    run.unfreezing.apply(run.model, lowest)
    run.model.train()
    run.unfreezing.hold_frozen_in_eval()
    with torch.enable_grad(), autocast(run.model, precision):
        began = clock(run.args.device)
        loss, _ = run.codec.loss(run.model, batch)
        loss.backward()
        seconds = clock(run.args.device) - began
    gradients = [p.grad for _, p in run.unfreezing.trainable if p.grad is not None]
    finite = bool(torch.isfinite(torch.stack([gradient.sum() for gradient in gradients])).all())
    for _, parameter in run.unfreezing.trainable:
        parameter.grad = None
    return seconds if finite else math.nan


def clock(device: torch.device) -> float:
    """Seconds: of this process where it computes, and of the wall where an accelerator does."""
    if device.type == "cpu":
        return time.process_time()
    torch.accelerator.synchronize()
    return time.perf_counter()


@contextmanager
def autocast(model: nn.Module, precision: str) -> Iterator[None]:
    """Within it the model computes in a precision, as accelerate has it do so: inside `forward`, outputs in float32."""
    if DTYPES[precision] is None:
        yield
        return
    cast = torch.autocast(next(model.parameters()).device.type, DTYPES[precision])
    with wrap_forwards([(model, lambda forward: convert_outputs_to_fp32(cast(forward)))]):
        yield


@contextmanager
def leave_no_trace(run: Run) -> Iterator[None]:
    """Whatever is computed within, generators, statistics, modes and what requires gradients are as before."""
    model, generators = run.model, read_generators()
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    marks = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
        for parameter, mark in marks:
            parameter.requires_grad_(mark)
            parameter.grad = None
        for module, mode in modes:
            module.training = mode
        run.unfreezing.lowest = None  # it will apply its plan anew
        set_generators(generators)


def compute_in(run: Run, precision: str) -> None:
    """Have everything from now on computed in a half precision."""
    run.args.bf16, run.args.fp16 = (precision == name for name in HALVES)
    run.args.mixed_precision = precision
    # The stock trainer has put it in by itself, and would take it for the user's.
    (run.args.accelerator_config.gradient_accumulation_kwargs or {}).pop("num_steps", None)
    # accelerate's state holds the precision, and an accelerator is made for one: both are made anew.
    AcceleratorState._reset_state()
    run.create_accelerator_and_postprocess()
