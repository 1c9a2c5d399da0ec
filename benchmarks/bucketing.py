r"""Does it cost quality to train on batches of like length? WNUT-17 in one epoch of batches of 8, over five seeds.

    python benchmarks/bucketing.py run --dataset path/to/wnut17 --checkpoint path/to/minilm --jobs 2
    python benchmarks/bucketing.py collect --result benchmarks/results/bucketing.json

`run` trains every cell that has no result yet in runs/bench/bucketing, seed by seed, one thread each; a killed run goes
on where it was. A cell is an order of the rows and a loss:

- random: the rows as drawn. grouped: the stock order and that of `hfkit.data.batches.LengthBuckets`, whose batches
  fall in length within each 50. buckets: the like, with the batches of the epoch in random order. budget: as many
  batches as the others have, of like length and of as many tokens each: more short sentences, fewer long ones.
- mean: the loss of a step is the mean over its labelled words, so that a word in a batch of short sentences counts
  for more. constant: it is divided by the labelled words that a batch has on average, so that all words count alike.

Scores are strict entity F1 of the model as trained, without moving its decision.
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import torch
from scipy.stats import t
from torch.utils.data import Sampler
from transformers import set_seed
from transformers.trainer_pt_utils import BatchRebalanceSampler

from hfkit import TransferArguments, TransferTrainer
from hfkit.runtime.machine import environment
from hfkit.tasks import NER

CELLS = Path("runs/bench/bucketing")
MEGA_BATCH = 50  # batches that rows are sorted within
VARIANTS = ("random-mean", "buckets-mean", "budget-mean", "buckets-constant", "random-constant", "grouped-mean")
SEEDS = (0, 1, 2, 3, 4)
SETTINGS = {
    "strategy": "full",
    "learning_rate": 2e-4,
    "num_train_epochs": 1,
    "per_device_train_batch_size": 8,
    "per_device_eval_batch_size": 32,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("step", choices=("run", "cell", "collect"))
    parser.add_argument("--dataset", help="folder of WNUT-17's parquet files")
    parser.add_argument("--checkpoint", help="folder of all-MiniLM-L6-v2")
    parser.add_argument("--jobs", type=int, default=1, help="cells at a time")
    parser.add_argument("--warmup", type=float, default=0.0, help="share of training; cells with one lie apart")
    parser.add_argument("--variant", choices=VARIANTS)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--result", type=Path)
    args = parser.parse_args()
    {"run": run, "cell": cell, "collect": collect}[args.step](args)


def folder(warmup: float) -> Path:
    return CELLS / f"warmup-{warmup:g}"


# Running


def run(args: argparse.Namespace) -> None:
    cells = folder(args.warmup)
    cells.mkdir(parents=True, exist_ok=True)
    waiting = [(seed, variant) for seed in SEEDS for variant in VARIANTS]

    def start(seed: int, variant: str) -> int:
        result = cells / f"{variant}-{seed}.json"
        if result.is_file():
            return 0
        command = [sys.executable, "-u", __file__, "cell", "--dataset", args.dataset, "--checkpoint", args.checkpoint]
        command += ["--variant", variant, "--seed", str(seed), "--warmup", str(args.warmup), "--result", str(result)]
        with result.with_suffix(".log").open("w") as log:
            environ = {**os.environ, "OMP_NUM_THREADS": "1"}
            return subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, env=environ).returncode

    with ThreadPoolExecutor(args.jobs) as pool:
        codes = list(pool.map(lambda waits: start(*waits), waiting))
    failed = [f"{variant}-{seed}" for (seed, variant), code in zip(waiting, codes, strict=True) if code]
    if failed:
        sys.exit(f"failed: {', '.join(failed)}; see {cells}/*.log")


class ShuffledBuckets(Sampler[int]):
    """Batches of like length, in random order; the rows that are left over come last, as they were drawn."""

    def __init__(self, lengths: np.ndarray, batch: int, seed: int) -> None:
        self.lengths, self.batch, self.seed, self.epoch = lengths, batch, seed, 0

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self):
        draw = np.random.default_rng([self.seed, self.epoch])
        rows = draw.permutation(len(self.lengths))
        whole = len(rows) - len(rows) % self.batch
        groups = np.split(rows[:whole], range(MEGA_BATCH * self.batch, whole, MEGA_BATCH * self.batch))
        inside = [group[np.argsort(self.lengths[group], kind="stable")].reshape(-1, self.batch) for group in groups]
        yield from draw.permutation(np.concatenate(inside)).ravel().tolist()
        yield from rows[whole:].tolist()


class TokenBudget(BatchRebalanceSampler):
    """Batches of like length and of as many tokens; of a stock class, because that is how a Trainer takes batches."""

    def __init__(self, lengths: np.ndarray, batch: int, seed: int) -> None:
        self.lengths, self.batch, self.seed, self.epoch = lengths, batch, seed, 0

    def __len__(self) -> int:
        return -(-len(self.lengths) // self.batch)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self):
        draw = np.random.default_rng([self.seed, self.epoch])
        rows, batches = draw.permutation(len(self.lengths)), []
        groups = np.array_split(rows, max(1, round(len(self) / MEGA_BATCH)))
        counts = np.diff(np.round(np.linspace(0, len(self), len(groups) + 1)).astype(int))
        for group, count in zip(groups, counts, strict=True):
            sorted_rows = group[np.argsort(self.lengths[group], kind="stable")]
            tokens = np.cumsum(self.lengths[sorted_rows])
            ends = np.searchsorted(tokens, tokens[-1] * np.arange(1, count) / count)
            batches += np.split(sorted_rows, ends)
        yield from (batches[i].tolist() for i in draw.permutation(len(batches)))


class Cell(TransferTrainer):
    """Trains on rows in the order, and with the loss, that the cell is of."""

    def __init__(self, *args, order: str, loss: str, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.order, self.divisor, self.padded = order, loss, [0, 0]
        labels = self.train_dataset["labels"]
        self.words_in_row = sum(label != -100 for row in labels for label in row) / len(labels)

    def _get_train_sampler(self, train_dataset=None):
        if self.order not in ("buckets", "budget"):
            return super()._get_train_sampler(train_dataset)
        lengths = np.array([len(row) for row in self.train_dataset["input_ids"]])
        kind = ShuffledBuckets if self.order == "buckets" else TokenBudget
        self.train_sampler = kind(lengths, self.args.per_device_train_batch_size, self.args.seed)
        return self.train_sampler

    def _get_num_items_in_batch(self, batch_samples, device):
        for batch in batch_samples:
            self.padded[0] += int(batch["attention_mask"].sum())
            self.padded[1] += batch["attention_mask"].numel()
        if self.divisor == "mean":
            return super()._get_num_items_in_batch(batch_samples, device)
        return torch.tensor(sum(len(batch["labels"]) for batch in batch_samples) * self.words_in_row)


def cell(args: argparse.Namespace) -> None:
    order, loss = args.variant.split("-")
    task = NER(dataset=args.dataset)
    settings = TransferArguments(
        output_dir=str(args.result.with_suffix("")),
        overwrite_output_dir=True,
        seed=args.seed,
        train_sampling_strategy="group_by_length" if order == "grouped" else "random",
        warmup_steps=args.warmup,
        save_strategy="no",
        logging_steps=50,
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        **SETTINGS,
    )
    set_seed(args.seed)
    loaded = task.load()
    codec = task.codec(args.checkpoint, loaded.target)
    trainer = Cell(
        model=codec.model(),
        args=settings,
        task=task,
        codec=codec,
        rows=loaded,
        order=order,
        loss=loss,
    )
    trainer.train()
    padding = 1 - trainer.padded[0] / trainer.padded[1]
    scores = {
        split: task.judge.score(trainer.predictions(split), trainer.references(split))
        for split in ("validation", "test")
    }
    facts = {
        "variant": args.variant,
        "seed": args.seed,
        "warmup": args.warmup,
        **{split: scores[split]["f1"] for split in scores},
        "train_cpu_seconds": trainer.facts()["cost"]["cpu_seconds"],
        "train_wall_seconds": trainer.facts()["cost"]["wall_seconds"],
        "padding": padding,
        "environment": environment(),
    }
    args.result.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


# Collecting


def collect(args: argparse.Namespace) -> None:
    sweeps = {}
    for place in sorted(CELLS.glob("warmup-*")):
        cells = [json.loads(file.read_text()) for file in sorted(place.glob("*.json"))]
        if cells:
            sweeps[place.name] = summary(cells)
            facts = cells[0]["environment"]
    result = {
        "schema": "hfkit.bucketing/1",
        "command": "python benchmarks/bucketing.py run --dataset path/to/wnut17 --checkpoint path/to/minilm --jobs 2",
        "environment": facts,
        "dataset": "WNUT-17, strict entity F1 as trained, validation and test",
        "settings": SETTINGS,
        "sweeps": sweeps,
    }
    if args.result:
        args.result.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(sweeps, indent=1))


def summary(cells: list[dict]) -> dict:
    """Per variant its scores and cost over seeds; per pair of variants how far they differ on the same seeds."""
    found = {name: {cell["seed"]: cell for cell in cells if cell["variant"] == name} for name in VARIANTS}
    found = {name: of_seed for name, of_seed in found.items() if of_seed}
    return {
        "variants": {
            name: {
                "seeds": sorted(of_seed),
                **{key: spread([of_seed[seed][key] for seed in sorted(of_seed)]) for key in MEASURED},
            }
            for name, of_seed in found.items()
        },
        "differences": {
            f"{b} minus {a}": {key: paired(found[a], found[b], key) for key in ("validation", "test")}
            for a, b in combinations(found, 2)
            if len(set(found[a]) & set(found[b])) > 1
        },
    }


MEASURED = ("validation", "test", "train_cpu_seconds", "train_wall_seconds", "padding")


def spread(values: list[float]) -> dict:
    return {"mean": mean(values), "sd": stdev(values) if len(values) > 1 else 0.0, "values": values}


def paired(a: dict[int, dict], b: dict[int, dict], key: str) -> dict:
    """The mean of b - a over common seeds with its 95 % interval, Student's t."""
    differences = [b[seed][key] - a[seed][key] for seed in sorted(set(a) & set(b))]
    error = stdev(differences) / len(differences) ** 0.5
    reach = float(t.ppf(0.975, len(differences) - 1)) * error
    return {"mean": mean(differences), "low": mean(differences) - reach, "high": mean(differences) + reach}


if __name__ == "__main__":
    main()
