"""What a page may claim: validation chooses, Holm corrects, and limits and p values never contradict each other."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.false_claims import claims_of, draw_contest
from hfkit.ledger.comparison import Comparison, holm_shares
from hfkit.ledger.contest import Contest
from hfkit.ledger.statistics import Side, allow_for_luck, pool_seeds
from hfkit.scores.evidence import DISTANCE, SHARE, Sums
from hfkit.scores.statistics import holm
from tests.ledger.test_statistics import contenders, of_shares, right, share

SIDE = Side(np.ones(3), np.ones(10), 0.0, 0.0, np.ones(10, dtype=bool), None, SHARE, 2)


def contest(evidence: dict, validation: dict, *, sign: int = 1, seconds: dict | None = None) -> Contest:
    origins = {
        name: "scratch" if name == "scratch" else "baseline" if name == "knn" else "pretrained" for name in evidence
    }
    return Contest(Comparison(evidence), validation, seconds or dict.fromkeys(evidence, 1.0), origins, sign)


def test_scores_are_means_over_seeds_and_a_difference_is_that_of_two():
    several = dict(zip("abc", contenders(np.random.default_rng(10), 300, skills=(0.0, 2.5, 1.0)), strict=True))
    comparison = Comparison(several)
    scores, found = comparison.scores(), comparison.differences([("a", "b"), ("c", "b")])
    of_seeds = [share(one.tallies.sum(0)) for one in several["a"]]
    assert scores["a"]["headline"] == pytest.approx(np.mean(of_seeds))
    assert scores["a"]["spread"] == pytest.approx(np.std(of_seeds, ddof=1))
    assert scores["a"]["interval"]["low"] < scores["a"]["headline"] < scores["a"]["interval"]["high"]
    for name in "ac":
        pair = found[name, "b"]
        assert pair["to"] == "b" and pair["difference"] == scores[name]["headline"] - scores["b"]["headline"]
        assert pair["p"] <= pair["p_holm"] < 0.05 and pair["level"] >= 0.95
        assert pair["low"] < pair["difference"] < pair["high"] < 0


def test_limits_and_p_never_contradict_each_other():
    """A published page once said 'gains 0.050 [0.013, 0.089]' above a row that said 'within noise, p = 0.072'."""
    draw, seen = np.random.default_rng(0), {True: 0, False: 0}
    for _ in range(60):
        skills = tuple(draw.normal(1.0, 0.4, size=5))
        names = dict(enumerate(contenders(draw, 120, skills=skills, seeds=int(draw.integers(1, 4)))))
        for pair in Comparison(names, resamples=200).differences([(0, other) for other in (1, 2, 3, 4)]).values():
            seen[pair["different"]] += 1
            assert pair["different"] == (pair["low"] > 0 or pair["high"] < 0)
            assert not pair["different"] or pair["p_holm"] < 0.05
    assert min(seen.values()) > 15


def test_each_p_is_tested_at_the_level_of_its_step():
    p_values = [0.001, 0.2, 0.012, 0.3, 0.02]
    shares = holm_shares(p_values, 0.05)
    assert shares == pytest.approx([0.01, 0.05 / 3, 0.0125, 0.05 / 3, 0.05 / 3])  # the third step, 0.02, ends it
    assert [p < one for p, one in zip(p_values, shares, strict=True)] == [p < 0.05 for p in holm(p_values)]


def test_equal_contenders_are_called_different_at_most_5_times_in_100():
    draw = np.random.default_rng(3)
    claimed = np.mean([bool(claims_of(draw_contest(draw, 300, 1000, 0.3, seed=i))) for i in range(100)])
    assert claimed <= 0.09  # 5 in 100, and two standard errors of 100 pages


def test_strategies_that_are_better_by_ten_points_are_still_told_apart():
    draw = np.random.default_rng(4)
    found = [claims_of(draw_contest(draw, 1000, 300, 0.15, lift=0.8, seed=i)) for i in range(20)]
    assert np.mean(["worth its cost" in claims and "positive transfer" in claims for claims in found]) > 0.8


def test_seeds_that_agree_by_chance_borrow_the_spread_of_the_others():
    def of(spread: float, seeds: int = 3) -> Side:
        return replace(SIDE, headlines=0.8 + spread * np.arange(seeds), freedom=seeds - 1)

    # Variances no further apart than chance makes them are taken for one: its logarithm is their mean, less chance.
    alike, *others, single = pool_seeds([of(0.0), of(0.01), of(0.02), of(0.01), of(0.02), of(0.0, seeds=1)])
    common = 0.01 * 0.02 * np.exp(np.euler_gamma)
    assert alike.seeds_share == pytest.approx(common * 8 / 10 / 3) and alike.freedom == 8
    assert others[0].seeds_share == pytest.approx((8 * common + 2 * 0.01**2) / 10 / 3)
    assert single.seeds_share == 0
    # One that varies beyond chance keeps most of its own.
    *_, wild = pool_seeds([of(0.01), of(0.02), of(0.01), of(0.02), of(0.5)])
    assert 0.2 * 0.5**2 / 3 < wild.seeds_share < 0.5**2 / 3 and wild.freedom < 6
    # The mean squares of the largest of 1, 2 and 5 normal numbers (Harter 1961).
    lucky = [allow_for_luck(wild, count).seeds_share / wild.seeds_share for count in (1, 2, 5)]
    assert lucky == pytest.approx([1, 1, 1.80], abs=0.01)


def test_validation_chooses_and_the_test_rows_do_not():
    draw = np.random.default_rng(1)
    evidence = {name: [right(draw, 200, skill)] for name, skill in (("full", 0.7), ("lora", 0.9), ("knn", 0.5))}
    found = contest(evidence, {"full": 0.8, "lora": 0.7, "knn": None})
    assert found.chosen == found.strategy == "full"
    assert found.difference("lora", "full")["different"] and found.decide(["knn"])["to"] == "knn"
    ahead = contest(evidence, {"full": 0.8, "lora": 0.7, "knn": 0.95})
    assert (ahead.chosen, ahead.strategy) == ("knn", "full")
    there, back = ahead.difference("full", "knn"), ahead.difference("knn", "full")
    assert there["difference"] == -back["difference"] and (there["low"], there["high"]) == (-back["high"], -back["low"])


def test_of_equals_on_validation_the_cheapest_is_chosen():
    draw = np.random.default_rng(2)
    evidence = {name: [right(draw, 50)] for name in ("full", "lora", "scratch")}
    seconds = {"full": 3.0, "lora": 2.0, "scratch": 1.0}
    assert contest(evidence, dict.fromkeys(evidence, 0.8), seconds=seconds).chosen == "scratch"
    assert contest(evidence, dict.fromkeys(evidence, None), seconds=seconds).strategy == "lora"
    assert contest(evidence, {"full": 0.1, "lora": 0.2, "scratch": 0.3}, sign=-1, seconds=seconds).chosen == "full"
    empty = contest({}, {})
    assert empty.chosen is empty.strategy is empty.decide(["knn"]) is None


def test_the_rival_that_decides_beats_or_cannot_be_told_apart_or_is_the_best():
    hits = {"full": 140, "bad": 60, "even": 138, "good": 190}
    evidence = {
        name: [of_shares(np.stack([np.arange(200) < many, np.ones(200)], axis=1))] for name, many in hits.items()
    }
    found = Contest(
        Comparison(evidence),
        {"full": 0.9, "bad": 0.1, "even": 0.1, "good": 0.1},
        dict.fromkeys(evidence, 1.0),
        {"full": "pretrained", "bad": "baseline", "even": "baseline", "good": "baseline"},
    )
    assert [found.decide(rivals)["to"] for rivals in (["bad", "even", "good"], ["bad", "even"], ["bad"])] == [
        "good",
        "even",
        "bad",
    ]
    assert found.decide(["bad"])["of"] == "full"


def test_an_unbounded_score_is_not_cut_off_at_one():
    """Errors per word, which may be more than the words: the limits of several seeds reach beyond what was drawn."""
    draw = np.random.default_rng(14)
    counts = [np.stack([draw.poisson(rate, 60), np.ones(60)], axis=1) for rate in (1.0, 2.0, 3.0)]
    rates = [Sums(tallies, share, DISTANCE) for tallies in counts]
    found = Comparison({"a": rates}).scores()["a"]
    assert found["interval"]["high"] > 3.5 > 2.3 > found["headline"] > 1.7 and found["interval"]["low"] >= 0


def test_rows_of_one_unit_count_once():
    draw = np.random.default_rng(11)
    several = dict(zip("ab", contenders(draw, 80, skills=(1.5, 0.5), seeds=1), strict=True))
    units = [f"patient {row:03}" for row in range(80) for _ in range(10)]
    often = {name: [of_shares(np.repeat(one.tallies, 10, axis=0)) for one in seeds] for name, seeds in several.items()}
    once, together, apart = Comparison(several), Comparison(often, units=units), Comparison(often)
    assert together.scores()["a"]["headline"] == once.scores()["a"]["headline"]
    alone, joined = (one.differences([("a", "b")])["a", "b"] for one in (once, together))
    assert joined["p"] == alone["p"]
    # Rounded to two digits.
    assert joined["needed_rows"] == pytest.approx([10 * count for count in alone["needed_rows"]], rel=0.05)
    width = [one.scores()["a"]["interval"]["high"] - one.scores()["a"]["interval"]["low"] for one in (apart, together)]
    assert width[0] < width[1]


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        ({"a": []}, "at least one seed"),
        ({"a": [of_shares(np.ones((rows, 2))) for rows in (3, 4)]}, "same rows"),
    ],
)
def test_what_cannot_be_compared_is_refused(evidence, message):
    with pytest.raises(ValueError, match=message):
        Comparison(evidence)


def test_nothing_is_compared_to_nothing():
    assert Comparison({}).scores() == {} and Comparison({}).differences([]) == {}
