r"""Gathers the runs of the NER benchmark into one result file that README's table is rendered from.

    python benchmarks/collect.py --cells runs/bench/wnut17 --dataset path/to/wnut17 --title "WNUT-17, MiniLM encoder" \
        --report benchmarks/results/report_bert-ner.json --result benchmarks/results/bert_ner_wnut17.json

A cell is what peers.py and ours.py write, one training run each. Learning rates are chosen
by mean validation F1; test scores are looked at only afterwards. The interval of a contender resamples test sentences
and scores the mean over its seeds; the comparison resamples them in pairs.
"""

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev

import numpy as np
from seed_mean import SeedMean

from hfkit.runtime.machine import environment
from hfkit.scores.evidence import total
from hfkit.scores.statistics import bootstrap_interval, paired_difference
from hfkit.tasks import NER

PACKAGES = ("torch", "transformers", "datasets", "accelerate")
SETTINGS = ("learning_rate", "head_learning_rate", "layer_decay", "epochs", "batch_size")
STOCK = "stock Trainer"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--cells", type=Path, required=True, help="folder of one JSON per run")
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--title", required=True)
    parser.add_argument("--report", type=Path, default=None, help="report.json of the recipe, for its baselines")
    parser.add_argument("--result", type=Path, required=True)
    args = parser.parse_args()
    task = NER(dataset=args.dataset)
    data = task.load()
    references = task.rows.references(data["test"])
    runs = [(json.loads(path.read_text()), path) for path in sorted(args.cells.glob("*.json")) if is_cell(path)]
    groups = defaultdict(list)
    for cell, path in runs:
        predictions = json.loads(path.with_suffix(".predictions.json").read_text())["test"]
        cell["evidence"] = task.judge.evidence(predictions, references)
        if not np.isclose(total(cell["evidence"]), cell["test"]["f1"], atol=1e-9):
            raise ValueError(f"{path}: its predictions do not have the test F1 that it names")
        groups[cell["contender"], cell["learning_rate"]].append(cell)
    chosen = chosen_rates(groups)
    contenders = [contender(name, cells) for name, cells in chosen.items()]
    seeds = next(set(c["seeds"]) for c in contenders if c["name"] == STOCK)
    # One lucky seed is not compared with a mean over several.
    rivals = [c for c in contenders if c["name"] != STOCK and set(c["seeds"]) >= seeds]
    best = max(rivals, key=lambda c: c["validation_f1"]["mean"])["name"]
    if args.report:
        contenders += [baseline(row) for row in json.loads(args.report.read_text())["contenders"] if row["baseline"]]
    machine = environment()
    result = {
        "schema": "hfkit.benchmark/1",
        "title": args.title,
        "dataset": Path(args.dataset).name,
        "rows": {split: len(rows) for split, rows in data.splits.items()},
        "command": f"python benchmarks/run_ner.py {args.cells.name} --dataset path/to/{Path(args.dataset).name}",
        "machine": f"{machine['cpu']}, one thread a run, CPU only",
        "versions": {package: machine["versions"][package] for package in PACKAGES},
        "contenders": sorted(contenders, key=lambda c: -c["test_f1"]["mean"]),
        "grid": [
            {
                "name": cell["contender"],
                "learning_rate": cell["learning_rate"],
                "seed": cell["seed"],
                "validation_f1": cell["validation"]["f1"],
                "test_f1": cell["test"]["f1"],
                "train_cpu_seconds": cell["train_cpu_seconds"],
                "command": cell["command"],
            }
            for cell, _ in runs
        ],
        "comparison": compare(best, chosen[best], chosen[STOCK]),
    }
    args.result.parent.mkdir(parents=True, exist_ok=True)
    args.result.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    print(f"{len(runs)} runs -> {args.result}", file=sys.stderr)


def is_cell(path: Path) -> bool:
    return not path.name.endswith(".predictions.json")


def chosen_rates(groups: dict[tuple[str, float], list[dict]]) -> dict[str, list[dict]]:
    """The runs of every contender at its best learning rate, by validation F1 over the seeds that its rates share."""
    chosen = {}
    for name in dict.fromkeys(name for name, _ in groups):
        rates = [cells for (other, _), cells in groups.items() if other == name]
        shared = set.intersection(*({cell["seed"] for cell in cells} for cells in rates))
        chosen[name] = max(
            rates,
            key=lambda cells, shared=shared: mean(c["validation"]["f1"] for c in cells if c["seed"] in shared),
        )
    return chosen


def over_seeds(cells: list[dict]) -> SeedMean:
    """The evidence of several runs as one: one row is one sentence in every run."""
    return SeedMean([cell["evidence"] for cell in cells])


def contender(name: str, cells: list[dict]) -> dict:
    interval = bootstrap_interval(over_seeds(cells))
    seconds = [cell["train_cpu_seconds"] for cell in cells]
    untuned = [cell["test_as_trained"]["f1"] for cell in cells if "test_as_trained" in cell]
    note = f"test F1 {mean(untuned):.3f} before the decision was tuned on validation" if untuned else ""
    return {
        "name": name,
        "settings": {key: cells[0][key] for key in SETTINGS if key in cells[0]},
        "seeds": [cell["seed"] for cell in cells],
        "validation_f1": summary([cell["validation"]["f1"] for cell in cells]),
        "test_f1": {**summary([cell["test"]["f1"] for cell in cells]), "low": interval.low, "high": interval.high},
        "train_cpu_seconds": {"mean": mean(seconds), "min": min(seconds), "max": max(seconds)},
        "note": note,
    }


def baseline(row: dict) -> dict:
    interval = row["interval"]
    return {
        "name": row["name"],
        "settings": {},
        "seeds": [],
        "validation_f1": None,
        "test_f1": {**summary([row["headline"]]), "low": interval["low"], "high": interval["high"]},
        "train_cpu_seconds": None,
        "note": "",
    }


def summary(values: list[float]) -> dict:
    return {"mean": mean(values), "std": stdev(values) if len(values) > 1 else 0.0, "values": values}


def compare(name: str, ours: list[dict], stock: list[dict]) -> dict:
    """Mean test F1 of the best strategy (by validation) above the stock trainer's, over the seeds that both have."""
    seeds = {cell["seed"] for cell in ours} & {cell["seed"] for cell in stock}
    pair = [over_seeds([cell for cell in cells if cell["seed"] in seeds]) for cells in (ours, stock)]
    found = paired_difference(*pair)
    return {"first": name, "second": STOCK, "seeds": sorted(seeds)} | {
        key: found[key] for key in ("difference", "low", "high", "p")
    }


if __name__ == "__main__":
    main()
