"""An interval holds the truth as often as it says, and a difference is claimed only where there is one."""

import numpy as np
import pytest
from scipy.stats import binom

from hfkit.scores.evidence import Sums
from hfkit.scores.limits import open_width
from hfkit.scores.statistics import bootstrap_interval, clearly_different, paired_difference, resample


def f1(sums: np.ndarray) -> np.ndarray:
    """(..., [correct, predicted, gold]) -> (...)"""
    return 2 * sums[..., 0] / np.maximum(sums[..., 1] + sums[..., 2], 1)


def share(sums: np.ndarray) -> np.ndarray:
    """(..., [right, asked]) -> (...)"""
    return sums[..., 0] / sums[..., 1]


def tagger(draw: np.random.Generator, rows: int, recall: float) -> Sums:
    """Evidence of a tagger that finds this share of 1.5 entities a row and invents 0.4: its F1 is 2 * 1.5 * recall /
    (1.5 * recall + 0.4 + 1.5) in the long run.
    """
    gold = draw.poisson(1.5, rows)
    correct = draw.binomial(gold, recall)
    return Sums(np.stack([correct, correct + draw.poisson(0.4, rows), gold], axis=1), f1)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    draw = np.random.default_rng(1)
    truth = 2 * 1.5 * 0.6 / (1.5 * 0.6 + 0.4 + 1.5)
    intervals = [bootstrap_interval(tagger(draw, 150, 0.6), resamples=400, seed=i) for i in range(300)]
    held = np.mean([i.low <= truth <= i.high for i in intervals])
    # 95 % of 300 within three standard errors, less the little that a percentile interval is known to fall short.
    assert 0.90 <= held <= 0.985


def test_the_interval_of_a_share_is_the_textbook_one():
    right = np.arange(400) < 280
    interval = bootstrap_interval(Sums(np.stack([right, np.ones(400)], axis=1), share))
    half = 1.96 * np.sqrt(0.7 * 0.3 / 400)
    assert interval.low == pytest.approx(0.7 - half, abs=0.006)
    assert interval.high == pytest.approx(0.7 + half, abs=0.006)
    assert interval.level == 0.95 and interval.note == ""


def test_a_wider_level_gives_a_wider_interval():
    tallies = tagger(np.random.default_rng(2), 100, 0.5)
    wide, narrow = (bootstrap_interval(tallies, level=level) for level in (0.99, 0.8))
    assert wide.low < narrow.low < narrow.high < wide.high


def of_answers(right: np.ndarray) -> Sums:
    """Evidence of one answer a row."""
    return Sums(np.stack([right, np.ones(len(right))], axis=1), share)


@pytest.mark.parametrize("rows", [10, 20, 50, 100])
def test_an_accuracy_near_the_end_of_its_scale_has_an_interval_that_holds_the_truth(rows):
    """Of 50 rows at 0.99, the percentile interval held the truth 37 times in 100."""
    found = [bootstrap_interval(of_answers(np.arange(rows) < right), resamples=2) for right in range(rows + 1)]

    def held(truth: float) -> float:
        return sum(binom.pmf(right, rows, truth) for right, i in enumerate(found) if i.low <= truth <= i.high)

    for truth in (0.5, 0.7, 0.8, 0.9, 0.95, 0.99):
        # Coverage jumps with the truth, as the number of right answers is whole: 0.91 and 0.99 are the nearest to 0.95
        # that any interval can reach at 0.99 and 50 rows. The mean over truths up to one answer away has no jumps.
        step = min(1 / rows, 1 - truth)
        near = np.linspace(truth - step, truth + step, 42)[1:-1]
        assert held(truth) >= 0.9
        assert 0.92 <= np.mean([held(p) for p in near]) <= 0.97


def test_f1_of_few_and_nearly_perfect_entities_has_an_interval_that_holds_the_truth():
    draw, held = np.random.default_rng(11), []
    truth = 2 * 0.9 / (0.9 + 0.05 + 1)
    for i in range(300):
        gold = draw.poisson(0.3, 50)
        correct = draw.binomial(gold, 0.9)
        tallies = np.stack([correct, correct + draw.poisson(0.3 * 0.05, 50), gold], axis=1)
        interval = bootstrap_interval(Sums(tallies, f1), resamples=200, seed=i)
        held.append(interval.low <= truth <= interval.high)
    assert np.mean(held) == pytest.approx(0.96, abs=0.03)


def macro_f1(sums: np.ndarray) -> np.ndarray:
    """Of the classes that occur, (..., classes x [right, predicted, gold]) -> (...)."""
    right, predicted, gold = np.moveaxis(sums.reshape(*sums.shape[:-1], -1, 3), -1, 0)
    there = predicted + gold > 0
    return (2 * right / np.where(there, predicted + gold, 1)).sum(axis=-1) / there.sum(axis=-1)


def test_a_score_that_a_few_rows_carry_has_the_wider_of_two_intervals():
    """Macro F1 with a class of one row, which is right: resamples without it score the other class alone."""
    gold, said = np.repeat([0, 1], [19, 1]), np.repeat([0, 1, 0, 1], [15, 2, 2, 1])
    of_gold, of_said = np.eye(2)[gold], np.eye(2)[said]
    evidence = Sums(np.stack([of_gold * of_said, of_said, of_gold], axis=2).reshape(20, -1), macro_f1)
    draws = resample([evidence])[0]
    interval, of_draws = bootstrap_interval(evidence), np.quantile(draws, [0.025, 0.975])
    # The limits of a share of so many trials end below 1.
    assert interval.low < of_draws[0] and interval.high == of_draws[1] == 1


def test_whole_rows_are_resampled():
    # In every row all that was asked is right; only counts drawn apart from their rows could give anything but 1.
    asked = np.random.default_rng(3).poisson(2, 50) + 1
    interval = bootstrap_interval(Sums(np.stack([asked, asked], axis=1), share))
    assert interval.high == 1 and interval.low == pytest.approx(1 - open_width(50, 0.95), abs=1e-3)
    assert "changes nothing" in interval.note


def test_only_rows_that_can_move_the_score_count():
    """Two entities in a thousand sentences, both found, leave as much open as in two."""
    tallies = np.zeros((1000, 3))
    tallies[[3, 500]] = 1
    interval, alone = (bootstrap_interval(Sums(rows, f1)) for rows in (tallies, tallies[[3, 500]]))
    assert interval.low == pytest.approx(alone.low) and alone.low < 0.35 and interval.high == 1
    nothing = bootstrap_interval(Sums(np.zeros((9, 3)), f1))
    assert (nothing.low, nothing.high) == (0, 1) and "nothing was asked" in nothing.note


@pytest.mark.parametrize("rows", [5, 20])
def test_contenders_that_answer_alike_are_not_proven_equal(rows):
    """[0, 0] was taken for the proof that no difference matters: on five rows, one of 0.45 shows in none of them one
    time in twenty.
    """
    same = of_answers(np.arange(rows) % 5 > 0)
    pair = paired_difference(same, same)
    assert pair["difference"] == 0 and pair["high"] == -pair["low"] > 1 - 0.05 ** (1 / rows)
    assert pair["p"] == 1 and "changes nothing" in pair["note"] and not clearly_different(pair)


def test_a_difference_of_answers_needs_no_resample():
    a, b = (of_answers(np.arange(80) % n > 0) for n in (7, 4))
    pairs = [paired_difference(a, b, seed=seed, resamples=many) for seed, many in ((0, 2), (1, 400))]
    assert [pair["low"] for pair in pairs] == pytest.approx([pairs[0]["low"]] * 2, abs=1e-12)
    assert pairs[0]["low"] < pairs[0]["difference"] < pairs[0]["high"]


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others():
    a, b = (tagger(np.random.default_rng(seed), 80, 0.5) for seed in (4, 5))
    assert bootstrap_interval(a, seed=7) == bootstrap_interval(a, seed=7)
    assert bootstrap_interval(a, seed=7) != bootstrap_interval(a, seed=8)
    assert paired_difference(a, b, seed=7) == paired_difference(a, b, seed=7)


def test_numbers_are_plain_python():
    a, b = (tagger(np.random.default_rng(seed), 40, 0.5) for seed in (4, 5))
    interval, pair = bootstrap_interval(a), paired_difference(a, b)
    assert {type(x) for x in (interval.low, interval.high, interval.level)} == {float}
    assert {type(pair[key]) for key in ("difference", "low", "high", "level", "p")} == {float}


def test_a_contender_does_not_differ_from_itself():
    tallies = tagger(np.random.default_rng(6), 60, 0.5)
    pair = paired_difference(tallies, tallies)
    assert (pair["difference"], pair["p"]) == (0.0, 1.0) and pair["low"] < 0 < pair["high"]
    assert not clearly_different(pair)


def test_a_difference_turned_round_changes_its_sign():
    a, b = (tagger(np.random.default_rng(seed), 200, recall) for seed, recall in ((7, 0.7), (8, 0.5)))
    there, back = paired_difference(a, b), paired_difference(b, a)
    assert there["difference"] == pytest.approx(float(f1(a.tallies.sum(0)) - f1(b.tallies.sum(0))))
    assert [there["low"], there["high"]] == pytest.approx([-back["high"], -back["low"]])
    assert clearly_different(there) and clearly_different(back)


def test_pairing_sees_a_small_steady_gain_that_two_intervals_cannot():
    worse = tagger(np.random.default_rng(9), 300, 0.6)
    tallies = worse.tallies.copy()
    missed = np.flatnonzero(tallies[:, 0] < tallies[:, 2])
    tallies[missed[::6], :2] += 1  # one more entity found in every sixth row with one missed
    better = Sums(tallies, f1)
    pair = paired_difference(better, worse)
    assert clearly_different(pair)
    a, b = bootstrap_interval(better), bootstrap_interval(worse)
    assert a.low < b.high
    assert pair["high"] - pair["low"] < 0.5 * (a.high - a.low)


def test_equals_are_seldom_called_different():
    draw = np.random.default_rng(10)
    pairs = [
        paired_difference(tagger(draw, 100, 0.6), tagger(draw, 100, 0.6), resamples=200, seed=i) for i in range(200)
    ]
    # 5 % of 200, within three standard errors.
    assert np.mean([pair["p"] < 0.05 for pair in pairs]) < 0.10
    assert np.mean([clearly_different(pair) for pair in pairs]) < 0.10


def test_one_row_says_nothing_and_says_so():
    row, nothing = Sums(np.array([[2, 3, 4]]), f1), Sums(np.zeros((1, 3)), f1)
    interval, pair = bootstrap_interval(row), paired_difference(row, nothing)
    assert interval.low == 0 and interval.high == 1 and pair["low"] < 0 < pair["high"]
    assert "one row" in interval.note and "one row" in pair["note"]
    assert not clearly_different(pair)


def test_a_handful_of_rows_is_never_enough_to_claim_a_difference():
    all_right, all_wrong = (Sums(np.tile([right, 1], (4, 1)), share) for right in (1, 0))
    pair = paired_difference(all_right, all_wrong)
    # The interval alone would claim it; the randomisation test counts the 16 ways to swap four rows.
    assert pair["low"] > 0 and pair["p"] == pytest.approx(2 / 16)
    assert not clearly_different(pair)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bootstrap_interval(Sums(np.zeros((0, 3)), f1)), "no rows"),
        (lambda: bootstrap_interval(Sums(np.zeros((1, 2)), share)), "not a number"),
        (lambda: paired_difference(*(Sums(np.zeros((rows, 2)), share) for rows in (3, 4))), "same rows"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_what_has_no_score_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
