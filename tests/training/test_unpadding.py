"""Training without padding learns what training with it does, says so, and is left where nothing is proven."""

import pytest
import torch
from safetensors.torch import load_file

from hfkit.model.unpadding import Unpadding
from hfkit.training.unpadding import DECISION
from tests.fixtures.runs import at, trainer


def decided(run) -> str:
    return next(entry[DECISION] for entry in run.state.log_history if DECISION in entry)


def without_dropout(run):
    """Draws of dropout would be others where other numbers of activations are drawn for."""
    for module in run.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return run


def losses(run) -> list[float]:
    return [entry["loss"] for entry in run.state.log_history if "loss" in entry]


@pytest.fixture
def packed(monkeypatch) -> list[float]:
    """The shares of padding of the batches that blocks leave out."""
    shares, skip = [], Unpadding.skip_padding

    def count(self, places):
        shares.append(places.padding / (places.rows * places.tokens))
        return skip(self, places)

    monkeypatch.setattr(Unpadding, "skip_padding", count)
    return shares


@pytest.mark.parametrize("flags", [{}, {"strategy": "gradual"}, {"gradient_accumulation_steps": 2}])
def test_the_same_is_learnt(checkpoint, corpus, tmp_path, packed, flags):
    flags = {"strategy": "full", **flags}
    padded = without_dropout(trainer(checkpoint, corpus, tmp_path / "padded", unpad=False, **flags))
    padded.train()
    assert not packed and decided(padded) == "not asked for"
    run = without_dropout(trainer(checkpoint, corpus, tmp_path / "run", **flags))
    run.train()
    assert decided(run) == "on" and len(packed) > 1 and min(packed) > 0.05
    torch.testing.assert_close(torch.tensor(losses(run)), torch.tensor(losses(padded)), rtol=1e-3, atol=1e-4)
    for name, value in padded.model.state_dict().items():
        torch.testing.assert_close(run.model.state_dict()[name], value, rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("adapter", ["lora", "dora", "ia3", "vera", "oft"])
def test_adapters_learn_the_same_without_padding(checkpoint, corpus, tmp_path, adapter):
    ends = []
    for unpad in (False, True):
        flags = dict(strategy="lora", adapter=adapter, max_steps=3, unpad=unpad)
        run = without_dropout(trainer(checkpoint, corpus, tmp_path / str(unpad), **flags))
        run.train()
        assert (decided(run) == "on") == unpad
        ends.append(losses(run))
    torch.testing.assert_close(torch.tensor(ends[1]), torch.tensor(ends[0]), rtol=1e-3, atol=1e-4)


def test_virtual_tokens_are_no_places_of_a_batch(checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path, strategy="lora", adapter="prefix", max_steps=2)
    run.train()
    assert decided(run) != "on"


def test_a_resumed_run_ends_with_the_same_bits(checkpoint, corpus, tmp_path):
    flags = dict(strategy="gradual", save_strategy="steps", save_steps=3)
    whole = trainer(checkpoint, corpus, tmp_path / "whole", **flags)
    whole.train()
    resumed = trainer(checkpoint, corpus, tmp_path / "resumed", **flags)
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-3"))
    assert decided(resumed) == "on"
    for name, value in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name


def test_a_resumed_run_keeps_to_padding(checkpoint, corpus, tmp_path, packed, monkeypatch):
    flags = dict(strategy="full", save_strategy="steps", save_steps=3, max_steps=6)
    monkeypatch.setattr("hfkit.training.unpadding.is_same", lambda *_: "a close call")
    trainer(checkpoint, corpus, tmp_path / "whole", **flags).train()
    monkeypatch.undo()
    resumed = trainer(checkpoint, corpus, tmp_path / "resumed", **flags)
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-3"))
    assert decided(resumed) == "a close call" and resumed.unpadding.unpadding is None and not packed


def test_the_trial_has_as_many_tokens_as_a_step(checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path, strategy="full", per_device_train_batch_size=8)
    lengths = sorted(len(ids) for ids in run.train_dataset["input_ids"][:])
    mask = run.unpadding._look()["attention_mask"]
    assert len(mask) == 8 and mask.sum() >= sum(lengths[-6:]) + lengths[0]


def test_nothing_of_it_is_saved(checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path, strategy="full", max_steps=2)
    run.train()
    run.save_model()
    assert decided(run) == "on"
    assert "unpadded" not in (tmp_path / "config.json").read_text()
    assert load_file(tmp_path / "model.safetensors").keys() == run.model.state_dict().keys()


def test_a_model_that_computes_something_else_is_trained_as_it_is(checkpoint, corpus, tmp_path, packed):
    run = trainer(checkpoint, corpus, tmp_path, strategy="full", max_steps=2)
    # As a convolution over tokens would do it: what a token becomes depends on the one before it.
    attention = run.model.bert.encoder.layer[0].attention
    attention.register_forward_pre_hook(lambda module, args: (args[0] + args[0].roll(1, 1), *args[1:]))
    run.train()
    assert "of the largest away" in decided(run) and len(packed) == 1  # the trial alone


def test_rows_of_one_length_are_trained_as_they_are(checkpoint, corpus, tmp_path, packed):
    run = trainer(checkpoint, corpus, tmp_path, strategy="full", max_steps=2)
    lengths = [len(ids) for ids in run.train_dataset["input_ids"][:]]
    alike = [i for i, length in enumerate(lengths) if length == max(set(lengths), key=lengths.count)]
    run.train_dataset = run.train_dataset.select(alike)
    run.train()
    assert decided(run) == "batches have no padding" and not packed


def test_a_step_with_a_fault_leaves_the_model_as_it_was(checkpoint, corpus, tmp_path):
    class Broken(Exception):
        pass

    def fail(*args, **kwargs):
        raise Broken

    run = trainer(checkpoint, corpus, tmp_path, strategy="full", max_steps=2)
    run.add_callback(at("on_step_begin", lambda *args, **kwargs: run.model.classifier.register_forward_hook(fail)))
    with pytest.raises(Broken):
        run.train()
    assert run.model.config._attn_implementation == "sdpa"
    assert not any("forward" in vars(block) for block in run.model.bert.encoder.layer)


def test_blocks_that_are_run_again_in_the_backward_pass_are_trained_as_they_are(checkpoint, corpus, tmp_path, packed):
    run = trainer(checkpoint, corpus, tmp_path, strategy="full", max_steps=2, activation_checkpointing=True)
    run.train()
    assert decided(run) == "activation checkpointing runs the insides of blocks again" and not packed
