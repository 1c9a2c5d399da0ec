"""Losses of pixels: equal to the stock ones, and the best class at a picture's own size without growing it all."""

import pytest
import torch
from transformers import SegformerForSemanticSegmentation, SegformerImageProcessor

from hfkit.tasks.losses import IGNORED
from hfkit.tasks.masks.losses import best_classes, dice_loss, grow, pixel_loss
from tests.tiny import masks as tiny


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 3, (2, 32, 32), generator=draw)
    labels[:, :5] = IGNORED
    return torch.randn(2, 3, 32, 32, generator=draw), labels


def test_cross_entropy_is_that_of_the_stock_head(tmp_path):
    model = SegformerForSemanticSegmentation.from_pretrained(tiny.segformer(tmp_path)).eval()
    pixels, labels = batch()
    stock = model(pixel_values=pixels, labels=labels.masked_fill(labels == IGNORED, 255))
    logits = grow(model(pixel_values=pixels).logits, (32, 32))
    ours = pixel_loss(logits, labels, None) / (labels != IGNORED).sum()
    assert ours.item() == pytest.approx(stock.loss.item(), rel=1e-6)


@pytest.mark.parametrize("size", [(32, 32), (45, 61), (20, 9)])
@pytest.mark.parametrize("most", [2**25, 1])
def test_the_best_classes_are_those_of_stock_post_processing(size, most):
    logits = torch.randn(7, 8, 8, generator=torch.Generator().manual_seed(1))
    output = type("Output", (), {"logits": logits[None]})
    (stock,) = SegformerImageProcessor().post_process_semantic_segmentation(output, target_sizes=[size])
    assert torch.equal(best_classes(logits, size, most=most).long(), stock.long())


def test_focal_loss_without_focus_is_cross_entropy_and_weights_count():
    pixels, labels = batch()
    plain = pixel_loss(pixels, labels, None)
    assert pixel_loss(pixels, labels, None, gamma=1e-9).item() == pytest.approx(plain.item(), rel=1e-5)
    assert pixel_loss(pixels, labels, None, gamma=2.0) < plain
    assert pixel_loss(pixels, labels, torch.tensor([2.0, 2.0, 2.0])).item() == pytest.approx(2 * plain.item(), rel=1e-6)


def test_dice_is_that_of_plain_sums():
    logits, labels = batch()
    known = labels != IGNORED
    shares = logits.softmax(1)
    wanted = 0.0
    for number in range(3):
        ours, gold = shares[:, number][known], (labels[known] == number).float()
        wanted += (2 * (ours * gold).sum() / (ours.sum() + gold.sum())).item() / 3
    assert dice_loss(logits, labels).item() / known.sum().item() == pytest.approx(1 - wanted, rel=1e-5)


def test_dice_leaves_out_what_a_batch_does_not_hold_and_bears_a_batch_without_classes():
    logits, labels = batch()
    labels = labels.clamp(max=1)
    sure = torch.stack([(labels == number).float() * 50 for number in range(3)], 1)
    assert dice_loss(sure, labels).item() == pytest.approx(0, abs=1e-3)
    nothing = dice_loss(logits.requires_grad_(), torch.full_like(labels, IGNORED))
    nothing.backward()
    assert nothing.item() == 0 and not logits.grad.any()
