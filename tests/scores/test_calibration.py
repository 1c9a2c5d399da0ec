"""Calibration by hand-made cases and by scikit-learn, and where one label-budget curve overtakes another."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss
from sklearn.metrics import log_loss as sklearn_log_loss

from hfkit.ledger.budgets import find_crossovers, last_crossing
from hfkit.scores.calibration import (
    apply_temperature,
    brier_score,
    calibration,
    expected_calibration_error,
    fit_temperature,
    log_loss,
    reliability,
)
from hfkit.scores.evidence import Sums


def drawn(rows: int, labels: int = 4, *, temperature: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and gold labels drawn from them, before they are made over- or underconfident."""
    draw = np.random.default_rng(seed)
    honest = draw.dirichlet(np.ones(labels), rows)
    gold = np.array([draw.choice(labels, p=row) for row in honest])
    return apply_temperature(honest, temperature), gold


def test_bins_by_hand():
    # Two labels; by confidence: .6 wrong, .7 right | .8 right, .9 right
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.7, 0.3]])
    gold = np.array([0, 0, 1, 0])
    bins = reliability(probabilities, gold, 2)
    assert bins == [
        {"confidence": pytest.approx(0.65), "accuracy": 0.5, "rows": 2},
        {"confidence": pytest.approx(0.85), "accuracy": 1.0, "rows": 2},
    ]
    assert expected_calibration_error(bins) == pytest.approx((0.15 + 0.15) / 2)
    assert brier_score(probabilities, gold) == pytest.approx(2 * (0.01 + 0.36 + 0.04 + 0.09) / 4)
    assert log_loss(probabilities, gold) == pytest.approx(-np.log([0.9, 0.4, 0.8, 0.7]).mean())


def test_scores_agree_with_scikit_learn():
    probabilities, gold = drawn(300)
    assert log_loss(probabilities, gold) == pytest.approx(sklearn_log_loss(gold, probabilities))
    two, truth = drawn(300, labels=2)
    assert brier_score(two, truth) == pytest.approx(2 * brier_score_loss(truth, two[:, 1]))


def test_bins_hold_equally_many_rows():
    found = calibration(*drawn(1500))
    assert [part["rows"] for part in found["bins"]] == [100] * 15
    confidence = [part["confidence"] for part in found["bins"]]
    assert confidence == sorted(confidence)
    assert len(calibration(*drawn(100))["bins"]) == 5 and len(calibration(*drawn(7))["bins"]) == 1


def test_rows_of_equal_confidence_share_a_bin():
    # A constant answer is right as often as it says; cut into bins by chance it would look miscalibrated.
    probabilities = np.tile([0.7, 0.3], (200, 1))
    gold = (np.arange(200) >= 140).astype(int)
    found = calibration(probabilities, gold)
    assert found["bins"] == [{"confidence": pytest.approx(0.7), "accuracy": 0.7, "rows": 200}]
    assert found["ece"] == pytest.approx(0, abs=1e-12)


def test_honest_probabilities_are_calibrated_and_sharpened_ones_are_not():
    assert calibration(*drawn(20_000))["ece"] < 0.02
    assert calibration(*drawn(20_000, temperature=0.4))["ece"] > 0.1


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_the_temperature_that_was_put_in_is_found_and_mends_it(temperature):
    validation, test = (drawn(10_000, temperature=temperature, seed=seed) for seed in (1, 2))
    found = calibration(*test, validation=validation)
    assert found["temperature"] == pytest.approx(1 / temperature, rel=0.05)
    assert found["tempered"]["ece"] < 0.02
    assert found["tempered"]["log_loss"] <= found["log_loss"] + 1e-3


def test_a_temperature_changes_no_answer():
    probabilities, _ = drawn(200)
    assert (apply_temperature(probabilities, 7.0).argmax(1) == probabilities.argmax(1)).all()
    assert apply_temperature(probabilities, 1.0) == pytest.approx(probabilities)


def test_where_no_temperature_is_best_an_end_of_the_range_comes_out():
    certain, gold = np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 1])
    assert fit_temperature(certain, gold) == pytest.approx(0.02, abs=0.03)
    assert fit_temperature(certain, 1 - gold) == pytest.approx(50, rel=0.1)


def test_a_probability_of_nought_for_the_truth_is_bad_and_finite():
    found = calibration(np.array([[1.0, 0.0]] * 30), np.array([0] * 29 + [1]), validation=drawn(50, labels=2))
    assert np.isfinite([found["log_loss"], found["tempered"]["log_loss"], found["ece"]]).all()


def test_without_validation_rows_there_is_no_temperature():
    found = calibration(*drawn(50))
    assert found["temperature"] is found["tempered"] is None and found["rows"] == 50


@pytest.mark.parametrize(
    ("probabilities", "gold"),
    [
        (np.ones((0, 2)), np.ones(0, dtype=int)),
        (np.array([[0.5, 0.5]]), np.array([0, 1])),
        (np.array([[2.0, -1.0]]), np.array([0])),
        (np.array([[0.5, 0.1]]), np.array([0])),
        (np.array([[0.5, 0.5]]), np.array([2])),
        (np.array([[0.5, 0.5]]), np.array([0.0])),
        (np.array([[np.nan, 0.5]]), np.array([0])),
    ],
)
def test_what_is_no_probability_is_refused(probabilities, gold):
    with pytest.raises(ValueError, match="probabilities|gold"):
        calibration(probabilities, gold)


def share(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0] / sums[..., 1]


def of_rows(right: np.ndarray) -> Sums:
    return Sums(np.stack([right, np.ones(len(right))], axis=1), share)


def curve(points: dict[int, float], *, rows: int = 400) -> dict[int, list[Sums]]:
    """Evidence of a contender with these accuracies, exactly, always on the same rows first."""
    return {budget: [of_rows(np.arange(rows) < score * rows)] for budget, score in points.items()}


def test_a_crossover_lies_between_the_budgets_in_the_logarithm():
    # The gap goes from -0.1 at 8 to +0.1 at 32: zero half way in log2, at 16.
    found = find_crossovers({"probe": curve({8: 0.6, 32: 0.7, 128: 0.75}), "full": curve({8: 0.5, 32: 0.8, 128: 0.9})})
    (one,) = found["crossovers"]
    assert (one["ahead"], one["behind"], one["note"]) == ("full", "probe", "")
    assert one["rows"] == pytest.approx(16)
    assert 8 < one["low"] < 16 < one["high"] < 32
    assert [point["rows"] for point in found["curves"][0]["points"]] == [8, 32, 128]
    assert all(p["low"] < p["headline"] < p["high"] for line in found["curves"] for p in line["points"])


def test_no_crossover_is_said_to_be_none():
    above, below = curve({8: 0.7, 32: 0.8}), curve({8: 0.4, 32: 0.5})
    for order in ({"a": above, "b": below}, {"b": below, "a": above}):
        (one,) = find_crossovers(order)["crossovers"]
        assert (one["ahead"], one["rows"], one["low"], one["high"]) == ("a", None, None, None)
        assert one["note"] == "ahead at every budget"


def test_ahead_everywhere_but_hardly_is_not_called_sure():
    draw = np.random.default_rng(0)

    def noisy(right: int) -> list[Sums]:
        return [of_rows(draw.permutation(100) < right)]

    a, b = {8: noisy(60), 32: noisy(72)}, {8: noisy(59), 32: noisy(70)}
    (one,) = find_crossovers({"a": a, "b": b})["crossovers"]
    assert one["rows"] is None and one["note"] == "ahead at every budget, though not beyond noise"


def test_an_order_within_noise_at_the_end_has_no_upper_end():
    draw = np.random.default_rng(3)

    def noisy(right: int) -> list[Sums]:
        return [of_rows(draw.permutation(100) < right)]

    (one,) = find_crossovers({"a": {8: noisy(40), 32: noisy(72)}, "b": {8: noisy(60), 32: noisy(70)}})["crossovers"]
    assert 8 < one["rows"] < 32 and one["high"] is None
    assert one["note"] == "the order at the largest budget is within noise"


def test_seeds_that_spread_widen_the_interval_of_the_crossover():
    def seeded(values):
        return {budget: [curve({budget: one})[budget][0] for one in scores] for budget, scores in values.items()}

    still = {"a": curve({8: 0.5, 128: 0.8}), "b": curve({8: 0.6, 128: 0.7})}
    moved = {
        "a": seeded({8: (0.4, 0.5, 0.6), 128: (0.7, 0.8, 0.9)}),
        "b": curve({8: 0.6, 128: 0.7}),
    }
    sure, unsure = (find_crossovers(case)["crossovers"][0] for case in (still, moved))
    assert sure["rows"] == pytest.approx(unsure["rows"]) == pytest.approx(32)
    assert unsure["low"] is None or unsure["low"] < sure["low"]
    assert unsure["high"] is None or unsure["high"] > sure["high"]


def test_only_shared_budgets_count_and_ends_of_equal_score_are_no_order():
    lone = find_crossovers({"a": curve({8: 0.5}), "b": curve({16: 0.5})})
    assert lone["crossovers"][0]["note"] == "they have no budget in common"
    same = find_crossovers({"a": curve({8: 0.4, 16: 0.5}), "b": curve({8: 0.3, 16: 0.5})})
    assert same["crossovers"][0]["note"] == "they score the same at the largest budget"
    three = {name: curve({8: score, 16: score}) for name, score in (("a", 0.4), ("b", 0.5), ("c", 0.6))}
    assert len(find_crossovers(three)["crossovers"]) == 3
    assert len(find_crossovers(three, pairs=[("c", "a")])["crossovers"]) == 1
    with pytest.raises(ValueError, match="at least one point"):
        find_crossovers({})


def test_of_several_crossings_the_last_counts():
    gaps = np.array([[1.0, -1.0, 1.0, 1.0], [-1.0, -3.0, 1.0, 0.0], [3.0, -1.0, 1.0, -1.0]])
    assert last_crossing(np.array([2.0, 8.0, 32.0]), gaps).tolist() == [pytest.approx(2**3.5), np.inf, -np.inf, np.inf]


def test_where_lower_is_better_the_lower_curve_is_ahead():
    errors = {"probe": curve({8: 0.4, 32: 0.3}), "full": curve({8: 0.5, 32: 0.2})}
    (one,) = find_crossovers(errors, sign=-1)["crossovers"]
    assert (one["ahead"], one["behind"]) == ("full", "probe") and one["rows"] == pytest.approx(16)
