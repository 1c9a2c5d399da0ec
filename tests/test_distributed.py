"""Two processes on CPU (accelerate launch, gloo): replicas stay equal through every thaw and equal one process."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from tests import tiny
from tests.distributed_run import train
from tests.runs import trainer

ROOT = Path(__file__).parents[1]
GRADUAL = {"strategy": "gradual", "head_only": 0.25, "unfreeze_stages": 3, "unfreeze_until": 0.6, "thaw_warmup": 0.2}
PLAIN = {**GRADUAL, "optim": "sgd", "learning_rate": 0.05, "head_learning_rate": 0.1}
CACHED = {**PLAIN, "cache_dtype": "float32", "eval_strategy": "epoch", "num_train_epochs": 4}
SAVING = {"save_strategy": "steps", "save_steps": 1}
DDP = ["-m", "accelerate.commands.launch", "--config_file", "recipes/accelerate/ddp.yaml", "--main_process_port"]


def launch(
    jobs: list[dict], command: list[str] | None = None, *, worker: str = "distributed_run.py", argument: str = ""
) -> subprocess.CompletedProcess:
    """Run the jobs one after the other in two workers: a launch costs seconds of imports, a job hardly one."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        environment.pop(name, None)
    command = command or [*DDP, str(free_port())]
    return subprocess.run(
        [sys.executable, *command, str(ROOT / "tests" / worker), argument or json.dumps(jobs)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        cwd=ROOT,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def digests(folder: Path) -> list[str]:
    return [file.read_text() for file in sorted(folder.glob("rank-*.txt"))]


@pytest.fixture(scope="module")
def whole_batches(tmp_path_factory) -> str:
    """24 rows, 6 whole batches of 4: accelerate fills a partial one up with repeated rows when it is split."""
    return tiny.ner_folder(tmp_path_factory.mktemp("whole"), train=24, validation=4, test=4)


@pytest.fixture(scope="module")
def pairs(checkpoint, corpus, whole_batches, tmp_path_factory) -> Path:
    """The runs of two processes, a folder each."""
    folder = tmp_path_factory.mktemp("pairs")

    def job(name: str, flags: dict, data: str = corpus, **more) -> dict:
        flags = {**flags, "per_device_train_batch_size": 2, "per_device_eval_batch_size": 3}
        return dict(checkpoint=checkpoint, corpus=data, output=str(folder / name), flags=flags, **more)

    done = launch(
        [
            job("gradual", {**GRADUAL, **SAVING}),
            job("resumed", {**GRADUAL, **SAVING}, resume=str(folder / "gradual" / "checkpoint-4")),
            job("checkpointing", {**GRADUAL, "activation_checkpointing": True}),
            job("accumulating", {**GRADUAL, "gradient_accumulation_steps": 2}),
            job("plain", PLAIN, whole_batches, without_dropout=True),
            job("cached", {**CACHED, "cache_dir": str(folder / "cached" / "kept")}),
            job("uncached", {**CACHED, "prefix_cache": False}),
            job("cached later", {**CACHED, "seed": 1, "cache_dir": str(folder / "cached" / "kept")}),
            # Last: accelerate shards all that comes after in the same process.
            job("parts", {**GRADUAL, **SAVING}, sharded=True),
            job("parts again", {**GRADUAL, **SAVING}, sharded=True, resume=str(folder / "parts" / "checkpoint-4")),
        ]
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.parametrize("run", ["gradual", "checkpointing", "accumulating", "cached", "cached later"])
def test_replicas_stay_equal_through_every_thaw(run, pairs):
    ranks = digests(pairs / run)
    assert len(ranks) == 2 and ranks[0] == ranks[1]
    # At the start and before each of the three thaws, while they train on different rows.
    assert json.loads((pairs / run / "checked.json").read_text())["replica_comparisons"] >= 4


def test_a_pair_builds_a_cache_in_disjoint_parts_and_trains_as_without(pairs):
    decided = [json.loads((pairs / run / "log.json").read_text()) for run in ("cached", "uncached", "cached later")]
    assert [log.get("prefix_cache") for log in decided] == ["on", None, "on"]
    stores = list((pairs / "cached" / "kept" / "activations").iterdir())
    # Three cuts of validation and of training, and the later pair added none.
    for store, rows in zip(sorted(stores, key=lambda store: len(held(store))), [8] * 3 + [22] * 3, strict=True):
        assert {file.name for file in store.glob("rows*.npy")} == {"rows0.npy", "rows1.npy"}
        assert sorted(held(store)) == list(range(rows))
    one, two = (load_file(pairs / run / "model.safetensors") for run in ("cached", "uncached"))
    assert max((one[name] - two[name]).abs().max().item() for name in one) < 1e-5
    losses = [log["losses"] for log in decided[:2]]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def held(store: Path) -> list[int]:
    return [row for file in store.glob("rows*.npy") for row in np.load(file).tolist()]


def test_a_resumed_pair_equals_the_uninterrupted_pair(pairs):
    assert digests(pairs / "resumed") == digests(pairs / "gradual")


def test_a_model_in_parts_trains_as_whole_copies_do(pairs):
    """FSDP2 through every thaw, with AdamW: the saved models have the same names, shapes and values."""
    parts, copies = (load_file(pairs / run / "model.safetensors") for run in ("parts", "gradual"))
    start = load_file(pairs / "gradual" / "checkpoint-1" / "model.safetensors")
    assert {name: value.shape for name, value in parts.items()} == {name: value.shape for name, value in copies.items()}
    assert max((parts[name] - copies[name]).abs().max().item() for name in parts) < 1e-5
    assert min((copies[name] - start[name]).abs().max().item() for name in copies if "key.bias" not in name) > 1e-5
    checked = json.loads((pairs / "parts" / "checked.json").read_text())
    assert checked == {"frozen_depths_unchanged": 6, "thawed_depths_moved": 6, "replica_comparisons": 0}


def test_a_model_in_parts_resumes_with_the_same_bits(pairs):
    assert digests(pairs / "parts again") == digests(pairs / "parts")


def test_two_processes_equal_one_at_the_same_global_batch(pairs, checkpoint, whole_batches, tmp_path):
    """With SGD, without dropout: Adam divides by gradients near 0, and each process draws its own masks."""
    flags = {**PLAIN, "per_device_train_batch_size": 4}
    train(dict(checkpoint=checkpoint, corpus=whole_batches, output=str(tmp_path), flags=flags, without_dropout=True), 0)
    one, two = (load_file(folder / "model.safetensors") for folder in (tmp_path, pairs / "plain"))
    assert max((one[name] - two[name]).abs().max().item() for name in one) < 1e-5


def test_two_processes_answer_row_by_row_as_one(pairs, corpus, tmp_path):
    """Rows are judged by falling length, and two processes fill the last batch up with repeated ones."""
    first, second = (json.loads(file.read_text()) for file in sorted((pairs / "gradual").glob("answers-*.json")))
    one = trainer(str(pairs / "gradual"), corpus, tmp_path)
    assert first == second == one.predictions(one.eval_dataset)
    assert len({str(answer) for answer in first}) > 1


@pytest.mark.parametrize("step", [2, 11], ids=["before a thaw", "at the end"])
def test_diverged_replicas_stop_the_run(step, checkpoint, corpus, tmp_path):
    flags = {**GRADUAL, "per_device_train_batch_size": 2}
    done = launch([dict(checkpoint=checkpoint, corpus=corpus, output=str(tmp_path), flags=flags, tamper=step)])
    assert done.returncode != 0 and "hold other weights than process 0" in done.stderr


def test_a_launcher_that_starts_one_process_of_two_is_refused(checkpoint, corpus, tmp_path):
    job = dict(checkpoint=checkpoint, corpus=corpus, output=str(tmp_path), flags={})
    done = launch([job], ["-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2"])
    assert done.returncode != 0 and "torchrun --nproc_per_node 2" in done.stderr, done.stderr[-2000:]
