"""Two processes on CPU (accelerate launch, gloo): replicas stay equal through every thaw and equal one process."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from hfkit.training.sealed import find_fault
from tests.fixtures.distributed_run import train
from tests.fixtures.pairs import GRADUAL, PLAIN, SAVING, digests, job, launch
from tests.fixtures.runs import trainer


def test_replicas_stay_equal_through_every_thaw(pairs):
    require_equal_replicas(pairs / "gradual")


@pytest.mark.slow
@pytest.mark.parametrize("run", ["checkpointing", "accumulating", "regularised", "cached", "cached later"])
def test_replicas_stay_equal_in_every_way_to_train(run, more_pairs):
    require_equal_replicas(more_pairs / run)


def require_equal_replicas(run: Path) -> None:
    ranks = digests(run)
    assert len(ranks) == 2 and ranks[0] == ranks[1]
    # At the start and before each of the three thaws, while they train on different rows.
    assert json.loads((run / "checked.json").read_text())["replica_comparisons"] >= 4


@pytest.mark.slow
def test_a_pair_builds_a_cache_in_disjoint_parts_and_trains_as_without(more_pairs):
    decided = [
        json.loads((more_pairs / run / "log.json").read_text()) for run in ("cached", "uncached", "cached later")
    ]
    assert [log.get("prefix_cache") for log in decided] == ["on", None, "on"]
    stores = list((more_pairs / "cached" / "kept" / "activations").iterdir())
    # Three cuts of validation and of training, and the later pair added none.
    for store, rows in zip(sorted(stores, key=lambda store: len(held(store))), [8] * 3 + [22] * 3, strict=True):
        assert {file.name for file in store.glob("rows*.npy")} == {"rows0.npy", "rows1.npy"}
        assert sorted(held(store)) == list(range(rows))
    one, two = (load_file(more_pairs / run / "model.safetensors") for run in ("cached", "uncached"))
    assert max((one[name] - two[name]).abs().max().item() for name in one) < 1e-5
    losses = [log["losses"] for log in decided[:2]]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.slow
def test_a_pair_computes_in_what_its_first_process_has_chosen(more_pairs):
    require_equal_replicas(more_pairs / "tried")
    log = json.loads((more_pairs / "tried" / "log.json").read_text())
    assert log["precision"]["taken"] == "bf16" and log["prefix_cache"] == "on"
    assert digests(more_pairs / "tried, resumed") == digests(more_pairs / "tried")


def held(store: Path) -> list[int]:
    return [row for file in store.glob("rows*.npy") for row in np.load(file).tolist()]


@pytest.mark.slow
def test_a_resumed_pair_equals_the_uninterrupted_pair(more_pairs):
    assert digests(more_pairs / "resumed") == digests(more_pairs / "gradual")


@pytest.mark.slow
def test_a_model_in_parts_trains_as_whole_copies_do(more_pairs):
    """FSDP2 through every thaw, with AdamW: the saved models have the same names, shapes and values."""
    parts, copies = (load_file(more_pairs / run / "model.safetensors") for run in ("parts", "gradual"))
    start = load_file(more_pairs / "gradual" / "checkpoint-1" / "model.safetensors")
    assert {name: value.shape for name, value in parts.items()} == {name: value.shape for name, value in copies.items()}
    assert max((parts[name] - copies[name]).abs().max().item() for name in parts) < 1e-5
    assert min((copies[name] - start[name]).abs().max().item() for name in copies if "key.bias" not in name) > 1e-5
    checked = json.loads((more_pairs / "parts" / "checked.json").read_text())
    assert checked == {"frozen_depths_unchanged": 6, "thawed_depths_moved": 6, "replica_comparisons": 0}


@pytest.mark.slow
def test_a_model_in_parts_resumes_with_the_same_bits(more_pairs):
    assert digests(more_pairs / "parts again") == digests(more_pairs / "parts")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGKILL], ids=lambda number: number.name)
@pytest.mark.parametrize("whole", ["gradual", "parts"])
def test_a_signal_to_one_process_ends_both_and_the_run_goes_on(whole, number, more_pairs, checkpoint, corpus):
    """Asked to end, both save the step that they are in; killed, the newest checkpoint that is whole is taken."""
    run = job(more_pairs, f"{whole} {number.name}", checkpoint, corpus, {**GRADUAL, **SAVING, "save_steps": 2})
    run |= {"sharded": whole == "parts", "resume": "auto"}
    ended = launch([run | {"signal": [1, 4, number]}])
    folder = Path(run["output"])
    if number == signal.SIGUSR1:
        assert ended.returncode != 0 and ended.stderr.count("goes on from checkpoint-5") == 2, ended.stderr[-3000:]
        assert find_fault(folder / "checkpoint-5") is None
    else:
        assert ended.returncode != 0 and not (folder / "checkpoint-5").exists()
        weights = folder / "checkpoint-4" / "model.safetensors"
        damaged = bytearray(weights.read_bytes())
        damaged[len(damaged) // 2] ^= 1
        weights.write_bytes(damaged)
    ended = launch([run])
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert digests(folder) == digests(more_pairs / whole)


@pytest.mark.slow
def test_a_process_that_is_stopped_ends_the_other_within_a_minute(more_pairs, checkpoint, corpus):
    run = job(more_pairs, "stopped", checkpoint, corpus, {**GRADUAL, **SAVING})
    ended = launch([run | {"signal": [1, 4, signal.SIGSTOP]}], within=120)  # starting takes a while, too
    assert ended.returncode != 0 and "was stopped 20 seconds ago. This run ends" in ended.stderr, ended.stderr[-3000:]


def test_two_processes_equal_one_at_the_same_global_batch(pairs, checkpoint, tmp_path):
    """With SGD, without dropout: Adam divides by gradients near 0, and each process draws its own masks."""
    flags = {**PLAIN, "per_device_train_batch_size": 4}
    job = dict(checkpoint=checkpoint, corpus=str(pairs / "whole"), output=str(tmp_path), flags=flags)
    train({**job, "without_dropout": True}, rank=0)
    one, two = (load_file(folder / "model.safetensors") for folder in (tmp_path, pairs / "plain"))
    assert max((one[name] - two[name]).abs().max().item() for name in one) < 1e-5


def test_two_processes_answer_row_by_row_as_one(pairs, corpus, tmp_path):
    """Rows are judged by falling length, and two processes fill the last batch up with repeated ones."""
    first, second = (json.loads(file.read_text()) for file in sorted((pairs / "gradual").glob("answers-*.json")))
    one = trainer(str(pairs / "gradual"), corpus, tmp_path)
    assert first == second == one.predictions("validation")
    assert len({str(answer) for answer in first}) > 1


def test_diverged_replicas_stop_the_run(pairs):
    words = "hold other weights than process 0"
    told = [file.read_text() for file in sorted((pairs / "diverged before a thaw").glob("broken-*.txt"))]
    assert len(told) == 2 and all(words in one for one in told)
    ended = json.loads((pairs / "ended.json").read_text())
    assert ended["code"] != 0 and words in ended["stderr"]
    assert not digests(pairs / "diverged before a thaw") and not digests(pairs / "diverged at the end")


@pytest.mark.slow  # test_arguments.py has what the launcher leaves, by its variables
def test_a_launcher_that_starts_one_process_of_two_is_refused(checkpoint, corpus, tmp_path):
    job = dict(checkpoint=checkpoint, corpus=corpus, output=str(tmp_path), flags={})
    done = launch([job], ["-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2"])
    assert done.returncode != 0 and "torchrun --nproc_per_node 2" in done.stderr, done.stderr[-2000:]
