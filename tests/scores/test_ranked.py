"""Rankings under any weighting of the rows: every score is that of copied rows, although nothing is sorted again."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from hfkit.scores.evidence import total
from hfkit.scores.ranked import AUROC, AVERAGE_PRECISION, HIT, LEFT_OUT, MISS, RECALLS, Entries, Ranked
from hfkit.scores.statistics import bootstrap_interval, paired_difference

ROWS, GROUPS, WAYS = 30, 3, 2


def draw_entries(seed: int = 0, *, tied: bool = False) -> Entries:
    """Found objects of three classes at two overlaps; some are left out at one of them, some objects are not found."""
    draw = np.random.default_rng(seed)
    many = 150
    confidence = draw.integers(1, 5, many) / 4 if tied else draw.permutation(many) / many
    hit = draw.choice([HIT, MISS, LEFT_OUT], (many, WAYS), p=[0.5, 0.4, 0.1]).astype(np.int8)
    row, group = np.sort(draw.integers(0, ROWS, many)), draw.integers(0, GROUPS, many)
    positives = np.random.default_rng(9).integers(0, 2, (ROWS, GROUPS))  # the same for every contender
    np.add.at(positives, (np.arange(many) % ROWS, np.arange(many) % GROUPS), 1)
    hit[positives[row, group] == 0] = MISS
    return Entries(confidence, hit, row, group, positives)


def copy_rows(entries: Entries, times: np.ndarray) -> Entries:
    """The entries of a dataset in which each row stands so many times."""
    copies = np.repeat(np.arange(len(entries.row)), times[entries.row])
    number = np.concatenate([np.arange(n) for n in times[entries.row]])
    first = np.cumsum(times) - times
    return Entries(
        entries.confidence[copies],
        entries.hit[copies],
        first[entries.row[copies]] + number,
        entries.group[copies],
        np.repeat(entries.positives, times, axis=0),
    )


def average_precision(entries: Entries, group: int, way: int) -> float:
    """COCO's, as its evaluation writes it, for one ranking."""
    order = np.argsort(-entries.confidence, kind="mergesort")
    order = order[(entries.group[order] == group) & (entries.hit[order, way] != LEFT_OUT)]
    right = np.cumsum(entries.hit[order, way] == HIT)
    precision = right / np.arange(1, len(right) + 1)
    recall = right / entries.positives[:, group].sum()
    for place in range(len(precision) - 1, 0, -1):
        precision[place - 1] = max(precision[place - 1], precision[place])
    reached = np.searchsorted(recall, RECALLS, side="left")
    return float(np.mean([precision[place] if place < len(precision) else 0.0 for place in reached]))


def mean_average_precision(entries: Entries) -> float:
    asked = [group for group in range(GROUPS) if entries.positives[:, group].any()]
    return float(np.mean([average_precision(entries, group, way) for group in asked for way in range(WAYS)]))


@pytest.mark.parametrize("tied", [False, True])
def test_each_row_counted_once_the_score_is_that_of_coco(tied):
    entries = draw_entries(tied=tied)
    assert total(Ranked(entries, AVERAGE_PRECISION)) == pytest.approx(mean_average_precision(entries), abs=1e-12)


def test_a_recall_that_is_a_hundredth_reaches_the_points_that_coco_says():
    # 7 of 100 is 0.07, and the point 0.07 of 101 is a little more than that.
    positives = np.full((1, 1), 100)
    for found in range(1, 101):
        none, hit = np.zeros(found, dtype=int), np.ones((found, 1), dtype=np.int8)
        entries = Entries(np.ones(found), hit, none, none, positives)
        expected = (RECALLS <= found / 100).mean()
        assert total(Ranked(entries, AVERAGE_PRECISION)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("curve", [AVERAGE_PRECISION, AUROC])
def test_a_weighted_draw_is_the_score_of_rows_copied_as_often(curve):
    times = np.random.default_rng(1).multinomial(ROWS, np.ones(ROWS) / ROWS, 20)
    # Which of two tied entries of one row comes first is open once the row is copied, where they are taken one by one.
    entries = draw_entries(tied=curve is AUROC)
    drawn = Ranked(entries, curve).headline(times.astype(float))
    copied = [total(Ranked(copy_rows(entries, one), curve)) for one in times]
    assert drawn == pytest.approx(copied, abs=1e-12) and np.ptp(drawn) > 0.01


def test_swaps_are_the_scores_of_swapped_answers():
    ours, theirs = draw_entries(0), draw_entries(1)
    rows, swaps = np.arange(0, ROWS, 2), np.random.default_rng(2).integers(0, 2, (10, ROWS // 2))
    found = Ranked(ours, AVERAGE_PRECISION).swap(Ranked(theirs, AVERAGE_PRECISION), rows, swaps.astype(float))
    for draw, swap in enumerate(swaps):
        swapped = np.isin(np.arange(ROWS), rows[swap == 1])
        for side, (kept, taken) in enumerate([(ours, theirs), (theirs, ours)]):
            both, source = kept.join_below(taken), np.concatenate([~swapped[kept.row], swapped[taken.row]])
            source = np.flatnonzero(source)[np.argsort(both.row[source] % ROWS, kind="stable")]
            columns = both.confidence[source], both.hit[source], both.row[source] % ROWS, both.group[source]
            mixed = Entries(*columns, kept.positives)
            assert found[side][draw] == pytest.approx(mean_average_precision(mixed), abs=1e-12)


def test_the_area_under_the_curve_is_that_of_scikit_learn():
    draw = np.random.default_rng(3)
    gold, confidence = draw.integers(0, 2, (80, 2)), np.round(draw.random((80, 2)), 1)
    row, group = np.divmod(np.arange(160), 2)
    entries = Entries(confidence.ravel(), gold.reshape(-1, 1).astype(np.int8), row, group, gold)
    expected = [roc_auc_score(gold[:, finding], confidence[:, finding]) for finding in (0, 1)]
    evidence = Ranked(entries, AUROC)
    assert next(evidence.values(np.ones((1, 80))))[0, :, 0] == pytest.approx(expected, abs=1e-12)
    assert total(evidence) == pytest.approx(np.mean(expected), abs=1e-12)


def test_rows_of_a_unit_count_together():
    entries, units = draw_entries(), np.arange(ROWS) // 3
    joined = Ranked(entries, AVERAGE_PRECISION).by_unit(units)
    weights = np.random.default_rng(4).integers(0, 3, (5, ROWS // 3)).astype(float)
    assert joined.rows == ROWS // 3
    assert joined.headline(weights) == pytest.approx(Ranked(entries, AVERAGE_PRECISION).headline(weights[:, units]))


def test_seeds_are_averaged_and_not_ranked_together():
    first, second = (Ranked(draw_entries(seed), AVERAGE_PRECISION) for seed in (0, 1))
    mean = first.average([second])
    assert total(mean) == pytest.approx((total(first) + total(second)) / 2)
    ours, theirs = mean.swap(mean, np.arange(ROWS), np.ones((1, ROWS)))
    assert ours == pytest.approx([total(mean)]) and theirs == pytest.approx([total(mean)])


def test_rows_differ_by_what_stands_in_them_in_whatever_order():
    entries = draw_entries()
    backwards = Entries(
        *(side[::-1] for side in (entries.confidence, entries.hit, entries.row, entries.group)), entries.positives
    )
    assert not Ranked(entries, AVERAGE_PRECISION).differs(Ranked(backwards, AVERAGE_PRECISION)).any()
    shifted, missed = entries.confidence.copy(), entries.hit.copy()
    shifted[entries.row == 4] /= 2
    missed[np.flatnonzero(entries.row == 7)[0], 0] = -missed[np.flatnonzero(entries.row == 7)[0], 0] or HIT
    other = Entries(shifted, missed, entries.row, entries.group, entries.positives)
    differs = Ranked(entries, AVERAGE_PRECISION).differs(Ranked(other, AVERAGE_PRECISION))
    assert np.flatnonzero(differs).tolist() == [4, 7]


def test_a_row_without_anything_found_or_to_find_cannot_move_the_score():
    confidence, hit = np.array([0.9, 0.8, 0.7]), np.array([[HIT], [MISS], [LEFT_OUT]], dtype=np.int8)
    positives = np.array([[1, 0], [0, 0], [0, 0], [0, 0]])
    entries = Entries(confidence, hit, np.array([0, 1, 2]), np.array([0, 0, 0]), positives)
    assert Ranked(entries, AVERAGE_PRECISION).matters().tolist() == [True, True, False, False]
    # Of a class that is nowhere, nothing can be said.
    elsewhere = Entries(confidence, hit, np.array([0, 1, 2]), np.array([0, 1, 0]), positives)
    assert Ranked(elsewhere, AVERAGE_PRECISION).matters().tolist() == [True, False, False, False]


def test_draws_without_anything_to_find_have_the_score_that_was_asked_for():
    entries = Entries(np.array([0.5]), np.array([[HIT]], np.int8), np.array([0]), np.array([0]), np.array([[1], [0]]))
    weights = np.array([[1.0, 1.0], [0.0, 2.0]])
    assert Ranked(entries, AVERAGE_PRECISION).headline(weights).tolist() == [1, 0]
    assert Ranked(entries, AUROC, undefined=0.5).headline(weights).tolist() == [0.5, 0.5]
    nothing = Entries(np.empty(0), np.empty((0, 1), np.int8), np.empty(0, int), np.empty(0, int), np.array([[1], [0]]))
    assert total(Ranked(nothing, AVERAGE_PRECISION)) == 0


def test_intervals_and_comparisons_hold_for_rankings():
    ours, theirs = (Ranked(draw_entries(seed), AVERAGE_PRECISION) for seed in (0, 1))
    interval = bootstrap_interval(ours, resamples=200)
    assert 0 < interval.low < total(ours) < interval.high < 1 and not interval.note
    pair = paired_difference(ours, theirs, resamples=200)
    assert pair["low"] < pair["difference"] < pair["high"] and 0 < pair["p"] <= 1
