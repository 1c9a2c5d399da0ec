"""The precision of a run is chosen by a trial that leaves no trace, and a resumed run keeps what was chosen."""

import math
import random

import numpy as np
import pytest
import torch

from hfkit import TransferArguments
from hfkit.errors import UserError
from hfkit.inference import saved
from hfkit.tasks import ImageClassification
from hfkit.training import precision
from hfkit.training.generators import read_generators
from hfkit.training.precision import ENTRY, autocast, distance, leave_no_trace, reason_against, try_precisions
from tests.fixtures.runs import trainer
from tests.tasks.test_image_classification import trainer as image_trainer
from tests.tiny import images as tiny_images


def weights(run) -> list[bytes]:
    return [value.detach().numpy().tobytes() for value in run.model.state_dict().values()]


def entries(run) -> list[dict]:
    return [entry[ENTRY] for entry in run.state.log_history if ENTRY in entry]


@pytest.fixture
def tries(monkeypatch):
    """However short a run is, a trial is made, and half precision need not be faster."""
    for name in ("FEWEST_BATCHES", "FEWEST_OPERATIONS", "WORTH"):
        monkeypatch.setattr(precision, name, 0)
    monkeypatch.setattr(precision, "has_bfloat16", lambda: True)
    return monkeypatch


def test_a_short_run_computes_in_float32_without_a_trial(checkpoint, corpus, tmp_path, capsys):
    run = trainer(checkpoint, corpus, tmp_path, max_steps=1)
    assert reason_against(run) == "too few steps for a trial to pay"
    run.train()
    assert not run.args.bf16 and entries(run) == [] and "Precision" not in capsys.readouterr().out


def test_no_trial_is_made_of_what_the_processor_emulates(tries, checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path)
    assert reason_against(run) is None
    tries.setattr(precision, "has_bfloat16", lambda: False)
    assert reason_against(run) == "no half precision is known to pay on this cpu"
    measured, named = {"bf16": True, "precision": "auto"}, {"bf16": True, "precision": "bf16"}
    for there, precisions in ((True, [torch.bfloat16] * 2), (False, [None, torch.bfloat16])):
        tries.setattr(saved, "has_bfloat16", lambda there=there: there)
        assert [saved.find_precision(settings, run.model) for settings in (measured, named)] == precisions


def test_what_a_trial_chooses_ends_with_the_bits_of_that_precision_by_name(tries, checkpoint, corpus, tmp_path, capsys):
    run = trainer(checkpoint, corpus, tmp_path / "auto", strategy="full", save_strategy="steps", save_steps=6)
    run.train()
    (entry,) = entries(run)
    assert run.args.bf16 and entry["taken"] == "bf16" and 0 < entry["apart"] < 0.05
    assert capsys.readouterr().out.count(entry["line"]) == 1
    named = trainer(checkpoint, corpus, tmp_path / "named", strategy="full", precision="bf16")
    named.train()
    assert weights(run) == weights(named) and entries(named) == []
    # A trial would now choose float32.
    tries.setattr(precision, "WORTH", math.inf)
    resumed = trainer(checkpoint, corpus, tmp_path / "resumed", strategy="full")
    resumed.train(resume_from_checkpoint=str(tmp_path / "auto" / "checkpoint-6"))
    assert weights(resumed) == weights(run) and entries(resumed) == [entry]
    again = trainer(checkpoint, corpus, tmp_path / "auto", strategy="full", save_strategy="steps", save_steps=6)
    again.train(resume_from_checkpoint="auto")  # training had ended
    assert again.args.bf16 and again.predictions("test") == run.predictions("test")
    once_more = trainer(checkpoint, corpus, tmp_path / "auto", strategy="full")
    once_more.train()  # the same run from its start, in its own folder
    assert once_more.args.bf16 and weights(once_more) == weights(run)


def test_half_precision_that_is_hardly_faster_is_not_taken(tries, checkpoint, corpus, tmp_path, capsys):
    tries.setattr(precision, "WORTH", math.inf)
    run = trainer(checkpoint, corpus, tmp_path / "auto", strategy="full", num_train_epochs=1)
    run.train()
    assert entries(run)[0]["taken"] == "fp32" and not run.args.bf16
    assert "Precision: float32: bfloat16 judges a batch" in capsys.readouterr().out


def spoil(run, by: float) -> None:
    """Have the head add something in half precision only."""

    def hook(module, inputs, output):
        return output + by * torch.randn_like(output) if torch.is_autocast_enabled("cpu") else None

    run.model.classifier.register_forward_hook(hook)


@pytest.mark.parametrize(("by", "why"), [(math.inf, "not finite"), (1.0, "of their spread away"), (0.0, None)])
def test_half_precision_that_gives_something_else_is_not_taken(by, why, tries, checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path)
    spoil(run, by)
    choice = try_precisions(run)
    assert (choice.taken == "bf16") == (why is None) and (why or "") in choice.words


def test_gradients_that_are_not_finite_are_noticed(tries, checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path, strategy="full")

    def hook(module, inputs, output):
        if torch.is_autocast_enabled("cpu") and output.requires_grad:
            output.register_hook(lambda gradient: gradient * math.inf)

    run.model.classifier.register_forward_hook(hook)
    choice = try_precisions(run)
    assert choice.taken == "fp32" and "gradients that are not finite" in choice.words


def test_an_operation_without_a_kernel_keeps_float32(tries, checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path)

    def hook(module, inputs, output):
        if torch.is_autocast_enabled("cpu"):
            torch.zeros(1).index_copy_(0, torch.tensor([0]), torch.ones(1, dtype=torch.bfloat16))  # two types

    run.model.classifier.register_forward_hook(hook)
    choice = try_precisions(run)
    assert choice.taken == "fp32" and choice.words.startswith("the model does not run in bfloat16")


def test_a_trial_leaves_no_trace(tries, tmp_path):
    task = ImageClassification(dataset=tiny_images.image_folder(tmp_path / "images"))
    run = image_trainer(tiny_images.resnet(tmp_path / "resnet"), task, tmp_path / "run", strategy="full")

    def everything() -> list:
        model, drawn = run.model, read_generators()
        return [
            weights(run),
            [(p.requires_grad, p.grad) for p in model.parameters()],
            [module.training for module in model.modules()],
            [list(vars(module)) for module in model.modules()],
            [drawn["python"], drawn["numpy"][1].tolist(), drawn["cpu"].tolist()],
        ]

    before = everything()
    assert try_precisions(run).step is not None
    assert everything() == before
    with pytest.raises(KeyboardInterrupt), leave_no_trace(run):
        run.model.train()
        run.model(torch.randn(2, 3, 8, 8))
        random.random(), np.random.random()
        raise KeyboardInterrupt
    assert everything() == before


def test_the_distance_of_logits_is_a_share_of_what_varies():
    logits = torch.randn(1000, 5) + 100 * torch.arange(5)
    assert distance(logits, logits) == 0
    assert distance(logits, logits + 0.02 * torch.randn(1000, 5)) == pytest.approx(0.02, rel=0.1)


def test_the_trial_computes_as_the_run_will(checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path, precision="bf16")
    batch = run.codec.inputs(precision.batch_of(run))
    with torch.no_grad():
        with autocast(run.model.eval(), "bf16"):
            tried = run.model(**batch)["logits"]
        prepared = run.accelerator.prepare_model(run.model, evaluation_mode=True)
        assert tried.dtype == torch.float32 and torch.equal(tried, prepared(**batch)["logits"])


@pytest.mark.parametrize(
    ("flags", "launched", "taken"),
    [
        ({}, "no", "auto"),
        ({"bf16": True}, "no", "bf16"),
        ({"precision": "bf16"}, "no", "bf16"),
        ({"precision": "bf16", "bf16": True}, "bf16", "bf16"),
        ({}, "bf16", "bf16"),
        ({"precision": "fp32", "bf16": True}, "no", "precision=fp32 with bf16=True"),
        ({"precision": "bf16", "fp16": True}, "no", "precision=bf16 with fp16=True"),
        ({"bf16": True, "fp16": True}, "no", "precision=bf16 with fp16=True"),
        ({"precision": "fp32"}, "bf16", "precision=fp32 with mixed_precision: bf16"),
        ({"precision": "fp16"}, "no", "fp16=True"),
        ({"precision": "fp8"}, "no", "precision"),
    ],
)
def test_flags_and_launcher_name_one_precision(flags, launched, taken, tmp_path, monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", launched)
    if taken in ("auto", "bf16"):
        args = TransferArguments(output_dir=str(tmp_path), use_cpu=True, **flags)
        assert args.precision == taken and args.bf16 == (taken == "bf16")
        assert args.mixed_precision == ("bf16" if args.bf16 else "no")
    else:
        with pytest.raises(UserError, match=taken):
            TransferArguments(output_dir=str(tmp_path), use_cpu=True, **flags)
