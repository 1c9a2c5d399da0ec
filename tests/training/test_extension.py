"""A finished run is extended when it is asked to be, by a schedule of its own, and says so."""

import json
import shutil
from pathlib import Path

import pytest

from hfkit import RecipeArguments, TransferTrainer
from hfkit.errors import UserError
from hfkit.hub.card import render_card
from hfkit.report.pages import render_page
from tests.fixtures.runs import trainer
from tests.training.test_checkpoints import same_bits

FLAGS = {"strategy": "gradual", "num_train_epochs": 2, "save_strategy": "epoch", "learning_rate": 3e-3}
LONGER = FLAGS | {"num_train_epochs": 4, "extend": True}


@pytest.fixture(scope="module")
def finished(checkpoint, corpus, tmp_path_factory) -> Path:
    """A finished run of two epochs, 12 steps."""
    run = trainer(checkpoint, corpus, tmp_path_factory.mktemp("finished"), **FLAGS)
    run.train()
    return Path(run.args.output_dir)


@pytest.fixture(scope="module")
def extended(finished, checkpoint, corpus, tmp_path_factory) -> TransferTrainer:
    """The same run, extended to four epochs in its own folder."""
    folder = tmp_path_factory.mktemp("extended") / "run"
    run = trainer(checkpoint, corpus, shutil.copytree(finished, folder), **LONGER)
    run.train(resume_from_checkpoint=run.args.resume_from_checkpoint)
    return run


def test_it_has_a_schedule_of_its_own_and_everything_stays_thawed(extended):
    assert extended.state.global_step == 24 and extended.state.epoch == 4
    rates = {entry["step"]: entry["learning_rate"] for entry in extended.state.log_history if "loss" in entry}
    assert rates[13] == 3e-3 and rates[18] == pytest.approx(3e-3 * 7 / 12) and rates[24] == pytest.approx(3e-3 / 12)
    assert {e["lowest_trainable_depth"] for e in extended.state.log_history if e["step"] > 12 and "loss" in e} == {0}
    (stage,) = extended.plan_rows()
    assert (stage["from_step"], stage["until_step"], stage["from_epoch"]) == (12, 24, 2)


@pytest.mark.parametrize("strategy", ["full", pytest.param("lora", marks=pytest.mark.slow)])
def test_without_a_schedule_and_an_optimizer_with_memory_it_is_the_longer_run(strategy, checkpoint, corpus, tmp_path):
    """So rows and dropout come in the order that the epochs added would have had."""
    flags = FLAGS | {"strategy": strategy, "lr_scheduler_type": "constant", "optim": "sgd", "weight_decay": 0.0}
    whole = trainer(checkpoint, corpus, tmp_path / "whole", **flags | {"num_train_epochs": 3})
    whole.train()
    trainer(checkpoint, corpus, tmp_path / "short", **flags).train()
    run = trainer(checkpoint, corpus, tmp_path / "short", **flags | {"num_train_epochs": 3, "extend": True})
    run.train()
    assert same_bits(run.model.state_dict(), whole.model.state_dict())


@pytest.mark.parametrize("step", [12, 18])
def test_one_that_is_interrupted_resumes_to_the_same_bits(step, extended, checkpoint, corpus, tmp_path):
    folder = Path(shutil.copytree(extended.args.output_dir, tmp_path / "copy"))
    for path in folder.glob("checkpoint-*"):
        if int(path.name.partition("-")[2]) > step:
            shutil.rmtree(path)
    run = trainer(checkpoint, corpus, folder, **LONGER)
    run.train(resume_from_checkpoint="auto")
    assert same_bits(run.model.state_dict(), extended.model.state_dict())
    assert run.extensions == extended.extensions == [{"step": 12, "epochs": 2.0}]


def test_it_resumes_without_the_flag_and_is_extended_again(extended, checkpoint, corpus, tmp_path, capsys):
    folder = Path(shutil.copytree(extended.args.output_dir, tmp_path / "copy"))
    run = trainer(checkpoint, corpus, folder, **LONGER | {"extend": False})
    run.train(resume_from_checkpoint="auto")
    assert same_bits(run.model.state_dict(), extended.model.state_dict())
    again = trainer(checkpoint, corpus, folder, **LONGER | {"num_train_epochs": 5, "learning_rate": 1e-3})
    again.train(resume_from_checkpoint="auto")
    assert again.state.global_step == 30
    assert again.extensions == [{"step": 12, "epochs": 2.0}, {"step": 24, "epochs": 4.0}]
    said = "Plan: gradual, extended from 2 epochs (step 12) and 4 epochs (step 24) by a new schedule"
    assert said in capsys.readouterr().out


def test_it_may_go_to_another_folder_and_leave_the_run_alone(finished, extended, checkpoint, corpus, tmp_path):
    before = sorted(path.name for path in finished.iterdir())
    run = trainer(checkpoint, corpus, tmp_path / "new", **LONGER)
    run.train(resume_from_checkpoint=str(finished / "checkpoint-12"))
    assert same_bits(run.model.state_dict(), extended.model.state_dict())
    assert sorted(path.name for path in finished.iterdir()) == before


def test_report_and_card_say_so(extended):
    report = extended.report(RecipeArguments())
    report.judge()
    facts = json.loads(json.dumps(report.facts()))
    assert facts["training"]["extended"] == [{"step": 12, "epochs": 2.0}]
    for page in (render_page("report.md.j2", facts), render_page("report.html.j2", facts)):
        assert "Extended from 2 epochs (step 12)" in page
    assert "The command extends a run of 2 epochs (step 12)" in render_card(facts)


def test_where_only_the_best_epoch_was_kept_it_is_extended_from_there(finished, checkpoint, corpus, tmp_path, capsys):
    shutil.copytree(finished / "checkpoint-6", tmp_path / "checkpoint-6")
    report = {"settings": {"num_train_epochs": 2, "max_steps": -1}}  # of the run that has ended
    (tmp_path / "report.json").write_text(json.dumps(report))
    assert "Add --extend" in refuse(tmp_path, checkpoint, corpus, num_train_epochs=3)
    run = trainer(checkpoint, corpus, tmp_path, **LONGER | {"num_train_epochs": 3})
    run.train()
    assert run.extensions == [{"step": 6, "epochs": 1.0}] and run.state.global_step == 18
    said = capsys.readouterr().out
    assert "was deleted" in said and "checkpoint-6, step 6 of 12, is what goes on." in said
    assert "extended from 1 epoch (step 6)" in said


def refuse(folder: Path, checkpoint: str, corpus: str, resume: str = "auto", **flags) -> str:
    run = trainer(checkpoint, corpus, folder, **FLAGS | flags)
    identity = (folder / "hfkit_run.json").read_text() if (folder / "hfkit_run.json").is_file() else None
    with pytest.raises(UserError) as refused:
        run.train(resume_from_checkpoint=resume)
    assert identity is None or identity == (folder / "hfkit_run.json").read_text()
    return str(refused.value)


def test_more_epochs_without_the_flag_are_refused_and_it_is_offered(finished, checkpoint, corpus):
    said = refuse(finished, checkpoint, corpus, num_train_epochs=4)
    assert "settings.num_train_epochs: 2 then, 4 now" in said and "Add --extend to go on from the end" in said


def test_what_cannot_be_extended_is_refused(finished, checkpoint, corpus, tmp_path):
    extend, first = {"extend": True, "num_train_epochs": 4}, str(finished / "checkpoint-6")
    assert "a run is extended from its end, and this is step 6 of 12" in refuse(
        finished, checkpoint, corpus, first, **extend
    )
    assert "--extend" not in refuse(finished, checkpoint, corpus, first, num_train_epochs=4)
    assert "the run has 2. Set --num_train_epochs above 2" in refuse(finished, checkpoint, corpus, extend=True)
    other = refuse(finished, checkpoint, corpus, per_device_train_batch_size=2, **extend)
    assert "only the length and the schedule" in other and "per_device_train_batch_size: 4 then, 2 now" in other
    assert "rows:" in refuse(finished, checkpoint, corpus, task={"max_train_rows": 12}, **extend)
    assert "holds no checkpoint" in refuse(tmp_path, checkpoint, corpus, **extend)
    best = {"eval_strategy": "epoch", "load_best_model_at_end": True, "metric_for_best_model": "headline"}
    with pytest.raises(UserError, match="extend with strategy=auto: validation decides when it ends"):
        trainer(checkpoint, corpus, tmp_path, **FLAGS | extend | best | {"strategy": "auto"})
