"""Folds: every row in one, whole units, every class shared out alike, and the same rows for the same seed."""

from collections import Counter

import numpy as np
import pytest

from hfkit.data.folding import draw_folds


@pytest.mark.parametrize("folds", [2, 5, 10])
def test_folds_and_their_classes_are_of_one_size(folds):
    classes = [(name,) for name in ["a"] * 60 + ["b"] * 30 + ["c"] * 13]
    found = draw_folds(103, folds, classes=classes, seed=3)
    assert np.ptp(np.bincount(found, minlength=folds)) <= 1
    for name in "abc":
        of_class = Counter(fold for fold, (own,) in zip(found, classes, strict=True) if own == name)
        assert max(of_class.values()) - min(of_class[fold] for fold in range(folds)) <= 1


def test_units_stay_whole_and_their_classes_are_balanced_as_far_as_that_allows():
    draw = np.random.default_rng(0)
    units = draw.integers(0, 40, 200)
    classes = [("odd",) if row % 3 else ("even", "third") for row in range(200)]  # some rows are of two classes
    found = draw_folds(200, 5, units=units.tolist(), classes=classes, seed=1)
    assert all(len(set(found[units == unit])) == 1 for unit in set(units))
    shares = [np.mean([len(classes[row]) - 1 for row in np.flatnonzero(found == fold)]) for fold in range(5)]
    assert np.ptp(shares) < 0.1 and np.ptp(np.bincount(found)) <= 8


def test_a_seed_decides_the_folds_and_no_order_of_rows_does_so_alone():
    same = [draw_folds(50, 5, seed=seed).tolist() for seed in (0, 0, 1)]
    assert same[0] == same[1] != same[2]
    assert same[0] != sorted(same[0])


def test_fewer_units_than_folds_are_refused():
    with pytest.raises(ValueError, match="2 units cannot fill 3 folds"):
        draw_folds(9, 3, units=["a"] * 4 + ["b"] * 5)
