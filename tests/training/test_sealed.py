"""A damaged checkpoint never ends silently with other weights: it is passed over, or refused with file and fault."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hfkit import TransferTrainer
from hfkit.errors import UserError
from hfkit.tasks.tagging.judges import EntityJudge
from hfkit.training.checkpoints import newest_checkpoint
from hfkit.training.invariants import digest
from hfkit.training.sealed import SEAL, find_fault, mark_unfinished
from tests.fixtures.runs import trainer

FLAGS = {"strategy": "gradual", "max_steps": 9, "save_strategy": "steps", "save_steps": 3}
BEST = {
    **{"strategy": "full", "num_train_epochs": 3, "eval_strategy": "epoch", "save_strategy": "epoch"},
    **{"load_best_model_at_end": True, "metric_for_best_model": EntityJudge.headline.key, "learning_rate": 3e-3},
}


@pytest.fixture(scope="module")
def whole(checkpoint, corpus, tmp_path_factory) -> TransferTrainer:
    run = trainer(checkpoint, corpus, tmp_path_factory.mktemp("whole"), **FLAGS)
    run.train()
    return run


@pytest.fixture
def copy(whole, tmp_path) -> Path:
    """The output folder of the run as if it had been interrupted after step 6."""
    folder = Path(shutil.copytree(whole.args.output_dir, tmp_path / "copy"))
    shutil.rmtree(folder / "checkpoint-9")
    return folder


def bits(run: TransferTrainer) -> bytes:
    return digest(run.model.state_dict().values())


def flip(file: Path, share: float = 0.5) -> None:
    data = bytearray(file.read_bytes())
    data[int(len(data) * share)] ^= 1
    file.write_bytes(data)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


DAMAGE: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "no optimizer": ("optimizer.pt", Path.unlink, "optimizer.pt is missing"),
    "no schedule": ("scheduler.pt", Path.unlink, "scheduler.pt is missing"),
    "no random state": ("rng_state.pth", Path.unlink, "rng_state.pth is missing"),
    "no weights": ("model.safetensors", Path.unlink, "model.safetensors is missing"),
    "no state": ("trainer_state.json", Path.unlink, "trainer_state.json is missing"),
    "a bit of the weights": ("model.safetensors", lambda file: flip(file, 0.9), "model.safetensors was changed"),
    "a bit of the optimizer": ("optimizer.pt", flip, "optimizer.pt was changed"),
    "half a state": ("trainer_state.json", cut, "trainer_state.json has "),
    "half a manifest": (SEAL, cut, "it cannot be read"),
    "no end": (SEAL, lambda file: mark_unfinished(file.parent), "it is unfinished"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_checkpoint_is_passed_over_with_file_and_fault(kind, copy, capsys):
    name, damage, fault = DAMAGE[kind]
    assert newest_checkpoint(copy, needed=True, with_best=False) == str(copy / "checkpoint-6")
    damage(copy / "checkpoint-6" / name)
    assert newest_checkpoint(copy, needed=True, with_best=False) == str(copy / "checkpoint-3")
    assert f"Checkpoint passed over: checkpoint-6: {fault}" in capsys.readouterr().out
    damage(copy / "checkpoint-3" / name)
    for needed in (True, False):
        with pytest.raises(UserError, match=f"has to be whole .checkpoint-6: {fault}.*checkpoint-3: {fault}"):
            newest_checkpoint(copy, needed=needed, with_best=False)


@pytest.mark.parametrize("kind", ["a bit of the optimizer", pytest.param("no random state", marks=pytest.mark.slow)])
def test_a_run_that_passes_one_over_ends_as_the_one_that_was_not_interrupted(kind, whole, copy, checkpoint, corpus):
    name, damage, fault = DAMAGE[kind]
    damage(copy / "checkpoint-6" / name)
    run = trainer(checkpoint, corpus, copy, **FLAGS)
    with pytest.raises(UserError, match=f"checkpoint '.*checkpoint-6': .* and {fault}.*--resume_from_checkpoint auto"):
        run.train(resume_from_checkpoint=str(copy / "checkpoint-6"))
    run.train(resume_from_checkpoint="auto")
    assert bits(run) == bits(whole) and find_fault(copy / "checkpoint-6") is None  # it was written again


def test_checkpoints_of_earlier_versions_are_used_with_a_line(copy, capsys):
    (copy / "checkpoint-6" / SEAL).unlink()
    assert newest_checkpoint(copy, needed=True, with_best=True) == str(copy / "checkpoint-6")
    assert f"checkpoint-6 was written without {SEAL}" in capsys.readouterr().out


def test_no_checkpoint_at_all_is_a_start(tmp_path):
    assert newest_checkpoint(tmp_path, needed=False, with_best=True) is None


def test_every_file_is_in_the_manifest_and_what_is_added_later_does_not_matter(copy):
    files = json.loads((copy / "checkpoint-6" / SEAL).read_text())["files"]
    assert files.keys() == {path.name for path in (copy / "checkpoint-6").iterdir()} - {SEAL}
    (copy / "checkpoint-6" / "notes.txt").write_text("mine")
    assert find_fault(copy / "checkpoint-6") is None


def test_the_best_one_is_whole_or_not_loaded_and_earlier_ones_are_deleted(checkpoint, corpus, tmp_path):
    folder = tmp_path / "out"
    run = trainer(checkpoint, corpus, folder, **BEST, save_total_limit=2)
    run.train()
    best, last = Path(run.state.best_model_checkpoint), folder / "checkpoint-18"
    assert best != last and set(folder.glob("checkpoint-*")) == {best, last}
    assert find_fault(best) is None and find_fault(last) is None
    flip(best / "model.safetensors")
    with pytest.raises(UserError, match=f"{best.name}.*model.safetensors was changed"):
        run._load_best_model()
    assert newest_checkpoint(folder, needed=False, with_best=False) == str(last)
    with pytest.raises(UserError, match=f"checkpoint-18: its best one is {best.name}, and there model.safetensors was"):
        newest_checkpoint(folder, needed=False, with_best=True)
    flip(best / "model.safetensors")
    moved = folder.rename(tmp_path / "moved")
    assert newest_checkpoint(moved, needed=False, with_best=True) == str(moved / "checkpoint-18")
