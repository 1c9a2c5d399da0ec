"""recipes/bert_qa.py and recipes/bert_multiple_choice.py without a flag: offline, from the bundled rows to a report."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from hfkit.hub.lint import lint

ROOT = Path(__file__).parents[2]
# The least headline, and contenders that must be behind.
LEARNT = {
    "bert_qa": (0.55, ("near words", "likest sentence")),
    "bert_multiple_choice": (0.5, ("majority place", "longest option", "likest option")),
}


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
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    scores = {contender["name"]: contender["headline"] for contender in report["contenders"]}
    least, rivals = LEARNT[recipe]
    assert scores["fine-tuned (gradual)"] >= least
    assert all(scores["fine-tuned (gradual)"] > scores[rival] for rival in rivals)
    assert lint(folder) == []
    # CPU seconds, because a busy machine must not fail this.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 240
