"""Areas and shares that are read off a ranking equal scikit-learn's, under any weighting of the rows."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from hfkit.scores.curves import AUPRC, SENSITIVITY
from hfkit.scores.evidence import total
from hfkit.scores.ranked import AUROC, Curve, Entries, Ranked


def draw_answers(rows: int = 60, *, tied: bool) -> tuple[np.ndarray, np.ndarray]:
    """Likelihoods and truths of two findings, the second rare."""
    random = np.random.default_rng(3)
    gold = np.stack([random.random(rows) < 0.4, random.random(rows) < 0.1], axis=1)
    gold[:2] = [[True, True], [False, False]]
    likely = gold * 0.5 + random.random((rows, 2))
    return np.round(likely, 1 if tied else 6), gold


def rank(likely: np.ndarray, gold: np.ndarray, curve: Curve) -> Ranked:
    row, group = np.nonzero(np.ones_like(gold))
    hit = gold[row, group].astype(int)
    return Ranked(Entries(likely[row, group], hit[:, None], row, group, gold.astype(int)), curve)


def find_sensitivity(gold: np.ndarray, likely: np.ndarray, weights: np.ndarray) -> float:
    wrong, right, _ = roc_curve(gold, likely, sample_weight=weights, drop_intermediate=False)
    return right[wrong <= 0.1 + 1e-9].max()


OF_SKLEARN = {
    AUROC: lambda gold, likely, weights: roc_auc_score(gold, likely, sample_weight=weights),
    AUPRC: lambda gold, likely, weights: average_precision_score(gold, likely, sample_weight=weights),
    SENSITIVITY: find_sensitivity,
}


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("curve", OF_SKLEARN, ids=["auroc", "auprc", "sensitivity"])
def test_a_curve_is_that_of_scikit_learn(curve, tied):
    likely, gold = draw_answers(tied=tied)
    ranked = rank(likely, gold, curve)
    weights = np.random.default_rng(0).integers(0, 4, (5, len(gold))).astype(float)
    weights[:, :2] = 1  # each finding is there in every draw, and not there
    weights[0] = 1
    for weighting, value in zip(weights, ranked.headline(weights), strict=True):
        expected = [OF_SKLEARN[curve](gold[:, place], likely[:, place], weighting) for place in (0, 1)]
        assert value == pytest.approx(np.mean(expected), abs=1e-9)


@pytest.mark.parametrize("curve", OF_SKLEARN, ids=["auroc", "auprc", "sensitivity"])
def test_a_finding_that_all_rows_have_or_lack_is_left_out(curve):
    likely, gold = draw_answers(tied=False)
    alone = total(rank(likely[:, :1], gold[:, :1], curve))
    for state in (True, False):
        constant = gold.copy()
        constant[:, 1] = state
        assert total(rank(likely, constant, curve)) == pytest.approx(alone)
