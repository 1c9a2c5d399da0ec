"""Batches of pictures with boxes: shares of what the model sees, and boxes that stay on their objects as these vary."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from transformers import RTDetrImageProcessor, YolosImageProcessor

from hfkit.tasks.detection.batches import BoxedImages, VariedBoxes, crop_picture

BOX = [10.0, 20.0, 30.0, 50.0]
WHITE = (255, 255, 255)


def make_row(number: int = 0, size: tuple[int, int] = (80, 60), box: list[float] = BOX) -> dict:
    """A dark picture with one white object, just as large as its box."""
    picture = Pillow.new("RGB", size, (20 + number, 10, 30))
    left, top, right, bottom = map(int, box)
    picture.paste(WHITE, (left, top, right, bottom))
    file = io.BytesIO()
    picture.save(file, "PNG")
    image = {"bytes": file.getvalue(), "path": None}
    return {
        "image": image,
        "row": number,
        "width": size[0],
        "height": size[1],
        "boxes": [box],
        "class_labels": [number % 2],
    }


def varied(**changes: object) -> VariedBoxes:
    processor = RTDetrImageProcessor(size={"height": 64, "width": 64})
    return VariedBoxes(processor, Path(), masked=True, **{"strength": "strong", "flipped": True, **changes})


def find_white(picture: Pillow.Image) -> list[int]:
    """The box around what is brightest in a picture."""
    grey = np.asarray(picture).mean(axis=2)
    bright = grey > (grey.min() + grey.max()) / 2
    across, down = np.flatnonzero(bright.any(axis=0)), np.flatnonzero(bright.any(axis=1))
    return [int(across[0]), int(down[0]), int(across[-1]) + 1, int(down[-1]) + 1]


def test_boxes_are_shares_of_the_picture_and_places_without_a_box_are_marked():
    rows = [make_row(), {**make_row(1), "boxes": [], "class_labels": []}]
    batch = BoxedImages(RTDetrImageProcessor(size={"height": 64, "width": 64}), Path(), masked=True)(rows)
    assert batch["pixel_values"].shape == (2, 3, 64, 64) and "pixel_mask" not in batch
    assert batch["class_labels"].tolist() == [[0], [-100]]
    assert batch["boxes"][0, 0].tolist() == pytest.approx([20 / 80, 35 / 60, 20 / 80, 30 / 60])
    assert "boxes" not in BoxedImages(varied().processor, Path(), masked=True)([{"image": rows[0]["image"], "row": 0}])


def test_for_a_model_without_a_mask_padding_is_part_of_the_picture():
    processor = YolosImageProcessor(size={"shortest_edge": 32, "longest_edge": 128})
    rows = [make_row(0, (128, 64)), make_row(1, (64, 64), [16.0, 16.0, 48.0, 48.0])]
    batch = BoxedImages(processor, Path(), masked=False)(rows)
    height, width = batch["pixel_values"].shape[-2:]
    assert width > height and batch["reach"][1].tolist() == pytest.approx([32 / width, 32 / height], abs=0.02)
    # The object of the second picture is in the middle of its own quarter of the batch's tensor.
    centre, size = batch["boxes"][1, 0, :2] * torch.tensor([width, height]), batch["boxes"][1, 0, 2:]
    assert centre.tolist() == pytest.approx([16, 16], abs=0.6)
    assert (size * torch.tensor([width, height])).tolist() == pytest.approx([16, 16], abs=0.6)


def test_boxes_stay_on_their_objects_however_a_picture_varies():
    places = set()
    for epoch in range(12):
        row = make_row()
        collator = varied(epoch=epoch)
        with Pillow.open(io.BytesIO(row["image"]["bytes"])) as picture:
            changed, boxes, labels = collator.vary(picture.copy(), np.array([BOX]), np.array([0]), row)
        places.add(tuple(boxes[0].round().astype(int)))
        assert labels.tolist() == [0] and find_white(changed) == pytest.approx(boxes[0].round().tolist(), abs=1)
    assert len(places) > 6


def test_variation_is_a_function_of_seed_epoch_and_row():
    rows = [make_row(number) for number in range(4)]
    first, again = varied(epoch=3)(rows), varied(epoch=3)(rows)
    assert all(torch.equal(first[name], again[name]) for name in first)
    alone = varied(epoch=3)(rows[2:3])
    assert torch.equal(alone["pixel_values"][0], first["pixel_values"][2])
    other = varied(epoch=4)(rows)
    assert not torch.equal(other["pixel_values"], first["pixel_values"])


def test_a_mosaic_has_the_objects_of_four_pictures():
    rows = [make_row(number) for number in range(4)]
    counts = [
        len(found) - int((found == -100).sum()) for found in varied(mosaic=True, strength="none")(rows)["class_labels"]
    ]
    assert set(counts) == {1, 4}


def test_a_crop_keeps_an_object_and_drops_what_is_cut_off():
    torch.manual_seed(0)
    picture = Pillow.new("RGB", (100, 100))
    boxes = np.array([[40.0, 40.0, 60.0, 60.0], [0.0, 0.0, 6.0, 6.0]])
    kept = [len(crop_picture(picture, boxes, np.array([0, 1]))[1]) for _ in range(20)]
    assert set(kept) == {1, 2}
