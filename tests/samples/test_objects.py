"""The bundled detector and Mask2Former, and the drawn pictures: plain, small, the same every time, of unlike shapes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoImageProcessor, AutoModelForObjectDetection, AutoModelForUniversalSegmentation

from hfkit import samples
from hfkit.samples import objects
from samples_source import make_detector, make_mask2former

FOLDER = Path(samples.__file__).parent / "detector"
MASKS = FOLDER.parent / "mask2former"


def test_a_picture_is_the_same_every_time_and_its_boxes_are_inside():
    first, again = (objects.draw_scene(np.random.RandomState(3)) for _ in range(2))
    assert (first.pixels == again.pixels).all() and first.boxes == again.boxes
    height, width = first.pixels.shape[:2]
    assert all(0 <= left < right <= width and 0 <= top < bottom <= height for left, top, right, bottom in first.boxes)


def test_every_shape_with_a_box_has_pixels_in_it():
    for seed in range(4):
        scene = objects.draw_scene(np.random.RandomState(seed))
        assert set(np.unique(scene.owners)) == set(range(len(scene.boxes) + 1))
        for number, (left, top, right, bottom) in enumerate(scene.boxes, 1):
            down, across = np.nonzero(scene.owners == number)
            assert left - 1 <= across.min() and across.max() <= right + 1
            assert top - 1 <= down.min() and down.max() <= bottom + 1


def test_the_mask2former_loads_into_plain_transformers():
    model, info = AutoModelForUniversalSegmentation.from_pretrained(MASKS, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"]
    processor = AutoImageProcessor.from_pretrained(MASKS)
    output = model(processor(objects.draw_scene(np.random.RandomState(0)).pixels, return_tensors="pt")["pixel_values"])
    assert output.masks_queries_logits.isfinite().all() and output.class_queries_logits.isfinite().all()


def test_the_detector_loads_into_plain_transformers():
    model, info = AutoModelForObjectDetection.from_pretrained(FOLDER, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"]
    processor = AutoImageProcessor.from_pretrained(FOLDER)
    output = model(processor(objects.draw_scene(np.random.RandomState(0)).pixels, return_tensors="pt")["pixel_values"])
    assert output.logits.isfinite().all() and output.pred_boxes.shape[-1] == 4


@pytest.mark.parametrize("folder", [FOLDER, MASKS], ids=lambda folder: folder.name)
def test_half_precision_holds_every_weight(folder):
    for name, value in load_file(folder / "model.safetensors").items():
        assert value.isfinite().all() and value.dtype in (torch.float16, torch.int64), name
        assert not name.endswith("running_var") or value.min() >= torch.finfo(torch.float16).tiny, name


def test_it_has_never_seen_the_shapes_of_the_rows():
    assert not set(make_detector.OUTLINES) & set(objects.OUTLINES)
    for outline in (*make_detector.OUTLINES.values(), *objects.OUTLINES.values()):
        corners = np.array(outline())
        assert np.abs(corners).max() <= 1.01 and np.ptp(corners, axis=0).min() > 0.4


@pytest.mark.parametrize(("folder", "made_by"), [(FOLDER, make_detector), (MASKS, make_mask2former)])
def test_its_card_has_the_numbers_of_its_training(folder, made_by):
    record = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    assert record["bytes"] == (folder / "model.safetensors").stat().st_size < 1_500_000
    assert (folder / "README.md").read_text(encoding="utf-8") == made_by.card(record)
    assert record["map50"] > record["map"] > 0
