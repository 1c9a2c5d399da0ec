"""Logits of a contender that makes its own, decided as every other contender is, with their probabilities."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from datasets import Dataset, DatasetDict, List

from hfkit.baselines.base import Answers, decided
from hfkit.contract.task import Task
from hfkit.errors import UserError


def answers_of(
    task: Task,
    logits_of: Callable[[str], np.ndarray],
    prepared: DatasetDict,
    labels: list[str],
    facts: Mapping[str, Any],
) -> Answers:
    """Answers by the likeliest label, or of several labels by thresholds tuned on validation.

    Args:
        logits_of: a split's name -> (prepared rows, labels). Of validation only where a threshold is to be tuned.
        prepared: rows with `labels` and `row`; an image may be several of them, seen differently.
    """
    test = logits_of("test")
    if not has_one_label(prepared["test"]):
        return Answers(decided(task, logits_of("validation"), test, prepared, labels)[1], facts=facts)
    predictions = task.decode(test, prepared["test"], labels)[0]
    return Answers(predictions, task.probabilities(test, prepared["test"]), facts)


def has_one_label(prepared: Dataset) -> bool:
    """Whether a row has one class, and not several."""
    return not isinstance(prepared.features["labels"], List)


def refuse_numbers(name: str, prepared: DatasetDict) -> None:
    """Refuse answers that are no classes.

    Raises:
        UserError: the task's answers are numbers.
    """
    kind = prepared["test"].features["labels"]
    if not isinstance(kind, List) and kind.dtype.startswith("float"):
        raise UserError(f"baseline '{name}'", "it chooses among labels, and here are numbers", "Leave it out")


def refuse_alike(labels: list[str], tokens: Sequence[Sequence[int]]) -> None:
    """Refuse labels that a model cannot tell apart, by the tokens that their texts are.

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
