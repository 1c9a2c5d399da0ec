"""Intervals over folds: Nadeau and Bengio's variance, pairs by fold, and nothing claimed of what did not run."""

import numpy as np
import pytest
from scipy import stats

from hfkit.ledger.fold_comparison import Fold, FoldComparison

TEN = [(seed, fold) for seed in range(2) for fold in range(5)]


def scored(scores, places=TEN) -> dict:
    return {place: Fold(float(score), 20, 72) for place, score in zip(places, scores, strict=True)}


def corrected(values: np.ndarray) -> float:
    """The standard error of Nadeau and Bengio (2003), equation 9."""
    return float(np.sqrt((1 / len(values) + 20 / 72) * values.var(ddof=1)))


def test_a_difference_has_the_corrected_error_and_students_t():
    draw = np.random.default_rng(0)
    a, b = draw.normal(3.0, 0.3, 10), draw.normal(2.6, 0.3, 10)
    of_both = FoldComparison({"a": scored(a), "b": scored(b)}, rows=100, ends=(0.0, np.inf))
    facts = of_both.differences([("a", "b")])["a", "b"]
    half = stats.t.ppf(0.975, 9) * corrected(a - b)
    assert facts["difference"] == pytest.approx((a - b).mean())
    assert (facts["p"] < 0.05) == ((a - b).mean() > half)
    assert facts["p"] == pytest.approx(2 * stats.t.sf((a - b).mean() / corrected(a - b), 9))
    assert facts["low"] == pytest.approx(min(0.0, (a - b).mean() - half))
    own = of_both.scores()["a"]
    assert own["headline"] == pytest.approx(a.mean()) and own["spread"] == pytest.approx(a.std(ddof=1))
    assert own["interval"]["high"] - a.mean() == pytest.approx(stats.t.ppf(0.975, 9) * corrected(a))


def test_pairs_are_of_the_folds_that_both_finished():
    a, b = scored(np.linspace(0.7, 0.9, 10)), scored(np.linspace(0.6, 0.8, 10))
    del b[1, 4], a[0, 0]
    facts = FoldComparison({"a": a, "b": b}, rows=100).differences([("a", "b")])["a", "b"]
    assert facts["difference"] == pytest.approx(0.1)
    # Eight folds without any difference between them: what is left open is how many rows might yet show one.
    assert facts["different"] and 0.02 < facts["low"] < facts["high"] < 0.18
    alone = FoldComparison({"a": scored([0.9], [(0, 0)]), "b": scored([0.1], [(0, 1)])}, rows=100)
    facts = alone.differences([("a", "b")])["a", "b"]
    assert not facts["different"] and (facts["low"], facts["high"]) == (-1.0, 1.0)


def test_scores_near_the_end_of_the_scale_stay_within_it_and_have_a_width():
    perfect, nearly = scored([1.0] * 10), scored([1.0, 0.95] * 5)
    found = FoldComparison({"perfect": perfect, "nearly": nearly}, rows=100).scores()
    assert found["perfect"]["interval"]["high"] == 1 and 0.9 < found["perfect"]["interval"]["low"] < 0.98
    assert found["nearly"]["interval"]["high"] < 1
    assert all(one["interval"]["note"] for one in found.values())


def test_a_contender_that_validation_picked_needs_more_to_be_told_apart():
    draw = np.random.default_rng(1)
    folds = {
        name: scored(0.7 + shift + draw.normal(0, 0.02, 10))
        for name, shift in zip("abcdef", [0.03, 0, 0, 0, 0, 0], strict=True)
    }
    of_all = FoldComparison(folds, rows=100)
    plain, picked = (of_all.differences([("a", "b")], picked)["a", "b"]["p"] for picked in ((), ("a",)))
    assert plain < picked


def test_equal_contenders_are_seldom_called_different():
    """Folds whose scores share half of what the correction assumes: it errs on the safe side."""
    draw, claimed = np.random.default_rng(2), 0
    for _ in range(300):
        common = draw.normal(0, 0.02, (2, 2))  # of a contender and seed: what its folds have in common
        gaps = [common[0, seed] - common[1, seed] + draw.normal(0, 0.05) for seed, _ in TEN]
        folds = {"a": scored(0.7 + np.array(gaps)), "b": scored([0.7] * 10)}
        claimed += FoldComparison(folds, rows=100).differences([("a", "b")])["a", "b"]["different"]
    assert claimed / 300 < 0.05
