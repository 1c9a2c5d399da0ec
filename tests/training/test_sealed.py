"""A damaged checkpoint never ends silently with other weights: it is passed over, or refused with file and fault."""

import json
import re
import shutil
import stat
from pathlib import Path

import pytest

from benchmarks.reliability.damages import DAMAGES, OF_BEST, STRANGE, flip, halve
from hfkit import TransferTrainer
from hfkit.errors import UserError
from hfkit.model.digests import digest
from hfkit.tasks.tagging.judges import EntityJudge
from hfkit.training.checkpoints import TRAINED
from hfkit.training.resuming import newest_checkpoint
from hfkit.training.saving import rotate
from hfkit.training.sealed import SEAL, UNFINISHED, begin, delete, find_fault, finish, put_all_in_place, seal
from tests.fixtures.runs import trainer

FLAGS = {"strategy": "gradual", "max_steps": 9, "save_strategy": "steps", "save_steps": 3}
BEST = {
    **{"strategy": "full", "num_train_epochs": 3, "eval_strategy": "epoch", "save_strategy": "epoch"},
    **{"load_best_model_at_end": True, "metric_for_best_model": EntityJudge.headline.key, "learning_rate": 3e-3},
    **{"keep_weights": "best"},
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
    for name in ("checkpoint-9", TRAINED):
        shutil.rmtree(folder / name)
    return folder


@pytest.fixture(scope="module")
def with_best(checkpoint, corpus, tmp_path_factory) -> Path:
    """A run of three epochs that kept two checkpoints, the best one and the last."""
    run = trainer(checkpoint, corpus, tmp_path_factory.mktemp("best"), **BEST, save_total_limit=2)
    run.train()
    return Path(run.args.output_dir)


def bits(run: TransferTrainer) -> bytes:
    return digest(run.model.state_dict().values())


def find_newest(folder: Path, *, best: bool = False) -> str:
    return Path(newest_checkpoint(folder, needed=True, with_best=best)).name


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_checkpoint_is_passed_over_with_file_and_fault(kind, copy, capsys):
    damage = DAMAGES[kind]
    assert find_newest(copy) == "checkpoint-6"
    damage.act(copy / "checkpoint-6")
    assert find_newest(copy) == ("checkpoint-6" if damage.strange else "checkpoint-3")
    damaged = f"checkpoint-{STRANGE if damage.strange else 6}"
    assert re.search(f"^Checkpoint passed over: {damaged}: {damage.fault}", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize("kind", ["missing", "half", "a bit", "names a file elsewhere"])
def test_a_damaged_manifest_vouches_for_nothing(kind, copy, capsys):
    file = copy / "checkpoint-6" / SEAL
    if kind == "missing":
        file.unlink()
    elif kind == "half":
        halve(file)
    elif kind == "a bit":
        flip(file)
    else:
        (copy / "outside").write_text("")
        file.write_text(json.dumps({"files": {"../outside": {"bytes": 0, "xxh3_128": ""}}}))
    assert find_newest(copy) == "checkpoint-3"
    assert "Checkpoint passed over: checkpoint-6: " in capsys.readouterr().out


def test_where_none_is_whole_the_run_is_refused(copy):
    for step in (3, 6):
        (copy / f"checkpoint-{step}" / "optimizer.pt").unlink()
    said = "has to be whole .checkpoint-6: optimizer.pt is missing; checkpoint-3: optimizer.pt is missing"
    for needed in (True, False):
        with pytest.raises(UserError, match=said):
            newest_checkpoint(copy, needed=needed, with_best=False)


@pytest.mark.parametrize("kind", OF_BEST)
def test_a_damaged_best_checkpoint_is_never_the_result(kind, with_best, checkpoint, corpus, tmp_path):
    damage, folder = OF_BEST[kind], Path(shutil.copytree(with_best, tmp_path / "copy"))
    assert find_newest(folder, best=True) == "checkpoint-18"
    damage.act(folder / "checkpoint-12")
    assert find_newest(folder) == "checkpoint-18" or damage.name == "folder missing"
    with pytest.raises(UserError, match=f"checkpoint-18: its best one is checkpoint-12, and there {damage.fault}"):
        newest_checkpoint(folder, needed=False, with_best=True)


def test_a_best_checkpoint_is_checked_before_it_is_loaded(with_best, checkpoint, corpus, tmp_path):
    folder = Path(shutil.copytree(with_best, tmp_path / "copy"))
    run = trainer(checkpoint, corpus, folder, **BEST)
    run.state.best_model_checkpoint = str(folder / "checkpoint-12")
    flip(folder / "checkpoint-12" / "model.safetensors")
    with pytest.raises(UserError, match="checkpoint-12.*model.safetensors was changed"):
        run._load_best_model()


def test_only_a_best_checkpoint_beside_it_counts(with_best, tmp_path):
    folder = Path(shutil.copytree(with_best, tmp_path / "copy"))
    shutil.rmtree(folder / "checkpoint-12")  # whole where the state of the run has it, and never looked for there
    with pytest.raises(UserError, match="its best one is checkpoint-12, and there nothing is left"):
        newest_checkpoint(folder, needed=False, with_best=True)
    file = folder / "checkpoint-18" / "trainer_state.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"best_model_checkpoint": str(with_best.parent)}))
    seal(file.parent)
    with pytest.raises(UserError, match="which is no name of a checkpoint"):
        newest_checkpoint(folder, needed=False, with_best=True)


def test_shards_that_lie_elsewhere_are_refused_on_resume(copy):
    folder = copy / "checkpoint-6"
    (folder / "model.safetensors").rename(copy / "outside.safetensors")
    index = {"metadata": {}, "weight_map": {"classifier.bias": "../outside.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    seal(folder)
    assert find_newest(copy) == "checkpoint-3"


@pytest.mark.parametrize(
    "kind", ["optimizer.pt, a bit at 0.5", pytest.param("rng_state.pth missing", marks=pytest.mark.slow)]
)
def test_a_run_that_passes_one_over_ends_as_the_one_that_was_not_interrupted(kind, whole, copy, checkpoint, corpus):
    damage = DAMAGES[kind]
    damage.act(copy / "checkpoint-6")
    run = trainer(checkpoint, corpus, copy, **FLAGS)
    refused = f"checkpoint '.*checkpoint-6': .* and {damage.fault}.*--resume_from_checkpoint auto"
    with pytest.raises(UserError, match=refused):
        run.train(resume_from_checkpoint=str(copy / "checkpoint-6"))
    run.train(resume_from_checkpoint="auto")
    assert bits(run) == bits(whole) and find_fault(copy / "checkpoint-6") is None  # it was written again


def test_a_checkpoint_of_an_earlier_version_is_used_where_it_is_named(copy, checkpoint, corpus, capsys):
    folder = copy / "checkpoint-6"
    (folder / SEAL).unlink()
    run = trainer(checkpoint, corpus, copy, **FLAGS)
    for damage, fault in ((lambda: halve(folder / "trainer_state.json"), "cannot be read"), (None, "scheduler.pt is")):
        damage() if damage else (folder / "scheduler.pt").unlink()
        with pytest.raises(UserError, match=fault):
            run.train(resume_from_checkpoint=str(folder))
    shutil.rmtree(folder)
    (copy / "checkpoint-3" / SEAL).unlink()
    run.train(resume_from_checkpoint=str(copy / "checkpoint-3"))
    assert f"checkpoint-3 was written without {SEAL}" in capsys.readouterr().out and run.state.global_step == 9


def test_no_checkpoint_at_all_is_a_start(tmp_path):
    assert newest_checkpoint(tmp_path, needed=False, with_best=True) is None


def test_every_file_is_in_the_manifest_and_what_is_added_later_does_not_matter(copy):
    folder = copy / "checkpoint-6"
    files = json.loads((folder / SEAL).read_text())["files"]
    assert files.keys() == {path.name for path in folder.iterdir()} - {SEAL}
    (folder / "notes.txt").write_text("mine")
    assert find_fault(folder) is None
    modes = {path.name: stat.filemode(path.stat().st_mode) for path in folder.iterdir()}
    assert set(modes.values()) == {modes["notes.txt"]}  # as the umask wants it


def test_a_checkpoint_gets_its_name_when_it_is_whole(tmp_path):
    final = tmp_path / "checkpoint-5"
    unfinished = begin(final)
    (unfinished / "weights").write_text("half")
    put_all_in_place(tmp_path)  # as a run does that goes on
    assert not final.exists()
    assert not (begin(final) / "weights").exists()  # what was left there is not taken over
    (unfinished / "weights").write_text("whole")
    finish(unfinished, final)
    assert find_fault(final) is None and not (tmp_path / UNFINISHED).exists()
    (begin(final) / "weights").write_text("whole as well")
    seal(unfinished)
    shutil.rmtree(final)  # killed between the two renames
    put_all_in_place(tmp_path)
    assert (final / "weights").read_text() == "whole as well" and find_fault(final) is None
    delete(final)
    assert not list(tmp_path.iterdir())


def test_rotation_keeps_the_newest_and_the_best_and_drops_what_lies_ahead_first(tmp_path):
    for step in (2, 4, 6, 8, 99):
        (tmp_path / f"checkpoint-{step}").mkdir()
    (tmp_path / "checkpoint-of-mine").mkdir()

    def left(limit: int | None) -> list[str]:
        rotate(tmp_path, limit, newest=tmp_path / "checkpoint-8", best=str(tmp_path / "checkpoint-2"))
        return sorted(path.name for path in tmp_path.iterdir())

    assert len(left(None)) == len(left(0)) == len(left(9)) == len(left(6)) == 6
    assert left(4) == ["checkpoint-2", "checkpoint-4", "checkpoint-6", "checkpoint-8", "checkpoint-of-mine"]
    assert left(3) == ["checkpoint-2", "checkpoint-6", "checkpoint-8", "checkpoint-of-mine"]
    assert left(1) == ["checkpoint-2", "checkpoint-8", "checkpoint-of-mine"]


def test_the_best_one_and_the_last_are_kept(with_best):
    assert {path.name for path in with_best.glob("checkpoint-*")} == {"checkpoint-12", "checkpoint-18"}
    assert all(find_fault(path) is None for path in with_best.glob("checkpoint-*"))
