"""The freeze plan is a pure function of the step, and its callback freezes exactly what the plan says."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as draw
from transformers import (
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    BigBirdConfig,
    BigBirdModel,
    ResNetConfig,
    ResNetForImageClassification,
)

from hfkit.arguments.strategies import STRATEGIES
from hfkit.contract.target import Labels
from hfkit.errors import UserError
from hfkit.model.unfreezing import FreezePlan, Unfreezing, make_plan
from hfkit.model.weights import load_model


def test_head_first_then_down_in_equal_groups():
    plan = make_plan(13, 1000, head_only=0.1, unfreeze_stages=4, unfreeze_until=0.4)
    assert plan.starts == (0, 100, 200, 300, 400)
    assert plan.lowest == (13, 10, 6, 3, 0)
    assert [plan.lowest_trainable(step) for step in (0, 99, 100, 399, 400, 10_000)] == [13, 13, 10, 3, 0, 0]
    assert [plan.thaw_step(depth) for depth in (13, 12, 10, 9, 0)] == [0, 100, 100, 200, 400]


def test_stages_that_begin_at_one_step_are_one():
    assert make_plan(13, 5, head_only=0.1, unfreeze_stages=4, unfreeze_until=0.4) == FreezePlan((0, 1, 2), (10, 6, 0))
    assert make_plan(13, 1, head_only=0.1, unfreeze_stages=4, unfreeze_until=0.4) == FreezePlan((0,), (0,))


def test_never_thawed():
    plan = make_plan(7, 100, head_only=0.0, unfreeze_stages=0, unfreeze_until=0.0)
    assert plan == FreezePlan((0,), (7,)) and plan.thaw_step(6) is None and plan.thaw_step(7) == 0


@given(
    head=draw.integers(6, 40),
    steps=draw.integers(200, 5000),
    stages=draw.integers(1, 5),
    head_only=draw.sampled_from([0.0, 0.05, 0.2]),
)
def test_every_plan_starts_at_zero_falls_and_ends_at_the_embeddings(head, steps, stages, head_only):
    plan = make_plan(head, steps, head_only=head_only, unfreeze_stages=stages, unfreeze_until=0.5)
    assert plan.starts[0] == 0 and list(plan.starts) == sorted(set(plan.starts))
    assert list(plan.lowest) == sorted(set(plan.lowest), reverse=True) and plan.lowest[-1] == 0
    assert all(0 <= plan.thaw_step(depth) <= round(steps / 2) for depth in range(head + 1))


@pytest.mark.parametrize(
    "flags, words",
    [
        (dict(head_only=1.0), ["head_only=1.0", "share", "0.2"]),
        (dict(head_only=0.1, unfreeze_stages=6), ["unfreeze_stages=6", "torch.compile", "5 or fewer"]),
        (dict(head=3, unfreeze_stages=4), ["unfreeze_stages=4", "3 depths", "3 or fewer"]),
        (dict(unfreeze_stages=-1), ["unfreeze_stages=-1"]),
    ],
)
def test_plans_that_cannot_be_kept_are_refused(flags, words):
    full = dict(head=13, steps=1000, head_only=0.0, unfreeze_stages=1, unfreeze_until=0.3) | flags
    with pytest.raises(UserError) as error:
        make_plan(full.pop("head"), full.pop("steps"), **full)
    assert all(word in str(error.value) for word in words)


def test_every_strategy_has_a_plan_from_short_to_long_training():
    for strategy in STRATEGIES.values():
        for steps in (30, 3000):
            make_plan(
                7,
                steps,
                head_only=strategy.head_only,
                unfreeze_stages=strategy.unfreeze_stages,
                unfreeze_until=strategy.unfreeze_until,
            )


def test_frozen_means_no_gradient_no_requires_grad_and_eval_mode(checkpoint):
    model = AutoModelForTokenClassification.from_pretrained(checkpoint, num_labels=3)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    unfreezing = Unfreezing(model)
    changes = []
    unfreezing.on_change = lambda: changes.append(unfreezing.lowest)
    for lowest in (5, 3, 3, 0):
        unfreezing.apply(model, lowest)
        model.train()
        unfreezing.hold_frozen_in_eval()
        for name, parameter in model.named_parameters():
            frozen = unfreezing.depths.parameters[name] < lowest
            assert parameter.requires_grad is not frozen
            assert not frozen or parameter.grad is None
        for name, module in model.named_modules():
            assert module.training is (unfreezing.depths.modules[name] >= lowest), name
    assert changes == [5, 3, 0]


def test_a_big_bird_thaws_after_a_short_batch(tmp_path, capsys):
    """It replaced modules within its first forward pass: the next stage of the plan did not know them."""
    size = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    BigBirdModel(BigBirdConfig(**size, intermediate_size=32, block_size=4, num_random_blocks=1)).save_pretrained(
        tmp_path
    )
    config = Labels(("no", "yes")).to_config()
    model = load_model(AutoModelForSequenceClassification, str(tmp_path), "checkpoint", config)
    assert "attends in full from the start" in capsys.readouterr().out
    unfreezing = Unfreezing(model)
    unfreezing.apply(model, 3)
    model(torch.arange(5, 12)[None])
    unfreezing.apply(model, 0)
    assert set(dict(model.named_modules())) == set(unfreezing.depths.modules)
    assert model.config.attention_type == "original_full"


def test_what_was_frozen_before_stays_frozen(checkpoint):
    model = AutoModelForTokenClassification.from_pretrained(checkpoint, num_labels=3)
    model.bert.embeddings.word_embeddings.weight.requires_grad_(False)
    unfreezing = Unfreezing(model)
    unfreezing.apply(model, 0)
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert frozen == {"bert.embeddings.word_embeddings.weight"}


# Frozen running statistics


def statistics_moved(model: torch.nn.Module, unfreezing: Unfreezing) -> dict[str, bool]:
    """For each running statistic of the model: whether it moved in three passes in training mode."""
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    for seed in range(3):
        model.train()
        unfreezing.hold_frozen_in_eval()
        with torch.no_grad():
            model(torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(seed)))
    assert {name.rpartition(".")[2] for name in before} == {"running_mean", "running_var", "num_batches_tracked"}
    return {name: not torch.equal(buffer, before[name]) for name, buffer in model.named_buffers()}


@pytest.fixture
def resnet() -> torch.nn.Module:
    torch.manual_seed(0)
    return ResNetForImageClassification(ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[2, 1]))


@pytest.mark.parametrize("lowest", [0, 1, 3, 4])
def test_running_statistics_move_with_the_depths_that_learn_and_no_others(lowest, resnet):
    unfreezing = Unfreezing(resnet)
    unfreezing.apply(resnet, lowest)
    depth_of = {name: unfreezing.depths.modules[name.rpartition(".")[0]] for name, _ in resnet.named_buffers()}
    assert set(depth_of.values()) == {0, 1, 2, 3}
    assert statistics_moved(resnet, unfreezing) == {name: depth >= lowest for name, depth in depth_of.items()}


def test_norms_frozen_before_training_hold_still_at_any_depth(resnet):
    """As under adapters: the plan trains every depth, and the weights of the backbone were frozen beforehand."""
    resnet.requires_grad_(False)
    resnet.classifier.requires_grad_(True)
    learning = "resnet.encoder.stages.1.layers.0.layer.0.normalization"
    resnet.get_submodule(learning).requires_grad_(True)
    unfreezing = Unfreezing(resnet)
    unfreezing.apply(resnet, 0)
    moved = statistics_moved(resnet, unfreezing)
    assert {name for name, moves in moved.items() if moves} == {name for name in moved if name.startswith(learning)}


def test_depths_below_the_bottom_never_thaw_and_the_groups_stay_equal():
    plan = make_plan(7, 1000, head_only=0.1, unfreeze_stages=3, unfreeze_until=0.4, bottom=1)
    assert plan == FreezePlan((0, 100, 250, 400), (7, 5, 3, 1))
    assert plan.thaw_step(0) is None
    few = make_plan(3, 1000, head_only=0.1, unfreeze_stages=3, unfreeze_until=0.4, bottom=1)
    assert few == FreezePlan((0, 100, 400), (3, 2, 1))
