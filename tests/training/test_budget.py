"""The length that a run has where nobody gives one."""

import json

import pytest
from transformers import EarlyStoppingCallback

from hfkit import KEEP_BEST, TransferArguments, UserError
from hfkit.training.budget import count_epoch_steps, count_passes, settle_length
from tests.fixtures.runs import trainer


@pytest.mark.parametrize(
    ("epoch_steps", "passes"),
    [(1, 60), (2, 30), (3, 20), (24, 20), (49, 20), (50, 20), (67, 15), (202, 5), (313, 3), (563, 3), (20_000, 3)],
)
def test_a_run_takes_a_thousand_steps_in_three_to_twenty_passes(epoch_steps, passes):
    assert count_passes(epoch_steps) == passes


def test_a_run_by_default_is_evaluated_ten_times(tmp_path):
    args = TransferArguments(output_dir=str(tmp_path), per_device_train_batch_size=16, use_cpu=True, **KEEP_BEST)
    settle_length(args, 3394)  # 213 steps a pass
    assert (args.num_train_epochs, args.patience) == (5.0, None)
    assert (args.eval_strategy, args.save_strategy) == ("steps", "steps")
    assert args.eval_steps == args.save_steps == 107  # of 1,065


def test_a_length_that_is_given_stays(tmp_path):
    for given in ({"num_train_epochs": 2.0}, {"max_steps": 7}):
        args = TransferArguments(output_dir=str(tmp_path), use_cpu=True, **KEEP_BEST, **given)
        settle_length(args, 3394)
        assert {name: getattr(args, name) for name in given} == given
        assert (args.eval_strategy, args.patience) == ("epoch", None)


@pytest.mark.parametrize(("rows", "batch", "together", "steps"), [(33, 8, 1, 5), (33, 8, 2, 3), (3, 8, 4, 1)])
def test_the_steps_of_a_pass_are_those_of_the_stock_trainer(tmp_path, rows, batch, together, steps):
    args = TransferArguments(
        output_dir=str(tmp_path),
        use_cpu=True,
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=together,
    )
    assert count_epoch_steps(args, rows) == steps


def test_validation_without_a_gain_ends_a_run(checkpoint, corpus, tmp_path):
    """At a rate of next to nothing no evaluation is better than the first."""
    run = trainer(checkpoint, corpus, tmp_path, num_train_epochs=None, patience=4, learning_rate=1e-12, **FULL)
    assert run.args.num_train_epochs >= 20
    run.train()
    evaluated = [entry["step"] for entry in run.state.log_history if "eval_loss" in entry]
    assert len(evaluated) == 1 + 4
    assert run.state.global_step == evaluated[-1] < run.state.max_steps
    assert run.state.best_global_step == evaluated[-1]  # all are within a standard error of the first
    state = json.loads((tmp_path / f"checkpoint-{evaluated[-1]}" / "trainer_state.json").read_text())
    assert state["global_step"] == evaluated[-1]


def test_no_patience_trains_to_the_end(checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path, num_train_epochs=None, **FULL)
    assert not any(isinstance(one, EarlyStoppingCallback) for one in run.callback_handler.callbacks)


def test_patience_without_the_best_weights_is_refused(tmp_path):
    with pytest.raises(UserError, match="patience=3.*not kept"):
        TransferArguments(output_dir=str(tmp_path), patience=3)


FULL = {**KEEP_BEST, "strategy": "full"}
