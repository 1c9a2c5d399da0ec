"""An epoch of a language model with documents in shared rows, beside the stock Trainer's padded batches: CPU seconds.

    OMP_NUM_THREADS=1 python benchmarks/packing.py --result benchmarks/results/packing.json

Both sides train the same bundled decoder on the same documents with the same tokens, by AdamW, in batches of as many
tokens at most. The stock side pads each batch of rows in random order to its longest, as `Trainer` does with
`DataCollatorForLanguageModeling`. What is counted are tokens that pass through the model against tokens that are
documents, and CPU seconds of forward and backward passes. Rounds alternate; each measures one CPU thread.
"""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import torch
from datasets import Dataset
from transformers import DataCollatorForLanguageModeling

from hfkit.data.batches import rows_to_fetch
from hfkit.runtime.machine import environment
from hfkit.samples.logbook import sample_logbook
from hfkit.tasks import LanguageModelling

BATCH = 8  # rows
SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=500)
    parser.add_argument("--result", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    task = LanguageModelling()
    codec = task.codec("sample", task.guess_target(0))
    model = codec.model()
    rows = sample_logbook()["train"].select(range(args.rows))
    rounds: list[dict[str, Any]] = []
    for number in range(args.rounds):
        ours = run_epoch(model, list(batch_packed(codec, rows)))
        stock = run_epoch(model, list(batch_padded(codec, rows)))
        rounds.append({"ours": ours, "stock": stock})
        print(json.dumps({"round": number, **rounds[-1]}), flush=True)
    ratios = [one["stock"]["cpu_seconds"] / one["ours"]["cpu_seconds"] for one in rounds]
    result = {
        "schema": "hfkit.packing/1",
        "command": shlex.join(["python", *sys.argv]),
        "rows": len(rows),
        "ours_tokens_per_real_token": rounds[0]["ours"]["tokens"] / rounds[0]["ours"]["real_tokens"],
        "stock_tokens_per_real_token": rounds[0]["stock"]["tokens"] / rounds[0]["stock"]["real_tokens"],
        "cpu_seconds": {side: median(one[side]["cpu_seconds"] for one in rounds) for side in ("ours", "stock")},
        "ratio": {"median": median(ratios), "lowest": min(ratios), "highest": max(ratios)},
        "rounds": rounds,
        "environment": environment(),
    }
    print(json.dumps({key: value for key, value in result.items() if key not in ("rounds", "environment")}))
    if args.result:
        args.result.write_text(json.dumps(result, indent=1) + "\n")


def batch_packed(codec: Any, rows: Dataset) -> Iterator[dict[str, Any]]:
    encoded = codec.encode(rows, split="train", answers=True)
    fetched = rows_to_fetch(encoded)
    order = torch.randperm(len(encoded), generator=torch.Generator().manual_seed(SEED)).tolist()
    for start in range(0, len(order), BATCH):
        batch = codec.collate(fetched.__getitems__(order[start : start + BATCH]))
        yield {**codec.inputs(batch), **codec.keywords, "shift_labels": batch["labels"], "labels": batch["labels"]}


def batch_padded(codec: Any, rows: Dataset) -> Iterator[dict[str, Any]]:
    end = codec.processor.eos_token_id
    ids = [[codec.start, *text, end] for text in codec.tokenize(rows["text"][:], "Tokenizing")]
    collate = DataCollatorForLanguageModeling(codec.processor, mlm=False)
    order = torch.randperm(len(ids), generator=torch.Generator().manual_seed(SEED)).tolist()
    for start in range(0, len(order), BATCH):
        some = [ids[row] for row in order[start : start + BATCH]]
        batch = collate([{"input_ids": one} for one in some])
        # The collator ignores every end token where that pads too; here only the padding is.
        for labels, one in zip(batch["labels"], some, strict=True):
            labels[: len(one)] = torch.tensor(one)
        yield {**batch, **codec.keywords}


def run_epoch(model: Any, batches: list[dict[str, Any]]) -> dict[str, Any]:
    """Forward and backward passes over some batches, and the tokens in them."""
    model.train()
    real = tokens = 0
    began = time.process_time()
    for batch in batches:
        model.zero_grad()
        model(**batch).loss.backward()
    seconds = time.process_time() - began
    for batch in batches:
        tokens += batch["input_ids"].numel()
        shifted = batch.get("shift_labels")
        real += int((batch["labels"] != -100).sum() if shifted is not None else (batch["labels"][:, 1:] != -100).sum())
    return {"cpu_seconds": seconds, "tokens": tokens, "real_tokens": real, "batches": len(batches)}


if __name__ == "__main__":
    main()
