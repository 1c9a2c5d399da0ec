"""Cells that hold several labels: printed lists, mappings of labels to 0 or 1, and labels between separators."""

import ast
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from hfkit.data.columns import MEND
from hfkit.data.labels import normalise_label
from hfkit.errors import UserError

SEPARATORS = ("|", "\n", ";", ",")
FIRM = ("|", "\n")  # where a row has several labels, these are in no name; the other two may be
FEW = 0.25  # share of the cells: as many may have a separator within a name where a row has one label

QUOTED = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
QUOTED_ITEMS = re.compile(rf"{QUOTED}(?:(?:\s*,\s*|\s*){QUOTED})*\s*,?")
NUMBER = re.compile(r"[+-]?\d+(?:\.\d*)?")
# A list that was printed, whole or cut off: ['a', 'b'], ["a"], [1 0 1], [], ('a', 'b') or {'a', 'b'}.
PRINTED = re.compile(r"""[\[({]\s*['"]|\[\s*\]|\[(?:\s*\d[\d.]*)+\s*\]|\{\s*\}|set\(\)""")
UNQUOTED = re.compile(r"""\[[^\[\]{}'"]*,|\{[^\[\]{}:'"]*,[^{}:]*\}$""")  # [a, b] or, from PostgreSQL, {a,b}
ENCLOSED = re.compile(r"""\[[^\[\]{}'"]+\]|\{[^\[\]{}:'"]+\}""")  # [a], which may be a name by itself
TRUTH = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


class NoAnswer(Exception):
    """The rule that a value breaks as an answer, and a fix.

    Args:
        value: the part of the value that breaks it, as a reader would write it; None: all of it.
    """

    def __init__(self, rule: str, fix: str = MEND, value: str | None = None) -> None:
        super().__init__(rule)
        self.rule, self.fix, self.value = rule, fix, value


def looks_printed(cell: str) -> bool:
    """True for a cell that holds a list or a mapping, as Python, JSON or NumPy prints them."""
    return bool(PRINTED.match(cell.strip()) or UNQUOTED.match(cell.strip()))


def read_printed(cell: str) -> list | dict:
    """The list or mapping that is printed in a cell (see `looks_printed`).

    Raises:
        NoAnswer: it cannot be read, such as one that was cut off.
    """
    text = cell.strip()
    inner = text[1:-1].strip()
    if text in ("[]", "{}", "set()") or not inner:
        return []
    whole = (text[0], text[-1]) in (("[", "]"), ("(", ")"), ("{", "}"))
    if whole and QUOTED_ITEMS.fullmatch(inner):
        # NumPy prints no commas, and Python would join such neighbours to one: ['a' 'b'] is 'ab' to it.
        return [unquote(item) for item in re.findall(QUOTED, inner)]
    if whole and text[0] in "[{" and not re.search(r"""[\[\]{}:'"]""", inner):
        items = inner.split(",") if "," in inner else inner.split()
        return [read_bare(item.strip()) for item in items if item.strip()]
    for read in (json.loads, ast.literal_eval):
        try:
            value = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(value, dict):
            return value
        strings = len(re.findall(QUOTED, inner))
        if isinstance(value, list | tuple | set) and sum(isinstance(item, str) for item in value) == strings:
            return list(value)
    raise NoAnswer(
        "a printed list or mapping of labels can be read to its end", "Write the cell again, or remove the row"
    )


def unquote(item: str) -> str:
    """A string as JSON or Python prints it."""
    if item[0] == '"':
        try:
            return json.loads(item)
        except ValueError:
            pass
    try:
        return ast.literal_eval(item)
    except (ValueError, SyntaxError):
        return item[1:-1]


def read_bare(item: str) -> Any:
    """An item without quotes: a number, nothing, or a name."""
    if item.casefold() in ("none", "null", "nan"):
        return None
    return float(item) if NUMBER.fullmatch(item) else item


def split_cell(cell: str, separator: str | None) -> list[str]:
    """The labels of a cell; none of them is empty."""
    parts = [cell] if separator is None else cell.split(separator)
    return [name for name in map(normalise_label, parts) if name]


def list_true(mapping: Mapping[str, Any], threshold: float | None, *, complete: bool) -> list[str]:
    """The labels that a mapping, such as spaCy's cats, holds to be true.

    Args:
        threshold: scores from here on are true; None: only 0 and 1 are known.
        complete: every label needs a value; otherwise one without a value is not there.

    Raises:
        NoAnswer: a value is neither 0 nor 1.
    """
    return [
        name for name, value in mapping.items() if (complete or value is not None) and is_true(name, value, threshold)
    ]


def is_true(name: str, value: Any, threshold: float | None) -> bool:
    """Whether a label is there by its value in a mapping; raises `NoAnswer`."""
    shown = f"{name}: {'' if value is None else value}"
    if isinstance(value, str):
        text = value.strip().casefold()
        value = TRUTH.get(text, float(text) if NUMBER.fullmatch(text) else None)
    if isinstance(value, bool | int | float) and value in (0, 1):
        return bool(value)
    if isinstance(value, float) and 0 < value < 1:
        if threshold is None:
            raise NoAnswer("a score between 0 and 1 needs a threshold", "Set --label_threshold 0.5", shown)
        return value >= threshold
    raise NoAnswer("a row has 0 or 1, or true or false, for each label", MEND, shown)


def find_separator(column: str, cells: Counter[str]) -> str | None:
    """The separator of the labels in a cell; None if each cell holds one label.

    Bars, line breaks and semicolons separate labels. A comma does so too, unless it always stands between the same
    two neighbours, as in 'arts, crafts': that may be a name.

    Args:
        cells: how often each cell occurs.

    Raises:
        UserError: there are two readings.
    """
    found = [separator for separator in SEPARATORS if any(separator in cell for cell in cells)]
    firm = [separator for separator in found if separator in FIRM]
    if len(firm) > 1 or not firm and len(found) > 1:
        raise unclear_cells(column, find_example(cells, found), found)
    if not found:
        return None
    chosen = (firm or found)[0]
    names = {name for cell in cells for name in split_cell(cell, chosen)}
    for other in found:
        joined = next((name for name in names if is_joined(name, other, names)), None) if other != chosen else None
        if joined is not None:
            raise unclear_cells(column, joined, [chosen, other])
    if chosen == "," and (example := find_inseparable(cells)):
        raise unclear_cells(column, example, [","])
    return chosen


def find_example(cells: Counter[str], separators: Sequence[str]) -> str:
    """The first cell with most of the separators."""
    return max(cells, key=lambda cell: sum(separator in cell for separator in separators))


def is_joined(name: str, separator: str, names: set[str]) -> bool:
    """True if all parts of a name are names too."""
    parts = split_cell(name, separator)
    return len(parts) > 1 and names.issuperset(parts)


def find_inseparable(cells: Counter[str]) -> str | None:
    """Neighbours between commas that are nowhere apart, so that they may be one name; None if there are none."""
    homes: dict[str, set[str]] = {}
    for cell in cells:
        for part in split_cell(cell, ","):
            homes.setdefault(part, set()).add(cell)
    joined = [(cell, split_cell(cell, ",")) for cell in cells if "," in cell]
    for left, right in dict.fromkeys(pair for _, parts in joined for pair in pairwise(parts)):
        # Of many rare labels some are together once by accident.
        if homes[left] == homes[right] and sum(cells[cell] for cell in homes[left]) > 1:
            if all((left, right) in pairwise(split_cell(cell, ",")) for cell in homes[left]):
                return f"{left}, {right}"
    alone = all(len(homes[part]) == 1 for _, parts in joined for part in parts)
    return next((cell for cell, parts in joined if len(parts) > 1), None) if alone else None


def find_joined(cells: Counter[str]) -> str | None:
    """The first cell that seems to hold several labels, in a column where each should hold one; None if there is none.

    With commas it does only where all its parts occur elsewhere: 'loans, credits' may be a name. With other separators
    a few of many cells do not if none of their parts occurs elsewhere: as a name, 'a|b' is then the same class.
    """
    places = Counter(part for cell in cells for part in set(split_cell(cell, ",")))
    for cell in cells:
        parts = split_cell(cell, ",")
        if len(parts) > 1 and all(places[part] > 1 for part in parts):
            return cell
    for separator in ("|", "\n", ";"):
        of_cells = {cell: split_cell(cell, separator) for cell in cells}
        joined = [cell for cell, parts in of_cells.items() if len(parts) > 1]
        places = Counter(part for parts in of_cells.values() for part in set(parts))
        if joined and (
            len(joined) > FEW * len(cells) or any(places[part] > 1 for cell in joined for part in of_cells[cell])
        ):
            return joined[0]
    return None


def unclear_cells(column: str, example: str, separators: Sequence[str]) -> UserError:
    shown = " and ".join(repr(separator) for separator in separators)
    return UserError(
        f"column '{column}'",
        f"{shown} may stand between labels or belong to a name, as in {example!r}",
        f"Set --label_separator {separators[0]!r}, or --label_separator none if each cell is one name",
    )
