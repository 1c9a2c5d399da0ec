"""Thresholds of a multi-label task with the best micro F1 on held-out rows."""

import numpy as np

SWEEPS = 5  # over the labels; each can only raise F1
FEWEST = 5  # positives that a label needs for a threshold of its own


def best_shifts(logits: np.ndarray, gold: np.ndarray) -> np.ndarray | None:
    """The shift of each label's logit, (labels,), after which above 0 means yes; None if 0 is best already.

    First one threshold for all labels, then each label in turn given the others (coordinate ascent on micro F1). A
    label with few positives keeps the common threshold: its own would be overfitted to them.

    Args:
        logits: (rows, labels)
        gold: booleans, (rows, labels)
    """
    rows, labels = gold.shape
    positives = int(gold.sum())
    if not positives:
        return None
    start = micro_f1(logits > 0, gold)
    common = best_cut(logits.ravel(), gold.ravel(), 0, 0, positives)
    cuts = np.full(labels, common)
    for _ in range(SWEEPS):
        before = cuts.copy()
        for label in np.flatnonzero(gold.sum(0) >= FEWEST):
            others = np.arange(labels) != label
            predicted = logits[:, others] > cuts[others]
            right = int((predicted & gold[:, others]).sum())
            cuts[label] = best_cut(logits[:, label], gold[:, label], right, int(predicted.sum()), positives)
        if np.array_equal(cuts, before):
            break
    return -cuts if micro_f1(logits > cuts, gold) > start else None


def best_cut(scores: np.ndarray, gold: np.ndarray, right: int, predicted: int, positives: int) -> float:
    """The threshold of `scores` with the best micro F1, given the right and all predictions of the other labels.

    It lies halfway between two scores, or beyond the last one if predicting nothing, or everything, is best.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    # Index k: the k highest scores mean yes. No threshold separates equal scores.
    hits = right + np.concatenate([[0], gold[order].cumsum()])
    f1 = 2 * hits / (predicted + np.arange(len(ranked) + 1) + positives)
    f1[1:-1][ranked[:-1] == ranked[1:]] = -1
    best = int(f1.argmax())
    above = ranked[best - 1] if best else ranked[0] + 2
    below = ranked[best] if best < len(ranked) else ranked[-1] - 2
    return float(above + below) / 2


def micro_f1(predicted: np.ndarray, gold: np.ndarray) -> float:
    return 2 * int((predicted & gold).sum()) / max(int(predicted.sum()) + int(gold.sum()), 1)
