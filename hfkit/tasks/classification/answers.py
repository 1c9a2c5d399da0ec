"""Gold answers of a classification: the column that holds them, and a fault for each value that is no answer."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from datasets import ClassLabel, Dataset, DatasetDict, LargeList, List, Value

from hfkit.data.bad_rows import Fault
from hfkit.data.columns import MEND, space_evenly, to_words
from hfkit.errors import UserError

# If a dataset has columns of several tiers, the first tier wins.
ANSWER_COLUMNS = (("label", "labels"), ("class", "category", "target", "sentiment", "intent", "emotion", "score"))


LARGEST = float(np.finfo(np.float32).max)  # targets of the loss are single precision, where more would be infinite


class NoAnswer(Exception):
    """The rule that a value breaks as an answer, and a fix."""

    def __init__(self, rule: str, fix: str = MEND) -> None:
        super().__init__(rule)
        self.rule, self.fix = rule, fix


def refuse_other_problem(dataset: DatasetDict, column: str, problem: str) -> None:
    """Refuse a column whose values belong to another problem.

    Raises:
        UserError: naming the problem that it looks like.
    """
    for split, rows in dataset.items():
        several = isinstance(rows.features[column], List | LargeList)
        if several != (problem == "multi-label"):
            raise UserError(
                f"problem={problem} with column '{column}'",
                f"in split '{split}' it holds {'lists' if several else 'one answer a row and no lists'}",
                "Set --problem multi-label, or name another --label_column"
                if several
                else "Set --problem single-label, or write the labels as lists (.jsonl or .parquet)",
            )
    if problem == "single-label" and has_fractions(next(iter(dataset.values())), column):
        raise UserError(
            f"problem=single-label with column '{column}'",
            "its answers are numbers with fractions, and each would become a class of its own",
            "Set --problem regression, or name another --label_column",
        )


def has_fractions(rows: Dataset, column: str) -> bool:
    """True if a column of numbers, which may be strings, has one that is not whole."""
    feature = rows.features[column]
    if not isinstance(feature, Value) or feature.dtype not in ("string", "large_string", "float32", "float64"):
        return False
    try:
        numbers = [float(value) for value in set(rows[column]) if value not in (None, "")]
    except ValueError:
        return False
    return any(math.isfinite(number) and not number.is_integer() for number in numbers)


class AnswerKind(Protocol):
    """The part of `kinds.Kind` that this module needs."""

    stand_in: Any
    names_labels: bool

    def reader(self, names: list[str] | None) -> Callable[[Any], Any]: ...
    def labels_of(self, answer: Any) -> list[str]: ...


def check_answers(
    rows: Dataset, column: str, kind: AnswerKind, learnt: set[str] | None = None, *, by_model: bool = False
) -> tuple[list, list[Fault]]:
    """The gold answers of every row as plain values, and a fault for each row that has none.

    Args:
        learnt: the labels of train; None while train itself is checked.
        by_model: `learnt` are the labels of a finished model.
    """
    feature = rows.features[column]
    inner = feature.feature if isinstance(feature, List | LargeList) else feature
    read_answer = kind.reader(inner.names if isinstance(inner, ClassLabel) else None)
    answers, faults = [], []
    for row, value in enumerate(rows[column]):
        try:
            answer = read_answer(value)
            if learnt is not None:
                refuse_unlearnt(kind.labels_of(answer), learnt, by_model=by_model)
        except NoAnswer as error:
            answer = kind.stand_in
            faults.append(Fault(row, column, to_words(value), error.rule, error.fix))
        answers.append(answer)
    return answers, faults


def label_reader(names: list[str] | None) -> Callable[[Any], str]:
    """A function from a value to a label; it raises `NoAnswer`.

    Args:
        names: those of the ids, if the column has them.
    """
    known: dict[Any, str] = {}  # a column has few labels and many rows

    def read_label(value: Any) -> str:
        if isinstance(value, list | dict):
            raise NoAnswer("a label is a name or a whole number")
        # The key includes the type: True == 1 would let the wrong type pass.
        if (type(value), value) not in known:
            known[type(value), value] = label_of(value, names)
        return known[type(value), value]

    return read_label


def labels_reader(names: list[str] | None) -> Callable[[Any], list[str]]:
    """A function from a value to a list of labels; it raises `NoAnswer`. `names` as for `label_reader`."""
    read_label = label_reader(names)

    def read_labels(value: Any) -> list[str]:
        if not isinstance(value, list):
            raise NoAnswer("every row has a list of labels, which may be empty")
        labels = [read_label(one) for one in value]
        if len(set(labels)) < len(labels):
            raise NoAnswer("a row names each of its labels once", "Write names of labels, not a 0 or 1 for each")
        return sorted(labels, key=label_sort_key)

    return read_labels


def number_reader(names: list[str] | None, *, whole: bool) -> Callable[[Any], float | int]:
    """A function from a value to a finite number; it raises `NoAnswer`. `names` as for `label_reader`.

    Args:
        whole: only whole numbers are answers, as on an ordinal scale.
    """
    return lambda value: number_of(value if names is None else label_of(value, names), whole=whole)


def label_of(value: Any, names: list[str] | None) -> str:
    """One label as a string; whole numbers without names become their decimal text."""
    if value is None or value == "" or value != value:
        raise NoAnswer("every row has a label")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a column of whole numbers with a null is stored as floats
    if isinstance(value, int) and names is not None:
        if not 0 <= value < len(names):
            raise NoAnswer(f"labels are ids from 0 to {len(names) - 1}")
        return names[value]
    if not isinstance(value, int | str):
        raise NoAnswer("a label is a name or a whole number")
    if isinstance(value, str) and not value.strip():
        raise NoAnswer("every row has a label")
    if isinstance(value, str) and value != value.strip():
        raise NoAnswer("a label has no spaces around it, or it would be a class of its own", "Strip the labels")
    return str(value)


def number_of(value: Any, *, whole: bool) -> float | int:
    """A finite number; with `whole` a whole one. What is no number at all is refused alike with and without `whole`."""
    if value is None or isinstance(value, str) and not value.strip():
        raise NoAnswer("every row has a number")
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise NoAnswer("an answer is a finite number", f"{MEND}, or set --problem single-label if these are names")
    if number == -100:
        raise NoAnswer("-100 stands for no answer in transformers", "Add a constant to all, or scale them")
    if abs(number) > LARGEST:
        raise NoAnswer(f"an answer is a number up to {LARGEST:.2g}, the largest of single precision", "Scale them down")
    if not whole:
        return number
    if not number.is_integer():
        raise NoAnswer("a place on a scale is a whole number", f"{MEND}, or set --problem regression")
    if abs(number) > 2**24:
        raise NoAnswer("a place on a scale lies within 2**24 of 0, up to where single precision tells all apart", MEND)
    return int(number)


def refuse_unlearnt(labels: Sequence[str], learnt: set[str], *, by_model: bool) -> None:
    missing = [label for label in labels if label not in learnt]
    if missing:
        shown = sorted(learnt, key=label_sort_key)
        knows = ", ".join(shown[:8]) + (", …" if len(shown) > 8 else "")
        if by_model:
            raise NoAnswer(
                f"its label '{missing[0]}' is none of the model's, which are {knows}",
                "Write the labels as the model has them, or remove such rows",
            )
        raise NoAnswer(
            f"its label '{missing[0]}' does not occur in train, which knows {knows}", "Add such rows to train"
        )


def refuse_unlearnable(train: Dataset, column: str, out_of_scope: str | None = None) -> None:
    """Refuse training rows that all have the same answer, and an out-of-scope label that no row has.

    Raises:
        UserError: there is nothing to learn.
    """
    answers = list(train["label"])
    if all(answer == answers[0] for answer in answers):
        raise UserError(
            f"column '{column}'",
            f"every row of train has the answer {to_words(answers[0])}, so there is nothing to learn",
            "Check --label_column, and that train holds rows of every class",
        )
    if out_of_scope is not None and out_of_scope not in answers:
        raise UserError(
            f"out_of_scope='{out_of_scope}'",
            f"it is a label of train, which knows {', '.join(sorted(set(answers), key=label_sort_key))}",
            "Name the label that those rows have, or leave --out_of_scope out",
        )


def thin(train: Dataset, kind: AnswerKind, wanted: int) -> Dataset:
    """`wanted` rows in their order: evenly spaced over the answers, and at least one of every label.

    Raises:
        UserError: there are more labels than wanted rows.
    """
    if wanted >= len(train):
        return train
    answers = list(train["label"])
    first: dict[Any, int] = {}
    for row, answer in enumerate(answers):
        first |= dict.fromkeys((label for label in kind.labels_of(answer) if label not in first), row)
    kept = set(first.values())
    if wanted < len(kept):
        raise UserError(
            f"max_train_rows {wanted}",
            f"every one of the {len(first)} labels keeps a row, which takes {len(kept)}",
            f"Set it to {len(kept)} or more",
        )
    others = [row for row in range(len(answers)) if row not in kept]
    others.sort(key=lambda row: answers[row])
    if wanted > len(kept) or not kept:
        kept |= {others[place] for place in space_evenly(len(others), wanted - len(kept))}
    return train.select(np.array(sorted(kept)))


def label_sort_key(name: str) -> tuple[bool, float, str]:
    """A sort key: numbers by value, then names by letter."""
    try:
        number = float(name)
    except ValueError:
        number = math.nan
    return (False, number, name) if math.isfinite(number) else (True, 0.0, name)
