"""recipes/gpt2_language_model.py on the bundled documents: offline, from the data to a report, a card and a model."""

import json
from pathlib import Path

import pytest

from hfkit.hub.lint import lint
from tests.fixtures.finished import run_recipe


def run(folder: Path, *argv: str) -> dict:
    """The report of a run in `folder`."""
    run_recipe("gpt2_language_model", *argv, "--output_dir", str(folder))
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def headlines(report: dict) -> dict[str, float]:
    return {contender["name"]: contender["headline"] for contender in report["contenders"]}


def test_a_few_rows_of_the_sample_end_in_a_report_and_a_card(tmp_path):
    report = run(tmp_path / "lm", "--max_train_rows", "40", "--num_train_epochs", "1")
    assert (report["task"]["key"], report["task"]["headline"]) == ("language-modelling", "bits_per_byte")
    assert (
        list(headlines(report)) == ["fine-tuned (gradual)", "untouched checkpoint", "Kneser-Ney bytes"]
        and report["rows"] == 100
    )
    assert report["data"]["train"]["empty_share"] < 0.03
    assert all(error["text"] and error["predicted"].endswith("bits a byte") for error in report["errors"])
    assert lint(tmp_path / "lm") == []


@pytest.mark.slow
def test_without_a_flag_it_learns_the_sample(tmp_path):
    scores = headlines(run(tmp_path / "lm"))
    assert scores["fine-tuned (gradual)"] < min(1.6, scores["untouched checkpoint"], scores["Kneser-Ney bytes"])
