"""Instance segmentation: a run from pictures with masks to a report, and what is saved of it."""

import json
from pathlib import Path

import numpy as np
import pytest
from datasets import load_dataset

from hfkit.baselines import MeanBoxes
from hfkit.contract.abilities import Counted, Tuned, Varied
from hfkit.contract.view import Mask, to_text
from hfkit.data.images.pictures import decode_image
from hfkit.data.images.runs import decode_runs_of
from hfkit.hub.lint import lint
from hfkit.inference.saved import load_saved
from hfkit.tasks import InstanceSegmentation
from hfkit.tasks.detection.target import Objects
from hfkit.tasks.instances.batches import VariedInstances, draw_crop
from tests.fixtures.commands import hfkit as command
from tests.fixtures.finished import run_recipe
from tests.tasks.instances.test_families import save, save_shapes


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with a few shapes in `data`, and a finished run of a tiny MaskFormer on them in `run`."""
    folder = tmp_path_factory.mktemp("instances")
    (folder / "data").mkdir()
    save_shapes(folder / "data", pictures=6)
    flags = ("--checkpoint", save("MaskFormer", folder / "maskformer"), "--dataset", str(folder / "data"))
    run_recipe("mask2former_instances", *flags, "--output_dir", str(folder / "run"))
    return folder


def read_report(folder: Path) -> dict:
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def test_the_report_shows_masks_on_both_sides_and_its_card_lints(place):
    report = read_report(place / "run")
    assert {"map", "map50", "ar100", "f1"} <= set(report["contenders"][0]["scores"])
    assert [one["name"] for one in report["contenders"] if one["baseline"]] == ["mean boxes"]
    assert report["errors"] and all(error["gold"]["areas"] is not None for error in report["errors"])
    assert report["data"]["train"]["masks"] > 6 and len(report["pictures"]) == 6
    assert set(report["breakdown"]["per_class"]) <= {"circle", "square", "star", "triangle"}
    assert lint(place / "run") == []


def test_a_saved_model_answers_alike_with_the_threshold_of_its_run(place):
    saved = load_saved(str(place / "run"))
    assert saved.task.key == "instance-segmentation"
    assert saved.codec.threshold == Objects.from_config(saved.model.config).threshold
    rows = InstanceSegmentation(dataset=str(place / "data")).load()["test"]
    one, other = (saved.predictions(rows, batch_size=size) for size in (2, 6))
    assert [answer["runs"] for answer in one] == [answer["runs"] for answer in other]
    for answer, width, height in zip(one, rows["width"], rows["height"], strict=True):
        assert answer["kept"] == (np.asarray(answer["scores"]) > saved.codec.threshold).sum()
        assert (np.diff(answer["scores"]) <= 0).all() and answer["size"] == (height, width)


def test_a_picture_is_predicted_as_run_lengths(place):
    row = load_dataset("parquet", data_files=str(place / "data" / "test.parquet"), split="train")[0]
    row["image"].save(place / "one.png")
    saved = load_saved(str(place / "run"))
    saved.model.config.hfkit_box_threshold = 0.0
    saved.model.save_pretrained(place / "sure")
    for name in ("preprocessor_config.json", "report.json"):
        (place / "sure" / name).write_bytes((place / "run" / name).read_bytes())
    result = command("predict", str(place / "sure"), str(place / "one.png"))
    assert result.exit_code == 0, (result.output, result.exception)
    (answer,) = [json.loads(line) for line in result.stdout.splitlines()]
    assert answer["prediction"]
    for found in answer["prediction"]:
        assert set(found) == {"label", "score", "segmentation"}
        assert decode_runs_of(found["segmentation"]).shape == row["image"].size[::-1]


@pytest.mark.slow
def test_it_is_evaluated_as_in_its_own_report(place):
    out = place / "evaluation"
    result = command("evaluate", str(place / "run"), "--dataset", str(place / "data"), "--output_dir", str(out))
    assert result.exit_code == 0, (result.output, result.exception)
    again, first = read_report(out), read_report(place / "run")
    assert again["contenders"][0]["scores"] == pytest.approx(first["contenders"][0]["scores"], abs=1e-6)


def test_objects_are_drawn_and_listed_with_numbers(place):
    task = InstanceSegmentation(dataset=str(place / "data"))
    rows = task.load()["test"]
    row = max(range(len(rows)), key=lambda row: len(rows[row]["labels"]))
    shown = task.view.answer(task.rows.references(rows)[row], rows[row])
    assert isinstance(shown, Mask) and len(shown.areas) == len(rows[row]["labels"]) > 1
    assert to_text(shown).startswith(f"1 {rows[row]['labels'][0]} ") and shown.drawn != task.view.row(rows[row])
    (answer,) = task.judge.perfect_predictions(task.rows.references(rows.select([row])))
    assert "(1.00)" in to_text(task.view.answer(answer, rows[row]))
    assert task.view.answer({"runs": [], "labels": []}, rows[row]).areas == ()


def test_pictures_and_masks_vary_in_step(place):
    task = InstanceSegmentation(dataset=str(place / "data"), augmentation="strong", flip="horizontal")
    rows = task.load()
    codec = task.codec(str(place / "maskformer"), rows.target)
    encoded = codec.encode(rows["train"], split="train", answers=True)
    row = next(row for row in encoded if len(row["runs"]) > 1)
    collator, views = codec.vary(0), []
    assert isinstance(collator, VariedInstances)
    for epoch in range(6):
        collator.epoch = epoch
        (picture, view), (again, same) = (collator.show(decode_image(row["image"], Path(), 3), row) for _ in range(2))
        assert view == same and np.array_equal(np.asarray(picture), np.asarray(again))
        views.append(view)
        batch = collator([row])
        areas = batch["mask_labels"].sum(dim=(2, 3))[0]
        assert (batch["class_labels"] >= 0).any() and (areas[batch["class_labels"][0] >= 0] > 0).all()
    assert len(set(views)) > 2 and {view.mirrored for view in views} == {False, True}
    assert draw_crop((4, 4), np.empty((0, 4))) == (0, 0, 4, 4)


def test_a_box_is_an_answer_too(place):
    task = InstanceSegmentation(dataset=str(place / "data"))
    rows = task.load()
    answers = MeanBoxes().predict(task, rows)
    assert 0 <= task.judge.score(answers, task.rows.references(rows["test"]))["map"] < 0.2
    assert task.view.record(answers[0], rows["test"][0]) is not None


def test_its_parts_have_the_abilities_that_are_asked_for(place):
    codec = load_saved(str(place / "run")).codec
    assert isinstance(codec, Tuned) and isinstance(codec, Counted) and isinstance(codec, Varied)
