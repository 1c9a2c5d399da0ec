"""Every recipe of classification without a flag: offline, from the bundled data to a report."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# The least accuracy, and a contender that it must not lose to. The bundled decoder is too small to know words that it
# was not trained on, and the report says so: there it has to come as far as a report.
LEARNT = {
    "bert_sentiment": (0.75, "TF-IDF"),
    "gpt2_classification": (0.0, None),
    "vit_images": (0.95, "pixels"),
    "resnet_images": (0.96, "pixels"),
}


@pytest.mark.parametrize("recipe", LEARNT)
def test_without_a_flag_a_recipe_ends_in_a_report(recipe, tmp_path):
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "recipes" / f"{recipe}.py"), "--disable_tqdm", "true"]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-3000:]
    folder = tmp_path / "runs" / recipe.replace("_", "-")
    assert ended.stdout.splitlines()[-1] == f"Report: {(folder / 'report.html').relative_to(tmp_path)}"
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    accuracy = {contender["name"]: contender["headline"] for contender in report["contenders"]}
    least, rival = LEARNT[recipe]
    assert accuracy["fine-tuned (gradual)"] >= least
    if rival:
        assert accuracy["fine-tuned (gradual)"] > accuracy[rival]
    assert len(report["pictures"]) == (16 if "images" in recipe else 0)
    assert all(error["picture"] or error["text"] for error in report["errors"])
