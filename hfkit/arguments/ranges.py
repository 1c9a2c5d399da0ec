"""The ranges of numeric flags: one table, which both the checks and `--help` read."""

import math
from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hfkit.errors import UserError

LARGEST = 2**31 - 1  # of a count: torch, numpy and the data loader hold them in 32 bits
LARGEST_SEED = 2**32 - 1  # numpy's


@dataclass(frozen=True)
class Range:
    """The finite numbers from `low` to `high`, and further values with a meaning of their own."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False  # without `low` itself
    below: bool = False  # without `high` itself
    also: tuple[float, ...] = ()

    def __contains__(self, value: Any) -> bool:
        if value in self.also:
            return True
        try:
            finite = math.isfinite(value)
        except OverflowError:  # a whole number that no float can hold
            finite = False
        low = value > self.low if self.above else value >= self.low
        high = value < self.high if self.below else value <= self.high
        return finite and low and high

    def __str__(self) -> str:
        ends = []
        if self.low > -math.inf:
            ends.append(f"above {show(self.low)}" if self.above else f"{show(self.low)} or more")
        if self.high < math.inf:
            ends.append(f"below {show(self.high)}" if self.below else f"at most {show(self.high)}")
        other = [f", or {show(one)}" for one in self.also]
        return (" and ".join(ends) or "finite") + "".join(other)


def show(number: float) -> str:
    return f"{number:,.0f}" if number == int(number) else f"{number:g}"


COUNT, POSITIVE_COUNT = Range(0, LARGEST), Range(1, LARGEST)
RATE, AMOUNT = Range(0.0, above=True), Range(0.0)
PART = Range(0.0, 1.0, below=True)
# Below 1 these are shares of the training, from 1 on they count steps.
STEPS = Range(0.0, float(LARGEST), above=True)

RANGES: Mapping[str, Range] = {
    # of every recipe
    "setfit_shots": POSITIVE_COUNT,
    "shots": COUNT,
    "prompt_orders": POSITIVE_COUNT,
    # of every task
    "test_share": PART,
    "validation_share": PART,
    "max_train_rows": POSITIVE_COUNT,
    # of training
    "learning_rate": RATE,
    "head_learning_rate": RATE,
    "layer_decay": RATE,
    "head_only": PART,
    "unfreeze_until": PART,
    "thaw_warmup": PART,
    "unfreeze_stages": COUNT,
    "lora_rank": COUNT,
    "reinit_blocks": COUNT,
    "patience": COUNT,
    "num_processes": POSITIVE_COUNT,
    "cache_budget": AMOUNT,
    "cache_views": COUNT,
    # of training, inherited
    "per_device_train_batch_size": POSITIVE_COUNT,
    "per_device_eval_batch_size": POSITIVE_COUNT,
    "gradient_accumulation_steps": POSITIVE_COUNT,
    "eval_accumulation_steps": POSITIVE_COUNT,
    "torch_empty_cache_steps": POSITIVE_COUNT,
    "num_train_epochs": Range(0.0, float(LARGEST)),
    "max_steps": Range(1, LARGEST, also=(-1,)),
    "warmup_steps": Range(0.0, float(LARGEST)),
    "weight_decay": AMOUNT,
    "adam_beta1": PART,
    "adam_beta2": PART,
    "adam_epsilon": RATE,
    "max_grad_norm": AMOUNT,
    "label_smoothing_factor": PART,
    "neftune_noise_alpha": AMOUNT,
    "logging_steps": STEPS,
    "eval_steps": STEPS,
    "save_steps": STEPS,
    "eval_delay": Range(0.0, float(LARGEST)),
    "save_total_limit": POSITIVE_COUNT,
    "seed": Range(0, LARGEST_SEED),
    "data_seed": Range(0, LARGEST_SEED),
    "dataloader_num_workers": Range(0, 4096),
    "dataloader_prefetch_factor": POSITIVE_COUNT,
    "ddp_timeout": POSITIVE_COUNT,
    "ddp_bucket_cap_mb": POSITIVE_COUNT,
    "local_rank": Range(0, LARGEST, also=(-1,)),
}


def ranges_of(kind: type) -> dict[str, Range]:
    """The ranges of a dataclass's flags: those of the table, and those that it or a base names as its `ranges`."""
    found = dict(RANGES)
    for base in reversed(kind.__mro__):
        found |= vars(base).get("ranges", {})
    return found


def refuse_outside(flags: Any) -> None:
    """Refuse a number that is out of its flag's range, and one of a flag without range that is not finite.

    Args:
        flags: an instance of a dataclass; what is no number, or a list of numbers, is passed over.

    Raises:
        UserError: naming the first.
    """
    ranges = ranges_of(type(flags))
    for name, value in vars(flags).items():
        for one in value if isinstance(value, list | tuple) else (value,):
            allowed = ranges.get(name, Range())
            if isinstance(one, int | float) and not isinstance(one, bool) and one not in allowed:
                raise UserError(f"{name}={shorten(one)}", f"it must be {allowed}", "Set such a number, or leave it out")


def shorten(number: float) -> str:
    """A number as text; one of hundreds of digits by its ends."""
    if isinstance(number, int) and abs(number) >= 10**30:  # beyond 4,300 digits Python refuses to write it at all
        return f"a number of about {int(number.bit_length() * math.log10(2)) + 1} digits"
    return str(number)


def add_ranges_to_help(parser: ArgumentParser, types: tuple[type, ...]) -> None:
    """Write the ranges behind the help of their flags."""
    ranges = {name: one for kind in types for name, one in ranges_of(kind).items()}
    for action in parser._actions:
        if action.dest in ranges:
            action.help = f"{(action.help or '').rstrip('. ')} [{ranges[action.dest]}]".strip()
