r"""CPU time of what surrounds the model in a training step on text, beside the stock parts.

    OMP_NUM_THREADS=1 python benchmarks/input_side.py --ner path/to/wnut17 --texts path/to/banking77/train.parquet \
        --checkpoint path/to/minilm --result benchmarks/results/input_side.json

- batches: rows of a `datasets.Dataset` through the stock collator, and the same rows through `NumberRows` and
  `PaddedTexts`, in batches of 8 and in the same random order.
- tokens: `Dataset.map` over the tokenizer's call as transformers' examples do it (for words with labels on the first
  token of each), and the task's `encode`; the tokenizer's backend runs on one thread.
- groups: a step of fused AdamW and its schedule over all parameters of the model in one group, in the two of the stock
  Trainer (decayed or not) and in one per depth and decay.

The contenders take turns in a random order, so that load on the machine falls on all alike. Times are CPU seconds of
the process, medians over rounds with the lowest and the highest, and a ratio is of the two in one round.
"""

import argparse
import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import datasets
import torch
from torch.optim.lr_scheduler import LambdaLR
from transformers import DataCollatorForTokenClassification

from hfkit.data.batches import NumberRows
from hfkit.model.depth import Depths
from hfkit.model.groups import groupwise_schedule, layerwise_parameter_groups
from hfkit.runtime.machine import environment
from hfkit.tasks import NER, TextClassification

BATCH = 8  # rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--ner", required=True, help="folder of a corpus of words and tags, such as WNUT-17")
    parser.add_argument("--texts", required=True, help="parquet file with the columns text and label")
    parser.add_argument("--checkpoint", required=True, help="folder of an encoder, such as all-MiniLM-L6-v2")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--result", type=Path, default=None)
    args = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    datasets.disable_progress_bars()
    result = {
        "schema": "hfkit.input-side/1",
        "command": "python benchmarks/input_side.py --ner path/to/wnut17 --texts path/to/banking77/train.parquet "
        f"--checkpoint path/to/minilm --rounds {args.rounds}",
        "environment": environment(),
        "batches": batches(args.ner, args.checkpoint, args.rounds),
        "tokens": {
            "words": tokens_of_words(args.ner, args.checkpoint, args.rounds),
            "texts": tokens_of_texts(args.texts, args.checkpoint, args.rounds),
        },
        "groups": groups(args.ner, args.checkpoint, args.rounds),
    }
    print(json.dumps({key: result[key] for key in ("batches", "tokens", "groups")}, indent=1))
    if args.result:
        args.result.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def compared(contenders: dict[str, Callable[[], object]], rounds: int, per: int) -> dict:
    """CPU milliseconds of each contender per one of `per` things that a call does, and how many times the first's."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    order, draw = list(contenders), random.Random(0)
    for number in range(rounds + 1):
        draw.shuffle(order)
        for name in order:
            began = time.process_time()
            contenders[name]()
            if number:  # the first round warms up
                times[name].append((time.process_time() - began) / per * 1000)
    first = next(iter(times.values()))
    return {
        name: {
            "cpu_ms": summary(found),
            "over_first": summary([b / a for a, b in zip(first, found, strict=True)]),
        }
        for name, found in times.items()
    }


def summary(found: list[float]) -> dict[str, float]:
    return {"median": median(found), "lowest": min(found), "highest": max(found)}


# Batches


def batches(corpus: str, checkpoint: str, rounds: int) -> dict:
    task = NER(dataset=corpus)
    loaded = task.load()
    codec = task.codec(checkpoint, loaded.target)
    rows, processor = codec.encode(loaded["train"], split="train", answers=True), codec.processor
    order = random.Random(0).sample(range(len(rows)), len(rows))
    chosen = [order[start : start + BATCH] for start in range(0, len(order) - BATCH, BATCH)][:100]
    needed = rows.select_columns([*processor.model_input_names, "labels"])
    stock, ours = DataCollatorForTokenClassification(processor), codec.collate
    fetched = NumberRows(rows)
    for numbers in chosen:
        expected, found = stock(needed.__getitems__(numbers)), ours(fetched.__getitems__(numbers))
        assert all(torch.equal(expected[name], found[name]) for name in expected)
    return compared(
        {
            "stock": lambda: [stock(needed.__getitems__(numbers)) for numbers in chosen],
            "hfkit, from the same rows": lambda: [ours(needed.__getitems__(numbers)) for numbers in chosen],
            "hfkit": lambda: [ours(fetched.__getitems__(numbers)) for numbers in chosen],
        },
        rounds,
        per=len(chosen),
    )


# Tokens


def tokens_of_words(corpus: str, checkpoint: str, rounds: int) -> dict:
    task = NER(dataset=corpus)
    loaded = task.load()
    rows, codec = loaded["train"], task.codec(checkpoint, loaded.target)
    processor, ids = codec.processor, {name: number for number, name in enumerate(loaded.labels)}

    def labelled(batch: dict) -> dict:
        found = processor(batch["tokens"], is_split_into_words=True, truncation=True, max_length=512)
        found["labels"] = []
        for row, tags in enumerate(batch["tags"]):
            labels, before = [], None
            for word in found.word_ids(row):
                labels.append(-100 if word is None or word == before else ids[tags[word]])
                before = word
            found["labels"].append(labels)
        return found

    return compared(
        {
            "stock": lambda: mapped(rows, labelled),
            "hfkit": lambda: codec.encode(rows, split="train", answers=True),
        },
        rounds,
        per=len(rows),
    )


def tokens_of_texts(file: str, checkpoint: str, rounds: int) -> dict:
    task = TextClassification()
    table = datasets.load_dataset("parquet", data_files=file)["train"]
    rows = datasets.Dataset.from_dict({"text": table["text"][:], "label": [str(label) for label in table["label"][:]]})
    codec = task.codec(checkpoint, task.rows.target(datasets.DatasetDict(train=rows)))
    processor = codec.processor
    return compared(
        {
            "stock": lambda: mapped(rows, lambda batch: processor(batch["text"], truncation=True, max_length=256)),
            "hfkit": lambda: codec.encode(rows, split="train", answers=True),
        },
        rounds,
        per=len(rows),
    )


def mapped(rows: datasets.Dataset, make: Callable[[dict], dict]) -> datasets.Dataset:
    names = rows.column_names
    return rows.map(make, batched=True, remove_columns=names, keep_in_memory=True, load_from_cache_file=False)


# Groups


def groups(corpus: str, checkpoint: str, rounds: int) -> dict:
    task = NER(dataset=corpus)
    codec = task.codec(checkpoint, task.load().target)
    contenders, counts = {}, {}
    for name in ("one group", "decayed or not", "layer-wise"):
        model = codec.model()
        parameters = list(model.parameters())
        for parameter in parameters:
            parameter.grad = torch.randn_like(parameter) * 1e-3
        kinds = {
            "one group": [{"params": parameters}],
            "decayed or not": [
                {"params": [p for p in parameters if (p.ndim > 1) is decays]} for decays in (True, False)
            ],
            "layer-wise": layerwise_parameter_groups(
                model,
                Depths.of(model),
                learning_rate=1e-5,
                layer_decay=0.95,
                head_learning_rate=None,
                weight_decay=0.01,
            ),
        }
        optimizer = torch.optim.AdamW(kinds[name], lr=1e-5, fused=True)
        if name == "layer-wise":
            schedule = groupwise_schedule(optimizer, lambda step: 0.9, lambda depth: 0, 0)
        else:
            schedule = LambdaLR(optimizer, lambda step: 0.9)
        contenders[name], counts[name] = stepping(optimizer, schedule), len(optimizer.param_groups)
    # A step is short and moves much memory: what the groups cost is small beside how much it varies.
    found = compared(contenders, 6 * rounds, per=STEPS)
    return {name: {"groups": counts[name], **facts} for name, facts in found.items()}


STEPS = 2  # of the optimizer in a call


def stepping(optimizer: torch.optim.Optimizer, schedule: LambdaLR) -> Callable[[], None]:
    def steps() -> None:
        for _ in range(STEPS):
            optimizer.step()
            schedule.step()

    return steps


if __name__ == "__main__":
    main()
