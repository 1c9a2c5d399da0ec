"""A resumed run has the log, the evaluations and the weights of one that was not cut, whatever was due at the cut."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import EarlyStoppingCallback

from hfkit import TransferTrainer
from hfkit.model.digests import digest
from hfkit.tasks.tagging.judges import EntityJudge
from hfkit.training.generators import draw_for_one_loader, read_generators
from tests.fixtures.runs import at, trainer

CUT = {"strategy": "full", "num_train_epochs": 2, "save_strategy": "steps", "save_steps": 1, "eval_strategy": "epoch"}
# Logging between two checkpoints, at every one of them, and after the last step of an epoch.
LOGGED = [
    pytest.param({"logging_steps": 4}, id="between"),
    pytest.param({"logging_steps": 1}, id="always", marks=pytest.mark.slow),
    pytest.param({"logging_strategy": "epoch"}, id="by epochs", marks=pytest.mark.slow),
]
TIMED = ("runtime", "per_second", "preparation_time")


def facts(run: TransferTrainer) -> tuple[bytes, list[dict]]:
    """The weights, and the log without times and without the mean loss of the last call."""
    entries = [entry for entry in run.state.log_history if "train_loss" not in entry]
    log = [{name: value for name, value in e.items() if not any(timed in name for timed in TIMED)} for e in entries]
    return digest(run.model.state_dict().values()), log


@pytest.mark.slow
@pytest.mark.parametrize("logged", LOGGED)
def test_cuts_at_the_last_step_of_an_epoch_saved_by_steps_and_evaluated_by_epochs(logged, checkpoint, corpus, tmp_path):
    whole = trainer(checkpoint, corpus, tmp_path / "whole", **CUT | logged)
    whole.train()
    drawn = torch.get_rng_state()
    assert [entry["step"] for entry in whole.state.log_history if "eval_loss" in entry] == [6, 12]
    for cut in (6, 12):
        run = trainer(checkpoint, corpus, tmp_path / f"{cut}", **CUT | logged)
        run.train(resume_from_checkpoint=str(tmp_path / "whole" / f"checkpoint-{cut}"))
        assert facts(run) == facts(whole), f"cut at {cut}"
        assert torch.equal(torch.get_rng_state(), drawn)


def test_a_cut_within_an_evaluation_that_chooses_the_best_epoch(checkpoint, corpus, tmp_path):
    """As a signal leaves it: the step is saved, and its evaluation is not done. The best epoch is the second one."""
    flags = {
        **{"strategy": "full", "num_train_epochs": 3, "eval_strategy": "epoch", "save_strategy": "epoch"},
        **{"load_best_model_at_end": True, "metric_for_best_model": EntityJudge.headline.key, "learning_rate": 3e-3},
        **{"keep_weights": "best"},
    }
    whole = trainer(checkpoint, corpus, tmp_path / "whole", **flags)
    whole.train()
    assert Path(whole.state.best_model_checkpoint).name == "checkpoint-12"
    run = trainer(checkpoint, corpus, tmp_path / "cut", **flags)

    def leave(args, state, control, **kwargs) -> None:
        if state.global_step == 12:
            raise KeyboardInterrupt

    run.add_callback(at("on_prediction_step", leave))
    with pytest.raises(KeyboardInterrupt):
        run.train()
    run._save_checkpoint(run.model, None)
    again = trainer(checkpoint, corpus, tmp_path / "cut", **flags)
    again.train(resume_from_checkpoint="auto")
    assert again.resumed_from == str(tmp_path / "cut" / "checkpoint-12")
    assert facts(again) == facts(whole) and again.state.best_metric == whole.state.best_metric
    assert again.state.best_model_checkpoint == str(tmp_path / "cut" / "checkpoint-12")


@pytest.mark.slow
def test_early_stopping_counts_the_evaluation_that_is_made_up_for(checkpoint, corpus, tmp_path):

    def run_in(name: str) -> TransferTrainer:
        flags = CUT | {"num_train_epochs": 3, "metric_for_best_model": "loss"}
        run = trainer(checkpoint, corpus, tmp_path / name, **flags)
        run.add_callback(EarlyStoppingCallback(early_stopping_patience=1, early_stopping_threshold=100.0))
        return run

    whole = run_in("whole")
    whole.train()
    assert whole.state.global_step == 12
    run = run_in("cut")
    run.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-12"))
    assert facts(run) == facts(whole)


def test_an_evaluation_draws_what_its_loader_takes_and_one_that_is_left_draws_nothing():
    torch.manual_seed(0)
    before = read_generators()
    with draw_for_one_loader():
        random.random(), np.random.rand(), torch.rand(3)
    after = read_generators()
    assert after["python"] == before["python"] and np.array_equal(after["numpy"][1], before["numpy"][1])
    torch.manual_seed(0)
    next(iter(torch.utils.data.DataLoader([1])))
    assert torch.equal(after["cpu"], torch.get_rng_state())
    with pytest.raises(KeyboardInterrupt), draw_for_one_loader():
        torch.rand(3)
        raise KeyboardInterrupt
    assert torch.equal(torch.get_rng_state(), after["cpu"])
