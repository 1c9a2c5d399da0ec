"""recipes/mask2former_instances.py without a flag: offline, from the bundled Mask2Former and shapes to a report."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from hfkit.hub.lint import lint

ROOT = Path(__file__).parents[2]
LEAST = 0.08  # mask mAP; the mean boxes have next to nothing


@pytest.mark.slow
def test_without_a_flag_a_recipe_learns_the_sample(tmp_path):
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(ROOT / "recipes" / "mask2former_instances.py"), "--disable_tqdm", "true"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ended.returncode == 0, ended.stderr[-3000:]
    folder = tmp_path / "runs" / "mask2former-instances"
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    first, *others = report["contenders"]
    usual = next(contender for contender in others if contender["name"] == "mean boxes")
    assert first["headline"] >= LEAST and first["interval"]["low"] > usual["interval"]["high"]
    assert len(report["pictures"]) == 16 and all(error["gold"]["drawn"] for error in report["errors"])
    assert lint(folder) == []
    # CPU seconds, because a busy machine must not fail this.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 240
