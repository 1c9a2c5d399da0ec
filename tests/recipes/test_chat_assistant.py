"""recipes/chat_assistant.py on the bundled conversations: offline, from the data to a report, a card and a talk."""

import json
from pathlib import Path

import pytest

from hfkit.hub.lint import lint
from tests.fixtures.commands import hfkit
from tests.fixtures.finished import run_recipe


def run(folder: Path, *argv: str) -> dict:
    """The report of a run in `folder`."""
    run_recipe("chat_assistant", *argv, "--output_dir", str(folder))
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def headlines(report: dict) -> dict[str, float]:
    return {contender["name"]: contender["headline"] for contender in report["contenders"]}


def test_a_few_rows_of_the_sample_end_in_a_report_a_card_and_a_talk(tmp_path):
    folder = tmp_path / "chat"
    report = run(folder, "--max_train_rows", "40", "--num_train_epochs", "1")
    assert (report["task"]["key"], report["task"]["headline"]) == ("chat", "bits_per_byte")
    assert (
        list(headlines(report)) == ["fine-tuned (lora)", "untouched checkpoint", "Kneser-Ney bytes"]
        and report["rows"] == 90
    )
    assert 0.1 < report["data"]["train"]["supervised_share"] < 0.3
    assert lint(folder) == [] and (folder / "chat_template.jinja").is_file()
    talk = hfkit("chat", str(folder), given="Where is the bell?\n")
    assert talk.exit_code == 0 and len(talk.stdout.splitlines()) == 1


@pytest.mark.slow
def test_without_a_flag_it_learns_the_sample(tmp_path):
    scores = headlines(run(tmp_path / "chat"))
    assert scores["fine-tuned (lora)"] < min(1.2, scores["untouched checkpoint"], scores["Kneser-Ney bytes"])
