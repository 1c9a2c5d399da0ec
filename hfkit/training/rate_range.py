"""The rates of a run, swept before its first step (`--find_rate`): a range test for the upper blocks, and one for all.

Smith 2017 (cyclical learning rates, section 3.3): the rate rises from step to step, and the loss shows where it is too
low to matter and where it breaks training. Both sweeps start from the same weights and take the same training batches,
each step another one, with the optimizer, groups, decay and clipping of the run. In the first the head and the upper
half of the blocks learn, in the second everything that will. What is found is a factor of the strategy's own rates.

Nothing is left of it: weights, statistics, the optimizer's state, generators, modes and gradients are as before, so a
run whose factors are 1 ends with the same bits as one without a sweep. Whatever is drawn in it is a function of the
seed. The factors are in the log, and so in every checkpoint: a resumed run does not sweep again.
"""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import torch
from accelerate import PartialState
from accelerate.utils import gather_object, send_to_device
from datasets import Dataset
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from transformers import TrainerCallback, TrainerState, set_seed

from hfkit.arguments.training import TransferArguments
from hfkit.contract.abilities import varies
from hfkit.contract.codec import Codec
from hfkit.data.batches import EqualClasses, rows_to_fetch
from hfkit.errors import UserError
from hfkit.model.unfreezing import Unfreezing
from hfkit.progress import track
from hfkit.training.precision import leave_no_trace

ENTRY = "find_rate"  # in the log
STEPS = 36  # of a sweep
WIDEST = 30.0  # times the strategy's rates, and one such part of them, are the ends of a sweep
MOST = 10.0  # times the strategy's rates, and one such part of them, are the furthest that are taken
SMOOTHING = 0.7  # share of itself that the mean of the losses keeps from step to step
BACK = math.sqrt(10)  # the rate that is taken lies so many times below the one at which the loss was lowest
DIVERGED = 0.5  # nats, at least, that the loss has risen above its lowest where a sweep ends early
NOISE = 5.0  # standard errors that the loss must fall by


Step = list[list[int]]  # the rows of its micro-batches


class Run(Protocol):
    """The attributes of a trainer that are used here."""

    args: TransferArguments
    model: nn.Module
    codec: Codec
    train_dataset: Dataset
    training_collator: Any
    balanced: EqualClasses | None
    unfreezing: Unfreezing
    optimizer: Any
    lr_scheduler: LRScheduler
    is_fsdp_enabled: bool
    begins_extension: bool

    def compute_loss_context_manager(self) -> AbstractContextManager: ...


@dataclass(frozen=True)
class Sweep:
    """One range test: what learnt, how the loss went, and the factor that follows."""

    lowest_depth: int
    factors: list[float]  # of the strategy's rates, one a step, as far as it came
    losses: list[float]  # in training, less how hard the batch was before, plus the mean of that
    smoothed: list[float]
    factor: float
    ended: str  # early and why; empty where all steps were taken


def refuse_rate_range(run: Run) -> None:
    """Refuse to sweep a model in parts, and where a gradient scaler skips steps.

    Raises:
        UserError: naming the flag.
    """
    run.args.check_rates(fp16=run.args.fp16)
    if run.args.find_rate and run.is_fsdp_enabled:
        rule = "a sweep takes back what it did to whole weights"
        raise UserError("find_rate with FSDP", rule, "Launch with recipes/accelerate/ddp.yaml, or leave it out")


class RateRange(TrainerCallback):
    """Sweeps the rates when training begins, behind whatever fits a head, and multiplies them by what it found."""

    def __init__(self, run: Run) -> None:
        refuse_rate_range(run)
        self.run = run

    def on_train_begin(self, args, state: TrainerState, control, **kwargs):
        run, found = self.run, factors_of(state.log_history)
        if not args.find_rate or control.should_training_stop:
            return
        if not found:
            refuse_rate_range(run)  # the precision may be known only now
            sweeps = sweep_rates(run, state.global_step)
            # Processes compute the same, but only on equal machines to the last bit.
            found = gather_object([factors_by_depth(sweeps, run.unfreezing.depths.head)])[0]
            line = to_line(sweeps, found)
            entry = {"factors": found, "sweeps": [asdict(sweep) for sweep in sweeps], "line": line}
            state.log_history.append({"step": state.global_step, ENTRY: entry})
            if PartialState().is_main_process:
                print(line)
        elif not run.begins_extension:
            return  # the checkpoint's optimizer and schedule have these rates
        set_rates(inner_optimizer(run), run.lr_scheduler, found)


def factors_of(log: Sequence[Mapping[str, Any]]) -> list[float]:
    """By how much the rates of each depth were multiplied, as a log has it; nothing where none were swept."""
    return next((entry[ENTRY]["factors"] for entry in log if ENTRY in entry), [])


def scale_groups(groups: list[dict], log: Sequence[Mapping[str, Any]]) -> list[dict]:
    """The optimizer's groups with the rates that a sweep found, if the log has one."""
    found = factors_of(log)
    return [{**group, "lr": group["lr"] * found[group["depth"]]} for group in groups] if found else groups


def set_rates(optimizer: Optimizer, schedule: LRScheduler, factors: Sequence[float]) -> None:
    """Multiply the rates of every group, and those that its schedule goes by, by the factor of its depth."""
    for group in optimizer.param_groups:
        for name in ("lr", "initial_lr"):
            if name in group:
                group[name] *= factors[group["depth"]]
    if isinstance(schedule, LRScheduler) and hasattr(schedule, "base_lrs"):
        schedule.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        schedule._last_lr = [group["lr"] for group in optimizer.param_groups]


def factors_by_depth(sweeps: Sequence[Sweep], head: int) -> list[float]:
    """One factor for each depth from 0 to `head`: that of the first sweep in which it learnt, no larger than one above.

    Args:
        sweeps: the one with fewer depths first.
    """
    found, before = [1.0] * (head + 1), MOST
    for sweep, end in zip(sweeps, [head + 1, *(sweep.lowest_depth for sweep in sweeps)], strict=False):
        before = min(before, sweep.factor)
        found[sweep.lowest_depth : end] = [before] * (end - sweep.lowest_depth)
    return found


def to_line(sweeps: Sequence[Sweep], factors: Sequence[float]) -> str:
    """The factors that were found, as one line."""
    parts = []
    for sweep, end in zip(sweeps, [len(factors), *(sweep.lowest_depth for sweep in sweeps)], strict=False):
        first, last = sweep.lowest_depth, end - 1
        depths = f"depths {first} to {last}" if first < last else f"depth {first}"
        parts.append(f"{factors[first]:.2g} at {depths}")
    return f"Rates: those of the strategy times {', '.join(parts)}, by sweeps of up to {STEPS} steps."


# The sweeps


def sweep_rates(run: Run, step: int) -> list[Sweep]:
    """Range tests from the weights as they are, which are put back; all processes together, with the same batches.

    Args:
        step: of the plan, to which what learns is set back.
    """
    plan = run.unfreezing.plan
    with leave_no_trace(run), hold_epoch(run):
        set_seed(run.args.seed)
        lowests = [upper_half(run.unfreezing.depths.head, min(plan.lowest)), min(plan.lowest)]
        steps = rows_of_steps(run)
        before = measure_losses(run, steps)
        found = []
        for lowest in sorted(set(lowests), reverse=True):
            with put_back(run, lowest):
                set_seed(run.args.seed)
                found.append(sweep(run, lowest, steps, before))
    run.unfreezing.apply(run.model, plan.lowest_trainable(step))
    return found


def upper_half(head: int, lowest: int) -> int:
    """The lowest depth of the upper half of those from `lowest` to below the head."""
    return head - math.ceil((head - lowest) / 2)


def sweep(run: Run, lowest: int, steps: Sequence[Step], before: np.ndarray) -> Sweep:
    """Train with rising rates until the steps are over, or the loss has risen out of reach.

    Args:
        before: the loss of each step's rows before.
    """
    optimizer, unfreezing, most = inner_optimizer(run), run.unfreezing, run.args.max_grad_norm
    peaks = [group.get("initial_lr", group["lr"]) for group in optimizer.param_groups]
    factors = WIDEST ** np.linspace(-1, 1, len(steps))
    losses, ended = [], ""
    for i, factor in enumerate(track(factors, f"Rates: from depth {lowest}")):
        loss = compute_gradients(run, steps[i])
        if not math.isfinite(loss):
            ended = "the loss was not finite"
            break
        losses.append(loss - before[i] + before.mean())
        smoothed = smooth(losses)
        if smoothed[-1] - smoothed.min() > max(DIVERGED, before.mean()):
            ended = "the loss had risen"
            break
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group["lr"] = factor * peak
        if most:
            nn.utils.clip_grad_norm_([p for _, p in unfreezing.trainable], most)
        optimizer.step()
    seen = factors[: len(losses)]
    factor = choose_factor(seen, np.array(losses), diverged=bool(ended)) if losses else 1 / MOST
    return Sweep(lowest, *(np.round(v, 6).tolist() for v in (seen, losses, smooth(losses))), factor, ended)


def compute_gradients(run: Run, step: Step) -> float:
    """Compute the gradients of a step; its loss."""
    for _, parameter in run.unfreezing.trainable:
        parameter.grad = None
    total = 0.0
    with torch.enable_grad():
        for rows in step:
            loss = compute_loss(run, rows) / len(step)
            loss.backward()
            total += loss.item()
    return total


@torch.no_grad()
def measure_losses(run: Run, steps: Sequence[Step]) -> np.ndarray:
    """The loss of each step's rows without training and dropout: how hard they are, (steps,)."""
    run.model.eval()
    return np.array([np.mean([compute_loss(run, rows).item() for rows in step]) for step in steps])


def compute_loss(run: Run, rows: Sequence[int]) -> Tensor:
    """The loss of a micro-batch, by the mean of its own targets."""
    batch = run.training_collator(rows_to_fetch(run.train_dataset).__getitems__(list(rows)))
    with run.compute_loss_context_manager():
        return run.codec.loss(run.model, send_to_device(batch, run.args.device))[0]


def rows_of_steps(run: Run) -> list[Step]:
    """The rows of the micro-batches of every step: each once before one comes again, in equal classes if so asked."""
    args, count = run.args, len(run.train_dataset)
    micro, parts = args.train_batch_size, args.gradient_accumulation_steps * args.world_size
    draw, order = np.random.default_rng(args.seed), copy.copy(run.balanced)
    rows: list[int] = []
    while len(rows) < STEPS * parts * micro:
        if order is None:
            rows += draw.permutation(count).tolist()
        else:
            rows += list(order)
            order.epoch += 1
    batches = [rows[start : start + micro] for start in range(0, STEPS * parts * micro, micro)]
    return [batches[start : start + parts] for start in range(0, len(batches), parts)]


# What is chosen


def smooth(losses: Sequence[float]) -> np.ndarray:
    """The exponential mean of losses up to each step, without the weight of a start at zero."""
    mean, found = 0.0, []
    for i, loss in enumerate(losses, start=1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        found.append(mean / (1 - SMOOTHING**i))
    return np.array(found)


def choose_factor(factors: np.ndarray, losses: np.ndarray, *, diverged: bool) -> float:
    """The factor that a sweep speaks for, from 0.1 to 10.

    The loss is lowest at the last rate that still helped more than it harmed. Half an order of magnitude below it
    training is safe from the steps that break it, also when many follow each other. The point of steepest descent, the
    usual alternative, lies where a handful of steps is enough to learn. That says how long the sweep was, for an
    adaptive optimizer moves each weight by about the rate in a step whatever the gradient: a run of hundreds of steps
    gets as far with lower rates.

    Where the loss did not fall beyond noise, it says nothing but which rates are too high.

    Args:
        diverged: the loss rose out of reach in the end, or was no number.
    """
    curve, quiet = smooth(losses), max(2, len(losses) // 3)  # steps at rates too low to matter
    if len(curve) > quiet:
        spread = math.sqrt((1 - SMOOTHING) / (1 + SMOOTHING)) * losses[:quiet].std(ddof=1)
        if curve[:quiet].mean() - curve.min() > NOISE * spread:
            return float(np.clip(factors[curve.argmin()] / BACK, 1 / MOST, MOST))
    return float(np.clip(factors[len(losses) - 1] / BACK**2, 1 / MOST, 1.0)) if diverged else 1.0


# What is put back


def inner_optimizer(run: Run) -> Optimizer:
    """The optimizer itself: accelerate's wrapper steps when it finds that an accumulation has ended."""
    return run.optimizer.optimizer


@contextmanager
def hold_epoch(run: Run) -> Iterator[None]:
    """Within it the training collator draws as in the first epoch."""
    if not varies(run.codec):
        yield
        return
    epoch, run.training_collator.epoch = run.training_collator.epoch, 0
    try:
        yield
    finally:
        run.training_collator.epoch = epoch


@contextmanager
def put_back(run: Run, lowest: int) -> Iterator[None]:
    """Within it depths from `lowest` up learn in training mode; weights and optimizer are then as before.

    Statistics are put back too: the next sweep starts from the same.
    """
    run.unfreezing.apply(run.model, lowest)
    optimizer = inner_optimizer(run)
    weights = [(parameter, parameter.detach().clone()) for _, parameter in run.unfreezing.trainable]
    weights += [(buffer, buffer.clone()) for buffer in run.model.buffers()]
    settings = [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]
    state = {parameter: copy_state(of_one) for parameter, of_one in optimizer.state.items()}
    run.model.train()
    run.unfreezing.hold_frozen_in_eval()
    try:
        yield
    finally:
        with torch.no_grad():
            for value, before in weights:
                value.copy_(before)
        for group, before in zip(optimizer.param_groups, settings, strict=True):
            parameters = group["params"]
            group.clear()
            group.update(params=parameters, **before)
        optimizer.state.clear()
        optimizer.state.update(state)


def copy_state(of_one: Mapping[str, Any]) -> dict[str, Any]:
    """The state that an optimizer holds of one parameter, in memory of its own."""
    return {name: value.clone() if isinstance(value, Tensor) else copy.copy(value) for name, value in of_one.items()}
