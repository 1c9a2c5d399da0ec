"""Rows in folds, for cross-validation: whole units and equal inputs in one fold, and every class shared out alike."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from hfkit.data.splitting import group_rows

EVERY = object()  # a class that all rows are of, so that folds are of one size


def draw_folds(
    rows: int,
    folds: int,
    *,
    units: Sequence | None = None,
    classes: Sequence[Sequence[str]] | None = None,
    seed: int = 0,
) -> np.ndarray:
    """The fold of every row, (rows,), which depends on the arguments alone.

    Units come in random order, the large ones first, and each goes to the fold that has least of its classes. That is
    scikit-learn's StratifiedGroupKFold, for rows of several classes too.

    Args:
        units: the unit of every row; None: each row is one by itself.
        classes: the classes of every row, none or several too; None: there are none.

    Raises:
        ValueError: there are fewer units than folds.
    """
    members = group_rows(range(rows) if units is None else units)
    if len(members) < folds:
        raise ValueError(f"{len(members)} units cannot fill {folds} folds")
    # A row without a class is of a class as well, so that it counts.
    named = [()] * rows if classes is None else [tuple(of_row) or (None,) for of_row in classes]
    counts = [Counter({EVERY: len(of_unit)}) + Counter(c for row in of_unit for c in named[row]) for of_unit in members]
    totals = sum_counts(counts)
    held = {name: np.zeros(folds) for name in totals}
    order = np.random.default_rng(seed).permutation(len(members))
    order = order[np.argsort([-len(members[unit]) for unit in order], kind="stable")]
    found = np.empty(rows, dtype=int)
    for unit in order:
        # The growth of the squared distance to equal shares, that of each class relative to its size.
        added = sum(count * (count + 2 * held[name]) / totals[name] for name, count in counts[unit].items())
        fold = int(np.argmin(np.round(added, 9)))  # sums in another order differ in the last digit
        found[members[unit]] = fold
        for name, count in counts[unit].items():
            held[name][fold] += count
    return found


def sum_counts(counts: Sequence[Counter]) -> Counter:
    total: Counter = Counter()
    for one in counts:
        total.update(one)
    return total
