"""A signal in the middle of training: it ends with 75 and a sealed checkpoint, and goes on to the same weights."""

import os
import signal
from pathlib import Path

import pytest

from hfkit import TransferTrainer, run
from hfkit.runtime.commands import INTERRUPTED, SIGNALS
from hfkit.training.sealed import find_fault
from tests.fixtures import runs

# Epochs have six steps each.
FLAGS = {"eval_strategy": "epoch", "save_strategy": "epoch", "load_best_model_at_end": True, "fit_head": "no"}


@pytest.fixture(scope="module")
def whole(checkpoint, corpus, tmp_path_factory) -> bytes:
    """The weights of a run that nobody interrupts."""
    return finish(runs.trainer(checkpoint, corpus, tmp_path_factory.mktemp("whole"), **FLAGS))


def finish(trainer: TransferTrainer) -> bytes:
    run(lambda: trainer.train(resume_from_checkpoint="auto") and None)
    trainer.save_model()
    return Path(trainer.args.output_dir, "model.safetensors").read_bytes()


def interrupt(trainer: TransferTrainer, event: str, step: int, *numbers: int) -> list[int]:
    """Train, and send this process signals at an event; returns the steps of the checkpoints that it leaves."""

    def send(args, state, control, **kwargs) -> None:
        if state.global_step == step and trainer.is_in_train:
            for number in numbers or (signal.SIGTERM,):
                os.kill(os.getpid(), number)

    trainer.add_callback(runs.at(event, send))
    with pytest.raises(SystemExit) as ended:
        run(lambda: trainer.train(resume_from_checkpoint="auto") and None)
    assert ended.value.code == INTERRUPTED
    folders = list(Path(trainer.args.output_dir).glob("checkpoint-*"))
    assert not any(map(find_fault, folders))
    return sorted(int(folder.name.removeprefix("checkpoint-")) for folder in folders)


@pytest.mark.parametrize(
    ("event", "step", "saved"),
    [
        pytest.param("on_step_begin", 3, [4], marks=pytest.mark.slow),
        pytest.param("on_pre_optimizer_step", 3, [4], marks=pytest.mark.slow),
        ("on_step_end", 3, [4]),  # the trainer has looked already, and takes one more step
        ("on_pre_optimizer_step", 5, [6]),  # the last step of the epoch: its evaluation is left for later
        ("on_prediction_step", 6, [6]),
        ("on_save", 6, [6, 7]),
        pytest.param("on_pre_optimizer_step", 8, [6, 9], marks=pytest.mark.slow),
        pytest.param("on_pre_optimizer_step", 11, [6, 12], marks=pytest.mark.slow),
        ("on_prediction_step", 12, [6, 12]),
    ],
)
def test_a_signal_costs_no_step(event, step, saved, checkpoint, corpus, tmp_path, whole):
    made = {"checkpoint": checkpoint, "data": corpus, "output": tmp_path / "run", **FLAGS}
    assert interrupt(runs.trainer(**made), event, step) == saved
    assert finish(runs.trainer(**made)) == whole


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_more_signals_change_nothing(number, checkpoint, corpus, tmp_path, capsys):
    trainer = runs.trainer(checkpoint, corpus, tmp_path, **FLAGS)
    assert interrupt(trainer, "on_step_begin", 2, number, number, signal.SIGINT) == [3]
    ending = f"this process is ending already, since {number.name} came."
    assert capsys.readouterr().err.splitlines() == [
        f"{number.name}: the optimizer step ends, and a checkpoint is written.",
        f"{number.name}: {ending}",
        f"SIGINT: {ending}",
        "interrupted: the same command begins anew; with --resume_from_checkpoint auto it goes on from checkpoint-3",
    ]


@pytest.mark.parametrize("flags", [{"save_strategy": "no"}, {**FLAGS, "save_only_model": True}])
def test_a_run_that_cannot_be_resumed_says_that_it_begins_anew(flags, checkpoint, corpus, tmp_path, capsys):
    trainer = runs.trainer(checkpoint, corpus, tmp_path, **flags)
    assert interrupt(trainer, "on_step_begin", 2, signal.SIGUSR1) == []
    assert capsys.readouterr().err.splitlines() == [
        "SIGUSR1: the optimizer step ends, and no checkpoint is written.",
        "interrupted: the same command begins anew",
    ]
    assert trainer.state.global_step == 3


def test_before_the_first_step_there_is_nothing_to_wait_for(checkpoint, corpus, tmp_path, capsys):
    trainer = runs.trainer(checkpoint, corpus, tmp_path, **FLAGS)
    assert interrupt(trainer, "on_epoch_begin", 0) == []
    assert capsys.readouterr().err.startswith("interrupted: the same command begins anew; with --resume")
    assert trainer.state.global_step == 0
