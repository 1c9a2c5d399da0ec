"""How far several people agree who answered the same rows: Krippendorff's alpha, and the share of pairs that agree.

Krippendorff (2011), Computing Krippendorff's Alpha-Reliability; for sets of labels the distance MASI of Passonneau
(2006), Measuring Agreement on Set-valued Items (MASI) for Semantic and Pragmatic Annotation.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

Scale = Literal["nominal", "ordinal", "interval", "masi"]

BLOCK = 2**22  # distances of sets in memory at once


class Distances(NamedTuple):
    """How far apart values are, which are given by their numbers."""

    between: Callable[[np.ndarray, np.ndarray], np.ndarray]  # of the two values of each pair
    over_all: float  # the sum over all pairs of answers, whatever their units


def krippendorff_alpha(units: Sequence[Sequence[Any]], scale: Scale = "nominal") -> float | None:
    """1 where all agree, 0 where they agree as far as chance goes, below where they agree less than that.

    Units with one answer say nothing and are left out. Who gave an answer does not matter.

    Args:
        units: the answers to each unit: names for 'nominal', numbers for 'ordinal' and 'interval', and sets of names
            for 'masi'.

    Returns:
        None where it is not defined: no unit has two answers, or all answers are the same.
    """
    units = [unit for unit in units if len(unit) > 1]
    answers = [frozenset(answer) if scale == "masi" else answer for unit in units for answer in unit]
    values = sorted(set(answers), key=repr if scale in ("nominal", "masi") else float)
    if len(values) < 2:
        return None
    number = {value: i for i, value in enumerate(values)}
    codes = np.array([number[answer] for answer in answers])  # (answers,)
    distances = MAKERS[scale](values, np.bincount(codes).astype(float))
    sizes = np.array([len(unit) for unit in units])
    within = sum(float(counts @ distances.between(a, b)) for a, b, counts in count_pairs(codes, sizes, len(values)))
    return 1 - (len(answers) - 1) * within / distances.over_all


def count_pairs(
    codes: np.ndarray, sizes: np.ndarray, values: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Pairs of values within units: both values, and how often they meet, divided by the size of the unit - 1.

    Args:
        codes: the values of the answers of the first unit, then of the second and so on, (answers,)
        sizes: how many answers each unit has, (units,)
    """
    starts = np.cumsum(sizes) - sizes
    for size in np.unique(sizes):
        table = codes[starts[sizes == size][:, None] + np.arange(size)]  # (units of this size, size)
        for first in range(size):
            for second in range(first + 1, size):
                pairs, counts = np.unique(table[:, first] * values + table[:, second], return_counts=True)
                # Every pair is met in both orders.
                yield pairs // values, pairs % values, 2 * counts / (size - 1)


def measure_names(values: list, totals: np.ndarray) -> Distances:
    """1 between different names."""
    return Distances(lambda a, b: (a != b).astype(float), totals.sum() ** 2 - (totals**2).sum())


def measure_numbers(values: list, totals: np.ndarray) -> Distances:
    """The square of the difference."""
    numbers = np.array(values, dtype=float)
    numbers -= numbers @ totals / totals.sum()  # of large numbers with small differences the squares would lose them
    return Distances(lambda a, b: (numbers[a] - numbers[b]) ** 2, 2 * totals.sum() * float(totals @ numbers**2))


def measure_ranks(values: list, totals: np.ndarray) -> Distances:
    """The square of how many answers lie from one value to the other, half of those at both ends."""
    return measure_numbers(list(np.cumsum(totals) - totals / 2), totals)


def measure_sets(values: list[frozenset], totals: np.ndarray) -> Distances:
    """MASI: 1 - Jaccard * m, where m is 1 for equal sets, 2/3 for one within the other, 1/3 where they overlap."""
    names = {name: i for i, name in enumerate({name for value in values for name in value})}
    member = np.zeros((len(values), len(names)))
    for i, value in enumerate(values):
        member[i, [names[name] for name in value]] = 1
    sizes = member.sum(axis=1)

    def between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        both = (member[a] * member[b]).sum(axis=1)
        monotone = np.select([a == b, both == 0, both == np.minimum(sizes[a], sizes[b])], [1.0, 0.0, 2 / 3], 1 / 3)
        # Only equal sets are both empty.
        return 1 - monotone * np.where(a == b, 1.0, both / np.maximum(sizes[a] + sizes[b] - both, 1))

    every, over_all = np.arange(len(values)), 0.0
    for rows in np.array_split(every, len(values) * len(values) * max(len(names), 1) // BLOCK + 1):
        grid = between(np.repeat(rows, len(every)), np.tile(every, len(rows))).reshape(len(rows), -1)
        over_all += float(totals[rows] @ grid @ totals)
    return Distances(between, over_all)


MAKERS: dict[Scale, Callable[[list, np.ndarray], Distances]] = {
    "nominal": measure_names,
    "ordinal": measure_ranks,
    "interval": measure_numbers,
    "masi": measure_sets,
}


def share_of_agreement(units: Sequence[Sequence[Any]]) -> float | None:
    """The share of pairs of answers to one unit that are equal, where every unit counts alike.

    Args:
        units: hashable answers.

    Returns:
        None if no unit has two answers.
    """
    shares = [
        sum(count * (count - 1) for count in Counter(unit).values()) / (len(unit) * (len(unit) - 1))
        for unit in units
        if len(unit) > 1
    ]
    return float(np.mean(shares)) if shares else None
