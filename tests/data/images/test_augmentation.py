"""Augmentation: drawn by seed, epoch and row alone, true to the label, and normalised as the processor does."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from transformers import MobileViTImageProcessor

from hfkit.contract.abilities import training_collator
from hfkit.contract.target import Labels
from hfkit.data.images.augmentation import PRESETS, Augmentation, Preset, make_mixer
from hfkit.data.images.batches import JudgedImages, VariedImages, scale_of, settings_of
from hfkit.tasks import ImageClassification
from tests.tiny import images as tiny

LABELS = Labels(("blue", "green", "red"))
SIDE = tiny.SIDE


def rows(*pictures: Pillow.Image, kind: str = "PNG", **options) -> list[dict]:
    return [
        {"image": {"bytes": tiny.encoded(picture, kind, **options), "path": None}, "labels": i % 3, "row": i, "view": 0}
        | {"classes": 3}
        for i, picture in enumerate(pictures)
    ]


def some(count: int = 6) -> list[dict]:
    return rows(*(tiny.picture(list(tiny.CLASSES)[i % 3], i) for i in range(count)))


def collator(preset: Preset | str = "strong", **settings) -> VariedImages:
    preset = PRESETS[preset] if isinstance(preset, str) else preset
    return VariedImages(settings.pop("processor", tiny.processor()), Path(), preset=preset, **settings)


@pytest.mark.parametrize("mix", ["none", "mixup", "cutmix", "both"])
@pytest.mark.parametrize("preset", PRESETS)
def test_a_batch_is_drawn_by_seed_epoch_and_rows(preset, mix):
    make = collator(preset, flipped=True, mix=mix, seed=1)
    torch.manual_seed(5)
    first = make(some())
    state = torch.get_rng_state()
    torch.manual_seed(6)
    again = make(some())
    assert torch.equal(first["pixel_values"], again["pixel_values"]) and torch.equal(first["labels"], again["labels"])
    torch.manual_seed(5)
    assert torch.equal(state, torch.get_rng_state())  # and nothing else's draws are moved
    others = [collator(preset, flipped=True, mix=mix, seed=2), make]
    make.epoch = 1
    assert all(not torch.equal(first["pixel_values"], other(some())["pixel_values"]) for other in others)


def test_a_row_is_drawn_alike_in_any_batch():
    make, all_rows = collator("strong"), some()
    together = make(all_rows)["pixel_values"]
    assert torch.equal(make(all_rows[::-1])["pixel_values"].flip(0), together)
    assert torch.equal(make(all_rows[2:3])["pixel_values"][0], together[2])


def test_without_augmentation_training_sees_what_judging_sees(tmp_path):
    codec = ImageClassification(augmentation="none").codec(tiny.resnet(tmp_path), LABELS)
    assert codec.varies is None and training_collator(codec, 0) is codec.collate
    judged, varied = codec.collate(some()), codec.vary(0)(some())
    assert torch.equal(judged["pixel_values"], varied["pixel_values"])
    assert torch.equal(judged["labels"], varied["labels"])


def test_flipped_rows_are_mirror_images():
    make, plain = collator("none", flipped=True), collator("none")
    mirrored = 0
    for epoch in range(8):
        make.epoch = epoch
        for ours, whole in zip(make(some())["pixel_values"], plain(some())["pixel_values"], strict=True):
            if not torch.equal(ours, whole):
                torch.testing.assert_close(ours, whole.flip(-1), atol=0.02, rtol=0)
                mirrored += 1
    assert 12 <= mirrored <= 36  # of 48


@pytest.mark.parametrize("make", [tiny.processor, None], ids=["transformers", "timm"])
def test_pixels_are_normalised_as_the_processor_does(make, tmp_path):
    processor = make() if make else ImageClassification().codec(tiny.timm_resnet(tmp_path), LABELS).processor
    picture = tiny.picture("green", 2, (SIDE, SIDE))
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
    scale = scale_of(processor)
    assert scale.size == (SIDE, SIDE)
    flat = Pillow.new("RGB", (50, 40), (7, 120, 250))
    own = processor(flat, return_tensors="pt")["pixel_values"][0]
    ours = scale.normalise(torch.tensor([7.0, 120.0, 250.0]).div(255).view(3, 1, 1).repeat(1, SIDE, SIDE))
    torch.testing.assert_close(ours, own, atol=1e-5, rtol=1e-5)
    assert torch.equal(scale.pixels(scale.normalise(pixels / 255)), pixels)
    assert settings_of(processor)["interpolation"] in (Pillow.Resampling.BILINEAR, Pillow.Resampling.BICUBIC)


def test_channels_stand_in_the_order_that_the_processor_gives_them():
    """MobileViT reads blue first; training must show it what judging does."""
    processor = MobileViTImageProcessor(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    varied = collator(Preset(scale=(1.0, 1.0)), processor=processor)
    batch = rows(Pillow.new("RGB", (SIDE, SIDE), (200, 100, 0)))
    judged = JudgedImages(processor, Path())(batch)["pixel_values"]
    assert judged[0, 2].mean() > judged[0, 0].mean()
    torch.testing.assert_close(varied(batch)["pixel_values"], judged, atol=0.01, rtol=0)
    assert varied.scale.pixels(judged)[0, :, 5, 5].tolist() == [200, 100, 0]


@pytest.mark.parametrize("scale", [(0.08, 1.0), (0.6, 1.0), (1.0, 1.0)])
def test_crops_keep_their_share_of_the_picture(scale):
    make = Augmentation(
        Preset(scale=scale), (SIDE, SIDE), flipped=False, resample=Pillow.Resampling.BILINEAR, fill=(0,) * 3
    )
    torch.manual_seed(0)
    for width, height in ((500, 375), (375, 500), (40, 41)):
        for _ in range(50):
            left, upper, right, lower = make.box(width, height)
            assert 0 <= left < right <= width and 0 <= upper < lower <= height
            share = (right - left) * (lower - upper) / (width * height)
            assert 0.9 * scale[0] - 0.25 * (scale[0] == 1) <= share <= 1


@pytest.mark.parametrize("turn", [1, 3, 6, 8])
@pytest.mark.parametrize("size", [(96, 64), (640, 480)])
def test_a_crop_of_a_large_or_turned_photo_is_that_of_the_upright_one(turn, size):
    """Large JPEGs are decoded small, and turned photos cropped upright: neither may move the crop."""
    smooth = tiny.picture("red", 4, (24, 16)).resize(size, Pillow.Resampling.BICUBIC)
    exif = Pillow.Exif()
    exif[0x0112] = turn
    turned = rows(smooth, kind="JPEG", quality=95, exif=exif)
    back = {1: 0, 3: 180, 6: -90, 8: 90}[turn]  # clockwise turns are negative
    upright = rows(smooth.rotate(back, expand=True))
    make = collator(Preset(scale=(0.5, 1.0)), seed=3)
    for epoch in range(4):
        make.epoch = epoch
        ours, meant = make(turned)["pixel_values"], make(upright)["pixel_values"]
        assert (ours - meant).abs().mean() < 0.1  # of about -2 to 2
        assert (ours - meant.flip(-1)).abs().mean() > 0.2


@pytest.mark.parametrize("preset", ["light", "standard", "strong"])
@pytest.mark.parametrize("channels", [1, 3])
def test_what_comes_out_fits_the_model(preset, channels):
    batch = collator(preset, processor=tiny.processor(channels), flipped=True)(some())
    assert batch["pixel_values"].shape == (6, channels, SIDE, SIDE)
    assert batch["pixel_values"].dtype == torch.float32
    assert batch["pixel_values"].min() > -3 and batch["pixel_values"].max() < 3.5
    assert batch["labels"].tolist() == [0, 1, 2, 0, 1, 2]


def test_stronger_presets_change_more():
    plain = collator("none")(some())["pixel_values"]
    moved = {}
    for preset in ("light", "standard", "strong"):
        make, distances = collator(preset), []
        for epoch in range(6):
            make.epoch = epoch
            distances.append((make(some())["pixel_values"] - plain).abs().mean())
        moved[preset] = float(sum(distances))
    assert 0 < moved["light"] < moved["standard"] < moved["strong"]


def test_erased_parts_show_the_mean_colour():
    make = collator(Preset(scale=(1.0, 1.0), erasing=1.0))
    white = rows(Pillow.new("RGB", (SIDE, SIDE), "white"))
    erased = make(white)["pixel_values"][0]
    near_zero = (erased.abs() < 0.02).all(0)
    assert 0.01 < near_zero.float().mean() < 0.4


# Mixing


def mixed(mix: str, labels: torch.Tensor, epoch: int = 0):
    """Two flat colours per batch: what is seen of a row tells what its label must say."""
    images = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 40, 40).clone()
    torch.manual_seed(epoch)
    return make_mixer(mix, 1.0, 2)(images, labels)


@pytest.mark.parametrize("mix", ["mixup", "cutmix", "both"])
@pytest.mark.parametrize("labels", [torch.tensor([0, 1]), torch.eye(2)], ids=["classes", "several labels"])
def test_labels_are_mixed_as_the_pixels_are(mix, labels):
    shares = set()
    for epoch in range(10):
        pixels, soft = mixed(mix, labels, epoch)
        assert soft.shape == (2, 2)
        torch.testing.assert_close(soft.sum(1), torch.ones(2))
        torch.testing.assert_close(pixels.mean((1, 2, 3)), soft[:, 1], atol=1e-5, rtol=0)
        shares.add(round(float(soft[0, 1]), 3))
    assert len(shares) > 3


def test_mixup_blends_and_cutmix_pastes():
    values = {mix: mixed(mix, torch.tensor([0, 1]), 3)[0].unique().numel() for mix in ("mixup", "cutmix")}
    assert values["cutmix"] == 2  # the two colours as they were
    blended = mixed("mixup", torch.tensor([0, 1]), 3)[0]
    assert all(len(row.unique()) == 1 for row in blended)


def test_a_last_batch_of_one_row_stays_as_it_is():
    make, plain = collator("none", mix="mixup"), collator("none")
    batch = make(some(1))
    torch.testing.assert_close(batch["pixel_values"], plain(some(1))["pixel_values"])
    assert batch["labels"].tolist() == [[1.0, 0.0, 0.0]]


@pytest.mark.parametrize("problem", ["single-label", "multi-label"])
def test_the_loss_takes_shares(problem, tmp_path):
    """A row that is 0.7 of one label and 0.3 of another costs 0.7 and 0.3 of what each of them would."""
    loss_of = ImageClassification(problem=problem).codec(tiny.resnet(tmp_path), LABELS).loss_of_logits
    logits = torch.randn(4, 3)
    one, other = torch.eye(3)[[0, 1, 2, 0]], torch.eye(3)[[1, 1, 0, 2]]
    soft = 0.7 * one + 0.3 * other
    torch.testing.assert_close(loss_of(logits, soft), 0.7 * loss_of(logits, one) + 0.3 * loss_of(logits, other))
    if problem == "single-label":
        hard = loss_of(logits, torch.tensor([0, 1, 2, 0]))
        torch.testing.assert_close(loss_of(logits, one), hard)
        # The trainer counts every share as an item of the step.
        torch.testing.assert_close(loss_of(logits, one, torch.tensor(12)), hard)
