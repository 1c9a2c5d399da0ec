"""The best validation score that a search finds after as many CPU seconds as the grid takes: grid, random and Optuna.

    python -m benchmarks.tuning --data path/to/data --weights path/to/weights [--repeats 5] [--only NAME ...]

Few rows of each set, for a laptop's hour or two. Every search is over `--strategy full`, in cells of `hfkit compare`,
one after the other in this process. The grid is five factors on the rates; random and Optuna start anew with each
repeat's seed, which is that of the trainings too, and run until they have spent what the grid of that repeat has. A
trial that ends later does not count. Cells lie in runs/bench/tuning, and what is there is not run again; the result is
benchmarks/results/tuning.json.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from hfkit.ledger.bench import Bench
from hfkit.ledger.cells import Cell, Result, Results, choose_cell
from hfkit.ledger.compare import make_plan
from hfkit.ledger.queue import Queue
from hfkit.ledger.runner import Runner
from hfkit.runtime.machine import environment

FOLDER, RESULT = Path("runs/bench/tuning"), Path(__file__).parent / "results" / "tuning.json"
GRID = ("0.1", "0.3", "1", "3", "10")
TUNERS = ("grid", "random", "optuna")
MOST_TRIALS = 40
ROWS = {"train": 160, "validation": 160, "test": 200}  # at most: of larger splits, rows at equal distances
SETS: dict[str, tuple[str, ...]] = {
    "uci_sentiment_sentences/amazon": (
        *("--recipe", "recipes/bert_sentiment.py", "--checkpoint", "{weights}/paraphrase-minilm-l3-v2"),
        *("--max_length", "32", "--num_train_epochs", "5"),
    ),
    "wnut17": (
        *("--recipe", "recipes/bert_ner.py", "--checkpoint", "{weights}/paraphrase-minilm-l3-v2"),
        *("--max_length", "48", "--num_train_epochs", "5"),
    ),
    "digits_shift/optdigits": ("--recipe", "recipes/vit_images.py", "--num_train_epochs", "5"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--data", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=list(SETS), help="names of sets")
    args = parser.parse_args()
    runs = []
    for repeat in range(args.repeats):
        for name in args.only:
            budget = None
            for tuner in TUNERS:
                found = search(name, tuner, repeat, budget, args)
                budget = budget or found["cpu_seconds"]
                runs.append({"set": name, "tuner": tuner, "repeat": repeat, "budget": budget, **found})
                print(runs[-1], flush=True)
                result = {"command": "python -m benchmarks.tuning", "runs": runs, "environment": environment()}
                RESULT.write_text(json.dumps(result, indent=1) + "\n")


def search(name: str, tuner: str, repeat: int, budget: float | None, args: argparse.Namespace) -> dict[str, Any]:
    """The best trial that one search finds within a budget.

    Args:
        budget: CPU seconds of training; None: as many as its trials take.
    """
    flags = [flag.format(weights=args.weights) for flag in SETS[name]]
    ways = ["--tune", *GRID] if tuner == "grid" else ["--tuner", tuner, "--trials", str(MOST_TRIALS)]
    folder = FOLDER / f"{name}-{repeat}".replace("/", "-")
    own = ["--dataset", str(thin(Path(args.data, name), FOLDER / "rows" / name))]
    own += ["--strategies", "full", "--seeds", str(repeat), "--compare_dir", str(folder), "--jobs", "1", "--use_cpu"]
    bench = Bench([*flags, *ways, *own])
    contender = bench.contenders()[0]
    queue, plan = Queue(folder, bench.key), make_plan(bench, [contender])

    def plan_within(results: Results) -> list[Cell]:
        """The trials in turn, as long as there is budget: the next one follows when the last has ended."""
        cells = plan(results)
        for number, cell in enumerate(cells):
            if spent(results, cells[:number]) >= (budget or float("inf")):
                return cells[:number]
            if cell not in results:
                return cells[: number + 1]
        return cells

    queue.work(plan_within, Runner(bench).run)
    cells = queue.cells(plan_within)
    results = queue.results(cells)
    counted = [cell for number, cell in enumerate(cells) if spent(results, cells[: number + 1]) <= (budget or 1e9)]
    best: Result = results[choose_cell(counted or cells[:1], results, sign=bench.sign)]
    statuses = [results[cell].status for cell in counted]
    return {
        "score": bench.task.judge.headline.key,
        "validation": best.validation,
        "test": next(iter(best.tests.values()))[bench.task.judge.headline.key],
        "cpu_seconds": spent(results, cells),
        "trials": len(counted),
        "pruned": statuses.count("pruned"),
        "failed": statuses.count("failed") + statuses.count("skipped"),
    }


def thin(source: Path, target: Path) -> Path:
    """The folder of a copy of a dataset with few rows."""
    target.mkdir(parents=True, exist_ok=True)
    for split, most in ROWS.items():
        rows = Dataset.from_parquet(str(source / f"{split}.parquet"))
        if len(rows) > most:
            rows = rows.select(np.linspace(0, len(rows) - 1, most).round().astype(int))
        if not (target / f"{split}.parquet").is_file():
            rows.to_parquet(str(target / f"{split}.parquet"))
    return target


def spent(results: Mapping[Cell, Result], cells: list[Cell]) -> float:
    return sum(results[cell].cost.get("cpu_seconds", 0.0) for cell in cells if cell in results)


if __name__ == "__main__":
    main()
