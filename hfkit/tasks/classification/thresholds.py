"""Where each label of a multi-label task is said yes to, so that micro F1 on held-out rows is best."""

import numpy as np

SWEEPS = 5  # over the labels; each can only raise F1
FEWEST = 5  # positives on which a threshold of its own is worth something


def best_shifts(logits: np.ndarray, gold: np.ndarray) -> np.ndarray | None:
    """What to add to each label's logit, (labels,), so that above 0 means yes; None where 0 is best already.

    First one threshold for all labels, then each label in turn given the others (coordinate ascent on micro F1). A
    label with few positives keeps the common threshold: its own would be fitted to them.

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
            said = logits[:, others] > cuts[others]
            right = int((said & gold[:, others]).sum())
            cuts[label] = best_cut(logits[:, label], gold[:, label], right, int(said.sum()), positives)
        if np.array_equal(cuts, before):
            break
    return -cuts if micro_f1(logits > cuts, gold) > start else None


def best_cut(scores: np.ndarray, gold: np.ndarray, right: int, said: int, positives: int) -> float:
    """The threshold of `scores` with the best micro F1, given what the other labels get right and say.

    It lies in the middle between two scores; beyond the last one where saying nothing, or everything, is best.
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    # Index k: the k highest are said yes to. A cut between equal scores does not exist.
    hits = right + np.concatenate([[0], gold[order].cumsum()])
    f1 = 2 * hits / (said + np.arange(len(ranked) + 1) + positives)
    f1[1:-1][ranked[:-1] == ranked[1:]] = -1
    best = int(f1.argmax())
    above = ranked[best - 1] if best else ranked[0] + 2
    below = ranked[best] if best < len(ranked) else ranked[-1] - 2
    return float(above + below) / 2


def micro_f1(said: np.ndarray, gold: np.ndarray) -> float:
    return 2 * int((said & gold).sum()) / max(int(said.sum()) + int(gold.sum()), 1)
