"""Early stopping beside a run that is stopped and resumed: it ends where the run without an interruption had ended."""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from transformers import EarlyStoppingCallback, TrainerCallback
from transformers.trainer_callback import ExportableState

from hfkit import TransferTrainer
from hfkit.tasks.tagging.judges import EntityJudge
from tests.fixtures.runs import at, trainer
from tests.training.test_checkpoints import same_bits

FLAGS = {
    **{"strategy": "full", "num_train_epochs": 6, "eval_strategy": "epoch", "save_strategy": "epoch"},
    **{"load_best_model_at_end": True, "metric_for_best_model": EntityJudge.headline.key, "learning_rate": 3e-3},
}


class Counter(TrainerCallback, ExportableState):
    """A callback of somebody's own, with a setting and a state."""

    def __init__(self, step: int = 1) -> None:
        self.step, self.count = step, 0

    def on_step_end(self, *args, **kwargs):
        self.count += self.step

    def state(self) -> dict:
        return {"args": {"step": self.step}, "attributes": {"count": self.count}}


class Stopped(NamedTuple):
    """A run that early stopping ended after two evaluations without a gain."""

    folder: Path
    step: int
    weights: dict[str, torch.Tensor]


def with_callbacks(run: TransferTrainer, *callbacks: TrainerCallback) -> TransferTrainer:
    for callback in callbacks:
        run.add_callback(callback)
    return run


@pytest.fixture(scope="module")
def stopped(checkpoint, corpus, tmp_path_factory) -> Stopped:
    folder = tmp_path_factory.mktemp("stopped")
    run = with_callbacks(trainer(checkpoint, corpus, folder, **FLAGS), EarlyStoppingCallback(2), Counter(), Counter(2))
    run.train()
    assert run.state.global_step < 6 * 6
    return Stopped(folder, run.state.global_step, run.model.state_dict())


@pytest.mark.parametrize("before", [1, 0])  # epochs before the end
def test_a_resumed_run_stops_where_the_whole_one_did(before, stopped, checkpoint, corpus, tmp_path, capsys):
    begin = stopped.step - 6 * before
    early, counters = EarlyStoppingCallback(2), (Counter(), Counter(2))
    run = with_callbacks(trainer(checkpoint, corpus, tmp_path, **FLAGS), early, *counters)
    steps = []
    run.add_callback(at("on_step_end", lambda args, state, control, **kwargs: steps.append(state.global_step)))
    run.train(resume_from_checkpoint=str(stopped.folder / f"checkpoint-{begin}"))
    assert steps == list(range(begin + 1, stopped.step + 1)) and run.state.global_step == stopped.step
    assert early.early_stopping_patience_counter == 2 and same_bits(run.model.state_dict(), stopped.weights)
    assert [counter.count for counter in counters] == [stopped.step, 2 * stopped.step]
    said = f"Early stopping {'goes on' if before else 'had ended this run'}: {2 - before} of 2 evaluations without"
    assert said in capsys.readouterr().out


def test_a_setting_of_now_counts(stopped, checkpoint, corpus, tmp_path):
    folder = Path(shutil.copytree(stopped.folder, tmp_path / "copy"))
    early, counter = EarlyStoppingCallback(3, early_stopping_threshold=0.9), Counter(10)
    run = with_callbacks(trainer(checkpoint, corpus, folder, **FLAGS), early, counter)
    run.train(resume_from_checkpoint="auto")
    assert run.state.global_step == stopped.step + 6 and early.early_stopping_patience == 3
    assert early.early_stopping_patience_counter == 3
    assert counter.step == 10 and (counter.count - 10 * 6) % stopped.step == 0


def test_a_callback_that_comes_in_on_resume_can_be_saved(stopped, checkpoint, corpus, tmp_path):
    class Later(Counter):
        """A class that the checkpoint does not know."""

    later = Later()
    run = with_callbacks(trainer(checkpoint, corpus, tmp_path, **FLAGS), EarlyStoppingCallback(2), later)
    run.train(resume_from_checkpoint=str(stopped.folder / f"checkpoint-{stopped.step - 6}"))
    assert later.count == 6 and run.state.stateful_callbacks["Later"]["attributes"] == {"count": 6}


def test_training_once_more_on_the_same_trainer_is_no_resumed_run(checkpoint, corpus, tmp_path):
    early = EarlyStoppingCallback(1)
    run = with_callbacks(trainer(checkpoint, corpus, tmp_path, **FLAGS | {"num_train_epochs": 1}), early)
    for _ in range(2):
        run.train()
        assert run.state.global_step == 6
        early.early_stopping_patience_counter = 1
