"""The head fitted before the first step: once, counted as an evaluation, and in place of steps of its own."""

import json

import pytest
import torch
from safetensors.torch import load_file

from hfkit import KEEP_BEST, TransferArguments
from hfkit.errors import UserError
from hfkit.training.fitting import ENTRY, was_fitted
from hfkit.training.invariants import digest
from tests.fixtures.runs import at, trainer
from tests.tiny import text as tiny

CLOSING = {"classifier.weight", "classifier.bias"}


@pytest.fixture(scope="module")
def larger(tmp_path_factory) -> str:
    return tiny.ner_folder(tmp_path_factory.mktemp("larger"), train=48, validation=32, test=8)


@pytest.mark.parametrize("strategy", ["lp-ft", "gradual", "feature-extraction"])
def test_the_first_step_starts_from_the_probe(strategy, checkpoint, larger, tmp_path):
    run = trainer(checkpoint, larger, tmp_path, strategy=strategy, fit_head="start", max_steps=2, logging_steps=50)
    before = {name: p.detach().clone() for name, p in run.model.named_parameters()}
    moved: list[set[str]] = []

    def compare(*_, **__):
        moved.append({name for name, p in run.model.named_parameters() if not torch.equal(p, before[name])})

    run.add_callback(at("on_step_begin", compare))
    run.train()
    assert moved[0] == CLOSING
    [found] = [entry[ENTRY] for entry in run.state.log_history if ENTRY in entry]
    assert found["validation"] > 0.9 and found["penalty"] > 0
    rows = run.facts()["plan"]
    assert [row["stage"] for row in rows[:2]] == [0, 1] and "closed form" in rows[0]["names"]
    assert rows[0]["trainable"] == sum(before[name].numel() for name in CLOSING)
    # No steps of the head alone, but where nothing else ever learns.
    head_alone = run.unfreezing.plan.lowest[0] == run.unfreezing.depths.head
    assert head_alone == (strategy == "feature-extraction")


def test_a_probe_that_is_only_judged_leaves_the_first_step_as_it_was(checkpoint, larger, tmp_path):
    run = trainer(checkpoint, larger, tmp_path, strategy="lp-ft", fit_head="judge", **KEEP_BEST, num_train_epochs=1)
    before = {name: p.detach().clone() for name, p in run.model.named_parameters()}
    begun: list[bool] = []

    def compare(*_, **__):
        begun.append(all(torch.equal(p, before[name]) for name, p in run.model.named_parameters()))

    run.add_callback(at("on_step_begin", compare))
    run.train()
    assert begun[:2] == [True, False] and was_fitted(run.state.log_history)
    probe = load_file(tmp_path / "checkpoint-0" / "model.safetensors")
    assert not any(torch.equal(probe[name], before[name]) for name in CLOSING)
    assert [row["stage"] for row in run.facts()["plan"]] == [0, 1, 2]  # the head alone has its steps


@pytest.mark.parametrize("fit", ["judge", "start"])
def test_the_best_of_a_run_may_be_the_probe_and_no_resumed_run_fits_again(fit, checkpoint, larger, tmp_path):
    flags = {**KEEP_BEST, "strategy": "lp-ft", "fit_head": fit, "num_train_epochs": 2, "save_total_limit": None}
    flags |= {"learning_rate": 1.0, "max_grad_norm": 0.0, "per_device_train_batch_size": 16, "logging_steps": 50}
    whole = trainer(checkpoint, larger, tmp_path / "whole", **flags)
    whole.train()
    scores = [entry["eval_f1"] for entry in whole.state.log_history if "eval_f1" in entry]
    assert len(scores) == 3 and scores[0] == max(scores) > scores[-1]
    probe = load_file(tmp_path / "whole" / "checkpoint-0" / "model.safetensors")
    assert all(torch.equal(value, probe[name]) for name, value in whole.model.state_dict().items())
    for cut in (0, 3):
        resumed = trainer(checkpoint, larger, tmp_path / f"from-{cut}", **flags)
        torch.nn.init.zeros_(resumed.model.classifier.weight)  # another draw than that of the whole run
        resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / f"checkpoint-{cut}"))
        assert digest(resumed.model.state_dict().values()) == digest(whole.model.state_dict().values())
        logs = [json.loads(json.dumps(run.state.log_history)) for run in (whole, resumed)]
        of_fit = [[entry for entry in log if ENTRY in entry or "eval_f1" in entry] for log in logs]
        assert [entry.get("eval_f1") for entry in of_fit[0]] == [entry.get("eval_f1") for entry in of_fit[1]]
        assert resumed.unfreezing.plan == whole.unfreezing.plan


def test_without_rows_that_choose_the_penalty_the_head_has_steps_of_its_own(checkpoint, tmp_path, capsys):
    few = tiny.ner_folder(tmp_path, train=16, validation=1, test=4)
    run = trainer(checkpoint, few, tmp_path / "run", strategy="lp-ft", fit_head="start", num_train_epochs=2)
    run.train()
    assert not was_fitted(run.state.log_history)
    assert run.unfreezing.plan.lowest == (run.unfreezing.depths.head, 0)
    assert "the head not fitted in closed form (no validation rows choose its penalty)" in capsys.readouterr().out


def test_a_fit_alone_takes_no_step_and_is_resumed_without_another(checkpoint, larger, tmp_path):
    flags = {**KEEP_BEST, "strategy": "feature-extraction", "fit_head": "only", "num_train_epochs": 3}
    run = trainer(checkpoint, larger, tmp_path, **flags)
    run.train()
    assert run.state.global_step == 0 and [row["stage"] for row in run.plan_rows()] == [0]
    assert [entry["eval_f1"] for entry in run.state.log_history if "eval_f1" in entry][0] > 0.9
    for resume in ("auto", str(tmp_path / "checkpoint-0")):
        again = trainer(checkpoint, larger, tmp_path, **flags)
        again.train(resume_from_checkpoint=resume)
        assert again.state.global_step == 0 and sum(ENTRY in entry for entry in again.state.log_history) == 1
        assert digest(again.model.state_dict().values()) == digest(run.model.state_dict().values())
    with pytest.raises(UserError, match="fit_head=only with strategy=gradual"):
        TransferArguments(output_dir=str(tmp_path), use_cpu=True, strategy="gradual", fit_head="only")


def test_lora_may_start_from_the_probe_too(checkpoint, larger, tmp_path):
    run = trainer(checkpoint, larger, tmp_path, strategy="lora", fit_head="start", max_steps=1, logging_steps=50)
    run.train()
    [found] = [entry[ENTRY] for entry in run.state.log_history if ENTRY in entry]
    assert found["validation"] > 0.9


@pytest.mark.parametrize(
    ("flags", "fitted"),
    [
        ({"strategy": "gradual"}, "judge"),
        ({"strategy": "gradual", "head_only": 0.1}, "judge"),
        ({"strategy": "gradual", "fit_head": "no"}, "no"),
        ({"strategy": "feature-extraction"}, "start"),
        ({"strategy": "feature-extraction", "head_only": 0.1}, "no"),
        ({"strategy": "feature-extraction", "head_only": 0.1, "fit_head": "start"}, "start"),
        ({"strategy": "full"}, "no"),
        ({"strategy": "full", "fit_head": "start"}, "start"),
    ],
)
def test_steps_that_were_asked_for_by_name_take_the_place_of_the_fit(flags, fitted, tmp_path):
    assert TransferArguments(output_dir=str(tmp_path), use_cpu=True, **flags).fit_head == fitted
