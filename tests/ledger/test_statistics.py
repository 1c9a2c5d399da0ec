"""Contenders of several seeds: intervals and differences hold the truth as often as they say, over rows and seeds."""

import numpy as np
import pytest

from hfkit.ledger.comparison import Comparison
from hfkit.ledger.statistics import compare_pair
from hfkit.scores.evidence import Sums
from hfkit.scores.statistics import (
    bootstrap_interval,
    clearly_different,
    holm,
    paired_difference,
    randomisation,
    resample,
)

DRAWS = 1000  # 95 % of so many has a standard error of 0.7 %
CLASSES = np.array([0.5, 0.3, 0.15, 0.05])


def share(sums: np.ndarray) -> np.ndarray:
    """(..., [right, asked]) -> (...)"""
    return sums[..., 0] / sums[..., 1]


def macro_f1(sums: np.ndarray) -> np.ndarray:
    """(..., classes x [right, predicted, gold]) -> (...)"""
    right, predicted, gold = np.moveaxis(sums.reshape(*sums.shape[:-1], -1, 3), -1, 0)
    return (2 * right / np.maximum(predicted + gold, 1)).mean(axis=-1)


def of_shares(tallies) -> Sums:
    return Sums(np.asarray(tallies), share)


def right(draw: np.random.Generator, rows: int, chance: float | np.ndarray = 0.8) -> Sums:
    return of_shares(np.stack([draw.random(rows) < chance, np.ones(rows)], axis=1))


def of_classes(draw: np.random.Generator, rows: int) -> Sums:
    """Evidence of a classifier that is right four times in five, and else says the next class."""
    gold = draw.choice(4, rows, p=CLASSES)
    said = np.where(draw.random(rows) < 0.8, gold, (gold + 1) % 4)
    tallies = np.zeros((rows, 4, 3))
    every = np.arange(rows)
    tallies[every, gold, 2] += 1
    tallies[every, said, 1] += 1
    tallies[every, gold, 0] += said == gold
    return Sums(tallies.reshape(rows, -1), macro_f1)


def truth_of_classes() -> float:
    hits = 0.8 * CLASSES
    return float((2 * hits / (CLASSES + hits + 0.2 * np.roll(CLASSES, 1))).mean())


def chances(
    generator: np.random.Generator, skill: float, spread: float, hardness: np.ndarray, seeds: int
) -> np.ndarray:
    """How likely each seed is right on each row, (seeds, rows): seeds differ in skill, rows in how hard they are."""
    skills = skill + spread * generator.normal(size=(seeds, 1))
    return 1 / (1 + np.exp(-(skills - hardness)))


def contenders(
    draw: np.random.Generator, rows: int, *, skills: tuple[float, ...], spread: float = 0.3, seeds: int = 3
) -> list[list[Sums]]:
    """Contenders of several seeds on the same rows, of which some are hard for all, and some for one of them."""
    for_all = 1.6 * draw.normal(size=rows)
    found = []
    for skill in skills:
        hardness = for_all + 1.2 * draw.normal(size=rows)
        found.append([right(draw, rows, chance) for chance in chances(draw, skill, spread, hardness, seeds)])
    return found


def expected(skill: float, spread: float) -> float:
    """Accuracy over all rows and seeds: hardness and skill are normal, so one integral over their sum."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    scores = 1 / (1 + np.exp(-(skill + nodes * np.hypot(2, spread))))
    return float((scores * weights).sum() / weights.sum())


@pytest.mark.parametrize(
    ("make", "truth", "resamples"),
    [
        (lambda draw: right(draw, 60), 0.8, 2),  # of one answer a row no resample is needed
        (lambda draw: right(draw, 500, 0.9), 0.9, 2),
        (lambda draw: of_classes(draw, 150), truth_of_classes(), 500),
    ],
    ids=["accuracy, few rows", "accuracy", "macro F1"],
)
def test_an_interval_over_rows_holds_the_truth_95_times_in_100(make, truth, resamples):
    draw = np.random.default_rng(0)
    found = [bootstrap_interval(make(draw), resamples=resamples, seed=i) for i in range(DRAWS)]
    held = np.mean([i.low <= truth <= i.high for i in found])
    assert held == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(
    ("rows", "spread", "seeds"),
    [
        pytest.param(200, 0.3, 3, id="both"),
        pytest.param(200, 0.1, 5, id="rows", marks=pytest.mark.slow),
        pytest.param(400, 0.4, 3, id="seeds", marks=pytest.mark.slow),
    ],
)
def test_a_difference_of_several_seeds_holds_the_truth_95_times_in_100(rows, spread, seeds):
    draw = np.random.default_rng(1)
    truth = expected(1.4, spread) - expected(1.0, spread)
    held = 0
    for i in range(DRAWS):
        a, b = contenders(draw, rows, skills=(1.4, 1.0), spread=spread, seeds=seeds)
        found = compare_pair(a, b, seed=i, resamples=300)
        held += found["low"] <= truth <= found["high"]
    assert held / DRAWS == pytest.approx(0.95, abs=0.02)


def test_rows_alone_would_not_hold_it():
    # What the seeds add is no trifle: with it left out, the same case falls far short.
    draw = np.random.default_rng(1)
    truth = expected(1.4, 0.4) - expected(1.0, 0.4)
    held = 0
    for i in range(200):
        a, b = contenders(draw, 600, skills=(1.4, 1.0), spread=0.4, seeds=1)
        found = compare_pair(a, b, seed=i, resamples=300)
        held += found["low"] <= truth <= found["high"]
    assert held / 200 < 0.6


@pytest.mark.slow
def test_the_interval_of_a_mean_over_seeds_holds_the_truth():
    draw = np.random.default_rng(2)
    truth, held = expected(1.2, 0.3), 0
    for i in range(DRAWS):
        (seeds,) = contenders(draw, 200, skills=(1.2,), seeds=3)
        interval = Comparison({"a": seeds}, seed=i, resamples=500).scores()["a"]["interval"]
        held += interval["low"] <= truth <= interval["high"]
    assert held / DRAWS == pytest.approx(0.95, abs=0.02)


@pytest.mark.slow
def test_a_difference_from_a_baseline_of_one_run_holds_the_truth():
    draw = np.random.default_rng(3)
    truth, held = expected(1.4, 0.3) - expected(1.0, 0.0), 0
    for i in range(DRAWS):
        hardness = 2 * draw.normal(size=200)
        ours = [right(draw, 200, chance) for chance in chances(draw, 1.4, 0.3, hardness, 3)]
        theirs = [right(draw, 200, chance) for chance in chances(draw, 1.0, 0.0, hardness, 1)]
        found = compare_pair(ours, theirs, seed=i, resamples=300)
        held += found["low"] <= truth <= found["high"]
    assert held / DRAWS == pytest.approx(0.95, abs=0.02)
    assert "single run" in found["note"]


def test_equals_are_called_different_at_most_as_often_as_the_level_says():
    draw = np.random.default_rng(4)
    found = [
        compare_pair(*contenders(draw, 150, skills=(1.0, 1.0), seeds=seeds), seed=i, resamples=200)
        for i, seeds in enumerate([3, 5] * 200)
    ]
    assert np.mean([one["p"] < 0.05 for one in found]) < 0.075
    assert np.mean([one["different"] for one in found]) < 0.075


def test_holm_on_the_textbook_case_and_on_ties():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0] and holm([]) == [] and holm([0.2]) == [0.2]


def test_with_one_seed_on_both_sides_it_is_the_paired_bootstrap_of_the_report():
    draw = np.random.default_rng(6)
    a, b = right(draw, 120, 0.8), right(draw, 120, 0.6)
    ours, theirs = compare_pair([a], [b], seed=3), paired_difference(a, b, seed=3)
    assert {key: ours[key] for key in ("difference", "low", "high", "level", "p")} == {
        key: theirs[key] for key in ("difference", "low", "high", "level", "p")
    }
    assert ours["different"] == clearly_different(theirs)
    interval = Comparison({"a": [a]}, seed=3).scores()["a"]["interval"]
    assert (interval["low"], interval["high"]) == (
        bootstrap_interval(a, seed=3).low,
        bootstrap_interval(a, seed=3).high,
    )
    assert ours["needed_seeds"] is None and "single run" in ours["note"]


def test_a_difference_turned_round_changes_its_sign():
    a, b = contenders(np.random.default_rng(7), 200, skills=(1.5, 0.8))
    there, back = compare_pair(a, b), compare_pair(b, a)
    assert there["difference"] == -back["difference"] and there["p"] == pytest.approx(back["p"])
    assert [there["low"], there["high"]] == pytest.approx([-back["high"], -back["low"]])
    assert there["needed_rows"] == back["needed_rows"]


def test_needed_rows_is_the_textbook_number_for_both_ends_of_the_difference():
    # 40 wins and 20 losses in 1,000 rows: a mean of 0.02, a variance of 0.06 - 0.0004 per row.
    a, b = np.ones((1000, 2)), np.ones((1000, 2))
    a[:20, 0], b[20:60, 0] = 0, 0
    low, high = compare_pair([of_shares(a)], [of_shares(b)], resamples=5000)["needed_rows"]
    for needed, way in ((low, 1), (high, -1)):
        size = 0.02 + way * 1.2816 * np.sqrt(0.0596 / 1000)
        assert needed == pytest.approx((1.96 + 0.84) ** 2 * 0.0596 / size**2, rel=0.12)
    # Two digits, of those to add if there are not enough yet.
    assert low % 10 == 0 and high > 1000 and len(str(high - 1000).rstrip("0")) <= 2


def test_rows_that_are_needed_are_enough_four_times_in_five():
    draw = np.random.default_rng(8)
    a, b = right(draw, 20_000, 0.7), right(draw, 20_000, 0.65)
    low, high = compare_pair([a], [b], resamples=400)["needed_rows"]
    needed = round(np.sqrt(low * high))
    assert low < needed < high < 2 * low  # on so many rows the difference is known well
    told = 0
    for i in range(200):
        rows = draw.integers(0, 20_000, needed)
        drawn = [[of_shares(side.tallies[rows])] for side in (a, b)]
        told += compare_pair(*drawn, seed=i, resamples=200)["different"]
    assert told / 200 == pytest.approx(0.8, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "gained", "lost"), [(400, 0.08, 0.05), (400, 0.12, 0.06), (2000, 0.04, 0.03)])
def test_the_range_of_needed_rows_holds_what_the_true_difference_needs_four_times_in_five(rows, gained, lost):
    draw, held = np.random.default_rng(12), []
    true = (1.96 + 0.84) ** 2 * (gained + lost - (gained - lost) ** 2) / (gained - lost) ** 2
    for i in range(300):
        kind = draw.random(rows)
        a, b = kind < 0.7 + gained, (kind < 0.7) | ((kind >= 0.7 + gained) & (kind < 0.7 + gained + lost))
        sides = [of_shares(np.stack([side, np.ones(rows)], axis=1)) for side in (a, b)]
        found = compare_pair(*([side] for side in sides), seed=i, resamples=300)
        if found["difference"] and found["needed_rows"]:
            low, high = found["needed_rows"]
            held.append(low <= true and (high is None or true <= high))
    # Rounding and the noise of 300 resamples, 4 % of a variance, cost the edges a little; an open end adds to them.
    assert len(held) > 280 and 0.74 <= np.mean(held) <= 0.92


def test_a_difference_that_may_be_none_needs_a_number_of_rows_without_an_end():
    a, b = np.ones((50, 2)), np.ones((50, 2))
    a[:3, 0], b[3:7, 0] = 0, 0
    low, high = compare_pair([of_shares(a)], [of_shares(b)])["needed_rows"]
    assert low > 50 and high is None


def test_where_seeds_decide_more_rows_do_not_help_and_more_seeds_do():
    # Every row is answered alike by a seed's tallies: the rows say nothing, three seeds spread as wide as the gap.
    def of(values):
        return [of_shares(np.tile([value, 1.0], (50, 1))) for value in values]

    found = compare_pair(of([0.7, 0.8, 0.9]), of([0.6, 0.7, 0.8]))
    assert found["needed_rows"] is None
    # Two sided t test of two groups with a gap of one standard deviation: 17 each (Cohen 1988, table 2.4.1).
    assert found["needed_seeds"] == pytest.approx(17, abs=1)


def test_no_difference_needs_no_number():
    a = [right(np.random.default_rng(9), 50)] * 2
    found = compare_pair(a, a)
    assert (found["difference"], found["p"]) == (0, 1) and found["low"] < 0 < found["high"]
    assert found["needed_rows"] is found["needed_seeds"] is None and not found["different"]


def test_a_handful_of_rows_is_never_enough_whatever_the_seeds():
    good, bad = ([of_shares(np.tile([value, 1.0], (4, 1)))] * 3 for value in (1.0, 0.0))
    found = compare_pair(good, bad)
    assert found["p"] == 2 / 16 and not found["different"]


def test_seeds_that_all_answer_alike_are_not_proven_equal():
    alike = [of_shares(np.stack([np.arange(20) % 5 > 0, np.ones(20)], axis=1))] * 2
    pair, interval = compare_pair(alike, alike), Comparison({"a": alike}).scores()["a"]["interval"]
    assert pair["high"] == pytest.approx(-pair["low"]) and pair["high"] > 1 - 0.05 ** (1 / 20)
    assert "changes nothing" in pair["note"]
    assert interval["low"] < 0.6 and interval["high"] > 0.9
    perfect = Comparison({"a": [of_shares(np.ones((20, 2)))] * 2}).scores()["a"]["interval"]
    assert perfect["low"] < 0.85 and perfect["high"] == 1


def test_one_row_says_so():
    comparison = Comparison({"a": [of_shares([[1, 1]])], "b": [of_shares([[0, 1]])]})
    interval, pair = comparison.scores()["a"]["interval"], comparison.differences([("b", "a")])["b", "a"]
    assert "one row" in interval["note"] and interval["low"] < 0.03 and interval["high"] == 1
    assert "one row" in pair["note"] and pair["low"] == -1 and pair["high"] == 0 and not pair["different"]


def test_limits_stay_on_the_scale_of_the_score():
    nearly = [right(np.random.default_rng(i), 40, 0.97) for i in range(2)]
    interval = Comparison({"a": nearly}).scores()["a"]["interval"]
    assert 0 <= interval["low"] < interval["high"] <= 1


def test_tallies_are_summed_by_unit():
    evidence = of_shares([[1, 1], [0, 1], [1, 2]])
    assert evidence.by_unit(["b", "a", "b"]).tallies.tolist() == [[0, 1], [2, 3]]
    assert evidence.by_unit(None) is evidence
    with pytest.raises(ValueError, match="2 units of 3 rows"):
        evidence.by_unit(["a", "b"])


def test_sparse_and_dense_products_draw_alike_and_portions_do_not_matter(monkeypatch):
    draw = np.random.default_rng(12)
    wide = np.zeros((60, 40))
    wide[np.arange(60), draw.integers(0, 40, 60)] = 1
    first = lambda sums: sums[..., :7].sum(-1)  # noqa: E731
    before = resample([Sums(wide, first), Sums(wide + 0.0 * draw.random(wide.shape), first)], resamples=50)
    monkeypatch.setattr("hfkit.scores.evidence.SPARSE", 0)
    monkeypatch.setattr("hfkit.scores.statistics.HELD", 180)
    again = resample([Sums(wide, first), Sums(wide, first)], resamples=50)
    assert np.array_equal(before, again)


def test_randomisation_of_few_differing_rows_counts_every_way():
    a, b = np.ones((500, 2)), np.ones((500, 2))
    b[:6, 0] = 0
    assert randomisation(of_shares(a), of_shares(b)) == 2 / 64


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: compare_pair([of_shares(np.ones((3, 2)))], [of_shares(np.ones((4, 2)))]), "same rows"),
    ],
)
def test_what_cannot_be_compared_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
