"""Scores of plain values. They know no model, need no network and return plain floats."""

import uuid
from collections.abc import Sequence

import evaluate
from datasets import Features, List, Value
from seqeval.metrics import accuracy_score, classification_report, f1_score
from seqeval.scheme import IOB2


def entity_scores(predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """Entity-level scores of IOB2 tag sequences, by seqeval.

    `f1`, `precision` and `recall` count an entity as right if its type and both ends are (seqeval's strict mode: an
    I- that continues nothing is no entity). `lenient_f1` lets such an I- start one, as conlleval does. `accuracy` is
    the share of words with the right tag. Each type X of either side adds `f1_X`, `precision_X`, `recall_X` and
    `support_X`, its entities in the references. What would divide by zero is 0.

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
