"""Rows of train that are set aside for validation: whole units, or the same share of every class."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from datasets import DatasetDict

from hfkit.data.files import SPLITS
from hfkit.errors import UserError

SEED = 0  # fixed: the split belongs to the data, and no seed of a run moves a row


def set_aside(
    source: str,
    splits: DatasetDict,
    share: float,
    *,
    units: Sequence | None = None,
    classes: Sequence[Sequence[str]] | None = None,
) -> DatasetDict:
    """The splits train, validation and test, where validation is a share of the rows of train, in their order.

    Args:
        source: the name of the dataset, for messages.
        units, classes: of every row of train; see `draw_validation`.

    Raises:
        UserError: train or validation would hold no row.
    """
    train = splits["train"]
    drawn = draw_validation(len(train), share, units=units, classes=classes)
    if not 0 < len(drawn) < len(train):
        others = "" if units is None else f" in {len(set(units)):,} units, which stay whole"
        others += "" if classes is None else f"{', and' if others else ''}, where every class keeps a row"
        raise UserError(
            f"validation_share={share}",
            f"train and validation each need a row, and train has {len(train)}{others}",
            f"Set another --validation_share, or add a validation split to '{source}'",
        )
    left = np.setdiff1d(np.arange(len(train)), drawn)
    both = {**splits, "train": train.select(left), "validation": train.select(drawn)}
    return DatasetDict({split: both[split] for split in SPLITS if split in both})


def draw_validation(
    rows: int, share: float, *, units: Sequence | None = None, classes: Sequence[Sequence[str]] | None = None
) -> np.ndarray:
    """Sorted numbers of the rows to set aside, which depend on the arguments alone.

    A unit is drawn whole or not at all. With classes, validation gets about the same share of each, and every class
    keeps a row in train: a class of one row stays there.

    Args:
        rows: of train.
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
    """Units in an order, each if it brings validation's rows of every class nearer to their quotas.

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
