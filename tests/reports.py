"""A task that is no more than the report needs, and reports about it."""

import math
from dataclasses import dataclass

import numpy as np
from datasets import DatasetDict

from hfkit.evaluation.report import Report
from hfkit.tasks.base import Task
from hfkit.tasks.entity_errors import entity_breakdown, entity_errors, spans
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

    def load(self):
        return ner_splits(train=6, validation=4, test=24)

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


class Bare(Tags):
    """A task without anything to say per class."""

    def breakdown(self, predictions, references):
        return {}

    def errors(self, predictions, references, rows, limit):
        return []


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
