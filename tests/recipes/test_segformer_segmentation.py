"""recipes/segformer_segmentation.py on the bundled shapes: offline, from the data to a report, a card and a model."""

import json
import resource
from pathlib import Path

import pytest

from hfkit.hub.lint import lint
from tests.fixtures.finished import run_recipe

TUNED = "fine-tuned (full)"


def run(folder: Path, *argv: str) -> dict:
    """The report of a run in `folder`."""
    run_recipe("segformer_segmentation", *argv, "--output_dir", str(folder))
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def headlines(report: dict) -> dict[str, float]:
    return {contender["name"]: contender["headline"] for contender in report["contenders"]}


def test_a_few_rows_of_the_sample_end_in_a_report_and_a_card(tmp_path):
    report = run(tmp_path / "segformer", "--max_train_rows", "16", "--baseline", "majority")
    assert (report["task"]["key"], report["task"]["headline"]) == ("semantic-segmentation", "mean_iou")
    assert report["data"]["train"]["rows"] == 16 and report["rows"] == 100
    assert list(headlines(report)) == [TUNED, "majority"]
    assert all(error["gold"]["areas"] and error["predicted"]["drawn"] for error in report["errors"])
    assert len(report["pictures"]) == 16
    assert lint(tmp_path / "segformer") == []


@pytest.mark.slow
def test_without_a_flag_it_learns_the_sample(tmp_path):
    before = resource.getrusage(resource.RUSAGE_SELF)
    report = run(tmp_path / "segformer", "--num_train_epochs", "20")
    after = resource.getrusage(resource.RUSAGE_SELF)
    scores = headlines(report)
    assert scores[TUNED] > scores["patch probe"] > scores["pixel colours"] > scores["majority"]
    assert report["contenders"][2]["difference"]["high"] < 0
    # CPU seconds, because a busy machine must not fail this.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 120
