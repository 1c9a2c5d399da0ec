"""Training that has ended is not repeated: the same command goes on behind it, and ends with the same result."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from hfkit import RecipeArguments, TransferTrainer
from hfkit.model.digests import digest
from hfkit.tasks.tagging.judges import EntityJudge
from hfkit.training.checkpoints import TRAINED
from tests.fixtures.runs import at, trainer

FLAGS = {
    **{"strategy": "gradual", "num_train_epochs": 3, "eval_strategy": "epoch", "save_strategy": "epoch"},
    **{"load_best_model_at_end": True, "metric_for_best_model": EntityJudge.headline.key, "learning_rate": 3e-3},
    "save_total_limit": 1,
}


def ready(checkpoint: str, corpus: str, folder: Path, **flags) -> tuple[TransferTrainer, list[int]]:
    """A trainer, and the steps that it trains."""
    run, steps = trainer(checkpoint, corpus, folder, **FLAGS | flags), []
    run.add_callback(at("on_step_end", lambda args, state, control, **kwargs: steps.append(state.global_step)))
    return run, steps


def outcome(run: TransferTrainer) -> list:
    """Whatever a training that just ended leaves for what comes after it, as JSON values."""
    drawn, facts = [torch.rand(3).tolist(), np.random.rand(3).tolist()], run.facts()
    run.tune_decision()
    weights = digest(run.model.state_dict().values()).hex()
    return json.loads(json.dumps([drawn, facts, weights, run.predictions("test")]))


@pytest.fixture(scope="module")
def ended(checkpoint, corpus, tmp_path_factory) -> tuple[Path, list]:
    """The output directory of a run as a kill in its baselines leaves it, and its outcome."""
    run, steps = ready(checkpoint, corpus, tmp_path_factory.mktemp("ended"))
    run.train()
    assert len(steps) == 18
    return Path(run.args.output_dir), outcome(run)


@pytest.mark.parametrize("resume", ["auto", pytest.param(True, marks=pytest.mark.slow)])
def test_the_same_command_repeats_no_step_and_ends_alike(resume, ended, checkpoint, corpus, tmp_path, capsys):
    folder = Path(shutil.copytree(ended[0], tmp_path / "moved"))
    run, steps = ready(checkpoint, corpus, folder)
    found = run.train(resume_from_checkpoint=resume)
    assert steps == [] and found.global_step == 18
    assert "Training had ended (step 18 of 18): its weights are those of checkpoint-" in capsys.readouterr().out
    assert outcome(run) == ended[1]
    assert [path.name for path in folder.glob("checkpoint-*")] == [Path(run.state.best_model_checkpoint).name]
    report = run.report(RecipeArguments())
    report.judge()
    assert report.facts()["training"]["log_history"] == run.state.log_history


@pytest.mark.slow
def test_adapters_are_taken_up_too(checkpoint, corpus, tmp_path):
    run, _ = ready(checkpoint, corpus, tmp_path, strategy="lora", num_train_epochs=1)
    run.train()
    first = outcome(run)
    again, steps = ready(checkpoint, corpus, tmp_path, strategy="lora", num_train_epochs=1)
    again.train(resume_from_checkpoint="auto")
    assert steps == [] and outcome(again) == first


SLOW = [pytest.param(way, marks=pytest.mark.slow) for way in ("another length", "asked to begin", "not saved")]


@pytest.mark.parametrize("way", ["damaged", "without its weights", *SLOW])
def test_where_the_mark_does_not_hold_it_trains(way, ended, checkpoint, corpus, tmp_path, capsys):
    folder, flags, resume = Path(shutil.copytree(ended[0], tmp_path / "copy")), {}, "auto"
    (kept,) = folder.glob("checkpoint-*")
    if way == "damaged":
        (folder / TRAINED / "trainer_state.json").write_text("{}")
    elif way == "without its weights":
        shutil.rmtree(kept)
    elif way == "another length":
        flags = {"num_train_epochs": 1, "overwrite_output_dir": True}
        shutil.rmtree(kept)
    elif way == "not saved":
        folder = tmp_path / "other"
        flags = {"save_strategy": "no", "load_best_model_at_end": False, "num_train_epochs": 1}
        trainer(checkpoint, corpus, folder, **FLAGS | flags).train()
        assert not (folder / TRAINED).exists()
    else:
        resume = None
    run, steps = ready(checkpoint, corpus, folder, **flags)
    run.train(resume_from_checkpoint=resume)
    assert steps == list(range(run._initial_global_step + 1, run.state.max_steps + 1))
    said = f"{TRAINED} passed over" in capsys.readouterr().out
    assert said is (way not in ("asked to begin", "not saved"))
