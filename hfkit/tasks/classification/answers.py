"""Gold answers of a classification: the column that holds them, and a fault for each value that is no answer."""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from datasets import ClassLabel, Dataset, Json, LargeList, List

from hfkit.data.bad_rows import Fault
from hfkit.data.columns import MEND, space_evenly, to_words
from hfkit.data.labels import normalise_label
from hfkit.errors import UserError
from hfkit.tasks.classification.label_cells import (
    ENCLOSED,
    NoAnswer,
    list_true,
    looks_printed,
    read_printed,
    split_cell,
)
from hfkit.tasks.classification.label_names import match_names, name_of
from hfkit.tasks.classification.number_cells import fits_a_format, read_number
from hfkit.tasks.classification.writing import PLAIN, Writing

LARGEST = float(np.finfo(np.float32).max)  # targets of the loss are single precision, where more would be infinite
NO_LABEL = "Write [] for a row of no label, or mend or remove it"
HAS_MORE = re.compile("[\\d\u2605\u2606\u2b50]")  # a number or stars, with something else


class AnswerKind(Protocol):
    """The part of `kinds.Kind` that this module needs."""

    stand_in: Any
    names_labels: bool

    def reader(self, names: list[str] | None, writing: Writing = PLAIN) -> Callable[[Any], Any]: ...
    def labels_of(self, answer: Any) -> list[str]: ...


def check_answers(
    rows: Dataset,
    column: str,
    kind: AnswerKind,
    learnt: set[str] | None = None,
    *,
    writing: Writing = PLAIN,
    by_model: bool = False,
) -> tuple[list, list[Fault]]:
    """The gold answers of every row as plain values, and a fault for each row that has none.

    Args:
        learnt: the labels of train; None while train itself is checked.
        writing: how the answers of the column are written.
        by_model: `learnt` are the labels of a finished model.
    """
    feature = rows.features[column]
    inner = feature.feature if isinstance(feature, List | LargeList) else feature
    if by_model and learnt is not None:
        writing = adopt_labels(writing, learnt)
    read_answer = kind.reader(inner.names if isinstance(inner, ClassLabel) else None, writing)
    answers, faults, values = [], [], rows[column][:]
    # Only a column of no type of its own holds values of several.
    odd = find_odd_kinds(values) if isinstance(inner, Json) else ()
    for row, value in enumerate(values):
        try:
            if isinstance(value, odd):
                raise NoAnswer("the answers of a column are of one kind, and this is not that of most rows")
            answer = read_answer(value)
            if learnt is not None:
                refuse_unlearnt(kind.labels_of(answer), learnt, by_model=by_model)
        except NoAnswer as error:
            answer = kind.stand_in
            faults.append(Fault(row, column, error.value or to_words(value), error.rule, error.fix))
        answers.append(answer)
    return answers, faults


def find_odd_kinds(values: Sequence[Any]) -> tuple[type, ...]:
    """The types among truth values, mappings and texts that fewer rows have than another; () if there is just one.

    Numbers are told from texts by what they say: a text may be one.
    """
    counts = {kind: sum(isinstance(value, kind) for value in values) for kind in (str, bool, dict)}
    most = max(counts, key=lambda kind: counts[kind])
    return tuple(kind for kind in counts if kind is not most and counts[kind]) if counts[most] else ()


def adopt_labels(writing: Writing, labels: Iterable[str]) -> Writing:
    """The writing of rows for a finished model, whose labels may be in another spelling, and are what they are."""
    labels, known = set(labels), match_names(labels)
    # Of the merged names, each leads to the model's label too.
    names = {name: known.get(label, label) for name, label in writing.names.items() if name not in labels}
    own = {label: label for label in labels}
    return replace(writing, names=known | names | own, odd=frozenset())


def label_reader(names: list[str] | None, writing: Writing = PLAIN) -> Callable[[Any], str]:
    """A function from a value to a label; it raises `NoAnswer`.

    Args:
        names: those of the ids, if the column has them.
        writing: how the answers of the column are written.
    """
    read_name = name_reader(names, writing)

    def read_label(value: Any) -> str:
        if isinstance(value, str) and looks_printed(value):
            value = read_printed(value)
        if isinstance(value, dict):
            value = list_true(value, writing.threshold, complete=writing.complete)
            if len(value) == 1:
                return read_name(value[0])
        if isinstance(value, list):
            raise NoAnswer(
                "a row has one label, and this is a list, or a mapping with none or several",
                f"{MEND}, or set --problem multi-label",
            )
        return read_name(value)

    return read_label


def name_reader(names: list[str] | None, writing: Writing) -> Callable[[Any], str]:
    """A function from a value to the name of one label; it raises `NoAnswer`. Arguments as for `label_reader`."""
    known: dict[Any, str] = {}  # a column has few labels and many rows

    def read_name(value: Any) -> str:
        if isinstance(value, list | dict):
            raise NoAnswer("a label is a name or a whole number")
        # The key includes the type: True == 1 would let the wrong type pass.
        if (type(value), value) not in known:
            name = label_of(value, names)
            if name in writing.odd:
                raise NoAnswer(
                    "a label is a name or a number, and most rows of the column have the other kind",
                    f"{MEND}, or if these are classes, begin the numbers with a letter",
                )
            known[type(value), value] = writing.names.get(name, name)
        return known[type(value), value]

    return read_name


def labels_reader(names: list[str] | None, writing: Writing = PLAIN) -> Callable[[Any], list[str]]:
    """A function from a value to a list of labels; it raises `NoAnswer`. Arguments as for `label_reader`."""
    read_name = name_reader(names, writing)

    def read_labels(value: Any) -> list[str]:
        if isinstance(value, dict):
            value = list_true(value, writing.threshold, complete=writing.complete)
        if not isinstance(value, list):
            raise NoAnswer("every row has a list of labels, which may be empty", NO_LABEL)
        labels = [read_name(one) for one in value]
        if len(set(labels)) < len(labels):
            raise NoAnswer("a row names each of its labels once", "Write names of labels, not a 0 or 1 for each")
        return sorted(labels, key=label_sort_key)

    known: dict[str, list[str]] = {}

    def read_cell(value: Any) -> list[str]:
        if not isinstance(value, str):
            return read_labels([value] if isinstance(value, int | float) and value == value else value)
        if value not in known:
            known[value] = read_labels(split_labels(value, writing))
        return known[value]

    return read_cell


def split_labels(cell: str, writing: Writing) -> list | dict | None:
    """The labels in a cell of text; None if it is empty, which may mean none or unknown.

    Raises:
        NoAnswer: it cannot be read.
    """
    text = cell.strip()
    if looks_printed(text) or writing.enclosed and ENCLOSED.fullmatch(text):
        return read_printed(text)
    return split_cell(text, writing.separator) or None


def number_reader(names: list[str] | None, writing: Writing = PLAIN, *, whole: bool) -> Callable[[Any], float | int]:
    """A function from a value to a finite number; it raises `NoAnswer`. Arguments as for `label_reader`.

    Args:
        whole: only whole numbers are answers, as on an ordinal scale.
    """
    return lambda value: number_of(value if names is None else label_of(value, names), writing, whole=whole)


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
        return normalise_label(names[value])
    if not isinstance(value, int | str):
        raise NoAnswer("a label is a name or a whole number")
    name = name_of(value) if isinstance(value, str) else str(value)
    if not name:
        raise NoAnswer("every row has a label")
    return name


def number_of(value: Any, writing: Writing = PLAIN, *, whole: bool) -> float | int:
    """A finite number; with `whole` a whole one. What is no number at all is refused alike with and without `whole`."""
    if value is None or isinstance(value, str) and not value.strip():
        raise NoAnswer("every row has a number")
    number = math.nan
    if isinstance(value, str):
        number = read_number(value, writing.number_format)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
    if not math.isfinite(number):
        if isinstance(value, str) and fits_a_format(value):
            fix = f"{MEND}, or set --number_format to the way that the numbers are written"
            raise NoAnswer("a number is written in the same way in every row", fix)
        if isinstance(value, str) and HAS_MORE.search(value):
            fix = "Write the number alone: 80 for '80 %', 4.5 for '4.5/5', 3 for three stars"
            raise NoAnswer("an answer is a finite number alone, without a unit, a scale or signs", fix)
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
    answers = train["label"][:]
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
    answers = train["label"][:]
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
