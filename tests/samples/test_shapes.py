"""The sample of shapes and the small SegFormer: drawn and trained by committed programs, and worth starting from."""

import hashlib
import json
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoImageProcessor, AutoModelForSemanticSegmentation

from hfkit import samples
from hfkit.samples.shapes import CLASSES, SEED, SIDE, SIZES, draw_picture, sample_shapes
from samples_source import make_segformer

FOLDER = Path(samples.__file__).parent / "segformer"


def test_splits_are_drawn_alike_every_time_share_nothing_and_hold_every_class():
    drawn, marks = sample_shapes(), set()
    assert {split: len(rows) for split, rows in drawn.items()} == SIZES
    for split, rows in drawn.items():
        pairs = [(np.asarray(row["image"]), np.asarray(row["mask"])) for row in rows]
        marks |= {hashlib.blake2b(image.tobytes()).hexdigest() for image, _ in pairs}
        counts = np.sum([np.bincount(mask.ravel(), minlength=len(CLASSES)) for _, mask in pairs], axis=0)
        assert len(counts) == len(CLASSES) and (counts / counts.sum() > 0.02).all()
        picture, mask = draw_picture(Random(f"{SEED} {split} 0"))
        assert (np.asarray(picture) == pairs[0][0]).all() and (np.asarray(mask) == pairs[0][1]).all()
        assert picture.size == mask.size == (SIDE, SIDE)
    assert len(marks) == sum(SIZES.values())


def test_the_checkpoint_was_trained_on_other_shapes():
    assert set(make_segformer.CLASSES) & set(CLASSES) == {"background"}
    picture, mask = draw_picture(Random(1), make_segformer.CLASSES, make_segformer.draw_other_shape)
    assert picture.size == (SIDE, SIDE) and np.asarray(mask).max() < len(make_segformer.CLASSES)


@pytest.mark.parametrize("kind", make_segformer.CLASSES[1:])
def test_every_shape_is_drawn(kind):
    from PIL import ImageDraw

    canvas = Image.new("L", (SIDE, SIDE))
    make_segformer.draw_other_shape(ImageDraw.Draw(canvas), kind, Random(3))
    assert 0.01 < (np.asarray(canvas) > 0).mean() < 0.5


def test_it_loads_into_plain_transformers():
    model, info = AutoModelForSemanticSegmentation.from_pretrained(FOLDER, num_labels=5, output_loading_info=True)
    assert all("classifier" in name for name in info["missing_keys"])
    assert not info["unexpected_keys"] and not info["mismatched_keys"]
    processor = AutoImageProcessor.from_pretrained(FOLDER)
    pixels = processor(Image.new("RGB", (90, 70)), return_tensors="pt")["pixel_values"]
    assert pixels.shape == (1, 3, SIDE, SIDE) and model(pixel_values=pixels).logits.shape[:2] == (1, 5)


def test_its_weights_are_small_whole_and_those_of_its_program():
    weights = load_file(FOLDER / "model.safetensors")
    assert (FOLDER / "model.safetensors").stat().st_size < 1_500_000
    fresh = {name: value.shape for name, value in make_segformer.new_model().state_dict().items()}
    assert {name: value.shape for name, value in weights.items()} == {
        name: shape for name, shape in fresh.items() if not name.startswith(make_segformer.HEAD)
    }
    assert all(value.isfinite().all() for value in weights.values())
    assert {value.dtype for value in weights.values()} <= {torch.float16, torch.int64}


def test_training_taught_it_something_and_its_card_says_what():
    record = json.loads((FOLDER / "training.json").read_text())
    assert record["mean_iou"] > 0.4 and record["cpu_seconds"] < 1200
    assert record["bytes"] == (FOLDER / "model.safetensors").stat().st_size
    assert (FOLDER / "README.md").read_text() == make_segformer.render_card(record)
