"""Scores of plain values. They know no model, need no network and return plain floats."""

import uuid
from collections.abc import Sequence

import evaluate
import numpy as np
from datasets import Features, List, Value
from seqeval.metrics import accuracy_score, classification_report, f1_score
from seqeval.scheme import IOB2
from sklearn.metrics import f1_score as f1_of_classes
from sklearn.metrics import matthews_corrcoef, recall_score


def entity_scores(predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """Entity-level scores of IOB2 tag sequences, by seqeval.

    `f1`, `precision` and `recall` count an entity as right if its type and both ends are (seqeval's strict mode: an
    I- that continues nothing is no entity). `lenient_f1` lets such an I- start one, as conlleval does. `accuracy` is
    the share of words with the right tag. Each type X of either side adds `f1_X`, `precision_X`, `recall_X` and
    `support_X`, its number of entities in the references. Divisions by zero give 0.

    Raises:
        ValueError: the two sides differ in rows, or in the words of a row.
    """
    predictions, references = [list(map(list, side)) for side in (predictions, references)]
    if list(map(len, predictions)) != list(map(len, references)):
        raise ValueError("predictions and references must have the same rows, each with one tag per word")
    scores = {"f1": 0.0, "precision": 0.0, "recall": 0.0, "lenient_f1": 0.0, "accuracy": 0.0}
    if any(references):
        scores["accuracy"] = float(accuracy_score(references, predictions))
        scores["lenient_f1"] = float(f1_score(references, predictions, zero_division=0))
    if not any(tag.startswith("B-") for side in (predictions, references) for row in side for tag in row):
        return scores  # seqeval's report fails without any entity
    report = classification_report(
        references, predictions, mode="strict", scheme=IOB2, output_dict=True, zero_division=0
    )
    overall = report.pop("micro avg")
    del report["macro avg"], report["weighted avg"]
    for name, key in (("f1", "f1-score"), ("precision", "precision"), ("recall", "recall")):
        scores[name] = float(overall[key])
        scores |= {f"{name}_{kind}": float(values[key]) for kind, values in report.items()}
    return scores | {f"support_{kind}": float(values["support"]) for kind, values in report.items()}


def class_scores(predictions: Sequence[Sequence[str]], references: Sequence[str]) -> dict[str, float]:
    """Scores of one label per row, predicted as a ranking.

    Macro F1 over the classes of either side, Matthews' correlation (Gorodkin 2004 for several classes), accuracy
    averaged over classes, and, if rankings are that long, how often the right label is among the first five.
    """
    first = [ranked[0] for ranked in predictions]
    scores = {
        "macro_f1": float(f1_of_classes(references, first, average="macro", zero_division=0)),
        # With a single label it is 0, and scikit-learn would warn.
        "mcc": float(matthews_corrcoef(references, first)) if len({*references, *first}) > 1 else 0.0,
        # Not balanced_accuracy_score, which warns of classes that are only predicted.
        "balanced_accuracy": float(
            recall_score(references, first, labels=sorted(set(references)), average="macro", zero_division=0)
        ),
    }
    if max(map(len, predictions), default=0) >= 5:
        hits = [gold in ranked[:5] for ranked, gold in zip(predictions, references, strict=True)]
        scores["top5_accuracy"] = sum(hits) / len(hits)
    return scores


def scope_scores(predictions: Sequence[str], references: Sequence[str], outside: str) -> dict[str, float]:
    """Accuracy on rows that belong to a class, and precision, recall and F1 of those that do not (`outside`)."""
    pairs = list(zip(predictions, references, strict=True))
    inside = [ours == gold for ours, gold in pairs if gold != outside]
    found = sum(ours == gold == outside for ours, gold in pairs)
    said, there = predictions.count(outside), len(pairs) - len(inside)
    return {
        "in_scope_accuracy": sum(inside) / max(len(inside), 1),
        "out_of_scope_recall": found / max(there, 1),
        "out_of_scope_precision": found / max(said, 1),
        "out_of_scope_f1": 2 * found / max(said + there, 1),
    }


def label_set_scores(predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """Scores of several labels per row.

    Micro precision and recall, macro F1 over the labels of either side, and the share of rows whose set of labels is
    exactly right.
    """
    names = sorted({name for side in (predictions, references) for row in side for name in row})
    sides = (predictions, references)
    ours, gold = (np.array([[name in row for name in names] for row in side]) for side in sides)
    exact = float((ours == gold).all(axis=1).mean()) if names else 1.0
    if not names:
        return {"precision": 0.0, "recall": 0.0, "macro_f1": 0.0, "exact_match": exact}
    right, said, there = (ours & gold).sum(0), ours.sum(0), gold.sum(0)
    return {
        "precision": float(right.sum() / max(said.sum(), 1)),
        "recall": float(right.sum() / max(there.sum(), 1)),
        "macro_f1": float(np.mean(2 * right / np.maximum(said + there, 1))),
        "exact_match": exact,
    }


def number_scores(predictions: Sequence[float], references: Sequence[float]) -> dict[str, float]:
    """Scores of numbers.

    Pearson's and Spearman's correlation (0 if a side is constant), the root of the mean squared error, and the mean
    absolute error.
    """
    from scipy.stats import pearsonr, spearmanr

    ours, gold = np.array(predictions, dtype=float), np.array(references, dtype=float)
    # Nearly constant counts as constant: the rest is rounding.
    varied = len(ours) > 1 and min(np.ptp(ours), np.ptp(gold)) > 1e-9
    return {
        "pearson": float(pearsonr(ours, gold).statistic) if varied else 0.0,
        "spearman": float(spearmanr(ours, gold).statistic) if varied else 0.0,
        "rmse": float(np.sqrt(np.mean((ours - gold) ** 2))),
        "mae": float(np.mean(np.abs(ours - gold))),
    }


class EntityScore(evaluate.Metric):
    """`entity_scores` as a metric of the `evaluate` library, which this class never asks the Hub for."""

    def __init__(self) -> None:
        # Processes that share an experiment id share a lock file; the Trainer has gathered all rows by now anyway.
        super().__init__(keep_in_memory=True, experiment_id=uuid.uuid4().hex)

    def _info(self) -> evaluate.MetricInfo:
        tags = List(Value("string"))
        return evaluate.MetricInfo(
            description=entity_scores.__doc__,
            citation="https://github.com/chakki-works/seqeval",
            features=Features({"predictions": tags, "references": tags}),
        )

    def _compute(self, predictions: list[list[str]], references: list[list[str]]) -> dict[str, float]:
        return entity_scores(predictions, references)
