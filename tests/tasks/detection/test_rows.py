"""Boxes are read from the files that people have, without guessing, and every fault is named with its row."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset, Image
from PIL import Image as Pillow

from hfkit.errors import DataError, UserError
from hfkit.tasks import ObjectDetection
from hfkit.tasks.detection.boxes import WRITINGS, guess_writings, to_corners
from hfkit.tasks.detection.cells import NoObjects, place_objects, read_marked

WIDTH, HEIGHT = 60, 40
CAT, DOG = [10.0, 5.0, 30.0, 25.0], [20.0, 10.0, 60.0, 40.0]  # corners


def save_picture(path: Path, size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    shade = len(list(path.parent.iterdir()))
    Pillow.new("RGB", size, (shade, shade % 7, 99)).save(path)


def in_coco(corners: list[float]) -> list[float]:
    return [corners[0], corners[1], corners[2] - corners[0], corners[3] - corners[1]]


def in_yolo(corners: list[float]) -> str:
    left, top, right, bottom = corners
    shares = (left + right) / 2 / WIDTH, (top + bottom) / 2 / HEIGHT, (right - left) / WIDTH, (bottom - top) / HEIGHT
    return " ".join(f"{share:.6f}" for share in shares)


def write_coco(folder: Path, **changes: object) -> None:
    """Three splits with a picture of a cat and a dog each, and an empty one; ids begin at 7 and have gaps."""
    for split in ("train", "val", "test"):
        for name in ("a", "b"):
            save_picture(folder / "images" / split / f"{name}.png")
        content = {
            "images": [
                {"id": 3, "file_name": "a.png", "width": WIDTH, "height": HEIGHT},
                {"id": 5, "file_name": "b.png", "width": WIDTH, "height": HEIGHT},
            ],
            "annotations": [
                {"id": 1, "image_id": 3, "category_id": 7, "bbox": in_coco(CAT), "iscrowd": 0},
                {"id": 2, "image_id": 3, "category_id": 9, "bbox": in_coco(DOG), "iscrowd": 1},
            ],
            "categories": [{"id": 7, "name": "cat"}, {"id": 9, "name": "dog"}],
        }
        place = folder / "annotations" / f"instances_{split}2017.json"
        place.parent.mkdir(exist_ok=True)
        place.write_text(json.dumps({**content, **changes} if split == "train" else content))


def write_voc(folder: Path) -> None:
    """Lists of splits, as in the original; the dog is difficult."""
    for split, name in (("train", "a"), ("val", "b"), ("test", "c")):
        save_picture(folder / "JPEGImages" / f"{name}.png")
        things = "".join(
            f"<object><name>{label}</name><difficult>{hard}</difficult><bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin>"
            f"<xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"
            for label, box, hard in (("cat", CAT, 0), ("dog", DOG, 1))
        )
        for place, text in (
            (
                folder / "Annotations" / f"{name}.xml",
                f"<annotation><filename>{name}.png</filename>{things}</annotation>",
            ),
            (folder / "ImageSets" / "Main" / f"{split}.txt", f"{name}\n"),
            (folder / "ImageSets" / "Main" / f"cat_{split}.txt", f"{name} 1\n"),
        ):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)


def write_yolo(folder: Path) -> None:
    """Splits below folders of pictures and of texts, and a YAML; an empty text is a picture without objects."""
    for split in ("train", "val", "test"):
        for name, lines in (("a", [f"0 {in_yolo(CAT)}", f"1 {in_yolo(DOG)}"]), ("b", [])):
            save_picture(folder / "images" / split / f"{name}.png")
            text = folder / "labels" / split / f"{name}.txt"
            text.parent.mkdir(parents=True, exist_ok=True)
            text.write_text("\n".join(lines))
    (folder / "data.yaml").write_text("path: .\ntrain: images/train\nnames:\n  0: cat\n  1: dog\n")


def in_tables(folder: Path, rows: list[dict], **features: object) -> str:
    """A folder of parquet files with the same rows in every split, each with a picture of its own."""
    folder.mkdir(exist_ok=True)
    for place, split in enumerate(("train", "validation", "test")):
        pictures = []
        for number in range(len(rows)):
            file = io.BytesIO()
            Pillow.new("RGB", (WIDTH, HEIGHT), (number, place, 9)).save(file, "PNG")
            pictures.append({"bytes": file.getvalue(), "path": None})
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        made = Dataset.from_dict({"image": pictures, **columns}).cast_column("image", Image())
        made.to_parquet(folder / f"{split}.parquet")
    return str(folder)


@pytest.mark.parametrize("write", [write_coco, write_voc, write_yolo])
def test_the_files_of_detection_datasets_are_read(tmp_path, write):
    write(tmp_path / "data")
    loaded = ObjectDetection(dataset=str(tmp_path / "data")).load()
    assert list(loaded.splits) == ["train", "validation", "test"] and loaded.target.names == ("cat", "dog")
    for split in loaded.splits:
        row = loaded[split][0]
        assert np.allclose([box for box in row["boxes"]], [CAT, DOG], atol=1e-3)
        assert row["labels"] == ["cat", "dog"] and row["crowd"] == [False, write is not write_yolo]
        assert Path(row["image"]["path"]).name in ("a.png", "b.png", "c.png")
    if write is not write_voc:
        assert loaded["train"][1]["labels"] == []
    assert any("pictures with annotations" in note for note in loaded.notes)


def test_a_split_can_be_read_alone(tmp_path):
    write_coco(tmp_path / "data")
    task = ObjectDetection(dataset=str(tmp_path / "data"))
    from hfkit.contract.rows import Only

    assert len(task.read(Only("val")).splits["test"]) == 2
    with pytest.raises(UserError, match="the data has none of this name"):
        task.read(Only("nowhere"))


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"categories": [{"id": 7, "name": "cat"}]}, "every category has a name"),
        ({"images": [{"id": 3, "file_name": "a.png"}]}, None),
        (
            {"annotations": [{"image_id": 44, "category_id": 7, "bbox": in_coco(CAT)}] * 2},
            "every annotation is of a picture that the file names",
        ),
        ({"annotations": [{"image_id": 3, "category_id": 7, "bbox": [5, 5, -3, 4]}]}, "a box has no negative size"),
        ({"annotations": [{"image_id": 3, "category_id": 7, "bbox": [5, None, 3, 4]}]}, "finite numbers"),
        ({"images": [{"id": 3, "file_name": "gone.png"}]}, "there is no such file"),
    ],
)
def test_faults_of_coco_files_are_named_with_their_row(tmp_path, changes, rule):
    write_coco(tmp_path / "data", **changes)
    task = ObjectDetection(dataset=str(tmp_path / "data"))
    if rule is None:
        assert len(task.load()["train"]) == 1
        return
    with pytest.raises(DataError, match=rule) as caught:
        task.load()
    assert "train" in str(caught.value) and caught.value.row is not None


def test_bad_rows_can_be_skipped_and_are_counted(tmp_path):
    boxes = [[CAT], [[30.0, 5.0, 10.0, 25.0]], [[float("nan"), 0.0, 5.0, 5.0]], [DOG]]
    rows = [{"objects": {"bbox": one, "category": ["cat"]}} for one in boxes]
    flags = {"dataset": in_tables(tmp_path / "data", rows), "box_format": "xyxy"}
    with pytest.raises(DataError, match="ends to the right of"):
        ObjectDetection(**flags).load()
    task = ObjectDetection(**flags, on_bad_row="skip")
    loaded = task.load()
    assert len(loaded["train"]) == 2
    assert sum(task.rows.facts(loaded.splits)["train"]["skipped"].values()) == 2


def test_boxes_are_clipped_and_those_without_an_area_left_out(tmp_path):
    objects = {
        "bbox": [[50.0, 30.0, 90.0, 90.0], [5.0, 5.0, 5.0, 20.0], [70.0, 5.0, 90.0, 20.0]],
        "category": ["cat"] * 3,
    }
    folder = in_tables(tmp_path / "data", [{"objects": objects}])
    task = ObjectDetection(dataset=folder, box_format="xyxy")
    loaded = task.load()
    assert loaded["train"][0]["boxes"] == [[50, 30, 60, 40]]
    facts = task.rows.facts(loaded.splits)["train"]
    assert (facts["boxes"], facts["boxes_clipped"], facts["boxes_without_area"]) == (1, 1, 2)


@pytest.mark.parametrize(
    "objects",
    [
        {"bbox": [CAT, DOG], "category": ["cat", "dog"]},
        [{"box": CAT, "label": "cat"}, {"box": DOG, "label": "dog"}],
        [dict(zip(("left", "top", "right", "bottom", "label"), (*CAT, "cat"), strict=True))] * 2,
        [dict(zip(("x", "y", "width", "height", "name"), (*in_coco(CAT), "cat"), strict=True))] * 2,
        json.dumps([{"bbox": CAT, "category": "cat"}, {"bbox": DOG, "category": "dog"}]),
    ],
)
def test_objects_are_read_in_the_ways_they_are_written(objects):
    marked = read_marked(objects)
    placed = place_objects(marked, marked.writing or WRITINGS["xyxy"], WIDTH, HEIGHT)
    assert placed.boxes[0].tolist() == CAT and len(placed.boxes) == 2 and placed.labels[0] == "cat"


@pytest.mark.parametrize("cell", [None, "", [], {"bbox": [], "category": []}])
def test_a_picture_may_have_no_objects(cell):
    assert len(read_marked(cell).boxes) == 0


@pytest.mark.parametrize(
    ("cell", "rule"),
    [
        ("a cat", "a list of objects"),
        ("[{", "written as JSON"),
        ({"bbox": [CAT], "category": []}, "every box has a class"),
        ([{"label": "cat"}], "an object has a box"),
        ([{"bbox": CAT}], "every box has a class"),
        ([{"bbox": [1, 2, 3], "label": "cat"}], "four numbers"),
        ([{"bbox": ["a", 2, 3, 4], "label": "cat"}], "four numbers"),
        ([{"bbox": CAT, "label": "cat"}, {"x": 1, "y": 1, "w": 2, "h": 2, "label": "cat"}], "written in one way"),
    ],
)
def test_cells_that_hold_no_objects_are_refused(cell, rule):
    with pytest.raises(NoObjects, match=rule):
        read_marked(cell)


def test_two_columns_of_boxes_and_of_labels_are_read(tmp_path):
    folder = in_tables(tmp_path / "data", [{"bboxes": [CAT, DOG], "labels": [4, 11]}])
    loaded = ObjectDetection(dataset=folder, box_format="xyxy").load()
    assert loaded.target.names == ("4", "11") and loaded["train"][0]["labels"] == ["4", "11"]


def test_writings_are_told_apart_by_what_fits_the_pictures():
    draw = np.random.default_rng(0)
    width, height = np.full(400, 640.0), np.full(400, 480.0)
    begin = draw.uniform(0, 0.8, (400, 2))
    corners = np.concatenate([begin, begin + draw.uniform(0.02, 1, (400, 2)) * (1 - begin)], axis=1)
    middle = np.concatenate([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], axis=1)
    shares = {"xyxy": corners, "xywh": np.concatenate([begin, middle[:, 2:]], axis=1), "cxcywh": middle}
    for name, writing in WRITINGS.items():
        scale = {"shares": 1.0, "percent": 100.0, "pixels": np.array([640.0, 480.0, 640.0, 480.0])}[writing.unit]
        values = shares[writing.format] * scale
        assert np.allclose(to_corners(values, writing, width, height) / [640, 480, 640, 480], corners)
        able = [one.name for one in guess_writings(values, width, height)]
        assert name in able
        assert able == [name] or writing.unit == "percent", name  # pixels of one corner of a picture are like percent


def test_a_writing_in_doubt_is_asked_for(tmp_path):
    folder = in_tables(tmp_path / "data", [{"objects": {"bbox": [[5.0, 5.0, 10.0, 10.0]], "category": ["cat"]}}])
    with pytest.raises(UserError, match="Say which with --box_format") as caught:
        ObjectDetection(dataset=folder).load()
    assert "xyxy" in str(caught.value) and "xywh" in str(caught.value)
    with pytest.raises(UserError, match="box_format=corners"):
        ObjectDetection(box_format="corners")


def test_an_export_of_label_studio_is_read(tmp_path):
    tasks = []
    for number in range(12):
        save_picture(tmp_path / f"p{number}.png")
        value = {"x": 10, "y": 25, "width": 50, "height": 50, "rotation": 0, "rectanglelabels": ["cat"]}
        one = {"id": str(number), "type": "rectanglelabels", "from_name": "label", "to_name": "image", "value": value}
        one |= {"original_width": WIDTH, "original_height": HEIGHT}
        answers = [{"id": number, "completed_by": 1, "result": [one] if number else []}]
        tasks.append({"id": number, "data": {"image": f"/data/upload/1/p{number}.png"}, "annotations": answers})
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    loaded = ObjectDetection(dataset=str(tmp_path / "export.json")).load()
    found = [boxes for split in loaded.splits.values() for boxes in split["boxes"]]
    assert len(found) == 12 and sorted(found, key=len) == [[], *[[[6.0, 10.0, 36.0, 30.0]]] * 11]
