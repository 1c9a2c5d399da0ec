"""How fast hfkit trains and judges beside the stock trainer: what is run, and what the ratios are of.

Every contender is a process of its own that writes a cell (see `meter.py`). Within a round they take turns in an order
drawn anew, so that load on the machine falls on all alike, and a ratio is of two cells of one round.
"""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.seed_mean import SeedMean
from hfkit.contract.judge import Judge
from hfkit.scores.evidence import total
from hfkit.scores.statistics import paired_difference
from hfkit.tasks import NER, ImageClassification, TextClassification

CELLS = Path("runs/bench/speed")
ROWS = "1000"  # training rows of a round, evenly spaced: what is compared is a ratio
FROZEN_EPOCHS = "10"
HALF = "--bf16"  # tells a peer to compute in bfloat16
FROZEN_RATES = ("1e-3", "5e-3")  # of what stands on the frozen encoder; the same for both sides
# Of the first half of training only blocks 5 and 6 and the head learn; then depths are thawed that are not looked at.
CUT = ("--strategy", "gradual", "--head_only", "0", "--unfreeze_stages", "3", "--unfreeze_until", "0.99")
TASKS = {"ner": NER, "text": TextClassification, "image": ImageClassification}


@dataclass(frozen=True)
class Corpus:
    """A dataset, and how both sides train on it."""

    name: str
    kind: str
    folder: Path
    batch: int
    epochs: int  # of full fine-tuning
    rates: tuple[str, ...]  # the peer's grid
    checkpoint: Path | None = None  # None: the bundled MiniLM encoder

    def peer(self, *flags: str, epochs: int | str = 1) -> list[str]:
        common = [self.kind, "--dataset", str(self.folder), "--batch_size", str(self.batch), "--epochs", str(epochs)]
        return ["benchmarks.peers", *common, *self._checkpoint(), *flags]

    def ours(self, *flags: str, epochs: int | str = 1) -> list[str]:
        common = [self.kind, "--dataset", str(self.folder), "--per_device_train_batch_size", str(self.batch)]
        plain = ["--augmentation", "none"] if self.kind == "image" else []
        return ["benchmarks.ours", *common, "--num_train_epochs", str(epochs), *plain, *self._checkpoint(), *flags]

    def _checkpoint(self) -> list[str]:
        return ["--checkpoint", str(self.checkpoint)] if self.checkpoint else []

    def judged(self) -> "Judged":
        task = TASKS[self.kind](dataset=str(self.folder))
        return task.judge, task.rows.references(task.load()["test"])


@dataclass(frozen=True)
class Work:
    """Two contenders, and which part of their cells is compared.

    Args:
        wanted: times as much CPU that the peer should take, on entities, texts and pictures.
    """

    title: str
    peer: str
    own: str
    part: str
    wanted: tuple[float | None, float | None, float | None] = (None, None, None)


FROZEN, CUT_STEP, EPOCH = (
    "frozen encoder, 10 epochs",
    "one step, 4 of 6 blocks frozen, and a full one",
    "full fine-tuning, one epoch",
)
WORKS = (
    Work(FROZEN, "stock-frozen", "frozen", "train", (25, 30, 15)),
    Work(FROZEN, "stock-frozen-bf16", "frozen", "train", (15, 18, 10)),
    Work("frozen encoder once more, with another seed", "stock-frozen", "frozen-again", "train", (25, 25, 25)),
    Work(CUT_STEP, "stock-full", "cut", "step", (6, 8, None)),
    Work(CUT_STEP, "stock-full-bf16", "cut", "step"),
    Work(EPOCH, "stock-full", "full", "train"),
    Work(EPOCH, "stock-full-bf16", "full", "train"),
    Work(EPOCH, "stock-grouped-bf16", "full", "train"),
    Work("evaluation", "stock-full", "full", "evaluation", (1.6, 1.6, 1.6)),
    Work("evaluation", "stock-full-bf16", "full", "evaluation"),
    Work("frozen encoder and logistic regression", "features", "frozen", "train"),
    Work("from texts to answers, linear probe", "features", "probe", "whole"),
)

Judged = tuple[Judge, list]  # the judge, and the true answers of the test split
Cell = tuple[Path, list[list[str]]]  # the result, and the commands that make it; the last one writes it


def contenders(corpus: Corpus, rates: dict[str, str], folder: Path, seed: int) -> dict[str, list[list[str]]]:
    """The commands of every contender on a corpus, without --result."""
    rate = ("--learning_rate", rates["stock"])
    peer_head, own_head = ("--learning_rate", rates["stock-frozen"]), ("--head_learning_rate", rates["frozen"])
    frozen = ("--strategy", "feature-extraction", *own_head, "--last")
    kept = ("--cache_dir", str(folder / f"cache-{seed}"))
    thrice, seeds = ("--evaluations", "3"), ("--seed", str(seed))
    full, head = (*rate, *seeds, "--last", *thrice), (*peer_head, *seeds, "--frozen", "--last")
    found = {
        "stock-full": [corpus.peer(*full)],
        "stock-full-bf16": [corpus.peer(*full, HALF)],
        "full": [corpus.ours("--strategy", "full", *rate, *seeds, "--last", *thrice)],
        "stock-frozen": [corpus.peer(*head, epochs=FROZEN_EPOCHS)],
        "stock-frozen-bf16": [corpus.peer(*head, HALF, epochs=FROZEN_EPOCHS)],
        "frozen": [corpus.ours(*frozen, *seeds, epochs=FROZEN_EPOCHS)],
        # The first of the two fills the cache.
        "frozen-again": [
            corpus.ours(*frozen, *kept, "--seed", str(seed + 100)),
            corpus.ours(*frozen, *kept, *seeds, epochs=FROZEN_EPOCHS),
        ],
    }
    if corpus.kind != "image":
        found["stock-grouped-bf16"] = [corpus.peer(*rate, *seeds, "--last", "--group_by_length", HALF)]
        found["cut"] = [corpus.ours(*CUT, *seeds, "--last", epochs=2)]  # one would not be worth a cache
    if corpus.kind == "text":
        found["features"] = [["benchmarks.peers", "features", "--dataset", str(corpus.folder)]]
        found["probe"] = [["benchmarks.ours", "probe", "--dataset", str(corpus.folder)]]
    return found


def round_cells(corpus: Corpus, rates: dict[str, str], number: int, threads: int) -> list[Cell]:
    """One round: every contender once, in an order of its own."""
    folder = CELLS / corpus.name / f"threads-{threads}" / f"round-{number}"
    found = contenders(corpus, rates, folder, number)
    once = ("features", "probe", "frozen-again") if threads > 1 else ()
    cells = [
        (folder / f"{name}.json", [[*command, "--max_train_rows", ROWS] for command in commands])
        for name, commands in found.items()
        if name not in once
    ]
    random.Random(number).shuffle(cells)
    return cells


def run_cells(cells: Iterable[Cell], threads: int = 1, jobs: int = 1) -> list[Path]:
    """Make what is not there yet, `jobs` at a time; the cells that failed, whose logs say why."""

    def make(cell: Cell) -> bool:
        path, commands = cell
        if path.is_file():
            return True
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_suffix(".log").open("w") as log:
            # What only prepares has a result of its own, or a run cut short would leave it in the cell's place.
            results = [path.with_name(f"before-{path.name}")] * (len(commands) - 1) + [path]
            done = all(
                subprocess.run(
                    [sys.executable, "-m", *command, "--result", str(result)],
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=os.environ | {"OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"},
                ).returncode
                == 0
                for command, result in zip(commands, results, strict=True)
            )
        shutil.rmtree(path.with_suffix(""), ignore_errors=True)
        if not done:
            path.unlink(missing_ok=True)
        print(f"{'made' if done else 'FAILED'} {path}", file=sys.stderr, flush=True)
        return done

    cells = list(cells)
    with ThreadPoolExecutor(jobs) as pool:
        return [path for (path, _), done in zip(cells, pool.map(make, cells), strict=True) if not done]


# What the cells say


def speed_rows(corpus: Corpus, threads: Iterable[int]) -> list[dict[str, Any]]:
    """What the rounds on a corpus say; scores only of runs that train for as long as one would."""
    rows = []
    for count in threads:
        folders = sorted((CELLS / corpus.name / f"threads-{count}").glob("round-*"))
        for work in WORKS:
            judged = corpus.judged() if work.own in ("frozen", "frozen-again", "probe") and count == 1 else None
            rows.append(compared(corpus, work, count, folders, judged))
    return [row for row in rows if row]


def part_of(cell: dict, part: str) -> dict[str, float]:
    """CPU and wall seconds of a part; a step is one with the fewest learning parameters in that run."""
    if part == "step":
        return min(cell["train"]["steps"], key=lambda step: step["learning_parameters"])
    return cell[part]


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": median(values), "min": min(values), "max": max(values), "rounds": len(values)}


def compared(
    corpus: Corpus, work: Work, threads: int, folders: Iterable[Path], judged: Judged | None
) -> dict[str, Any] | None:
    """One row of the result: ratios over the folders in which both contenders have finished; None without any."""
    found = [[folder / f"{name}.json" for name in (work.peer, work.own)] for folder in folders]
    paths = [pair for pair in found if all(path.is_file() for path in pair)]
    if not paths:
        return None
    # Cells of the older NER benchmark have scores that hold, and times of another day.
    read = [[read_cell(path) for path in pair] for pair in paths]
    timed = "train" if work.part == "step" else work.part
    pairs = [pair for pair in read if all(timed in cell for cell in pair)]
    if not pairs:
        return None
    parts = [[part_of(cell, work.part) for cell in pair] for pair in pairs]
    row = {
        "work": work.title,
        "dataset": corpus.name,
        "threads": threads,
        "wanted": dict(zip(("ner", "text", "image"), work.wanted, strict=True))[corpus.kind],
        "memory_ratio": spread([own["peak_memory_mib"] / peer["peak_memory_mib"] for peer, own in pairs]),
        "peak_memory_mib": {
            "peer": median(peer["peak_memory_mib"] for peer, _ in pairs),
            "own": median(own["peak_memory_mib"] for _, own in pairs),
        },
    }
    for kind in ("cpu", "wall"):
        peer, own = zip(*([one[f"{kind}_seconds"] for one in pair] for pair in parts), strict=True)
        row[f"{kind}_ratio"] = spread([first / second for first, second in zip(peer, own, strict=True)])
        row[f"{kind}_seconds"] = {"peer": spread(peer), "own": spread(own)}
    for side, name in enumerate(("peer", "own")):
        row[name] = {"contender": pairs[0][side]["contender"]} | rate_of_work([p[side] for p in pairs], work)
    if judged:
        row["score"] = score_difference(*judged, [(answers_of(own), answers_of(peer)) for peer, own in paths])
    return row


def read_cell(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def rate_of_work(cells: list[dict], work: Work) -> dict[str, float]:
    """Useful GFLOP/s, what share of the products was of real tokens, and the peak; only where whole models ran."""
    found = {"matmul_gflops": median(cell["matmul_gflops"] for cell in cells)}
    full = work.part == "evaluation" or (work.part, work.own) == ("train", "full")
    if not full or not cells[0].get("evaluation", {}).get("real_forward_flops"):
        return found
    passes = 1 if work.part == "evaluation" else 3  # forward, and twice as much backward
    real = [passes * cell[work.part]["real_forward_flops"] / cell[work.part]["cpu_seconds"] / 1e9 for cell in cells]
    shares = [cell[work.part]["real_forward_flops"] / cell[work.part]["padded_forward_flops"] for cell in cells]
    return found | {"useful_gflops": median(real), "useful_share": median(shares)}


def answers_of(path: Path) -> list:
    """The test answers beside a cell, before a decision was tuned: the peer tunes none."""
    found = json.loads(path.with_suffix(".predictions.json").read_text())
    return found.get("test_as_trained", found["test"])


def score_difference(judge: Judge, references: list, pairs: list[tuple[list, list]]) -> dict[str, Any]:
    """The headlines of ours and of the peer by seed, and the difference of their means over resampled test rows."""
    own, peer = (SeedMean([judge.evidence(pair[side], references) for pair in pairs]) for side in (0, 1))
    found = paired_difference(own, peer)
    return {
        "headline": judge.headline.key,
        "own": [total(seed) for seed in own.seeds],
        "peer": [total(seed) for seed in peer.seeds],
        **{key: found[key] for key in ("difference", "low", "high", "p")},
    }
