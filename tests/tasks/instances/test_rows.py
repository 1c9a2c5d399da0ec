"""Masks of objects from where people keep them (COCO JSON, maps of numbers, columns), and what is wrong with one."""

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset, Features, Image, List, Value
from PIL import Image as Pillow

from hfkit.data.images.runs import decode_runs_of, encode_runs
from hfkit.errors import DataError, UserError
from hfkit.tasks import InstanceSegmentation
from hfkit.tasks.detection.cells import NoObjects
from hfkit.tasks.instances.cells import enclose, read_regions, split_map

WIDTH, HEIGHT = 12, 10
SQUARE = [[2, 1, 6, 1, 6, 5, 2, 5]]  # x and y in turn: columns 2 to 6, rows 1 to 5


def mask_of(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top:bottom, left:right] = True
    return mask


BLOCK = mask_of(4, 7, 9, 11)


def png(pixels: np.ndarray) -> bytes:
    file = BytesIO()
    Pillow.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def picture(seed: int) -> bytes:
    return png(np.random.default_rng(seed).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8))


def numbers(count: int) -> np.ndarray:
    """A map of so many objects, whose numbers leave gaps."""
    found = np.zeros((HEIGHT, WIDTH), np.uint16)
    for place in range(count):
        found[1:8, 3 * place : 3 * place + 2] = 7 * place + 300
    return found


def coco_folder(folder: Path, **changes) -> str:
    """Three splits of two pictures each beside a file of COCO's JSON; `changes` are of its first annotation."""
    for split in ("train", "val", "test"):
        (folder / split).mkdir(parents=True)
        images, found = [], []
        for number in (1, 2):
            (folder / split / f"{number}.png").write_bytes(picture(number + len(split)))
            images.append({"id": number, "file_name": f"{number}.png", "width": WIDTH, "height": HEIGHT})
        runs = encode_runs(BLOCK)
        plain = {"size": [HEIGHT, WIDTH], "counts": [0, 5, WIDTH * HEIGHT - 5]}
        for category, region, crowd in ((3, SQUARE, 0), (7, runs, 0), (7, plain, 1), (3, [], 0)):
            one = {"id": len(found), "image_id": 1, "category_id": category, "segmentation": region, "iscrowd": crowd}
            found.append(one)
        if split == "train":
            found[0] |= changes
        names = [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}]
        content = {"images": images, "annotations": found, "categories": names}
        (folder / split / "_annotations.coco.json").write_text(json.dumps(content))
    return str(folder)


def test_regions_of_coco_become_run_lengths(tmp_path):
    loaded = InstanceSegmentation(dataset=coco_folder(tmp_path / "data")).load()
    assert loaded.target.names == ("cat", "dog") and {split: len(loaded[split]) for split in loaded.splits} == {
        "train": 2, "validation": 2, "test": 2,
    }  # fmt: skip
    first, second = loaded["train"]
    assert first["labels"] == ["cat", "dog", "dog"] and first["crowd"] == [False, False, True]
    assert first["left_out"] == 1 and second["labels"] == [] and second["runs"] == []
    masks = [decode_runs_of({"size": (HEIGHT, WIDTH), "counts": runs}) for runs in first["runs"]]
    assert (masks[0] == mask_of(1, 2, 6, 7)).all() and (masks[1] == BLOCK).all()
    assert first["boxes"][:2] == [[2, 1, 7, 6], [7, 4, 11, 9]]
    facts = InstanceSegmentation(dataset="x").rows.facts(loaded.splits)["train"]
    assert (facts["masks"], facts["without_masks"], facts["crowds"], facts["objects_without_pixels"]) == (3, 1, 1, 1)
    gold = InstanceSegmentation(dataset="x").rows.references(loaded["train"])[0]
    assert gold["size"] == (HEIGHT, WIDTH) and len(gold["runs"]) == 3


@pytest.mark.parametrize(
    ("change", "value", "rule"),
    [
        ({"category_id": 5}, "category 5", "every category has a name"),
        ({"image_id": 9}, "1 annotations of image 9", "of a picture that the file names"),
        ({"segmentation": {"size": [3, 3], "counts": [0, 9]}}, "object 1 ('cat')", "size of their picture"),
        ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": [0, 9]}}, "object 1", "cover the pixels"),
        ({"segmentation": [[1, 2, 3, 4]]}, "object 1", "three points or more"),
    ],
)
def test_a_row_of_coco_that_is_wrong_is_named_or_skipped(change, value, rule, tmp_path):
    folder = coco_folder(tmp_path / "data", **change)
    with pytest.raises(DataError, match=rule) as caught:
        InstanceSegmentation(dataset=folder).load()
    assert value in str(caught.value) and "train" in str(caught.value)
    task = InstanceSegmentation(dataset=folder, on_bad_row="skip")
    if rule.startswith("of a picture"):
        assert len(task.load()["train"]) == 2
    else:
        with pytest.raises(UserError, match="no picture of train has an object"):
            task.load()


def test_maps_of_numbers_beside_pictures_are_objects_of_one_class(tmp_path):
    for split in ("train", "validation", "test"):
        for kind in ("images", "masks"):
            (tmp_path / split / kind).mkdir(parents=True)
        for number in range(3):
            (tmp_path / split / "images" / f"{number}.png").write_bytes(picture(number))
            (tmp_path / split / "masks" / f"{number}.png").write_bytes(png(numbers(number)))
    loaded = InstanceSegmentation(dataset=str(tmp_path), class_name="nucleus").load()
    assert loaded.target.names == ("nucleus",)
    assert [len(runs) for runs in loaded["train"]["runs"]] == [0, 1, 2]
    assert loaded["test"][2]["boxes"] == [[0, 1, 2, 8], [3, 1, 5, 8]]
    (tmp_path / "train" / "masks" / "1.png").write_bytes(png(numbers(1)[:-1]))
    with pytest.raises(DataError, match="as large as its picture") as caught:
        InstanceSegmentation(dataset=str(tmp_path)).load()
    assert "12 x 9" in str(caught.value)


def table(folder: Path, rows: list[dict], features: Features) -> str:
    folder.mkdir()
    for split in ("train", "validation", "test"):
        Dataset.from_list(rows, features=features).to_parquet(folder / f"{split}.parquet")
    return str(folder)


def test_a_column_of_maps_is_found_beside_one_of_classes(tmp_path):
    semantic = png((numbers(2) > 0).astype(np.uint8))
    rows = [
        {"image": {"bytes": picture(number)}, "mask": {"bytes": semantic}, "instances": {"bytes": png(numbers(2))}}
        for number in range(2)
    ]
    features = Features({name: Image() for name in ("image", "mask", "instances")})
    loaded = InstanceSegmentation(dataset=table(tmp_path / "one", rows, features)).load()
    assert loaded.target.names == ("object",) and [len(runs) for runs in loaded["train"]["runs"]] == [2, 2]
    features = Features({**features, "labels": List(Value("string"))})
    named = [{**row, "labels": ["cat", "dog"]} for row in rows]
    loaded = InstanceSegmentation(dataset=table(tmp_path / "two", named, features)).load()
    assert loaded["train"]["labels"][0] == ["cat", "dog"]
    short = [{**row, "labels": ["cat"]} for row in named]
    with pytest.raises(DataError, match="2 objects and 1 classes"):
        InstanceSegmentation(dataset=table(tmp_path / "three", short, features)).load()


def test_objects_in_cells_are_lists_or_lists_of_lists():
    runs = encode_runs(BLOCK)
    for cell in (
        {"segmentation": [SQUARE, runs], "category": ["cat", "dog"]},
        [{"segmentation": SQUARE, "label": "cat"}, {"rle": runs, "label": "dog"}],
        json.dumps({"segmentation": [SQUARE, runs], "category": ["cat", "dog"]}),
    ):
        found = read_regions(cell)
        assert found.labels == ["cat", "dog"] and found.regions == [SQUARE, runs] and found.crowd == [False, False]
    assert read_regions([SQUARE], ["cat"]).labels == ["cat"]
    assert read_regions(None) == read_regions("") == read_regions([]) == ([], [], [])


@pytest.mark.parametrize(
    ("cell", "rule"),
    [
        ("a cat", "a list of objects"),
        ("[{", "written as JSON"),
        ({"segmentation": [SQUARE], "category": []}, "every object has a class"),
        ([{"segmentation": SQUARE}], "every object has a class"),
        ({"category": ["cat"]}, "regions and classes"),
        ([SQUARE], "every object has a class"),
    ],
)
def test_cells_that_hold_no_objects_are_refused(cell, rule):
    with pytest.raises(NoObjects, match=rule):
        read_regions(cell)


def test_a_map_is_split_as_its_pixels_say():
    draw = np.random.default_rng(0)
    for _ in range(5):
        found = draw.integers(0, 5, (9, 7)).repeat(2, 0).astype(np.uint16) * 1000
        values, masks = split_map(found)
        assert values == sorted(set(found.ravel().tolist()) - {0})
        for value, runs, box in zip(values, masks.runs, masks.boxes, strict=True):
            assert runs == encode_runs(found == value)["counts"] and box == enclose(found == value)
    assert split_map(np.zeros((3, 4), np.uint8)) == ([], ([], [], [], [], 0))
