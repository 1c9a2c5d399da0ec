"""What a page may claim: validation chooses, Holm corrects, and limits and p values never contradict each other."""

import numpy as np
import pytest

from benchmarks.false_claims import claims_of, draw_contest
from hfkit.ledger.comparison import Comparison, holm_shares
from hfkit.ledger.contest import Contest
from hfkit.ledger.statistics import compare_pair
from hfkit.scores.evidence import DISTANCE, Sums
from hfkit.scores.statistics import holm
from tests.ledger.test_statistics import contenders, of_shares, right, share


def contest(evidence: dict, validation: dict, *, sign: int = 1, seconds: dict | None = None) -> Contest:
    origins = {
        name: "scratch" if name == "scratch" else "baseline" if name == "knn" else "pretrained" for name in evidence
    }
    return Contest(Comparison(evidence), validation, seconds or dict.fromkeys(evidence, 1.0), origins, sign)


def test_scores_are_means_over_seeds_and_a_pair_is_that_of_the_two_alone():
    several = dict(zip("abc", contenders(np.random.default_rng(10), 300, skills=(0.0, 2.5, 1.0)), strict=True))
    comparison = Comparison(several)
    scores, found = comparison.scores(), comparison.differences([("a", "b"), ("c", "b")])
    of_seeds = [share(one.tallies.sum(0)) for one in several["a"]]
    assert scores["a"]["headline"] == pytest.approx(np.mean(of_seeds))
    assert scores["a"]["spread"] == pytest.approx(np.std(of_seeds, ddof=1))
    assert scores["a"]["interval"]["low"] < scores["a"]["headline"] < scores["a"]["interval"]["high"]
    for name in "ac":
        pair, alone = found[name, "b"], compare_pair(several[name], several["b"])
        assert pair["to"] == "b" and pair["difference"] == alone["difference"] < 0
        assert pair["p"] == alone["p"] <= pair["p_holm"] and pair["level"] >= 0.95
        assert pair["low"] <= alone["low"] and pair["high"] >= alone["high"]


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
    assert min(seen.values()) > 20


def test_each_p_is_tested_at_the_level_of_its_step():
    p_values = [0.001, 0.2, 0.012, 0.3, 0.02]
    shares = holm_shares(p_values, 0.05)
    assert shares == pytest.approx([0.01, 0.05 / 3, 0.0125, 0.05 / 3, 0.05 / 3])  # the third step, 0.02, ends it
    assert [p < one for p, one in zip(p_values, shares, strict=True)] == [p < 0.05 for p in holm(p_values)]


def test_equal_contenders_are_called_different_at_most_5_times_in_100():
    draw = np.random.default_rng(3)
    claimed = np.mean([bool(claims_of(draw_contest(draw, 100, seed=i))) for i in range(100)])
    assert claimed <= 0.09  # 5 in 100, and two standard errors of 100 pages


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
