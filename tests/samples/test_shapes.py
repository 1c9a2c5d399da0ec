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
from hfkit.samples.shapes import CLASSES, SIDE, SIZES, draw_picture, sample_shapes
from samples_source import make_segformer

FOLDER = Path(samples.__file__).parent / "segformer"


def test_splits_are_drawn_alike_every_time_and_share_nothing():
    drawn, again = sample_shapes(), sample_shapes()
    assert {split: len(rows) for split, rows in drawn.items()} == SIZES
    marks = {}
    for split, rows in drawn.items():
        bits = [np.asarray(row["image"]).tobytes() + np.asarray(row["mask"]).tobytes() for row in rows]
        marks[split] = {hashlib.blake2b(one).hexdigest() for one in bits}
        assert bits[0] == np.asarray(again[split][0]["image"]).tobytes() + np.asarray(again[split][0]["mask"]).tobytes()
    assert len(set.union(*marks.values())) == sum(SIZES.values())


def test_every_class_is_in_every_split_and_masks_hold_nothing_else():
    for rows in sample_shapes().values():
        counts = np.sum(
            [np.bincount(np.asarray(mask).ravel(), minlength=len(CLASSES)) for mask in rows["mask"]], axis=0
        )
        assert len(counts) == len(CLASSES) and (counts / counts.sum() > 0.02).all()
        assert rows[0]["image"].size == rows[0]["mask"].size == (SIDE, SIDE)


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
