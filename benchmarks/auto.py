r"""Strategy auto beside what it chooses from: the linear probe, the head alone and full fine-tuning, on several sets.

    python benchmarks/auto.py --data path/to/datasets --drawn runs/bench/data --weights path/to/checkpoints
    python benchmarks/auto.py --data … --drawn … --weights … --only yelp --seeds 0

A cell is a process on one thread, one at a time; its CPU seconds are of training, or of the whole probe. A finished
cell is not run again. `--drawn` holds the subset of banking77 that classification_data.py writes.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

RESULT = Path(__file__).parent / "results" / "auto.json"
CELLS = Path("runs/bench/auto")
STRATEGIES = ("auto", "full", "feature-extraction")
CONTENDERS = (*STRATEGIES, "linear probe")


def sets(data: Path, drawn: Path, weights: Path) -> dict[str, list[str]]:
    """Flags of each set; three or more epochs, the default rates but for the convolutional network."""
    v1 = str(weights / "mobilenet-v1-0.25-224")
    sentences = data / "uci_sentiment_sentences"
    digits = ["--checkpoint", "sample-vit", "--max_train_rows", "1000", "--num_train_epochs", "4"]
    return {
        "optdigits": ["image", "--dataset", str(data / "digits_shift" / "optdigits"), *digits],
        "yelp": ["text", "--dataset", str(sentences / "yelp"), "--num_train_epochs", "4"],
        "amazon": ["text", "--dataset", str(sentences / "amazon"), "--num_train_epochs", "4"],
        "bccd": ["image", "--dataset", str(data / "bccd_cells"), "--checkpoint", v1, "--learning_rate", "1e-3"],
        "wnut17": ["ner", "--dataset", str(data / "wnut17"), "--max_train_rows", "1000"],
        "banking77_10": ["text", "--dataset", str(drawn / "banking77_10"), "--num_train_epochs", "12"],
    }


def cell(flags: list[str], contender: str, output: Path) -> None:
    """Run one contender in this process, and write its scores, tallies and cost."""
    from transformers import set_seed

    from hfkit import KEEP_BEST, RecipeArguments, TransferArguments, TransferTrainer, parse
    from hfkit.baselines import LinearProbe
    from hfkit.evaluation.machine import environment, measured
    from hfkit.tasks import NER, ImageClassification, TextClassification

    kind, *flags = flags
    tasks = {"ner": NER, "text": TextClassification, "image": ImageClassification}
    with TemporaryDirectory() as folder:
        recipe, task, args = parse(
            (RecipeArguments, tasks[kind], TransferArguments),
            argv=[*flags, "--output_dir", folder],
            num_train_epochs=3,
            per_device_train_batch_size=16,
            per_device_eval_batch_size=32,
            warmup_steps=0.1,
            weight_decay=0.01,
            save_only_model=True,
            report_to="none",
            disable_tqdm=True,
            **KEEP_BEST,
        )
        set_seed(args.seed)
        raw = task.load()
        labels, gold = task.labels(raw), task.references(raw["test"])
        facts: dict[str, Any] = {"rows": {split: len(rows) for split, rows in raw.items()}, "headline": task.headline}
        if contender == "linear probe":
            with measured() as cost:
                answers = LinearProbe(recipe.checkpoint).predict(task, raw)
        else:
            processor = task.processor(recipe.checkpoint)
            rows = task.prepare(raw, processor, labels)
            trainer = TransferTrainer(
                model=task.model(recipe.checkpoint, labels),
                args=args,
                task=task,
                train_dataset=rows["train"],
                eval_dataset=rows["validation"],
                processing_class=processor,
            )
            trainer.train()
            answers, cost = trainer.predictions(rows["test"]), trainer.facts()["cost"]
            facts["decisions"] = [entry["auto"] for entry in trainer.state.log_history if "auto" in entry]
        facts |= {"test": task.score(answers, gold)[task.headline], "cpu_seconds": cost["cpu_seconds"]}
        np.save(output.with_suffix(".npy"), task.tallies(answers, gold))
        output.write_text(json.dumps({**facts, "task": kind, "environment": environment()}, indent=1) + "\n")


def compared(name: str, seeds: list[int]) -> dict[str, Any]:
    """Scores and costs by contender, and auto against the better of probe and full, over all seeds on the same rows."""
    from hfkit.evaluation.statistics import clearly_different, paired_difference
    from hfkit.tasks import NER, TextClassification

    cells = {c: [json.loads(place(name, c, seed).read_text()) for seed in seeds] for c in CONTENDERS}
    tallies = {c: [np.load(place(name, c, seed).with_suffix(".npy")) for seed in seeds] for c in CONTENDERS}
    first = cells["auto"][0]
    headline_of = (NER() if first["task"] == "ner" else TextClassification()).headline_of
    mean = {c: float(np.mean([run["test"] for run in runs])) for c, runs in cells.items()}
    cost = {c: float(np.mean([run["cpu_seconds"] for run in runs])) for c, runs in cells.items()}
    rival = max(("full", "linear probe"), key=mean.get)

    def mean_of_seeds(sums: np.ndarray) -> np.ndarray:  # each row is drawn with its answers of all seeds
        return np.mean([headline_of(part) for part in np.split(sums, len(seeds), axis=-1)], axis=0)

    ours, theirs = (np.concatenate(tallies[c], axis=1) for c in ("auto", rival))
    pair = paired_difference(ours, theirs, mean_of_seeds)
    return {
        "rows": first["rows"],
        "headline": first["headline"],
        "seeds": seeds,
        "test": {c: [run["test"] for run in runs] for c, runs in cells.items()},
        "test_mean": mean,
        "cpu_seconds": cost,
        "rival": rival,
        "auto_minus_rival": {key: pair[key] for key in ("difference", "low", "high", "p")},
        "clearly_worse": clearly_different(pair) and pair["difference"] < 0,
        "cost_of_probe_and_full": cost["linear probe"] + cost["full"],
        "decisions": [run["decisions"] for run in cells["auto"]],
    }


def place(name: str, contender: str, seed: int) -> Path:
    return CELLS / f"{name}-{contender.replace(' ', '-')}-{seed}.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--data", type=Path, required=True, help="folder of the datasets' folders")
    parser.add_argument("--drawn", type=Path, required=True, help="folder with banking77_10/")
    parser.add_argument("--weights", type=Path, required=True, help="folder of the checkpoints' folders")
    parser.add_argument("--only", nargs="*", help="sets to run")
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--cell", nargs=2, help=argparse.SUPPRESS)  # contender and seed, in this process
    args = parser.parse_args()
    known = sets(args.data, args.drawn, args.weights)
    CELLS.mkdir(parents=True, exist_ok=True)
    if args.cell:
        contender, seed = args.cell
        strategy = [] if contender == "linear probe" else ["--strategy", contender]
        cell([*known[args.only[0]], *strategy, "--seed", seed], contender, place(args.only[0], contender, int(seed)))
        return
    for name in args.only or known:
        for contender in CONTENDERS:
            for seed in args.seeds:
                if not place(name, contender, seed).is_file():
                    command = [sys.executable, __file__, *sys.argv[1:], "--only", name, "--cell", contender, str(seed)]
                    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    found = {}
    for name in known:
        done = [s for s in (0, 1, 2) if all(place(name, c, s).is_file() for c in CONTENDERS)]
        if done:
            found[name] = compared(name, done)
    environment = json.loads(place(next(iter(found)), "auto", found[next(iter(found))]["seeds"][0]).read_text())
    result = {
        "schema": "hfkit.auto/1",
        "command": "python benchmarks/auto.py --data path/to/data --drawn runs/bench/data --weights path/to/weights",
        "environment": environment["environment"],
        "threads": 1,
        "sets": found,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
