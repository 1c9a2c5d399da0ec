"""recipes/bert_pos.py on the bundled sentences: offline, from the data to a report, a card and a model."""

import json
from pathlib import Path

import pytest

from hfkit.hub.lint import lint
from tests.fixtures.finished import run_recipe


def headlines(report: dict) -> dict[str, float]:
    return {contender["name"]: contender["headline"] for contender in report["contenders"]}


def run(folder: Path, *argv: str) -> dict:
    """The report of a run in `folder`."""
    run_recipe("bert_pos", *argv, "--output_dir", str(folder))
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def test_a_few_rows_of_the_sample_end_in_a_report_and_a_card(checkpoint, tmp_path):
    report = run(tmp_path / "bert-pos", "--max_train_rows", "64", "--checkpoint", checkpoint)
    assert (report["task"]["key"], report["task"]["headline"]) == ("pos", "accuracy")
    assert report["data"]["train"]["rows"] == 64 and report["rows"] == 160
    assert list(headlines(report)) == ["fine-tuned (gradual)", "word tags", "linear probe"]
    assert json.loads((tmp_path / "bert-pos" / "config.json").read_text())["hfkit_task"] == "pos"
    assert all(error["tokens"] and error["gold"] and error["predicted"] for error in report["errors"])
    assert lint(tmp_path / "bert-pos") == []


@pytest.mark.slow
def test_it_learns_the_sample(tmp_path):
    scores = headlines(run(tmp_path / "bert-pos", "--num_train_epochs", "3"))
    assert scores["fine-tuned (gradual)"] > max(0.9, scores["linear probe"])
