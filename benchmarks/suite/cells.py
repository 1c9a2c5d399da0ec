"""The runs of the suite, in the order in which they are made, and what is chosen from them."""

import json
from pathlib import Path

from benchmarks.suite.sets import RECIPES, Set
from hfkit.training.budget import count_passes

SEEDS = (0, 1, 2, 3, 4)
FOLDER = Path("runs", "suite")

Cell = tuple[Path, list[str]]  # the result, and the command that writes it


def data_of(name: str) -> Path:
    return FOLDER / "data" / name


def stock_path(name: str, rate: str, seed: int, precision: str = "bf16") -> Path:
    return FOLDER / "cells" / name / f"stock-{rate}-{precision}-{seed}.json"


def own_path(name: str, seed: int, label: str = "default") -> Path:
    return FOLDER / "cells" / name / f"{label}-{seed}.json"


def count_steps(rows: int, batch: int) -> int:
    """Optimizer steps that hfkit takes by default, and the stock trainer is given."""
    epoch_steps = -(-rows // batch)
    return count_passes(epoch_steps) * epoch_steps


def stock_cell(name: str, one: Set, rows: int, weights: Path, rate: str, seed: int, precision: str = "bf16") -> Cell:
    path = stock_path(name, rate, seed, precision)
    checkpoint = ["--checkpoint", str(weights / one.checkpoint)] if one.checkpoint else []
    settings = ["--steps", str(count_steps(rows, one.batch)), "--batch_size", str(one.batch), "--warmup", "0.1"]
    command = ["benchmarks.peers", one.kind, "--dataset", str(data_of(name)), *settings, *checkpoint]
    half = ["--bf16"] if precision == "bf16" else []
    return path, [*command, *half, "--learning_rate", rate, "--seed", str(seed), "--result", str(path)]


def own_cell(
    name: str, one: Set, weights: Path, seed: int, label: str = "default", flags: tuple[str, ...] = ()
) -> Cell:
    path = own_path(name, seed, label)
    checkpoint = ["--checkpoint", str(weights / one.checkpoint)] if one.checkpoint else []
    command = ["benchmarks.suite.ours", RECIPES[one.kind], "--result", str(path), "--dataset", str(data_of(name))]
    return path, [*command, *one.flags, *checkpoint, "--seed", str(seed), *flags]


def chosen_rate(name: str, one: Set) -> str | None:
    """The stock trainer's rate that was best on validation with seed 0; None before all were tried."""
    scores = {}
    for rate in one.rates:
        path = stock_path(name, rate, 0)
        if not path.is_file():
            return None
        cell = json.loads(path.read_text())
        scores[rate] = cell["validation"][cell["headline"]]
    return max(scores, key=scores.__getitem__)
