"""Losses that torch does not have, against the same formulas written out in numpy."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from hfkit.errors import UserError
from hfkit.tasks import NER
from hfkit.tasks.classification.kinds import KINDS
from hfkit.tasks.losses import focal_binary, focal_cross_entropy
from tests.tasks.classification.test_codec import batch_of, classifier

DRAW = np.random.default_rng(0)
LOGITS = DRAW.normal(scale=2.0, size=(7, 4))
IDS = np.array([0, 3, 1, -100, 2, 2, -100])
WEIGHTS = np.array([0.5, 2.0, 1.0, 3.0])


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits)
    return powers / powers.sum(-1, keepdims=True)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_the_focal_loss_is_that_of_the_paper(gamma):
    """Equation 5 of Lin et al. 2017: the sum of -alpha (1 - p) ** gamma log p over labels; 4 for each label alone."""
    expected = 0.0
    for row, label in zip(softmax(LOGITS), IDS, strict=True):
        if label != -100:
            expected -= WEIGHTS[label] * (1 - row[label]) ** gamma * np.log(row[label])
    logits, ids, weights = (torch.from_numpy(values) for values in (LOGITS, IDS, WEIGHTS))
    assert focal_cross_entropy(logits, ids, gamma, weights).item() == pytest.approx(expected)

    true = DRAW.random((7, 4)) < 0.4
    p = 1 / (1 + np.exp(-LOGITS))
    of_answer = np.where(true, p, 1 - p)
    expected = (-np.where(true, WEIGHTS, 1.0) * (1 - of_answer) ** gamma * np.log(of_answer)).sum()
    found = focal_binary(logits, torch.from_numpy(true.astype(float)), gamma, weights)
    assert found.item() == pytest.approx(expected)


@pytest.mark.parametrize("problem", ["single-label", "multi-label"])
def test_a_focus_of_almost_nothing_is_the_plain_loss(problem):
    codec, (logits, labels) = classifier(problem), batch_of(problem)
    plain = codec.loss_of_logits(logits, labels)
    codec.focus(1e-7)
    torch.testing.assert_close(codec.loss_of_logits(logits, labels), plain)
    codec.focus(2.0)
    assert 0 < codec.loss_of_logits(logits, labels) < plain
    if problem == "single-label":  # mixed images have shares of labels
        shares = functional.one_hot(labels, 4).float()
        torch.testing.assert_close(codec.loss_of_logits(logits, shares), codec.loss_of_logits(logits, labels))


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_a_certain_label_has_a_finite_gradient(gamma):
    for loss, labels in ((focal_cross_entropy, torch.tensor([0])), (focal_binary, torch.tensor([[1.0, 0.0]]))):
        logits = torch.tensor([[500.0, -500.0]], requires_grad=True)
        loss(logits, labels, gamma).backward()
        assert logits.grad.isfinite().all()


def test_words_are_focused_on_like_rows_and_numbers_are_refused(checkpoint):
    codec = NER().codec(checkpoint, classifier("single-label").target)
    codec.focus(2.0)
    logits, ids = torch.from_numpy(LOGITS), torch.from_numpy(IDS)
    expected = focal_cross_entropy(logits.float(), ids, 2.0) / 5
    torch.testing.assert_close(codec.loss_of_logits(logits[None], ids[None]), expected)
    for problem in KINDS:
        if not KINDS[problem].names_labels:
            with pytest.raises(UserError, match="focal_loss=2.0: numbers have no classes"):
                classifier(problem).focus(2.0)


def kl(one: np.ndarray, other: np.ndarray) -> float:
    """KL(one || other) of two distributions over the last axis."""
    return float((one * np.log(one / other)).sum())


@pytest.mark.parametrize("problem", KINDS)
def test_two_predictions_are_as_far_apart_as_their_distributions(problem):
    """The mean of both divergences; of numbers, between the normal distributions whose likelihood the loss is."""
    codec, (one, labels) = classifier(problem), batch_of(problem)
    other = one + torch.from_numpy(DRAW.normal(size=one.shape)).float()
    a, b = one.double().numpy(), other.double().numpy()
    if problem == "single-label":
        expected = (kl(softmax(a), softmax(b)) + kl(softmax(b), softmax(a))) / 2 / 12
    elif problem == "multi-label":
        p, q = (np.stack([1 / (1 + np.exp(-logits)), 1 / (1 + np.exp(logits))], -1) for logits in (a, b))
        expected = (kl(p, q) + kl(q, p)) / 2 / 48
    else:
        variance = 0.5  # exp(-(y - mean) ** 2 / (2 * 0.5)) is the squared error's
        expected = ((a - b) ** 2 / (2 * variance)).mean()
    output, batch = {"logits": torch.cat([one, other])}, {"labels": torch.cat([labels, labels])}
    assert codec.divergence(output, batch).item() == pytest.approx(expected, rel=1e-4)
    whole = codec.divergence(output, batch, 10 * labels.numel())
    assert whole.item() == pytest.approx(expected / 10, rel=1e-4)
    if problem == "single-label":  # mixed images: their trainer counts every share as a label
        shares = functional.one_hot(labels, 4).float()
        mixed = codec.divergence(output, {"labels": torch.cat([shares, shares])}, 10 * shares.numel())
        torch.testing.assert_close(mixed, whole)


def test_of_words_only_predictions_where_tags_are_judged_are_compared(checkpoint):
    codec = NER().codec(checkpoint, classifier("single-label").target)
    other = LOGITS + DRAW.normal(size=LOGITS.shape)
    pairs = [(softmax(a), softmax(b)) for a, b, tag in zip(LOGITS, other, IDS, strict=True) if tag != -100]
    expected = sum((kl(p, q) + kl(q, p)) / 2 for p, q in pairs) / 5
    output = {"logits": torch.from_numpy(np.stack([LOGITS, other]))}
    batch = {"labels": torch.from_numpy(np.stack([IDS, IDS]))}
    assert codec.divergence(output, batch).item() == pytest.approx(expected, rel=1e-4)
