"""Thresholds of several labels: moved only where that helps, and common to labels with few positives."""

import numpy as np

from hfkit.tasks.classification.thresholds import best_shifts, micro_f1


def test_thresholds_are_moved_only_where_that_helps():
    draw = np.random.default_rng(1)
    gold = draw.random((300, 3)) < [0.5, 0.2, 0.05]
    logits = draw.normal(size=gold.shape) + 3 * gold - [4.0, 1.0, 1.5]
    shifts = best_shifts(logits, gold)
    assert micro_f1(logits + shifts > 0, gold) > micro_f1(logits > 0, gold) + 0.1
    assert best_shifts(np.where(gold, 1.0, -1.0), gold) is None
    assert best_shifts(logits, np.zeros_like(gold)) is None


def test_a_label_with_few_positives_keeps_the_threshold_of_all():
    draw = np.random.default_rng(2)
    gold = np.zeros((200, 2), dtype=bool)
    gold[:80, 0], gold[:2, 1] = True, True
    logits = draw.normal(size=gold.shape) + 2 * gold - 2
    logits[:2, 1] = -9  # a threshold of its own would say yes to everything, or never
    shifts = best_shifts(logits, gold)
    common = best_shifts(logits, np.where(np.arange(2) == 1, False, gold))
    assert np.isfinite(shifts).all() and abs(shifts[1]) < 9
    assert common is not None
