"""A run that is resumed ends as the one that was not interrupted, also where the best epoch is kept."""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from hfkit.tasks.tagging.judges import EntityJudge
from hfkit.training.checkpoints import TRAINED
from hfkit.training.sealed import find_fault
from tests.fixtures.runs import trainer


def same_bits(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_that_keeps_its_best_epoch_resumes_to_the_same_bits(checkpoint, corpus, tmp_path):
    flags = dict(
        strategy="full",
        num_train_epochs=4,
        learning_rate=3e-3,
        eval_strategy="epoch",
        save_strategy="epoch",
        load_best_model_at_end=True,
        metric_for_best_model=EntityJudge.headline.key,
    )
    whole = trainer(checkpoint, corpus, tmp_path / "whole", **flags)
    whole.train()
    resumed = trainer(checkpoint, corpus, tmp_path / "resumed", **flags)
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-12"))
    assert same_bits(resumed.model.state_dict(), whole.model.state_dict())
    last = [(tmp_path / name / "checkpoint-24" / "model.safetensors").read_bytes() for name in ("whole", "resumed")]
    assert last[0] == last[1]
    scores = [[(e["step"], e["eval_f1"]) for e in t.state.log_history if "eval_f1" in e] for t in (whole, resumed)]
    assert [step for step, _ in scores[0]] == [6, 12, 18, 24] and scores[0] == scores[1]
    assert whole.state.best_metric == resumed.state.best_metric == max(score for _, score in scores[0]) > 0


BEST = {
    **{"strategy": "full", "num_train_epochs": 3, "eval_strategy": "epoch", "save_strategy": "epoch"},
    **{"load_best_model_at_end": True, "metric_for_best_model": EntityJudge.headline.key, "learning_rate": 3e-3},
    **{"keep_weights": "best"},
}


class Moved(NamedTuple):
    """A finished run of three epochs, the second of which is the best."""

    weights: dict[str, torch.Tensor]
    origin: Path  # its output directory then, which is gone
    folder: Path  # and now


@pytest.fixture(scope="module")
def moved(checkpoint, corpus, tmp_path_factory) -> Moved:
    origin = tmp_path_factory.mktemp("moved") / "then"
    run = trainer(checkpoint, corpus, origin, **BEST)
    run.train()
    assert run.state.best_model_checkpoint == str(origin / "checkpoint-12")
    return Moved(run.model.state_dict(), origin, origin.rename(origin.with_name("now")))


@pytest.mark.parametrize("way", ["moved", "by a link", "from its own folder", "by another spelling"])
def test_a_run_that_was_moved_ends_with_the_same_bits(way, moved, checkpoint, corpus, tmp_path, monkeypatch):
    folder = tmp_path / "häuser und räume"
    shutil.copytree(moved.folder, folder)
    for name in ("checkpoint-18", TRAINED):  # the third epoch is trained again, and rotation deletes the first
        shutil.rmtree(folder / name)
    resume = "auto"
    if way == "by a link":
        (tmp_path / "link").symlink_to(folder)
        folder = tmp_path / "link"
    elif way == "from its own folder":
        monkeypatch.chdir(folder)
        folder = Path(".")
    elif way == "by another spelling":
        resume = f"{folder}/../{folder.name}/checkpoint-12"
    run = trainer(checkpoint, corpus, folder, **BEST, save_total_limit=1)
    run.train(resume_from_checkpoint=resume)
    assert same_bits(run.model.state_dict(), moved.weights)
    left = list(folder.glob("checkpoint-*"))
    assert [path.name for path in left] == ["checkpoint-12"] and find_fault(left[0]) is None


@pytest.mark.parametrize("way", ["moved", "copied"])
def test_a_finished_run_that_was_moved_ends_with_its_best_epoch(way, moved, checkpoint, corpus, tmp_path, caplog):
    if way == "copied":  # and something else lies where the state of the run has its best checkpoint
        (moved.origin / "checkpoint-12").mkdir(parents=True)
    folder = Path(shutil.copytree(moved.folder, tmp_path / "copy"))
    run = trainer(checkpoint, corpus, folder, **BEST)
    run.train(resume_from_checkpoint="auto")
    assert run.state.global_step == 18 and same_bits(run.model.state_dict(), moved.weights)
    assert run.state.best_model_checkpoint == str(folder / "checkpoint-12") and "does not exist" not in caplog.text
