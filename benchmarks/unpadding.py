"""The forward and backward pass of a step with and without the padding of its batch, on real texts in random order.

    OMP_NUM_THREADS=1 python -m benchmarks.unpadding --data path/to/datasets

The bundled encoder with a fresh head and dropout, batches of 16 rows as the recipes have them; with padding is how the
stock Trainer computes them. Both sides get the same batches and take turns in each round, on one thread.
Results: benchmarks/results/unpadding.json
"""

import argparse
import json
import shlex
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.suite.sets import SETS, prepare
from hfkit.contract.codec import Batch, Codec
from hfkit.contract.task import Task
from hfkit.model.depth import Depths
from hfkit.model.unpadding import Places, Unpadding
from hfkit.runtime.machine import environment
from hfkit.tasks import NER, TextClassification
from hfkit.training.unpadding import MASK, find_blocks

FOLDER = Path("runs", "unpadding")
RESULT = Path(__file__).parent / "results" / "unpadding.json"
NAMES = ("uci_amazon", "banking77", "med_nli", "hate_offensive", "wnut17", "bc5cdr")
TASKS: dict[str, type[Task]] = {"text": TextClassification, "ner": NER}
BATCH, BATCHES = 16, 6
PRECISIONS = ("float32", "bfloat16")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    result = {
        "schema": "hfkit.unpadding/1",
        "command": shlex.join(["python", "-m", "benchmarks.unpadding", *sys.argv[1:]]),
        "batch": BATCH,
        "sets": [measure_set(name, args.data, args.rounds) for name in NAMES],
        "environment": environment(),
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def measure_set(name: str, data: Path, rounds: int) -> dict[str, Any]:
    """Milliseconds of CPU a step, and how many times as fast it is without padding, by precision."""
    folder = FOLDER / name
    prepare(SETS[name], data, folder)
    task = TASKS[SETS[name].kind](dataset=str(folder))
    rows = task.load()
    codec = task.codec("sample", rows.target)
    model = codec.model().train()
    batches = draw_batches(codec, codec.encode(rows["train"], split="train", answers=True))
    places = [Places(batch[MASK]) for batch in batches]
    unpadding = Unpadding(find_blocks(model, Depths.of(model)))
    sides = {
        "padded": lambda precision: step_all(model, codec, batches, precision),
        "unpadded": lambda precision: step_all(model, codec, batches, precision, unpadding),
    }
    padding = sum(one.padding for one in places) / sum(one.rows * one.tokens for one in places)
    found: dict[str, Any] = {"set": name, "padding": padding}
    for precision in PRECISIONS:
        times = [{side: run(precision) for side, run in sides.items()} for _ in range(rounds + 1)][1:]
        ratios = [one["padded"] / one["unpadded"] for one in times]
        found[precision] = {
            "cpu_ms": {side: median(one[side] for one in times) for side in sides},
            "ratio": {"median": median(ratios), "lowest": min(ratios), "highest": max(ratios)},
        }
    print(json.dumps(found), flush=True)
    return found


def draw_batches(codec: Codec, encoded: Any) -> list[Batch]:
    order = np.random.default_rng(0).permutation(len(encoded))[: BATCH * BATCHES]
    return [codec.collate(encoded.__getitems__(part.tolist())) for part in np.split(order, BATCHES)]


def step_all(
    model: nn.Module, codec: Codec, batches: list[Batch], precision: str, unpadding: Unpadding | None = None
) -> float:
    """CPU milliseconds of a forward and a backward pass, the mean over the batches."""
    begun = time.process_time()
    for batch in batches:
        model.zero_grad()
        with ExitStack() as computed:
            if unpadding:  # finding the places is a part of a step
                computed.enter_context(unpadding.around_blocks())
                computed.enter_context(unpadding.skip_padding(Places(batch[MASK])))
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
                loss, _ = codec.loss(model, batch)
            loss.backward()
    return (time.process_time() - begun) / len(batches) * 1000


if __name__ == "__main__":
    main()
