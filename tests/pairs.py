"""Runs of two processes (accelerate launch, gloo), made once for all workers of a session: imports cost seconds.

whole/, larger/          data: whole batches of 4 rows; more rows to learn from
blind/                   a checkpoint whose words look alike
every other folder       what a run has left, by its name
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

from hfkit import KEEP_BEST
from tests import tiny

ROOT = Path(__file__).parents[1]
GRADUAL = {"strategy": "gradual", "head_only": 0.25, "unfreeze_stages": 3, "unfreeze_until": 0.6, "thaw_warmup": 0.2}
PLAIN = {**GRADUAL, "optim": "sgd", "learning_rate": 0.05, "head_learning_rate": 0.1}
CACHED = {**PLAIN, "cache_dtype": "float32", "eval_strategy": "epoch", "num_train_epochs": 4}
SAVING = {"save_strategy": "steps", "save_steps": 1}
AUTO = {"strategy": "auto", **KEEP_BEST, "num_train_epochs": 4, "save_total_limit": None}
DDP = ["-m", "accelerate.commands.launch", "--config_file", "recipes/accelerate/ddp.yaml", "--main_process_port"]


def launch(
    jobs: list[dict], command: list[str] | None = None, *, worker: str = "distributed_run.py", argument: str = ""
) -> subprocess.CompletedProcess:
    """Run the jobs one after the other in two workers."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        environment.pop(name, None)
    command = command or [*DDP, str(free_port())]
    return subprocess.run(
        [sys.executable, *command, str(ROOT / "tests" / worker), argument or json.dumps(jobs)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        cwd=ROOT,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def digests(folder: Path) -> list[str]:
    return [file.read_text() for file in sorted(folder.glob("rank-*.txt"))]


def pairs(place: Path, checkpoint: str, corpus: str) -> Path:
    """Make those runs at `place`; a process that comes second finds them made."""
    with FileLock(f"{place}.lock"):
        if not (place / "ended").exists():
            place.mkdir()
            make(place, checkpoint, corpus)
            (place / "ended").touch()
    return place


def make(place: Path, checkpoint: str, corpus: str) -> None:
    for name in ("whole", "larger", "blind"):
        (place / name).mkdir()
    # Whole batches: accelerate fills a partial one up with repeated rows when it is split.
    whole = tiny.ner_folder(place / "whole", train=24, validation=4, test=4)
    larger = tiny.ner_folder(place / "larger", train=64, validation=48, test=8)
    blind = tiny.blind_bert(place / "blind")

    def job(name: str, flags: dict, data: str = corpus, start: str = checkpoint, **more) -> dict:
        flags = {"per_device_train_batch_size": 2, "per_device_eval_batch_size": 3, **flags}
        return dict(checkpoint=start, corpus=data, output=str(place / name), flags=flags, **more)

    ended = launch(
        [
            job("gradual", {**GRADUAL, **SAVING}),
            job("resumed", {**GRADUAL, **SAVING}, resume=str(place / "gradual" / "checkpoint-4")),
            job("checkpointing", {**GRADUAL, "activation_checkpointing": True}),
            job("accumulating", {**GRADUAL, "gradient_accumulation_steps": 2}),
            job("plain", PLAIN, whole, without_dropout=True),
            job("cached", {**CACHED, "cache_dir": str(place / "cached" / "kept")}),
            job("uncached", {**CACHED, "prefix_cache": False}),
            job("cached later", {**CACHED, "seed": 1, "cache_dir": str(place / "cached" / "kept")}),
            job(
                "auto",
                {**AUTO, "learning_rate": 1e-2, "per_device_train_batch_size": 8, "num_train_epochs": 5},
                larger,
                blind,
            ),
            job("diverged before a thaw", GRADUAL, tamper=2, told=True),
            job("diverged at the end", GRADUAL, tamper=11),  # last, for it ends the launch
        ]
    )
    assert (place / "diverged before a thaw").exists(), ended.stderr[-3000:]
    # Apart: accelerate shards all that comes after in the same process.
    parts = launch(
        [
            job("parts", {**GRADUAL, **SAVING}, sharded=True),
            job("parts again", {**GRADUAL, **SAVING}, sharded=True, resume=str(place / "parts" / "checkpoint-4")),
        ]
    )
    assert parts.returncode == 0, parts.stderr[-3000:]
    (place / "ended.json").write_text(json.dumps({"code": ended.returncode, "stderr": ended.stderr}))
