"""Two processes on CPU (torchrun, gloo): replicas stay equal through every thaw and equal one process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests import tiny

ROOT = Path(__file__).parents[1]
GRADUAL = {"strategy": "gradual", "head_only": 0.25, "unfreeze_stages": 3, "unfreeze_until": 0.6, "thaw_warmup": 0.2}


def launch(processes: int, job: dict, *, launcher: list[str] | None = None) -> subprocess.CompletedProcess:
    """Run tests/distributed_run.py with `processes` workers; each writes its digest into job["output"]."""
    command = launcher or [
        "-m", "torch.distributed.run", "--nproc_per_node", str(processes), "--master_port", str(free_port())
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        environment.pop(name, None)
    return subprocess.run(
        [sys.executable, *command, str(ROOT / "tests" / "distributed_run.py"), json.dumps(job)],
        env=environment, capture_output=True, text=True, timeout=300, cwd=ROOT,
    )  # fmt: skip


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def digests(folder: Path) -> list[str]:
    return [file.read_text() for file in sorted(folder.glob("rank-*.txt"))]


@pytest.mark.parametrize("checkpointing", [False, True])
def test_replicas_stay_equal_through_every_thaw(checkpointing, checkpoint, corpus, tmp_path):
    flags = {**GRADUAL, "per_device_train_batch_size": 2, "activation_checkpointing": checkpointing}
    done = launch(2, dict(checkpoint=checkpoint, corpus=corpus, output=str(tmp_path), flags=flags))
    assert done.returncode == 0, done.stderr[-3000:]
    ranks = digests(tmp_path)
    assert len(ranks) == 2 and ranks[0] == ranks[1]
    assert json.loads((tmp_path / "checked.json").read_text())["replica_comparisons"] >= 4


def test_two_processes_equal_one_at_the_same_global_batch(checkpoint, tmp_path):
    # 24 rows are 6 whole batches: a last partial batch is filled up with repeated rows by accelerate when it is split.
    corpus = tiny.ner_folder(tmp_path, train=24, validation=4, test=4)
    common = {**GRADUAL, "optim": "sgd", "learning_rate": 0.05, "head_learning_rate": 0.1, "no_dropout": True}
    for processes, size in ((1, 4), (2, 2)):
        flags = {**common, "per_device_train_batch_size": size}
        output = tmp_path / str(processes)
        done = launch(processes, dict(checkpoint=checkpoint, corpus=corpus, output=str(output), flags=flags))
        assert done.returncode == 0, done.stderr[-3000:]
    one, two = (load_file(tmp_path / n / "model.safetensors") for n in ("1", "2"))
    assert max((one[name] - two[name]).abs().max().item() for name in one) < 1e-5


def test_diverged_replicas_stop_the_run(checkpoint, corpus, tmp_path):
    flags = {**GRADUAL, "per_device_train_batch_size": 2}
    done = launch(2, dict(checkpoint=checkpoint, corpus=corpus, output=str(tmp_path), flags=flags, tamper=True))
    assert done.returncode != 0 and "hold other weights than process 0" in done.stderr


def test_a_launcher_that_starts_one_process_of_two_is_refused(checkpoint, corpus, tmp_path):
    accelerate = ["-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2"]
    job = dict(checkpoint=checkpoint, corpus=corpus, output=str(tmp_path), flags={})
    done = launch(2, job, launcher=accelerate)
    assert done.returncode != 0 and "torchrun --nproc_per_node 2" in done.stderr, done.stderr[-2000:]


def test_a_resumed_pair_equals_the_uninterrupted_pair(checkpoint, corpus, tmp_path):
    flags = {**GRADUAL, "per_device_train_batch_size": 2, "save_strategy": "steps", "save_steps": 1}
    job = dict(checkpoint=checkpoint, corpus=corpus, flags=flags)
    whole = launch(2, {**job, "output": str(tmp_path / "whole")})
    assert whole.returncode == 0, whole.stderr[-3000:]
    cut = str(tmp_path / "whole" / "checkpoint-4")
    resumed = launch(2, {**job, "output": str(tmp_path / "resumed"), "resume": cut})
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    assert digests(tmp_path / "whole") == digests(tmp_path / "resumed")
