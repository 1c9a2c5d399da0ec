"""recipes/t5_summarization.py and t5_translation.py on the bundled pairs: offline, to a report, a card and a model."""

import json
from pathlib import Path

import pytest

from hfkit.hub.lint import lint
from tests.fixtures.commands import hfkit as command
from tests.fixtures.finished import run_recipe


def headlines(report: dict) -> dict[str, float]:
    return {contender["name"]: contender["headline"] for contender in report["contenders"]}


def run(name: str, folder: Path, *argv: str) -> dict:
    """The report of a run in `folder`."""
    run_recipe(name, *argv, "--output_dir", str(folder))
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def test_a_few_reports_end_in_a_report_a_card_and_answers(tmp_path):
    place = tmp_path / "t5-summarization"
    report = run("t5_summarization", place, "--max_train_rows", "48", "--max_target_length", "24")
    assert (report["task"]["key"], report["task"]["headline"], report["rows"]) == ("summarization", "rougeL", 110)
    assert list(headlines(report)) == ["fine-tuned (full)", "untouched checkpoint", "lead-1", "lead-3", "copy"]
    assert all(mistake["gold"] and mistake["text"] for mistake in report["errors"])
    assert lint(place) == []
    assert "summarize: " in (place / "config.json").read_text()
    (tmp_path / "new.jsonl").write_text('{"text": "The ferry Heron left Brenby on Monday."}\n{"text": ""}\n')
    answers = command("predict", str(place), str(tmp_path / "new.jsonl"), "--on_bad_row", "skip")
    first, second = map(json.loads, answers.stdout.splitlines())
    assert isinstance(first["prediction"], str) and second["prediction"] is None and "has a text" in second["error"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["t5_summarization", "t5_translation"])
def test_without_flags_it_learns_the_sample(name, tmp_path, monkeypatch):
    monkeypatch.setattr("tests.fixtures.finished.SHORT", ("--use_cpu", "--disable_tqdm", "true"))
    report = run(name, tmp_path / name)
    scores = headlines(report)
    own = scores.pop("fine-tuned (full)")
    assert own > max(scores.values()) + (0.1 if name == "t5_summarization" else 20)
    assert report["contenders"][0]["cost"]["cpu_seconds"] < 240  # two minutes on two cores
    assert lint(tmp_path / name) == []


@pytest.mark.slow
def test_a_translation_is_evaluated_with_its_signature(tmp_path):
    report = run("t5_translation", tmp_path / "run", "--max_train_rows", "48")
    assert report["task"]["headline"] == "bleu" and "tok:13a" in report["data"]["bleu_signature"]
    command("evaluate", str(tmp_path / "run"), "--output_dir", str(tmp_path / "again"))
    again = json.loads((tmp_path / "again" / "report.json").read_text())
    assert again["contenders"][0]["scores"] == report["contenders"][0]["scores"]
