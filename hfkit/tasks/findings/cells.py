"""Answers about findings: a column for each, as CheXpert has them, or the names in one cell, as NIH has them."""

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal

from datasets import Dataset, DatasetDict, Value

from hfkit.data.columns import MEND, fold, other_columns
from hfkit.tasks.classification.answers import label_sort_key, labels_reader, name_reader
from hfkit.tasks.classification.label_cells import NoAnswer
from hfkit.tasks.classification.writing import PLAIN, Writing

UNKNOWN = "?"  # behind the name of a finding that the row does not decide
Uncertain = Literal["ignore", "positive", "negative"]
Blank = Literal["ignore", "negative"]
STATES = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False, "-1": -1, "-1.0": -1}
FEWEST = 2  # columns of findings
# Names of the answer that nothing was found, folded.
NOTHING = frozenset({"nofinding", "nofindings", "normal", "negative", "healthy", "none", "noabnormality", "benign"})


def says_nothing(name: str, given: str | None) -> bool:
    """Whether a label means that nothing was found.

    Args:
        given: the label that the user says is this; None: one of `NOTHING`.
    """
    return fold(name) == fold(given) if given is not None else fold(name) in NOTHING


def known_findings(answer: list[str]) -> list[str]:
    """The findings of an answer that are there."""
    return [name for name in answer if not name.endswith(UNKNOWN)]


def unknown_findings(answer: list[str]) -> list[str]:
    """The findings that an answer does not decide."""
    return [name.removesuffix(UNKNOWN) for name in answer if name.endswith(UNKNOWN)]


def findings_reader(
    names: list[str] | None,
    writing: Writing = PLAIN,
    *,
    uncertain: Uncertain,
    blank: Blank,
    no_finding: str | None,
) -> Callable[[Any], list[str]]:
    """A function from a value to the findings that are there, and those not known with `UNKNOWN` behind their names.

    It raises `NoAnswer`. The other arguments are as for `label_reader`.
    """
    read_name, read_labels = name_reader(names, writing), labels_reader(names, writing)

    def read_findings(value: Any) -> list[str]:
        if not isinstance(value, dict):
            return [name for name in read_labels(value) if not says_nothing(name, no_finding)]
        states = {read_name(name): read_state(name, state) for name, state in value.items()}
        healthy = any(state is True for name, state in states.items() if says_nothing(name, no_finding))
        found = []
        for name, state in states.items():
            if says_nothing(name, no_finding):
                continue
            if state is None:
                # What is left blank in a picture without findings is not there.
                state = False if healthy or blank == "negative" else -1
            elif state == -1 and state is not False and uncertain != "ignore":
                state = uncertain == "positive"
            if state is True:
                found.append(name)
            elif state is not False:
                found.append(f"{name}{UNKNOWN}")
        return sorted(found, key=label_sort_key)

    return read_findings


def read_state(name: str, value: Any) -> bool | int | None:
    """True or False, -1 for uncertain, None for blank; raises `NoAnswer`."""
    if value is None or isinstance(value, float) and math.isnan(value) or isinstance(value, str) and not value.strip():
        return None
    text = str(value).strip().casefold()
    if text not in STATES:
        raise NoAnswer("a finding is 1, 0, -1 for uncertain, or blank", MEND, f"{name}: {value}")
    return STATES[text]


def find_columns(rows: Dataset, taken: Collection[str | None]) -> list[str]:
    """The columns that hold 1, 0, -1 or nothing for a finding each; [] if they are fewer than two."""
    found = [
        name
        for name in other_columns(DatasetDict(train=rows), [one for one in taken if one])
        if holds_states(rows, name)
    ]
    return found if len(found) >= FEWEST else []


def holds_states(rows: Dataset, column: str) -> bool:
    """Whether a column holds nothing but states of a finding, and at least one."""
    if type(rows.features[column]) is not Value or not len(rows):
        return False
    try:
        states = {read_state(column, value) for value in set(rows[column][:])}
    except NoAnswer:
        return False
    return bool(states - {None})


def count_unknown(answers: list[list[str]]) -> Mapping[str, int]:
    """How many rows do not decide each finding."""
    counts: dict[str, int] = {}
    for answer in answers:
        for name in unknown_findings(answer):
            counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: label_sort_key(item[0])))
