"""A task that is no more than the report needs, and reports about it."""

import base64
import io
import math
from collections import Counter
from dataclasses import dataclass
from functools import cache

import numpy as np
from datasets import Dataset, DatasetDict
from PIL import Image

from hfkit.baselines.base import Answers, Baseline
from hfkit.contract.task import Found, Task
from hfkit.report.report import Report
from hfkit.tasks.tagging.errors import entity_breakdown, entity_errors, spans
from tests.tiny import ner_splits

COST = {"wall_seconds": 2.5, "cpu_seconds": 3.25, "peak_memory_mib": 512.0}
PLAN = [
    {"stage": 1, "from_step": 0, "until_step": 20, "from_epoch": 0, "depths": "5", "names": "head", "trainable": 99}
    | {"share": 0.01, "lowest_learning_rate": 1e-3, "highest_learning_rate": 1e-3},
    {"stage": 2, "from_step": 20, "until_step": 60, "from_epoch": 1.0, "depths": "0-5", "names": "embeddings … head"}
    | {"trainable": 9900, "share": 1, "lowest_learning_rate": 1e-5, "highest_learning_rate": 1e-3},
]
LOG = [
    {"loss": 2.0, "head_learning_rate": 1e-3, "lowest_learning_rate": 1e-3, "grad_norm": math.nan, "epoch": 0.5},
    {"eval_loss": 1.5, "eval_f1": 0.4, "epoch": 1.0},
    {"loss": 1.0, "head_learning_rate": 1e-4, "lowest_learning_rate": 1e-6, "grad_norm": 1.0, "epoch": 2.0},
    {"eval_loss": 1.1, "eval_f1": 0.8, "epoch": 3.0},
    {"train_runtime": 60.0, "epoch": 3.0},
]


@dataclass(frozen=True)
class Tags(Task):
    """Tag lists judged by entity: the least that a task is to the report."""

    synthetic: bool | str = False

    name = "token-classification"
    headline = "f1"
    unit = "sentence"

    def found(self, *one):
        return Found(ner_splits(train=6, validation=4, test=24), {"tokens": "tokens", "tags": "tags"})

    def checked(self, found, known=None):
        return found.raw

    def labels(self, dataset):
        return ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]

    def processor(self, checkpoint):
        raise NotImplementedError

    def prepare(self, dataset, processor, labels):
        raise NotImplementedError

    def collator(self, processor):
        raise NotImplementedError

    def compact(self, logits, labels):
        raise NotImplementedError

    def decode(self, outputs, prepared, labels):
        raise NotImplementedError

    def references(self, split):
        return list(split["tags"])

    def score(self, predictions, references):
        correct, given, gold = self.tallies(predictions, references).sum(axis=0)
        f1 = self.headline_of(np.array([correct, given, gold]))
        return {"f1": f1, "precision": correct / max(given, 1), "recall": correct / max(gold, 1)}

    def tallies(self, predictions, references):
        pairs = [(set(spans(ours)), set(spans(gold))) for ours, gold in zip(predictions, references, strict=True)]
        return np.array([(len(ours & gold), len(ours), len(gold)) for ours, gold in pairs])

    def headline_of(self, sums):
        return 2 * sums[..., 0] / np.maximum(sums[..., 1] + sums[..., 2], 1)

    def describe(self, dataset, prepared=None):
        facts = {split: {"rows": len(rows), "entities": {"PER": np.int64(3)}} for split, rows in dataset.items()}
        return {"synthetic": self.synthetic, "scheme": "IOB2", "labels": ["LOC", "PER"], **facts}

    def breakdown(self, predictions, references):
        return entity_breakdown(predictions, references)

    def errors(self, predictions, references, rows, limit):
        return entity_errors(predictions, references, list(rows["tokens"]), limit)

    def shown(self, row):
        return {"text": " ".join(row["tokens"]), "picture": ""}

    def said(self, answer, row):
        return str(answer)


class Bare(Tags):
    """A task without anything to say per class."""

    def breakdown(self, predictions, references):
        return {}

    def errors(self, predictions, references, rows, limit):
        return []


@dataclass(frozen=True)
class Texts(Tags):
    """One class per text: row i of `count` classes belongs to class i."""

    count: int = 4

    name = "text-classification"
    headline = "accuracy"
    unit = "text"

    def load(self):
        rows = [{"text": f"text {i} of its class", "label": f"class {i % self.count}"} for i in range(3 * self.count)]
        return DatasetDict({split: Dataset.from_list(rows) for split in ("train", "validation", "test")})

    def labels(self, dataset):
        return sorted(set(dataset["train"]["label"]))

    def references(self, split):
        return list(split["label"])

    def score(self, predictions, references):
        return {"accuracy": float(self.headline_of(self.tallies(predictions, references).sum(axis=0)))}

    def tallies(self, predictions, references):
        return np.array([(ours == gold, 1) for ours, gold in zip(predictions, references, strict=True)])

    def headline_of(self, sums):
        return sums[..., 0] / np.maximum(sums[..., 1], 1)

    def describe(self, dataset, prepared=None):
        return {
            "labels": self.labels(dataset),
            "classes": {"test": dict(Counter(dataset["test"]["label"]))},
            "train": {"counts": dict(Counter(dataset["train"]["label"]))},
        }

    def breakdown(self, predictions, references):
        names = sorted({*predictions, *references})
        right, given, gold = (
            Counter(side)
            for side in ([p for p, g in zip(predictions, references, strict=True) if p == g], predictions, references)
        )
        per_class = {
            name: {
                "precision": right[name] / max(given[name], 1),
                "recall": right[name] / max(gold[name], 1),
                "f1": 2 * right[name] / (given[name] + gold[name]),
                "support": gold[name],
            }
            for name in names
        }
        pairs = Counter(zip(references, predictions, strict=True))
        # The columns run the other way: only their names say which cell is right.
        columns = names[:0:-1]
        counts = [[pairs[name, column] for column in columns] for name in names]
        counts = [[*row, gold[name] - sum(row)] for name, row in zip(names, counts, strict=True)]
        confusion = {"gold": names, "predicted": [*columns, "(others)"], "counts": counts}
        return {"per_class": per_class, "confusion": confusion, "note": "The first class stands among the others."}

    def errors(self, predictions, references, rows, limit):
        wrong = [i for i, (ours, gold) in enumerate(zip(predictions, references, strict=True)) if ours != gold]
        return [
            {"row": i, "kind": "confusion", "why": f"{references[i]} taken for {predictions[i]}", **self.shown(rows[i])}
            | {"gold": references[i], "predicted": predictions[i]}
            for i in wrong[:limit]
        ]

    def examples(self, rows, limit):
        chosen = {row["label"]: self.shown(row) for row in reversed(list(rows))}
        return {label: {"before": "", "after": "", **chosen[label]} for label in sorted(chosen)[:limit]}

    def shown(self, row):
        return {"text": row["text"], "picture": ""}


class Pictures(Texts):
    """The same with a picture instead of every text."""

    name = "image-classification"
    unit = "image"
    sample = "sample-resnet"

    def shown(self, row):
        return {"text": "", "picture": picture(8)}


class Correlation(Bare):
    """Numbers, judged by their correlation with the gold ones."""

    name = "text-classification"
    headline = "pearson"

    def load(self):
        rows = Dataset.from_dict({"label": [float(i % 7) for i in range(21)]})
        return DatasetDict(train=rows, validation=rows, test=rows)

    def references(self, split):
        return list(split["label"])

    def describe(self, dataset, prepared=None):
        return {}

    def score(self, predictions, references):
        rmse = float(np.sqrt(np.mean((np.array(predictions) - references) ** 2)))
        return {"pearson": float(self.headline_of(self.tallies(predictions, references).sum(axis=0))), "rmse": rmse}

    def tallies(self, predictions, references):
        p, g = np.array(predictions), np.array(references)
        return np.stack([np.ones_like(p), p, g, p * p, g * g, p * g], axis=-1)

    def headline_of(self, sums):
        n, p, g, pp, gg, pg = np.moveaxis(sums, -1, 0)
        spread = np.sqrt(np.maximum((pp / n - (p / n) ** 2) * (gg / n - (g / n) ** 2), 1e-12))
        return (pg / n - p * g / n**2) / spread


@cache
def picture(side: int, kind: str = "png") -> str:
    """A square picture of so many pixels a side, as a data URI."""
    written = io.BytesIO()
    Image.fromarray(np.arange(side * side, dtype=np.uint8).reshape(side, side)).save(written, kind)
    return f"data:image/{kind};base64,{base64.b64encode(written.getvalue()).decode()}"


def classified(task: Texts, *, wrong: int = 3, **settings) -> Report:
    """A report of a classifier that takes every so-manieth row for the class after it, and of a worse baseline."""
    dataset = task.load()
    labels, gold = task.labels(dataset), task.references(dataset["test"])

    def answers(every: int) -> list[str]:
        after = {name: labels[(i + 1) % len(labels)] for i, name in enumerate(labels)}
        return [after[name] if i % every == 0 else name for i, name in enumerate(gold)]

    shifted = {"name": "shifted", "description": "", "answers": lambda *_: Answers(answers(2))}
    report = Report(task, dataset, settings={"checkpoint": "sample", "output_dir": "runs/classifier"} | settings)
    report.add("fine-tuned", answers(wrong), cost=COST)
    report.judge(type("Shifted", (Baseline,), shifted)())
    return report


def spoilt(task: Task, dataset: DatasetDict, every: int) -> list[list[str]]:
    """The gold tags of test, with the type of every so-manieth row's first entity changed and its last entity lost."""
    rows = [list(tags) for tags in task.references(dataset["test"])]
    for tags in rows[::every]:
        tags[0] = "B-LOC"
        for i, tag in enumerate(tags):
            tags[i] = "O" if i and tag == "B-LOC" else tag
    return rows


def made(
    task: Task,
    *,
    dataset: DatasetDict | None = None,
    trained: bool = True,
    settings: dict | None = None,
    name: str = "fine-tuned",
) -> Report:
    """A report of two contenders: one with few faults, one with many."""
    dataset = dataset or task.load()
    report = Report(task, dataset, settings=settings or {"checkpoint": "sample", "seed": 0, "max_length": None})
    if trained:
        report.trained(plan=PLAN, log_history=LOG, cost=COST, invariants={"replica_comparisons": 0})
    report.add(name, spoilt(task, dataset, 4), cost=COST)
    report.add("shuffled", spoilt(task, dataset, 1), cost=COST)
    return report
