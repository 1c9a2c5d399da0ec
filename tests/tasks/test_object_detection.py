"""Object detection: a run from pictures with boxes to a report, and what is saved of it."""

import json
from pathlib import Path

import numpy as np
import pytest
from datasets import load_dataset

from hfkit.baselines import MeanBoxes
from hfkit.contract.abilities import Counted, Exported, Tuned, Varied
from hfkit.hub.lint import lint
from hfkit.inference.saved import load_saved
from hfkit.report.pages import render_boxes
from hfkit.tasks import ObjectDetection
from hfkit.tasks.detection.codec import best_threshold
from hfkit.tasks.detection.matching import rank_boxes
from hfkit.tasks.detection.target import Objects
from tests.fixtures.commands import hfkit as command
from tests.fixtures.finished import run_recipe
from tests.tasks.detection.test_families import save, save_shapes


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with a few shapes in `data`, and a finished run of a tiny YOLOS on them in `run`."""
    folder = tmp_path_factory.mktemp("detection")
    (folder / "data").mkdir()
    save_shapes(folder / "data")
    flags = ("--checkpoint", save("YOLOS", folder / "yolos"), "--dataset", str(folder / "data"))
    run_recipe("yolos_detection", *flags, "--output_dir", str(folder / "run"), "--num_train_epochs", "2")
    return folder


def read_report(folder: Path) -> dict:
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def test_the_report_shows_boxes_on_both_sides_and_its_card_lints(place):
    report = read_report(place / "run")
    assert {"map", "map50", "ar100", "f1"} <= set(report["contenders"][0]["scores"])
    assert [one["name"] for one in report["contenders"] if one["baseline"]] == ["mean boxes"]
    assert report["errors"] and all(error["gold"] is not None and error["width"] >= 80 for error in report["errors"])
    assert report["data"]["train"]["boxes"] > 8 and len(report["pictures"]) == 8
    assert set(report["breakdown"]["per_class"]) <= {"circle", "square", "star", "triangle"}
    assert "<svg viewBox" in (place / "run" / "report.html").read_text(encoding="utf-8")
    assert lint(place / "run") == []


def test_the_threshold_is_saved_and_used(place):
    saved = load_saved(str(place / "run"))
    assert saved.codec.threshold == saved.codec.target.threshold == Objects.from_config(saved.model.config).threshold
    rows = ObjectDetection(dataset=str(place / "data")).load()["test"]
    for answer in saved.predictions(rows, batch_size=4):
        assert answer["kept"] == (np.asarray(answer["scores"]) > saved.codec.threshold).sum()
        assert (np.diff(answer["scores"]) <= 0).all()


def test_a_picture_is_predicted(place):
    row = load_dataset("parquet", data_files=str(place / "data" / "test.parquet"), split="train")[0]
    row["image"].save(place / "one.png")
    result = command("predict", str(place / "run"), str(place / "one.png"))
    assert result.exit_code == 0, (result.output, result.exception)
    (answer,) = [json.loads(line) for line in result.stdout.splitlines()]
    for found in answer["prediction"]:
        assert set(found) == {"label", "score", "box"} and len(found["box"]) == 4


def test_it_is_evaluated_as_in_its_own_report(place):
    out = place / "evaluation"
    result = command("evaluate", str(place / "run"), "--dataset", str(place / "data"), "--output_dir", str(out))
    assert result.exit_code == 0, (result.output, result.exception)
    again, first = read_report(out), read_report(place / "run")
    assert again["contenders"][0]["scores"] == pytest.approx(first["contenders"][0]["scores"], abs=1e-6)


def test_an_answer_is_drawn_with_its_boxes(place):
    task = ObjectDetection(dataset=str(place / "data"))
    rows = task.load()["test"]
    shown = task.view.answer(task.rows.references(rows)[0], rows[0])
    drawn = render_boxes(shown, ["circle", "square", "star", "triangle"])
    assert drawn.count("<rect") == 2 * len(shown.boxes) and "data:image/" in drawn


@pytest.mark.slow
def test_the_demo_finds_boxes(place):
    pytest.importorskip("gradio")
    result = command("demo", str(place / "run"), "--check")
    assert result.exit_code == 0, (result.output, result.exception)
    assert isinstance(json.loads(result.stdout)["prediction"], list)


def test_the_mean_box_of_each_class_is_everywhere_the_same(place):
    task = ObjectDetection(dataset=str(place / "data"))
    rows = task.load()
    answers = MeanBoxes().predict(task, rows)
    shares = [
        answer["boxes"] / [width, height, width, height]
        for answer, width, height in zip(answers, rows["test"]["width"], rows["test"]["height"], strict=True)
    ]
    assert np.allclose(shares, shares[0]) and set(answers[0]["labels"]) == set(rows.target.names)
    assert 0 <= task.judge.score(answers, task.rows.references(rows["test"]))["map"] < 0.2


def test_the_threshold_has_the_best_f1():
    gold = [{"boxes": [[0, 0, 10, 10]], "labels": ["a"]}] * 4
    scores = [0.9, 0.7, 0.4, 0.2]
    hits = [True, True, False, True]
    answers = [
        {
            "boxes": np.array([[0, 0, 10, 10] if hit else [50, 50, 60, 60]]),
            "labels": ["a"],
            "scores": [score],
            "kept": 1,
        }
        for score, hit in zip(scores, hits, strict=True)
    ]
    assert best_threshold(rank_boxes(answers, gold), 0.5) == pytest.approx(0.1)  # all four: F1 of 3 hits, and not of 2
    assert best_threshold(rank_boxes(answers[:3], gold[:3]), 0.45) == 0.45  # the present one is as good
    assert best_threshold(rank_boxes([{**answers[2], "scores": [0.4]}], gold[:1]), 0.5) == 0.5  # nothing is right


@pytest.mark.slow
def test_its_parts_have_the_abilities_that_are_asked_for(place):
    codec = load_saved(str(place / "run")).codec
    assert isinstance(codec, Tuned) and isinstance(codec, Counted) and isinstance(codec, Varied)
    assert isinstance(ObjectDetection().view, Exported)
