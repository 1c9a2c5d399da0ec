"""Rows that are set apart from train where a dataset has no test or validation split.

Whole units and equal inputs stay together, and every class is shared out alike. Which rows are drawn depends on the
data alone, and is written down: see `split_record`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from hfkit.errors import UserError

SEED = 0  # fixed: the split belongs to the data, and no seed of a run moves a row
DRAWN = ("test", "validation")  # in this order


def draw_splits(
    rows: int,
    shares: Mapping[str, float],
    *,
    groups: Sequence | None = None,
    classes: Sequence[Sequence[str]] | None = None,
) -> dict[str, np.ndarray]:
    """The numbers of the rows of train and of every drawn split, in their order.

    Args:
        rows: that there are to draw from.
        shares: of these rows, for each split to be drawn.
        groups, classes: of every row; see `draw_rows`.

    Raises:
        UserError: a split would hold no row.
    """
    left, splits = np.arange(rows), {}
    for split in (split for split in DRAWN if split in shares):
        remaining = 1 - sum(shares[other] for other in splits)
        drawn = draw_rows(
            len(left),
            shares[split] / remaining,
            units=None if groups is None else [groups[row] for row in left],
            classes=None if classes is None else [classes[row] for row in left],
        )
        if not 0 < len(drawn) < len(left):
            raise no_rows(split, shares[split], len(left), groups, classes)
        splits[split] = left[drawn]
        left = np.delete(left, drawn)
    return {"train": left, **splits}


def no_rows(split: str, share: float, rows: int, groups: Sequence | None, classes: Sequence | None) -> UserError:
    others = "" if groups is None else f" in {len(set(groups)):,} units or groups of equal inputs, which stay whole"
    others += "" if classes is None else f"{', and' if others else ''}, where every class keeps a row in train"
    return UserError(
        f"{split}_share={share:g}",
        f"train and {split} each need a row, and there are {rows}{others}",
        f"Set another --{split}_share, or give a {split} split",
    )


def group_alike(contents: Sequence[str], units: Sequence | None = None) -> list[int] | None:
    """A number for each row, equal for rows that must stay together: of one unit, or with equal inputs.

    None if every row stands for itself.
    """
    parent = list(range(len(contents)))

    def root_of(row: int) -> int:
        while parent[row] != row:
            parent[row] = row = parent[parent[row]]
        return row

    for keys in (contents, units):
        first: dict = {}
        for row, key in enumerate(keys or ()):
            parent[root_of(row)] = root_of(first.setdefault(key, row))
    groups = [root_of(row) for row in range(len(contents))]
    return groups if len(set(groups)) < len(groups) else None


def draw_rows(
    rows: int, share: float, *, units: Sequence | None = None, classes: Sequence[Sequence[str]] | None = None
) -> np.ndarray:
    """Sorted numbers of the rows to set aside, which depend on the arguments alone.

    A unit is drawn whole or not at all. With classes, the rows hold about the same share of each, and every class keeps
    a row on the other side: a class of one row stays there.

    Args:
        units: the unit of every row; None: each row is one by itself.
        classes: the classes of every row, none or several too; None: there are none.

    Returns:
        (drawn,), empty if nothing can be drawn.
    """
    generator = np.random.default_rng(SEED)
    if units is None and classes is None:
        return np.sort(generator.permutation(rows)[: round(share * rows)])
    members = group_rows(range(rows) if units is None else units)
    # Without classes all rows are of one; a row that has none is of a class as well, so that it counts.
    named = [("",)] * rows if classes is None else [tuple(of_row) or (None,) for of_row in classes]
    counts = [Counter(name for row in of_unit for name in named[row]) for of_unit in members]
    chosen = choose_units(generator.permutation(len(members)).tolist(), counts, share)
    return np.sort(np.array([row for unit in chosen for row in members[unit]], dtype=int))


def group_rows(units: Sequence) -> list[list[int]]:
    """The rows of every unit, by first appearance."""
    members: dict[str, list[int]] = {}
    for row, unit in enumerate(units):
        members.setdefault(str(unit), []).append(row)
    return list(members.values())


def choose_units(order: Sequence[int], counts: Sequence[Counter], share: float) -> list[int]:
    """Units in an order, each if it brings the drawn rows of every class nearer to their quotas.

    The last unit of a class that is left in train is not taken.

    Args:
        counts: of each unit, its rows of every class.
    """
    total: Counter = Counter()
    for unit in order:
        total.update(counts[unit])
    quotas, taken, chosen = divide(total, share), Counter(), []

    def has_last(unit: int) -> bool:
        return any(total[name] - taken[name] <= rows for name, rows in counts[unit].items())

    def added_distance(unit: int) -> float:
        """The growth of the squared distance to the quotas, that of each class relative to its size."""
        of_unit = counts[unit].items()
        return sum(rows * (rows + 2 * (taken[name] - quotas[name])) / total[name] for name, rows in of_unit)

    for unit in order:
        if added_distance(unit) < 0 and not has_last(unit):
            chosen.append(unit)
            taken.update(counts[unit])
    if not chosen and any(quotas.values()):
        # Every unit is more than twice as large as the share: the one that exceeds it least.
        chosen = sorted((unit for unit in order if not has_last(unit)), key=added_distance)[:1]
    return chosen


def divide(total: Counter, share: float) -> dict[str, int]:
    """The quota of every class in whole rows: its share up or down, so that all together are the share of all rows.

    A row of each class is left. Of equal remainders the order of `total` decides, so it has to be random: the first
    classes by name would get them all.
    """
    exact = {name: share * rows for name, rows in total.items()}
    quotas = {name: min(int(exact[name]), rows - 1) for name, rows in total.items()}
    missing = max(round(share * total.total()) - sum(quotas.values()), 0)
    ranked = sorted(total, key=lambda name: quotas[name] - exact[name])
    for name in [name for name in ranked if quotas[name] < total[name] - 1][:missing]:
        quotas[name] += 1
    return quotas
