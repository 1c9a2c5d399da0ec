"""Evidence under any weighting of the rows: shares are recognised, and numbers keep their digits."""

import numpy as np
import pytest
from scipy.stats import pearsonr

from hfkit.scores.evidence import DISTANCE, Moments, Paired, Sums, total
from hfkit.scores.statistics import RESAMPLES, bootstrap_interval, paired_difference, randomisation


def share(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0] / np.maximum(sums[..., 1], 1)


def f1(sums: np.ndarray) -> np.ndarray:
    return 2 * sums[..., 0] / np.maximum(sums[..., 1] + sums[..., 2], 1)


def pearson(found: Moments) -> np.ndarray:
    scale = np.sqrt(found.variance_of_ours * found.variance_of_gold)
    return np.where(scale > 0, found.covariance / np.where(scale > 0, scale, 1), 0.0)


def rmse(found: Moments) -> np.ndarray:
    return np.sqrt(found.variance_of_ours + found.variance_of_gold - 2 * found.covariance + found.gap**2)


def right_or_wrong(rows: int = 12) -> Sums:
    return Sums(np.stack([np.arange(rows) % 3 > 0, np.ones(rows)], axis=1), share)


def test_a_score_that_is_a_share_of_rows_is_recognised():
    assert right_or_wrong(6).hits().tolist() == [0, 1, 1, 0, 1, 1]
    # One entity in every sentence and one prediction: the F1 is the share of sentences.
    assert Sums(np.array([[1, 1, 1], [0, 1, 1], [1, 1, 1]]), f1).hits().tolist() == [1, 0, 1]


def test_a_score_that_is_no_share_of_rows_is_not_taken_for_one():
    assert Sums(np.array([[1, 1, 1], [0, 2, 1], [1, 1, 1]]), f1).hits() is None
    # Units of one and of two rows, each all right or all wrong, do not count alike.
    assert Sums(np.array([[1, 1], [1, 1], [0, 1]]), share).by_unit(["a", "a", "b"]).hits() is None
    assert right_or_wrong().average([Sums(np.ones((12, 2)), share)]).hits() is None
    assert Sums(np.array([[1, 1], [0, 1]]), share, DISTANCE).hits() is None


def test_a_row_of_which_nothing_was_asked_cannot_move_the_score():
    evidence = Sums(np.array([[0, 0, 0], [0, 0, 1], [1, 1, 1]]), f1)
    assert evidence.matters().tolist() == [False, True, True]


def test_a_score_off_its_scale_is_refused_with_what_helps():
    errors = np.array([[3, 1], [0, 1]])
    with pytest.raises(ValueError, match="1.5 lies outside 0 to 1: give its evidence other ends"):
        total(Sums(errors, share))
    assert total(Sums(errors, share, DISTANCE)) == 1.5


@pytest.mark.parametrize(("far", "wide"), [(1e8, 1.0), (1e8, 1e-3), (0.0, 1e-9), (5.0, 1e9)])
def test_numbers_far_from_zero_keep_their_digits(far, wide):
    draw = np.random.default_rng(0)
    gold = far + wide * draw.normal(size=60)
    ours = gold + wide * draw.normal(size=60)
    evidence, weights = Paired(ours, gold, pearson), draw.integers(0, 4, (5, 60)).astype(float)
    near = (
        ours - far,
        gold - far,
    )  # subtracting what is that close is exact, and scipy keeps the digits of small numbers
    assert total(evidence) == pytest.approx(pearsonr(*near).statistic, rel=1e-12)
    for row, value in zip(weights.astype(int), evidence.headline(weights), strict=True):
        expected = pearsonr(*(np.repeat(side, row) for side in near)).statistic
        assert value == pytest.approx(expected, rel=1e-9)
    # Predictions that hardly vary, and lie elsewhere.
    flat = 1e-7 * draw.integers(-9, 9, 60)
    assert total(Paired(4 + flat, gold, pearson)) == pytest.approx(pearsonr(flat, gold - far).statistic, rel=1e-8)


def test_resamples_without_the_outlier_keep_the_digits_of_the_other_rows():
    ours, gold = [1.0, 2.5, 2.0, 1e7], [0.9, 3.0, 2.0, 1e7 + 4]
    found = Paired(ours, gold, pearson).headline(np.array([[3.0, 1.0, 2.0, 0.0]]))[0]
    chosen = [0, 0, 0, 1, 2, 2]
    expected = pearsonr(np.take(ours, chosen), np.take(gold, chosen)).statistic
    assert found == pytest.approx(expected, rel=1e-12)


def test_swapped_answers_that_lie_far_apart_keep_their_digits():
    draw = np.random.default_rng(4)
    gold = draw.normal(size=30)
    near, far = gold + draw.normal(size=30), 1e9 + gold + draw.normal(size=30)
    a, b = Paired(near, gold, pearson), Paired(far, gold, pearson)
    swaps = np.vstack([np.zeros(30), np.ones(30), np.arange(30) < 15])
    ours, theirs = a.swap(b, np.arange(30), swaps)
    assert ours[:2] == pytest.approx([total(a), total(b)], abs=1e-12) and theirs[:2] == pytest.approx(ours[1::-1])
    mixed = np.where(np.arange(30) < 15, far, near)
    assert ours[2] == pytest.approx(pearsonr(mixed, gold).statistic, rel=1e-9)


def test_constant_numbers_correlate_with_nothing():
    gold = np.random.default_rng(1).normal(size=7)
    assert total(Paired(np.full(7, 0.1), gold, pearson)) == 0


def test_paired_numbers_of_one_unit_are_drawn_and_swapped_together():
    draw = np.random.default_rng(2)
    gold, (a, b) = draw.normal(size=9), draw.normal(size=(2, 9))
    units = list("cabbacacb")
    first, second = (Paired(ours, gold, rmse, DISTANCE).by_unit(units) for ours in (a, b))
    assert first.rows == 3 and first.differs(second).all()
    weights = np.array([[2.0, 0.0, 1.0]])  # of a, b and c
    of_rows = np.array([[{"a": 2.0, "b": 0.0, "c": 1.0}[unit] for unit in units]])
    assert first.headline(weights) == pytest.approx(Paired(a, gold, rmse, DISTANCE).headline(of_rows))
    ours, theirs = first.swap(second, np.array([1]), np.array([[1.0], [0.0]]))
    of_b = np.array([unit == "b" for unit in units])
    mixed = (np.where(of_b, b, a), np.where(of_b, a, b))
    expected = [total(Paired(side, gold, rmse, DISTANCE)) for side in mixed]
    assert (ours[0], theirs[0]) == pytest.approx(expected)
    assert (ours[1], theirs[1]) == pytest.approx((total(first), total(second)))


def test_seeds_of_paired_numbers_count_together_and_swap_together():
    draw = np.random.default_rng(3)
    gold, several = draw.normal(size=40), draw.normal(size=(3, 40))
    seeds = [Paired(gold + noise, gold, pearson) for noise in several]
    one = Paired(gold + 4 * draw.normal(size=40), gold, pearson)
    mean = seeds[0].average(seeds[1:])
    pooled = pearsonr((gold + several).ravel(), np.tile(gold, 3)).statistic
    assert total(mean) == pytest.approx(pooled)
    assert randomisation(mean, one) < 0.05 and randomisation(mean, mean) == 1
    all_swapped = mean.swap(one, np.arange(40), np.ones((1, 40)))
    assert np.concatenate(all_swapped) == pytest.approx([total(one), total(mean)])


def test_a_correlation_has_an_interval_even_if_every_answer_is_right():
    gold = np.arange(20.0)
    perfect = Paired(gold, gold, pearson)
    interval, pair = bootstrap_interval(perfect), paired_difference(perfect, perfect, resamples=RESAMPLES)
    assert interval.low < 0.9 and interval.high == 1 and "changes nothing" in interval.note
    assert pair["low"] == -pair["high"] < -0.1 and pair["p"] == 1
