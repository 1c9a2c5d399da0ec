"""Losses that torch does not have, and how far two predictions are apart, summed over a batch."""

import torch
from torch import Tensor
from torch.nn import functional

IGNORED = -100


def cross_entropy_within(logits: Tensor, choosable: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy of rows that choose among unlike numbers of things.

    Args:
        logits: (rows, things).
        choosable: whether a row has that thing at all, (rows, things).
        targets: the right one, (rows,).
        smoothing: the share of the target that is spread over all that a row has.
    """
    logs = logits.masked_fill(~choosable, torch.finfo(logits.dtype).min / 2).log_softmax(-1)
    right = -logs.gather(-1, targets[:, None])[:, 0]
    if not smoothing:
        return right.sum()
    spread = -logs.masked_fill(~choosable, 0.0).sum(-1) / choosable.sum(-1)
    return ((1 - smoothing) * right + smoothing * spread).sum()


def focal_cross_entropy(logits: Tensor, targets: Tensor, gamma: float, weights: Tensor | None = None) -> Tensor:
    """Cross-entropy in which a label of probability p counts (1 - p) ** gamma times.

    Source: Lin et al. 2017, "Focal Loss for Dense Object Detection", equation 5; `weights` are its alpha.

    Args:
        logits: (positions, labels).
        targets: ids (positions,), -100 is ignored; or shares of all labels, (positions, labels).
        weights: of each label, (labels,).
    """
    if targets.ndim == 1:
        logits, targets = logits[targets != IGNORED], targets[targets != IGNORED]
        targets = functional.one_hot(targets, logits.shape[-1]).to(logits)
    logs = logits.log_softmax(-1)
    of_label = -targets * turn_away(logs, gamma) * logs
    return (of_label if weights is None else of_label * weights).sum()


def focal_binary(logits: Tensor, targets: Tensor, gamma: float, weights: Tensor | None = None) -> Tensor:
    """Binary cross-entropy in which an answer of probability p counts (1 - p) ** gamma times.

    Source: as for `focal_cross_entropy`, equation 4, for each label by itself.

    Args:
        logits, targets: (rows, labels); targets from 0 to 1.
        weights: of each label where it is true, (labels,).
    """
    true, false = functional.logsigmoid(logits), functional.logsigmoid(-logits)
    having = -targets * turn_away(true, gamma) * true
    lacking = -(1 - targets) * turn_away(false, gamma) * false
    return ((having if weights is None else having * weights) + lacking).sum()


def turn_away(logs: Tensor, gamma: float) -> Tensor:
    """(1 - p) ** gamma of probabilities given by their logarithms."""
    # At p = 1 a power below 1 has an infinite slope, which times a loss of 0 would be nan.
    return (-torch.expm1(logs)).clamp(min=torch.finfo(logs.dtype).tiny) ** gamma


def category_divergence(one: Tensor, other: Tensor) -> Tensor:
    """The mean of both Kullback-Leibler divergences between two predictions of one label: logits (…, labels)."""
    logs, others = one.log_softmax(-1), other.log_softmax(-1)
    return ((logs.exp() - others.exp()) * (logs - others)).sum() / 2


def binary_divergence(one: Tensor, other: Tensor) -> Tensor:
    """The same for labels that are true or false each by itself: logits (rows, labels)."""
    return ((one.sigmoid() - other.sigmoid()) * (one - other)).sum() / 2


def number_divergence(one: Tensor, other: Tensor) -> Tensor:
    """The same for numbers (rows,), as the normal distributions of which a squared error is the log-likelihood."""
    return (one - other).square().sum()
