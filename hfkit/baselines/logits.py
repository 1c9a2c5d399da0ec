"""Logits of any origin, turned into answers in one way for every contender: by a threshold tuned on validation."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from datasets import Dataset, DatasetDict, List

from hfkit.baselines.base import Answers
from hfkit.contract.abilities import Headed, LabelHead, Probed, Tuned
from hfkit.contract.target import Target
from hfkit.contract.task import Loaded, Task
from hfkit.errors import UserError
from hfkit.scores.evidence import total

# What a baseline needs of a task, with a checkpoint or without


def label_head(task: Task, rows: Loaded, baseline: str) -> LabelHead:
    """The labels of the rows and a loss for them, for a baseline that makes its own inputs.

    Raises:
        UserError: the task's rows have no single answer.
    """
    if not isinstance(task, Headed):
        raise UserError(
            f"baseline '{baseline}'",
            f"it gives one answer per row, and rows of task '{task.key}' have more than one answer or another kind",
            "Use another baseline",
        )
    return task.label_head(learnt_target(task, rows))


def probed_codec(task: Task, checkpoint: str, rows: Loaded, baseline: str) -> Any:
    """The codec of a checkpoint, which is a `Probed` as well.

    Raises:
        UserError: the task's codec reads no logit per label, or the checkpoint has no processor that fits.
    """
    codec = task.codec(checkpoint, learnt_target(task, rows))
    if not isinstance(codec, Probed):
        raise UserError(
            f"baseline '{baseline}'",
            f"it gives a logit for each label, and answers of task '{task.key}' are made in another way",
            "Use another baseline",
        )
    return codec


def learnt_target(task: Task, rows: Loaded) -> Target:
    """The target that a contender learns.

    Not `rows.target`: that of a finished model under evaluation may lack labels that these training rows have.
    """
    return task.rows.target(rows.splits)


def encode_splits(codec: Any, rows: Loaded) -> DatasetDict:
    """The model inputs of every split, with answers."""
    return DatasetDict(
        {split: codec.encode(of_split, split=split, answers=True) for split, of_split in rows.splits.items()}
    )


def target_splits(head: LabelHead, rows: Loaded) -> DatasetDict:
    """Encoded rows without inputs: what a fit and a decoder need, for baselines that make inputs of their own.

    Raises:
        UserError: a row has several answers.
    """
    return DatasetDict({split: target_rows(head, of_split) for split, of_split in rows.splits.items()})


def target_rows(head: LabelHead, rows: Dataset) -> Dataset:
    """The same for the loaded rows of one split."""
    return head.with_targets(Dataset.from_dict({"place": list(range(len(rows)))}), rows)


# Scores


def headline_on(task: Task, rows: Dataset) -> Callable[[list], float]:
    """A function from predictions for loaded rows to the headline, turned so that more is better."""
    references, judge = task.rows.references(rows), task.judge
    return lambda predictions: judge.headline.sign * total(judge.evidence(predictions, references))


def score_of(task: Task, predictions: list, references: list) -> float:
    """The headline, as the report has it."""
    return float(total(task.judge.evidence(predictions, references)))  # all scores take far longer


# Answers


def decide(
    head: LabelHead, logits: Mapping[str, np.ndarray], encoded: DatasetDict, headline: Callable[[list], float]
) -> tuple[list, list]:
    """Predictions of validation and test from logits, (encoded rows, labels), the decision tuned on validation.

    Every contender is tuned in this way, so that none is ahead by its threshold alone.
    """
    validation, test = logits["validation"], logits["test"]
    if isinstance(head, Tuned):
        shift = head.decision({"logits": validation}, encoded["validation"], headline).shift
        if shift.any():
            validation, test = validation + shift, test + shift
    return head.decode_reduced(validation, encoded["validation"]), head.decode_reduced(test, encoded["test"])


def answers_of(
    head: LabelHead,
    logits_of: Callable[[str], np.ndarray],
    encoded: DatasetDict,
    headline: Callable[[list], float],
    facts: Mapping[str, Any],
) -> Answers:
    """Answers by the likeliest label, or of several labels by thresholds tuned on validation.

    Args:
        logits_of: a split's name -> (encoded rows, labels). Called for validation only where a threshold is tuned.
        encoded: rows with `labels` and `row`; an image may be several of them, seen differently.
        headline: of predictions for validation.
    """
    test = logits_of("test")
    if not has_one_label(encoded["test"]):
        logits = {"validation": logits_of("validation"), "test": test}
        return Answers(decide(head, logits, encoded, headline)[1], facts=facts)
    predictions = head.decode_reduced(test, encoded["test"])
    return Answers(predictions, head.probabilities(test, encoded["test"]), facts)


def has_one_label(encoded: Dataset) -> bool:
    """Whether a row has one class, and not several."""
    return not isinstance(encoded.features["labels"], List)


# Refusals


def refuse_numbers(name: str, encoded: DatasetDict) -> None:
    """Refuse answers that are not classes.

    Raises:
        UserError: the task's answers are numbers.
    """
    kind = encoded["test"].features["labels"]
    if not isinstance(kind, List) and kind.dtype.startswith("float"):
        raise UserError(f"baseline '{name}'", "it chooses among labels, and here are numbers", "Leave it out")


def refuse_alike(labels: list[str], tokens: Sequence[Sequence[int]]) -> None:
    """Refuse labels whose texts have the same tokens, so that a model cannot tell them apart.

    Raises:
        UserError: naming the label without a token, or both with the same ones.
    """
    seen: dict[tuple[int, ...], str] = {}
    for label, ids in zip(labels, map(tuple, tokens), strict=True):
        if not ids:
            raise UserError(f"label '{label}'", "the tokenizer makes no token of it", "Name it with --label_texts")
        first = seen.setdefault(ids, label)
        if first != label:
            raise UserError(
                f"labels '{first}' and '{label}'",
                "the tokenizer makes the same tokens of both, so no score tells them apart",
                "Give one another text with --label_texts",
            )
