"""Every recipe of classification on what comes with hfkit: offline, from the bundled data to a report."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.finished import run_recipe

ROOT = Path(__file__).parents[2]
# The least headline score, and a contender that it must not lose to. The bundled decoder is too small to know words
# that it was not trained on, and the report says so: there it has to come as far as a report.
LEARNT = {
    "bert_sentiment": (0.75, "TF-IDF"),
    "gpt2_classification": (0.0, None),
    "vit_images": (0.97, "pixels"),
    "resnet_images": (0.97, "pixels"),
    "medical_images": (0.93, "pixels"),
}


def whole_report(folder: Path) -> dict:
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert len(report["pictures"]) == (16 if "images" in folder.name else 0)
    assert all(error["picture"] or error["text"] for error in report["errors"])
    return report


@pytest.mark.parametrize("recipe", ["bert_sentiment", "gpt2_classification", "resnet_images"])
def test_a_few_rows_of_the_sample_end_in_a_report(recipe, checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    smaller = ("--checkpoint", checkpoint) if recipe == "bert_sentiment" else ()  # than the encoder of the sample
    run_recipe(recipe, "--max_train_rows", "64", "--baseline", "majority", *smaller)
    folder = Path("runs", recipe.replace("_", "-"))
    assert capsys.readouterr().out.splitlines()[-1] == f"Report: {folder / 'report.html'}"
    report = whole_report(folder)
    assert report["data"]["train"]["rows"] == 64 and report["rows"] > 300


def test_so_they_do_with_a_vision_transformer(finished_once):
    assert whole_report(finished_once / "runs" / "vit-images")["data"]["train"]["rows"] == 64


@pytest.mark.slow
@pytest.mark.parametrize("recipe", LEARNT)
def test_without_a_flag_a_recipe_learns_the_sample(recipe, tmp_path):
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "recipes" / f"{recipe}.py"), "--disable_tqdm", "true"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ended.returncode == 0, ended.stderr[-3000:]
    folder = tmp_path / "runs" / recipe.replace("_", "-")
    assert ended.stdout.splitlines()[-1] == f"Report: {(folder / 'report.html').relative_to(tmp_path)}"
    headline = {contender["name"]: contender["headline"] for contender in whole_report(folder)["contenders"]}
    (least, rival), ours = LEARNT[recipe], next(iter(headline))
    assert ours.startswith("fine-tuned") and headline[ours] >= least
    if rival:
        assert headline[ours] > headline[rival]
    # CPU seconds, because a busy machine must not fail this.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 180
