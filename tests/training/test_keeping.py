"""The weights that a run keeps: the latest that are as good as the best, as far as validation can tell."""

from types import SimpleNamespace

import numpy as np
import pytest
from transformers import TrainerState

from hfkit import KEEP_BEST, TransferArguments, UserError
from hfkit.scores.evidence import Sums
from hfkit.training.keeping import Keeping
from tests.fixtures.runs import trainer
from tests.tiny import text as tiny

ROWS = 100
FLAGS = {**KEEP_BEST, "strategy": "full", "save_total_limit": None, "logging_steps": 50}


def follow(scores: list[float], *, better: str = "higher", keep: str = "latest") -> int:
    """The step whose weights are kept after evaluations whose scores are shares of a hundred rows."""
    sign = 1 if better == "higher" else -1
    state = TrainerState(best_metric=-sign * np.inf)
    judge = SimpleNamespace(headline=SimpleNamespace(key="share"))
    run = SimpleNamespace(
        args=SimpleNamespace(keep_weights=keep, metric_for_best_model="share", greater_is_better=sign > 0),
        state=state,
        task=SimpleNamespace(judge=judge, units=lambda rows: None),
        rows={"validation": None},
    )
    keeping = Keeping(run)
    for step, score in enumerate(scores, 1):
        hits = (np.arange(ROWS) < round(score * ROWS)).astype(float)
        run.evidence = Sums(hits[:, None], lambda sums: sums[..., 0] / ROWS)
        is_best = sign * score > sign * state.best_metric
        if is_best:
            state.best_metric, state.best_global_step = score, step
        state.global_step = step
        keeping.choose({"eval_share": score}, is_best=is_best)
    return state.best_global_step


@pytest.mark.parametrize(
    ("scores", "kept"),
    [
        ([0.5, 0.9, 0.88, 0.88], 4),  # the standard error of 0.9 is 0.03
        ([0.5, 0.9, 0.88, 0.86], 3),
        ([0.9, 0.88, 0.95, 0.92], 3),  # that of 0.95 is 0.022
        ([0.9, 0.8, 0.91], 3),
        ([0.98, 0.97, 0.95], 2),
    ],
)
def test_the_latest_within_one_standard_error_of_the_best_is_kept(scores, kept):
    assert follow(scores) == kept
    assert follow([1 - score for score in scores], better="lower") == kept
    assert follow(scores, keep="best") == int(np.argmax(scores)) + 1


def test_a_run_ends_with_the_weights_that_it_keeps_and_so_does_a_resumed_one(checkpoint, tmp_path):
    """At a rate of next to nothing every evaluation is as good as the first."""
    data = tiny.ner_folder(tmp_path / "data", train=16, validation=16, test=4)
    kept = {}
    for keep in ("latest", "best"):
        flags = {**FLAGS, "keep_weights": keep, "learning_rate": 1e-12, "num_train_epochs": 3}
        run = trainer(checkpoint, data, tmp_path / keep, **flags)
        run.train()
        kept[keep] = run.state.best_global_step
        assert run.state.best_model_checkpoint == str(tmp_path / keep / f"checkpoint-{kept[keep]}")
        resumed = trainer(
            checkpoint, data, tmp_path / keep, **flags, resume_from_checkpoint=str(tmp_path / keep / "checkpoint-8")
        )
        resumed.train()
        assert resumed.state.best_global_step == kept[keep]
        assert resumed.keeping.error == run.keeping.error
    assert kept == {"latest": 12, "best": 4}


def test_other_ways_to_keep_weights_are_refused(tmp_path):
    with pytest.raises(UserError, match="keep_weights"):
        TransferArguments(output_dir=str(tmp_path), keep_weights="last")
