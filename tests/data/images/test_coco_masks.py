"""Regions in COCO's JSON become masks, as its own tools would paint them."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from hfkit.data.images.runs import encode_runs
from hfkit.errors import DataError, UserError
from hfkit.tasks import SemanticSegmentation

CATEGORIES = [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}]
BLOCK = np.zeros((20, 30), bool)
BLOCK[5:15, 10:25] = True


def write(folder: Path, split: str, annotations: list[dict], *, images: int = 4, categories: list = CATEGORIES) -> str:
    """`annotations/instances_SPLIT.json` and `images/SPLIT/0.png` and so on."""
    (folder / "images" / split).mkdir(parents=True)
    (folder / "annotations").mkdir(exist_ok=True)
    entries = []
    for number in range(images):
        Pillow.new("RGB", (30, 20), (number, 0, 0)).save(folder / "images" / split / f"{number}.png")
        entries.append({"id": number, "file_name": f"{number}.png", "width": 30, "height": 20})
    content = {"images": entries, "annotations": annotations, "categories": categories}
    (folder / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    return str(folder)


def objects(images: int = 4) -> list[dict]:
    square = [[2, 2, 12, 2, 12, 12, 2, 12]]
    found = []
    for number in range(images):
        found.append({"image_id": number, "category_id": 7, "segmentation": square, "area": 100})
        found.append({"image_id": number, "category_id": 3, "segmentation": encode_runs(BLOCK), "area": 150})
    return found


def test_objects_are_painted_small_ones_on_top(tmp_path):
    for split in ("train", "val", "test"):
        dataset = write(tmp_path, split, objects())
    task = SemanticSegmentation(dataset=dataset)
    rows = task.load()
    assert {split: len(of) for split, of in rows.splits.items()} == {"train": 4, "validation": 4, "test": 4}
    assert rows.labels == ["background", "cat", "dog"]
    for split in ("train", "test"):
        assert f"images/{'train' if split == 'train' else 'test'}/0.png" in rows[split][0]["image"]["path"]
        ids = task.rows.references(rows[split])[0].ids()
        wanted = np.where(BLOCK, 1, 0)
        wanted[2:13, 2:13] = 2
        assert (ids == wanted).all()


def test_pictures_without_regions_are_background_and_counted(tmp_path):
    rows = SemanticSegmentation(
        dataset=write(tmp_path, "train", [*objects(8), {**objects()[0], "image_id": 99}], images=10)
    ).load()
    assert any("pictures without a region are all background: 2" in note for note in rows.notes)
    assert any("annotations without a picture are left out: 1" in note for note in rows.notes)
    assert sum(len(of) for of in rows.splits.values()) == 10


@pytest.mark.parametrize(
    ("region", "words"),
    [
        ({"size": [20, 30], "counts": [5, 6]}, "no more and no fewer"),
        ({"size": [10, 10], "counts": [100]}, "size of their picture"),
        ([[1, 2]], "three points"),
    ],
)
def test_a_region_that_does_not_fit_is_a_fault_of_its_row(region, words, tmp_path):
    dataset = write(tmp_path, "train", [{**objects()[0], "segmentation": region}, *objects()[2:]])
    with pytest.raises(DataError, match=words) as error:
        SemanticSegmentation(dataset=dataset).load()
    assert str(error.value).startswith("split 'train', row 0, column 'mask'")


def test_a_category_without_a_name_is_refused(tmp_path):
    with pytest.raises(UserError, match="category_id 3"):
        SemanticSegmentation(dataset=write(tmp_path, "train", objects(), categories=CATEGORIES[1:])).load()


def test_two_files_of_one_split_are_refused(tmp_path):
    dataset = write(tmp_path, "train", objects())
    place = tmp_path / "annotations" / "instances_train.json"
    (tmp_path / "annotations" / "other_train.json").write_text(place.read_text())
    with pytest.raises(UserError, match="are the split 'train'"):
        SemanticSegmentation(dataset=dataset).load()
