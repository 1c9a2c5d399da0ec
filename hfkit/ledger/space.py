"""The space of a search over the settings of a strategy: flags of training, each with the span of its values."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from hfkit.arguments.training import TransferArguments
from hfkit.errors import UserError, one_line
from hfkit.runtime.files import require_file

RATES, HEAD_RATE = "rates", "head_rate"  # factors: on both learning rates of a strategy, and on that of the head alone
LOWEST, HIGHEST = 0.1, 10.0  # factor on the rates, unless --tune names others
FORM = "of each flag {low, high, log} or a list of values; rates and head_rate are factors"

Value = float | int | str | bool


@dataclass(frozen=True)
class Span:
    """The numbers from `low` to `high`, drawn evenly, or with `log` evenly in their logarithm."""

    low: float
    high: float
    log: bool = False

    def draw(self, generator: np.random.Generator) -> float:
        if self.log:
            return float(np.exp(generator.uniform(np.log(self.low), np.log(self.high))))
        return float(generator.uniform(self.low, self.high))


@dataclass(frozen=True)
class Choice:
    """A few values, each as likely."""

    values: tuple[Value, ...]

    def draw(self, generator: np.random.Generator) -> Value:
        return self.values[generator.integers(len(self.values))]


Space = Mapping[str, Span | Choice]
Changes = tuple[tuple[str, Value], ...]  # settings of one trial, by name


def default_space(args: TransferArguments, factors: list[float]) -> dict[str, Span | Choice]:
    """The space of a strategy: its rates, and where the backbone learns too, how they differ by depth; weight decay.

    Args:
        args: the strategy's own settings.
        factors: those of --tune; of several, the lowest and the highest bound the rates.
    """
    low, high = (min(factors), max(factors)) if len(factors) > 1 else (LOWEST, HIGHEST)
    space: dict[str, Span | Choice] = {RATES: Span(low, high, log=True)}
    if args.unfreeze_stages and not args.adapted:
        space |= {HEAD_RATE: Span(0.3, 10.0, log=True), "layer_decay": Span(0.6, 1.0)}
    return space | {"weight_decay": Span(0.001, 0.3, log=True)}


def read_space(path: str) -> dict[str, Span | Choice]:
    """The space in a file of JSON or YAML.

    Raises:
        UserError: there is none, or it is not of that form.
    """
    require_file(Path(path), f"tune_space '{path}'", "Give a file of JSON or YAML")
    try:
        text = Path(path).read_text(encoding="utf-8")
        stored = json.loads(text) if path.endswith(".json") else yaml.safe_load(text)
        found = {name: span_of(given) for name, given in stored.items()}
    except (ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as error:
        raise UserError(f"tune_space '{path}'", f"it cannot be read ({one_line(error)})", f"Write {FORM}") from error
    if not found:
        raise UserError(f"tune_space '{path}'", "it names no setting", f"Write {FORM}")
    return found


def span_of(given: Any) -> Span | Choice:
    """One entry of such a file.

    Raises:
        ValueError, TypeError, KeyError: it is none.
    """
    if isinstance(given, list):
        if not given or len({repr(value) for value in given}) < len(given):
            raise ValueError(f"{given} is not a list of different values")
        return Choice(tuple(given))
    if unknown := set(given) - {"low", "high", "log"}:
        raise ValueError(f"{sorted(unknown)[0]} is none of low, high and log")
    span = Span(float(given["low"]), float(given["high"]), bool(given.get("log", False)))
    if not span.low < span.high or (span.log and span.low <= 0):
        raise ValueError(f"low {span.low:g} is not below high {span.high:g}, or not above 0 with log")
    return span


def flags_of(changes: Changes) -> list[str]:
    """The flags that a trial adds to those of its strategy."""
    return [text for name, value in changes if name not in (RATES, HEAD_RATE) for text in (f"--{name}", str(value))]


def apply_factors(args: TransferArguments, changes: Changes) -> TransferArguments:
    """Multiply the learning rates of `args` by the factors of a trial, in place; returns it."""
    factors = dict(changes)
    rates, head = factors.get(RATES, 1.0), factors.get(HEAD_RATE, 1.0)
    if head != 1.0 and args.head_learning_rate is None:
        args.head_learning_rate = args.learning_rate
    args.learning_rate *= rates
    if args.head_learning_rate is not None:
        args.head_learning_rate *= rates * head
    return args


def changes_text(changes: Changes) -> str:
    """A trial in words: "rates x 2.1, weight_decay 0.03"."""
    words = []
    for name, value in changes:
        shown = f"{value:g}" if isinstance(value, float) else str(value)
        words.append(f"{name} x {shown}" if name in (RATES, HEAD_RATE) else f"{name} {shown}")
    return ", ".join(words)


def round_value(value: Value) -> Value:
    """A number in four digits: more would be noise in every file name."""
    return float(f"{value:.4g}") if isinstance(value, float) else value
