r"""How preparation, the cache and the input side of an epoch grow with the rows of a dataset.

    python -m benchmarks.scaling --rows 100000 --result runs/bench/speed/scaling/100000.json

One size per process. The rows are short made-up texts, half of them one of two classes; the encoder is tiny (2 layers
of width 32), so that what is measured is what hfkit does around it. The encoder stays frozen.

Memory is the highest that the process reached: `peak` with the pages of files that the system keeps for it and can take
back, and `private` without.
"""

import argparse
import json
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast, set_seed

from benchmarks.meter import Meter
from benchmarks.speed import CELLS, Cell
from hfkit import TransferArguments, TransferTrainer
from hfkit.runtime.machine import environment, measure
from hfkit.tasks import TextClassification

SIZES = (1_000, 10_000, 100_000, 1_000_000)
WORDS = [f"{first}{second}{third}" for first in "bdfgklmnprst" for second in "aeiou" for third in "lmnrst"]
CLASSES, BATCH, HELD_OUT = ("dull", "good"), 64, 500
CHUNK = 50_000  # rows written at once
EVERY = 0.05  # seconds between two looks at the memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--result", type=Path, required=True)
    args = parser.parse_args()
    set_seed(0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_rows(folder / "data", args.rows)
        write_checkpoint(folder / "checkpoint")
        with memory() as peaks:
            found = stages(folder, args.rows)
    args.result.parent.mkdir(parents=True, exist_ok=True)
    facts = {"rows": args.rows, **found, "memory_mib": peaks, "environment": environment()}
    args.result.write_text(json.dumps(facts, indent=1) + "\n")


def stages(folder: Path, rows: int) -> dict[str, Any]:
    """CPU seconds of each stage, one after the other."""
    task = TextClassification(dataset=str(folder / "data"))
    with measure() as loading:
        loaded = task.load()
    with measure() as preparing:
        codec = task.codec(str(folder / "checkpoint"), loaded.target)
        splits = loaded.splits.items()
        encoded = {split: codec.encode(of_split, split=split, answers=True) for split, of_split in splits}
    args = TransferArguments(
        output_dir=str(folder / "out"),
        strategy="feature-extraction",
        num_train_epochs=1,
        cache_dir=str(folder / "kept"),
        per_device_train_batch_size=BATCH,
        eval_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    trainer = TransferTrainer(
        model=codec.model(),
        args=args,
        task=task,
        codec=codec,
        rows=loaded,
        encoded=encoded,
    )
    cost = Meter(trainer).train()
    began, batches = time.process_time(), 0
    for _ in trainer.get_train_dataloader():
        batches += 1
    return {
        "batches": batches,
        "cpu_seconds": {
            "reading": loading["cpu_seconds"],
            "preparation": preparing["cpu_seconds"],
            "before the first step, the cache included": cost["cpu_seconds_to_first_step"],
            "the epoch": cost["cpu_seconds"] - cost["cpu_seconds_to_first_step"],
            "batches of token ids alone": time.process_time() - began,
        },
    }


def write_rows(folder: Path, count: int) -> None:
    """Parquet files of `count` training rows, written in chunks: the whole is never in memory."""
    folder.mkdir()
    draw = random.Random(0)
    schema = pa.schema({"text": pa.string(), "label": pa.string()})
    for split, rows in (("train", count), ("validation", HELD_OUT), ("test", HELD_OUT)):
        with pq.ParquetWriter(folder / f"{split}.parquet", schema) as writer:
            for start in range(0, rows, CHUNK):
                labels = [CLASSES[row % 2] for row in range(start, min(start + CHUNK, rows))]
                texts = [" ".join([label, *draw.choices(WORDS, k=draw.randint(4, 14))]) for label in labels]
                writer.write_table(pa.table({"text": texts, "label": labels}, schema))


def write_checkpoint(folder: Path) -> None:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    words = [*special, *CLASSES, *WORDS]
    tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [("[CLS]", words.index("[CLS]")), ("[SEP]", words.index("[SEP]"))]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token"), special, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **names).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertForSequenceClassification(config).to(torch.float32).save_pretrained(folder)


@contextmanager
def memory() -> Iterator[dict[str, float]]:
    """Yields what the process's memory was at its highest once the block has ended, in MiB."""
    process, over = psutil.Process(), threading.Event()
    peaks = {"peak": 0.0, "private": 0.0}

    def watch() -> None:
        while not over.wait(EVERY):
            now = process.memory_info()
            peaks["peak"] = max(peaks["peak"], now.rss / 2**20)
            peaks["private"] = max(peaks["private"], (now.rss - now.shared) / 2**20)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peaks
    finally:
        over.set()
        watcher.join()


# The whole table


def scaling_cells() -> list[Cell]:
    return [(CELLS / "scaling" / f"{rows}.json", [["benchmarks.scaling", "--rows", str(rows)]]) for rows in SIZES]


def scaling_rows() -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path, _ in scaling_cells() if path.is_file()]


if __name__ == "__main__":
    main()
