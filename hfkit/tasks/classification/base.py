"""What the classification of texts and of images have in common: labels, loss, decision and score."""

import re
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal
from uuid import uuid4

import numpy as np
import torch
from datasets import Dataset, DatasetDict, List, Value
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedConfig

from hfkit.contract.task import Found, Task
from hfkit.errors import UserError
from hfkit.tasks.classification.answers import FEATURES, NOTHING, fewer, in_order, labels_in, refuse_unlearnable
from hfkit.tasks.classification.errors import class_breakdown, class_errors
from hfkit.tasks.classification.thresholds import best_shifts

PROBLEMS = ("single-label", "multi-label", "regression", "ordinal")
SCALE = re.compile(r"-?\d+ to -?\d+")  # the one label of an ordinal model
RANKED = 5  # labels in a prediction


@dataclass(frozen=True)
class Classification(Task):
    """One answer per row: a class, a set of classes, a number, or a place on a scale.

    As plain values, a single label is predicted as the `RANKED` likeliest labels, best first, and its reference is one
    label; several labels are a list on both sides; a regression is a float; a place on a scale is an int.
    """

    problem: Literal[PROBLEMS] = field(  # type: ignore[valid-type]
        default="single-label",
        metadata={"help": "one label a row, several, a number, or whole numbers on a scale (ordinal)"},
    )
    label_column: str | None = field(default=None, metadata={"help": "column of labels; default: the one named so"})
    class_weights: Literal["none", "balanced"] = field(
        default="none", metadata={"help": "balanced: every class counts alike in the loss, however rare it is"}
    )
    out_of_scope: str | None = field(
        default=None, metadata={"help": "the label of rows that belong to no class, scored apart from the others"}
    )
    on_bad_row: Literal["error", "skip"] = field(
        default="error", metadata={"help": "stop at the first bad row, or leave such rows out and count them"}
    )
    validation_share: float = field(
        default=0.0, metadata={"help": "share of train (0 to 1) set aside where the dataset has no validation split"}
    )

    unit: ClassVar[str] = "row"

    def __post_init__(self) -> None:
        for name, value, fitting in (
            ("class_weights", self.class_weights != "none", ("single-label", "multi-label")),
            ("out_of_scope", self.out_of_scope is not None, ("single-label",)),
        ):
            if value and self.problem not in fitting:
                raise UserError(
                    f"{name} with problem={self.problem}", f"it is for {' and '.join(fitting)}", "Leave it out"
                )
        if self.max_train_rows is not None and self.max_train_rows < 1:
            raise UserError(
                f"max_train_rows={self.max_train_rows}", "a model learns from at least one row", "Leave it out"
            )
        if not 0 <= self.validation_share < 1:
            raise UserError(f"validation_share={self.validation_share}", "a share from 0 to below 1", "Try 0.1")

    @property
    def headline(self) -> str:
        return {
            "single-label": "accuracy",
            "multi-label": "f1",
            "regression": "pearson",
            "ordinal": "quadratic_kappa",
        }[self.problem]

    # Loading

    def checked(self, found: Found, known: list[str] | None = None) -> DatasetDict:
        loaded: dict[str, Dataset] = {}
        for split in found.raw:
            learnt = None
            if known is None and loaded:
                learnt = labels_in(loaded["train"]["label"], self.problem)
            elif known is not None and split == "test":
                learnt = set(known)
            loaded[split] = self.checked_rows(split, found, learnt, by_model=known is not None)
            if known is None and split == "train":
                refuse_unlearnable(loaded[split], found.columns["label"], self.problem, self.out_of_scope)
        if known is None and self.max_train_rows is not None:
            loaded["train"] = fewer(loaded["train"], self.problem, self.max_train_rows)
        return DatasetDict(loaded)

    @abstractmethod
    def checked_rows(self, split: str, found: Found, learnt: set[str] | None, *, by_model: bool) -> Dataset:
        """The rows of a split in this task's columns, without those at fault.

        Args:
            learnt: the only labels that rows may have, of train or of a finished model; None: any.
        """

    # Labels

    def labels(self, dataset: DatasetDict) -> list[str]:
        """Every label of any split, numbers by value, names by letter; a scale is one: 'LOWEST to HIGHEST' of train."""
        if self.problem == "regression":
            return ["score"]
        if self.problem == "ordinal":
            grades = set(self.references(next(iter(dataset.values()))))
            return [f"{min(grades)} to {max(grades)}"]
        several = self.problem == "multi-label"
        names = {
            name
            for rows in dataset.values()
            for gold in self.references(rows)
            for name in (gold if several else [gold])
        }
        return sorted(names, key=in_order)

    def head(self, labels: list[str]) -> dict[str, Any]:
        kind = {"single-label": "single_label_classification", "multi-label": "multi_label_classification"}
        return {**super().head(labels), "problem_type": kind.get(self.problem, "regression")}

    def references(self, split: Dataset) -> list:
        return split["label"][:]

    def targets(self, rows: Dataset, labels: list[str]) -> tuple[list, Any]:
        """What the loss takes for every row, and its feature: an id, a 0 or 1 per label, or a number."""
        gold, ids = self.references(rows), {label: i for i, label in enumerate(labels)}
        if self.problem == "single-label":
            return [ids[label] for label in gold], Value("int64")
        if self.problem == "multi-label":
            return [[float(label in of_row) for label in labels] for of_row in map(set, gold)], List(Value("float32"))
        return [float(value) for value in gold], Value("float32")

    def targeted(self, prepared: Dataset, rows: Dataset, labels: list[str]) -> Dataset:
        """`prepared` with `labels` (what the loss takes) and `row` (of the split) beside its inputs, one row each."""
        values, feature = self.targets(rows, labels)
        # A fingerprint of their own: else every value is hashed, for a cache that is not used.
        prepared = prepared.add_column("labels", values, new_fingerprint=uuid4().hex, feature=feature)
        return prepared.add_column("row", np.arange(len(rows)), new_fingerprint=uuid4().hex, feature=Value("int32"))

    def unlabelled(self, rows: Dataset, labels: list[str]) -> Dataset:
        """Rows of inputs with a `label` that says nothing: `prepare` wants one."""
        label = labels[0] if self.problem == "single-label" else NOTHING[self.problem]
        return rows.add_column("label", [label] * len(rows), feature=FEATURES[self.problem])

    @classmethod
    def flags_of(cls, config: PreTrainedConfig) -> dict[str, Any]:
        """The problem that a head was made for; one output alone is a number, or a scale by the name hfkit gives it."""
        names = list(config.id2label.values())
        if len(names) == 1 or config.problem_type == "regression":
            return {"problem": "ordinal" if SCALE.fullmatch(names[0]) else "regression"}
        several = config.problem_type == "multi_label_classification"
        return {"problem": "multi-label" if several else "single-label"}

    # Learning

    def weights(self, prepared: Dataset) -> Tensor | None:
        """`balanced`: rows / (classes * rows of the class); of several labels, rows without a label per row with it."""
        if self.class_weights == "none":
            return None
        found = prepared.with_format("torch")["labels"][:]
        if self.problem == "multi-label":
            having = found.sum(0)
            # A label of every row would otherwise weigh nothing, and of no row everything.
            return (len(found) - having).clamp(min=1) / having.clamp(min=1)
        counts = torch.bincount(found)
        # A class without training rows has no loss to weigh.
        return len(found) / ((counts > 0).sum() * counts.clamp(min=1))

    def loss(
        self,
        outputs: Mapping[str, Tensor],
        labels: Tensor,
        num_items_in_batch: Tensor | int | None = None,
        *,
        label_smoothing: float = 0.0,
        weights: Tensor | None = None,
    ) -> Tensor:
        """Cross-entropy, binary cross-entropy of every label, or squared error: the mean over the whole optimizer step.

        Args:
            labels: ids (batch,), shares of every label (batch, labels), or numbers (batch,).
            num_items_in_batch: elements of `labels` in the whole step; None takes this batch's.
        """
        logits = outputs["logits"].float()  # (batch, labels)
        weights = weights if weights is None else weights.to(logits)
        count = torch.as_tensor(labels.numel() if num_items_in_batch is None else num_items_in_batch)
        if self.problem == "multi-label":
            soft = labels * (1 - label_smoothing) + label_smoothing / 2
            total = functional.binary_cross_entropy_with_logits(logits, soft, pos_weight=weights, reduction="sum")
        elif self.problem == "single-label":
            total = functional.cross_entropy(logits, labels, weights, reduction="sum", label_smoothing=label_smoothing)
            # Mixed labels are a row of shares, and the trainer counts every one.
            count = count / (labels.shape[1] if labels.ndim == 2 else 1)
        else:
            total = (logits.squeeze(-1) - labels).square().sum()
        return total / count.clamp(min=1)

    # Deciding

    def compact(self, logits: Tensor, labels: Tensor) -> Tensor:
        return logits.float()

    def decode(self, outputs: np.ndarray, prepared: Dataset, labels: list[str]) -> tuple[list, list]:
        """Plain answers and references of every row; of a row that was prepared as several views, by their mean."""
        logits, targets = by_row(outputs, prepared)
        return self.answers(logits, labels), [self.plain(target, labels) for target in targets]

    def probabilities(self, outputs: np.ndarray, prepared: Dataset) -> np.ndarray | None:
        if self.problem != "single-label":
            return None
        return torch.from_numpy(by_row(outputs, prepared)[0]).softmax(-1).numpy()

    def likelihoods(self, outputs: np.ndarray, prepared: Dataset) -> np.ndarray | None:
        if self.problem != "multi-label":
            return self.probabilities(outputs, prepared)
        return torch.from_numpy(by_row(outputs, prepared)[0]).sigmoid().numpy()

    def answers(self, logits: np.ndarray, labels: list[str]) -> list:
        """Plain answers to logits, (rows, labels)."""
        if self.problem == "single-label":
            ranked = np.argsort(-logits, axis=-1, kind="stable")[:, :RANKED]
            return [[labels[i] for i in row] for row in ranked]
        if self.problem == "multi-label":
            return [[labels[i] for i in np.flatnonzero(row > 0)] for row in logits]
        if self.problem == "ordinal":
            low, high = scale(labels)
            return [int(value) for value in np.clip(np.round(logits[:, 0]), low, high)]
        return [float(value) for value in logits[:, 0]]

    def plain(self, target: Any, labels: list[str]) -> Any:
        """What `targets` made of a reference, turned back."""
        if self.problem == "single-label":
            return labels[target]
        if self.problem == "multi-label":
            return [label for label, share in zip(labels, target, strict=True) if share]
        return int(target) if self.problem == "ordinal" else float(target)

    def decision_bias(self, logits: np.ndarray, prepared: Dataset, labels: list[str]) -> np.ndarray | None:
        """A threshold for every label, as what to add to its logit so that 0 decides; for several labels a row only."""
        if self.problem != "multi-label":
            return None
        means, targets = by_row(logits, prepared)
        return best_shifts(means, np.array(targets, dtype=bool))

    # Judging

    def score(self, predictions: list, references: list) -> dict[str, float]:
        """Scores by the problem; see `evaluation.metrics`."""
        from hfkit.scores import metrics

        if self.problem == "single-label":
            scores = metrics.class_scores(predictions, references)
            if self.out_of_scope is not None:
                first = [ranked[0] for ranked in predictions]
                scores |= metrics.scope_scores(first, references, self.out_of_scope)
        elif self.problem == "multi-label":
            scores = metrics.label_set_scores(predictions, references)
        else:
            scores = metrics.number_scores(predictions, references)
            if self.problem == "ordinal":
                hits = [ours == gold for ours, gold in zip(predictions, references, strict=True)]
                scores["accuracy"] = sum(hits) / len(hits)
        # The headline stands first, and comes from the same sums that its interval is made of.
        headline = float(self.headline_of(self.tallies(predictions, references).sum(0)))
        return {self.headline: headline} | scores | {self.headline: headline}

    def faultless(self, references: list) -> list:
        """Of one label a row, a ranking with nothing below the first; else the references."""
        return [[gold] for gold in references] if self.problem == "single-label" else references

    def tallies(self, predictions: list, references: list) -> np.ndarray:
        """Of each row: (right, 1); for several labels (right, predicted, gold); for numbers p and g their
        (1, p, g, p², g², pg).
        """
        if self.problem == "single-label":
            return np.array([(ranked[0] == gold, 1) for ranked, gold in zip(predictions, references, strict=True)])
        if self.problem == "multi-label":
            pairs = [(set(ours), set(gold)) for ours, gold in zip(predictions, references, strict=True)]
            return np.array([(len(ours & gold), len(ours), len(gold)) for ours, gold in pairs])
        # Both scores are blind to a common shift and unit, and so numbers of any size keep their digits when squared.
        centre, unit = float(np.mean(references)), float(np.ptp(references)) or 1.0
        p, g = ((np.array(side, dtype=float) - centre) / unit for side in (predictions, references))
        return np.stack([np.ones_like(p), p, g, p * p, g * g, p * g], axis=-1)

    def headline_of(self, sums: np.ndarray) -> np.ndarray:
        """Accuracy, micro F1, Pearson correlation or quadratic weighted kappa of summed tallies; 0 where undefined."""
        columns = np.moveaxis(np.asarray(sums, dtype=float), -1, 0)
        if self.problem == "single-label":
            return columns[0] / np.maximum(columns[1], 1)
        if self.problem == "multi-label":
            return 2 * columns[0] / np.maximum(columns[1] + columns[2], 1)
        count = np.maximum(columns[0], 1)
        p, g, pp, gg, pg = (column / count for column in columns[1:])
        if self.problem == "ordinal":
            # Cohen 1968 with squared distances: one minus observed over expected disagreement.
            return divided(2 * (pg - p * g), pp + gg - 2 * p * g)
        return divided(pg - p * g, np.sqrt(np.maximum(pp - p * p, 0) * np.maximum(gg - g * g, 0)))

    # Reporting

    def breakdown(self, predictions: list, references: list) -> dict[str, Any]:
        if self.problem in ("regression", "ordinal"):
            return {}
        return class_breakdown(self.sets(predictions), self.sets(references), single=self.problem == "single-label")

    def errors(self, predictions: list, references: list, rows: Dataset, limit: int) -> list[dict[str, Any]]:
        found = class_errors(predictions, references, self.problem, limit)
        return [{**error, **self.shown(rows[error["row"]])} for error in found]

    def said(self, answer: Any, row: dict[str, Any]) -> str:
        if self.problem in ("regression", "ordinal"):
            return f"{answer:g}"
        return ", ".join(self.sets([answer])[0]) or "none"

    def told(self, prediction: Any, row: Mapping[str, Any]) -> Any:
        """The best label, a list of labels, or a number."""
        return prediction[0] if self.problem == "single-label" else prediction

    def examples(self, rows: Dataset, limit: int) -> dict[str, dict[str, str]]:
        """Of each label the first row that has it, of those with several labels the one with the fewest."""
        if self.problem in ("regression", "ordinal"):
            return {}
        found: dict[str, int] = {}
        sets = self.sets(self.references(rows))
        for row in sorted(range(len(sets)), key=lambda row: len(sets[row])):
            for label in sets[row]:
                found.setdefault(label, row)
        chosen = sorted(found, key=in_order)[:limit]
        return {label: {"before": "", "after": "", **self.shown(rows[found[label]])} for label in chosen}

    def sets(self, answers: list) -> list[list[str]]:
        """Answers as lists of labels: of a ranking its first."""
        if self.problem == "multi-label":
            return answers
        return [[answer if isinstance(answer, str) else answer[0]] for answer in answers]

    def label_facts(self, rows: Dataset) -> dict[str, Any]:
        """How the answers of a split are spread, for the report."""
        gold = self.references(rows)
        if self.problem in ("regression", "ordinal"):
            return {"mean": float(np.mean(gold)), "lowest": float(min(gold)), "highest": float(max(gold))}
        counts = Counter(label for labels in self.sets(gold) for label in labels)
        return {"classes": dict(sorted(counts.items(), key=lambda item: in_order(item[0])))}


def by_row(outputs: np.ndarray, prepared: Dataset) -> tuple[np.ndarray, list]:
    """The mean output of every row of the split over its views, (rows, labels), and its target."""
    row = np.array(prepared["row"])
    first = np.unique(row, return_index=True)[1]
    means = np.zeros((len(first), outputs.shape[-1]))
    np.add.at(means, row, outputs)
    targets = list(prepared["labels"])  # the column alone: a row may hold an image
    return means / np.bincount(row)[:, None], [targets[i] for i in first]


def scale(labels: list[str]) -> tuple[int, int]:
    """The ends of an ordinal scale, as `labels` names them."""
    low, _, high = labels[0].partition(" to ")
    return int(low), int(high)


def divided(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """A quotient that is 0 where the denominator is (nearly) nothing: constant answers correlate with nothing."""
    defined = denominator > 1e-12
    return np.where(defined, numerator / np.where(defined, denominator, 1), 0.0)
