"""Calibration of probabilities: expected calibration error, reliability bins, Brier score, temperature."""

from typing import Any

import numpy as np

MOST_BINS = 15
ROWS_A_BIN = 20  # with fewer, a bin's accuracy is mostly noise, which the error would count as miscalibration
LEAST = 1e-12  # a probability of 0 has no logarithm
TEMPERATURES = (0.02, 50.0)


def calibration(
    probabilities: np.ndarray,
    gold: np.ndarray,
    *,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    bins: int | None = None,
) -> dict[str, Any]:
    """Calibration of probabilities on the test rows, as plain values.

    `ece`, `brier`, `log_loss`, `bins` (see `reliability`) and `rows`. With validation rows also the `temperature`
    fitted on them, and under `tempered` the same numbers for the test probabilities at that temperature; otherwise both
    are None.

    Args:
        probabilities: (rows, labels), each row summing to 1.
        gold: the ids of the right labels, (rows,).
        validation: probabilities and gold of rows that are neither trained on nor tested.
        bins: of equal mass; default 15 (Guo et al. 2017), or fewer so that each holds 20 rows.

    Raises:
        ValueError: no rows, mismatched shapes, rows that are no probabilities, or a gold id without a label.
    """
    probabilities, gold = _check(probabilities, gold)
    found = {**_measure(probabilities, gold, bins), "rows": len(gold), "temperature": None, "tempered": None}
    if validation is not None:
        temperature = fit_temperature(*validation)
        found["temperature"] = temperature
        found["tempered"] = _measure(apply_temperature(probabilities, temperature), gold, bins)
    return found


def reliability(probabilities: np.ndarray, gold: np.ndarray, bins: int | None = None) -> list[dict[str, float | int]]:
    """Bins of equal mass, the least confident first: mean `confidence`, `accuracy`, and `rows`.

    Bins of equal width leave most bins of a confident model nearly empty (Nixon et al. 2019). Rows of equal confidence
    share a bin, so there may be fewer bins than asked for.
    """
    probabilities, gold = _check(probabilities, gold)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == gold
    wanted = bins or int(np.clip(len(gold) // ROWS_A_BIN, 1, MOST_BINS))
    edges = np.unique(np.quantile(confidence, np.arange(1, wanted) / wanted, method="inverted_cdf"))
    place = np.searchsorted(edges, confidence)
    return [
        {
            "confidence": float(confidence[place == i].mean()),
            "accuracy": float(right[place == i].mean()),
            "rows": int((place == i).sum()),
        }
        for i in np.unique(place)
    ]


def expected_calibration_error(bins: list[dict[str, float | int]]) -> float:
    """The gap between confidence and accuracy, averaged over the rows of `reliability` bins (Naeini et al. 2015).

    On few rows it is above 0 even for perfect probabilities, because the accuracy of a bin is noisy.
    """
    rows = sum(part["rows"] for part in bins)
    return float(sum(part["rows"] * abs(part["confidence"] - part["accuracy"]) for part in bins) / rows)


def brier_score(probabilities: np.ndarray, gold: np.ndarray) -> float:
    """The mean squared distance of the probabilities from the truth, summed over labels: 0 to 2 (Brier 1950)."""
    probabilities, gold = _check(probabilities, gold)
    truth = np.eye(probabilities.shape[1])[gold]
    return float(((probabilities - truth) ** 2).sum(axis=1).mean())


def log_loss(probabilities: np.ndarray, gold: np.ndarray) -> float:
    """Mean negative log-likelihood of the right labels, in nats."""
    probabilities, gold = _check(probabilities, gold)
    return float(-np.log(np.maximum(probabilities[np.arange(len(gold)), gold], LEAST)).mean())


def fit_temperature(probabilities: np.ndarray, gold: np.ndarray) -> float:
    """The temperature that makes these rows likeliest (Guo et al. 2017): above 1 if they are overconfident.

    If every row is right, or every row is wrong, no finite temperature is best, and the result is an end of the range
    0.02 to 50.
    """
    from scipy.optimize import minimize_scalar

    probabilities, gold = _check(probabilities, gold)
    low, high = np.log(TEMPERATURES)
    # The loss is convex in 1 / T, so there is one minimum between the ends.
    found = minimize_scalar(
        lambda x: log_loss(apply_temperature(probabilities, float(np.exp(x))), gold),
        bounds=(low, high),
        method="bounded",
    )
    return float(np.exp(found.x))


def apply_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities with their logits divided by the temperature, (rows, labels); every row keeps its best label."""
    logits = np.log(np.maximum(probabilities, LEAST)) / temperature
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def _measure(probabilities: np.ndarray, gold: np.ndarray, bins: int | None) -> dict[str, Any]:
    parts = reliability(probabilities, gold, bins)
    return {
        "ece": expected_calibration_error(parts),
        "brier": brier_score(probabilities, gold),
        "log_loss": log_loss(probabilities, gold),
        "bins": parts,
    }


def _check(probabilities: np.ndarray, gold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    probabilities, gold = np.asarray(probabilities, dtype=float), np.asarray(gold)
    if probabilities.ndim != 2 or not len(probabilities) or gold.shape != probabilities.shape[:1]:
        raise ValueError(f"probabilities of shape {probabilities.shape} with gold of shape {gold.shape}")
    sums = probabilities.sum(axis=1)
    # Half precision keeps three digits.
    if not (probabilities >= 0).all() or not np.allclose(sums, 1, atol=5e-3):
        raise ValueError("rows of probabilities are not negative and sum to 1")
    if not np.issubdtype(gold.dtype, np.integer) or gold.min() < 0 or gold.max() >= probabilities.shape[1]:
        raise ValueError(f"gold ids lie from 0 to {probabilities.shape[1] - 1}")
    return probabilities / sums[:, None], gold
