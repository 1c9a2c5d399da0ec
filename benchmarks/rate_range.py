r"""The rate that `--find_rate` takes, beside the best of a grid, on three small datasets.

    python -m benchmarks.rate_range --data path/to/datasets --weights path/to/checkpoints

Every run fine-tunes the whole model (`--strategy full`) for a few epochs from the same seed and keeps the last weights.
The grid holds powers of two of the recipe's rate. It is judged on validation and test rows together: nothing is chosen
on them in a run, and the best of the grid is what a sweep is measured against, not a result. The error is the binary
logarithm of the rate that was found over the best one, by the headline and by the loss; beside it, what other rules
would have taken from the sweep in which everything learns.

Every run is a cell of its own under runs/rate_range: started again, the program goes on where it was.
"""

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from transformers import set_seed

from benchmarks.suite.sets import MOBILENET, RECIPES, Set, prepare
from hfkit import TransferTrainer
from hfkit.ledger.arguments import load_recipe
from hfkit.runtime.durable import write_file
from hfkit.runtime.machine import command, environment
from hfkit.training.rate_range import ENTRY

RESULT = Path(__file__).parent / "results" / "rate_range.json"
FOLDER = Path("runs", "rate_range")
SETS = {
    "uci_amazon": Set("text", "uci_sentiment_sentences/amazon"),
    "wnut17": Set("ner", "wnut17", rows=300),
    "grocery_store": Set("image", "grocery_store", rows=640, checkpoint=MOBILENET),
}
EPOCHS = {"uci_amazon": 3, "wnut17": 4, "grocery_store": 4}
GRID = tuple(2.0**power for power in (0, 2, 1, 3, -1))  # times the recipe's rate, in the order in which they run
JUDGED = 300  # test rows
SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--weights", type=Path, default=Path("../shared/weights"))
    parser.add_argument("--only", nargs="+", choices=tuple(SETS), default=tuple(SETS))
    args = parser.parse_args()
    for name in args.only:
        data = FOLDER / "data" / name
        if not (data / "test.parquet").is_file():
            prepare(SETS[name], args.data, data)
            (data / "test.parquet").write_bytes(shorten(data / "test.parquet"))
        for factor in (None, *GRID):
            run_cell(name, args.weights, factor)
        collect()


def shorten(file: Path) -> bytes:
    """The first rows of a file of test rows, as a file."""
    rows = Dataset.from_parquet(str(file))
    rows.select(range(min(JUDGED, len(rows)))).to_parquet(file.with_suffix(".short"))
    return file.with_suffix(".short").read_bytes()


def cell_of(name: str, factor: float | None) -> Path:
    return FOLDER / "cells" / name / f"{'found' if factor is None else f'{factor:g}'}.json"


def run_cell(name: str, weights: Path, factor: float | None) -> None:
    """Train once and write what came of it, unless it has been done.

    Args:
        factor: of the recipe's rates; None: they are found.
    """
    path, one = cell_of(name, factor), SETS[name]
    if path.is_file():
        return
    given = ["--checkpoint", str(weights / one.checkpoint)] if one.checkpoint else []
    given += ["--dataset", str(FOLDER / "data" / name), "--output_dir", str(path.with_suffix("")), *one.flags]
    given += ["--strategy", "full", "--num_train_epochs", str(EPOCHS[name]), "--seed", str(SEED)]
    given += ["--eval_strategy", "no", "--save_strategy", "no", "--load_best_model_at_end", "false"]
    given += ["--precision", "bf16", "--report_to", "none", "--disable_tqdm", "true", "--overwrite_output_dir", "true"]
    read = load_recipe(RECIPES[one.kind])
    recipe, task, args = read([*given, *(["--find_rate", "true"] if factor is None else [])])
    if factor is not None:
        args.learning_rate *= factor
        args.head_learning_rate = args.head_learning_rate and args.head_learning_rate * factor
    set_seed(args.seed)
    rows = task.load(recipe.checkpoint)
    codec = task.codec(recipe.checkpoint, rows.target)
    trainer = TransferTrainer(model=codec.model(), args=args, task=task, codec=codec, rows=rows)
    trainer.train()
    found = [entry[ENTRY] for entry in trainer.state.log_history if ENTRY in entry]
    cell = {
        "learning_rate": args.learning_rate,
        "steps": trainer.state.global_step,
        **judge(trainer),
        "train_cpu_seconds": trainer.train_cost["cpu_seconds"],
        "precision": args.precision,
        "found": found[0] if found else None,
        "environment": environment(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, json.dumps(cell, indent=1) + "\n")
    print(f"{name} {path.stem}: {cell['headline']} {cell['score']:.4f}, loss {cell['loss']:.4f}", flush=True)


def judge(trainer: TransferTrainer) -> dict[str, Any]:
    """The headline and the mean loss on validation and test together."""
    answers, gold, loss, count = [], [], 0.0, 0
    for split in ("validation", "test"):
        metrics = trainer.predict(trainer.encoded[split]).metrics
        answers += trainer.evaluated.predictions
        gold += trainer.references(split)
        loss, count = loss + metrics["test_loss"] * len(trainer.rows[split]), count + len(trainer.rows[split])
    headline = trainer.task.judge.headline
    score = trainer.task.judge.score(answers, gold)[headline.key]
    return {"headline": headline.key, "sign": headline.sign, "score": score, "loss": loss / count, "rows": count}


def collect() -> None:
    """The result file, of all sets whose cells are there."""
    sets = [found for name in SETS if (found := compare(name)) is not None]
    if not sets:
        return
    facts = {"sets": sets, "seed": SEED, "command": command(), "environment": environment()}
    write_file(RESULT, json.dumps(facts, indent=1) + "\n")


def compare(name: str) -> dict[str, Any] | None:
    """The rate that was found beside the grid; None before all of it has run."""
    paths = {factor: cell_of(name, factor) for factor in (None, *GRID)}
    if not all(path.is_file() for path in paths.values()):
        return None
    cells = {factor: json.loads(path.read_text()) for factor, path in paths.items()}
    found, grid = cells.pop(None), dict(sorted(cells.items()))
    best = {
        "headline": max(grid, key=lambda factor: found["sign"] * grid[factor]["score"]),
        "loss": min(grid, key=lambda factor: grid[factor]["loss"]),
    }
    factors = found["found"]["factors"]
    of_all = found["found"]["sweeps"][-1]
    rules = {"taken": factors[-1], "taken, lowest depth": factors[0], **read_by_rules(of_all)}
    return {
        "name": name,
        "headline": found["headline"],
        "rows": {"train": SETS[name].rows, "judged": found["rows"]},
        "steps": found["steps"],
        "precision": found["precision"],
        "learning_rate": found["learning_rate"],
        "grid": [
            {"factor": factor, **{k: cell[k] for k in ("score", "loss", "train_cpu_seconds")}}
            for factor, cell in grid.items()
        ],
        "found": {k: found[k] for k in ("score", "loss", "train_cpu_seconds")},
        "sweeps": found["found"]["sweeps"],
        "best": best,
        "factors": rules,
        "errors": {by: {rule: math.log2(factor / best[by]) for rule, factor in rules.items()} for by in best},
    }


def read_by_rules(sweep: dict[str, Any]) -> dict[str, float]:
    """What each rule takes from the sweep in which everything learns, as factors."""
    factors, curve = np.array(sweep["factors"]), np.array(sweep["smoothed"])
    at = curve.argmin()
    slopes = np.gradient(curve, np.log(factors))[: at + 1]
    return {
        "half a power below": sweep["factor"],
        "lowest loss": factors[at],
        "a tenth of it": factors[at] / 10,
        "steepest descent": factors[slopes.argmin()],
    }


if __name__ == "__main__":
    main()
