r"""CPU time of an evaluation in which a model writes, beside that of transformers' Seq2SeqTrainer at the same answers.

    python recipes/t5_translation.py --output_dir runs/t5-translation
    OMP_NUM_THREADS=1 python benchmarks/generation.py --checkpoint runs/t5-translation \
        --result benchmarks/results/generation.json

A tiny model that knows the bundled toy language learns to translate one to four sentences of it at once, so that its
answers are of mixed lengths and end where they should. Then the test rows are evaluated by both trainers, in turns:
loss, greedy `generate()` with its cache of keys and values, decoding, and BLEU. The batches hold as many rows; the
stock trainer takes them in the order of the rows. Times are CPU seconds of the process, medians over rounds with the
lowest and the highest, and a ratio is of the two in one round. Rows are counted whose texts are not the same: padding
may turn a tie between two tokens.
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import datasets
import numpy as np
import sacrebleu
import torch
from transformers import (
    DataCollatorForSeq2Seq,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    set_seed,
)

from hfkit import RecipeArguments, TransferArguments, TransferTrainer, parse
from hfkit.runtime.machine import environment
from hfkit.tasks import Translation
from samples_source.make_reports import Draw
from samples_source.make_toy_language import make_pair

MOST = 4  # sentences of a row
LONGEST = 160  # tokens
BATCH = 32  # rows


def draw_rows(count: int, seed: str) -> datasets.Dataset:
    """Rows of one to `MOST` sentences, and their translations."""
    draw, rows = Draw(seed), []
    for _ in range(count):
        pairs = [make_pair(draw) for _ in range(draw.number(1, MOST))]
        rows.append({side: " ".join(pair[side] for pair in pairs) for side in ("source", "target")})
    return datasets.Dataset.from_list(rows)


def train(checkpoint: str, data: Path, output: Path, epochs: int) -> TransferTrainer:
    recipe, task, args = parse(
        (RecipeArguments, Translation, TransferArguments),
        argv=["--checkpoint", checkpoint, "--dataset", str(data), "--output_dir", str(output), "--use_cpu"],
        strategy="full",
        learning_rate=2e-3,
        num_train_epochs=epochs,
        per_device_train_batch_size=16,
        per_device_eval_batch_size=BATCH,
        max_source_length=LONGEST,
        max_target_length=LONGEST,
        eval_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        precision="fp32",
    )
    set_seed(args.seed)
    rows = task.load(recipe.checkpoint)
    codec = task.codec(recipe.checkpoint, rows.target)
    trainer = TransferTrainer(model=codec.model(), args=args, task=task, codec=codec, rows=rows)
    trainer.train()
    return trainer


def make_stock(trainer: TransferTrainer, output: Path) -> tuple[Seq2SeqTrainer, datasets.Dataset]:
    """The stock trainer with the same model, and its test rows, as run_translation.py makes them."""
    codec, rows = trainer.codec, trainer.rows["test"]

    def encode(batch: dict[str, list]) -> dict[str, list]:
        inputs = codec.processor(batch["source"], max_length=LONGEST, truncation=True)
        targets = [gold[0] for gold in batch["target"]]
        return {
            **inputs,
            "labels": codec.processor(text_target=targets, max_length=LONGEST, truncation=True)["input_ids"],
        }

    def score(found) -> dict[str, float]:
        written, labels = (np.where(ids != -100, ids, codec.processor.pad_token_id) for ids in found)
        texts, gold = (codec.processor.batch_decode(ids, skip_special_tokens=True) for ids in (written, labels))
        return {"bleu": sacrebleu.corpus_bleu(texts, [gold]).score}

    args = Seq2SeqTrainingArguments(
        str(output),
        predict_with_generate=True,
        per_device_eval_batch_size=BATCH,
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
    )
    collator = DataCollatorForSeq2Seq(codec.processor, model=trainer.model)
    stock = Seq2SeqTrainer(
        trainer.model, args, data_collator=collator, processing_class=codec.processor, compute_metrics=score
    )
    return stock, rows.map(encode, batched=True, remove_columns=rows.column_names)


def compare(checkpoint: str, data: Path, output: Path, epochs: int, rounds: int) -> dict:
    """CPU seconds of both evaluations of one model, and how far their answers agree."""
    trainer = train(checkpoint, data, output / "run", epochs)
    stock, features = make_stock(trainer, output / "stock")
    codec, answers = trainer.codec, {}

    def ours() -> None:
        answers["ours"] = trainer.predictions("test")

    def theirs() -> None:
        found = stock.predict(features)
        ids = np.where(found.predictions == -100, codec.processor.pad_token_id, found.predictions)
        answers["stock"] = ids

    times = take_turns({"stock": theirs, "ours": ours}, rounds)
    texts = [text.strip() for text in codec.processor.batch_decode(answers["stock"], skip_special_tokens=True)]
    lengths = [len(ids) for ids in codec.processor(answers["ours"])["input_ids"]]
    ratios = [one / other for one, other in zip(times["stock"], times["ours"], strict=True)]
    return {
        "model": type(trainer.model).__name__,
        "rows": len(texts),
        "tokens_written": {"median": median(lengths), "most": max(lengths)},
        "bleu": trainer.task.judge.score(answers["ours"], trainer.references("test"))["bleu"],
        "unlike_texts": sum(one != other for one, other in zip(texts, answers["ours"], strict=True)),
        "cpu_seconds": {name: {"median": median(found), "low": min(found), "high": max(found)}
                        for name, found in times.items()},
        "ratio": {"median": median(ratios), "low": min(ratios), "high": max(ratios)},
    }  # fmt: skip


def take_turns(contenders: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in contenders}
    order, draw = list(contenders), random.Random(0)
    for _ in range(rounds):
        draw.shuffle(order)
        for name in order:
            began = time.process_time()
            contenders[name]()
            times[name].append(time.process_time() - began)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--checkpoint", default="sample-t5", help="a model that translates one sentence, or the T5")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--train", type=int, default=400, help="training rows")
    parser.add_argument("--test", type=int, default=96, help="test rows")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--result", type=Path, default=None)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory() as place:
        data, place = Path(place, "data"), Path(place)
        data.mkdir()
        for split, count in (("train", args.train), ("validation", 8), ("test", args.test)):
            draw_rows(count, split).to_parquet(str(data / f"{split}.parquet"))
        found = [compare(args.checkpoint, data, place, args.epochs, args.rounds)]
    result = {
        "schema": "hfkit.generation/1",
        "command": f"python benchmarks/generation.py --checkpoint {Path(args.checkpoint).name}"
        f" --rounds {args.rounds} --train {args.train} --test {args.test} --epochs {args.epochs}",
        "environment": environment(),
        "batch": BATCH,
        "models": found,
    }
    print(json.dumps(result["models"], indent=1))
    if args.result:
        args.result.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
