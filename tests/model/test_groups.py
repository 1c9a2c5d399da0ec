"""Every parameter in exactly one named group, at the rate its depth says, on a schedule that knows when it thaws."""

import math

import pytest
import torch
from transformers import AutoModelForTokenClassification

from hfkit.arguments.strategies import STRATEGIES
from hfkit.model.depth import Depths
from hfkit.model.groups import groupwise_schedule, layerwise_parameter_groups, slanted_triangular
from tests.fixtures.runs import trainer


@pytest.fixture
def model(checkpoint):
    return AutoModelForTokenClassification.from_pretrained(checkpoint, num_labels=3)


def groups_of(model, **changes):
    settings = dict(learning_rate=1e-3, layer_decay=0.5, head_learning_rate=1e-2, weight_decay=0.1) | changes
    return layerwise_parameter_groups(model, Depths.of(model), **settings)


def test_all_parameters_once_frozen_or_not(model):
    model.bert.requires_grad_(False)
    grouped = [id(p) for group in groups_of(model) for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters())


def test_rates_fall_with_depth_and_only_matrices_decay(model):
    groups = groups_of(model)
    assert [group["name"] for group in groups] == [f"depth{d:03d}.{k}" for d in range(6) for k in ("decay", "no_decay")]
    rates = [1e-3 * 0.5**4, 1e-3 * 0.5**3, 1e-3 * 0.5**2, 1e-3 * 0.5, 1e-3, 1e-2]  # 4 blocks: the top one at full rate
    assert [group["lr"] for group in groups[::2]] == pytest.approx(rates)
    for group in groups:
        assert group["weight_decay"] == (0.1 if group["name"].endswith(".decay") else 0.0)
        assert all((p.ndim > 1) is group["name"].endswith(".decay") for p in group["params"])


def test_without_a_head_rate_the_head_learns_like_the_top_block(model):
    groups = groups_of(model, head_learning_rate=None)
    assert groups[-1]["lr"] == groups[-3]["lr"] == 1e-3


def test_slanted_triangular_is_ulmfits_equation():
    factor = slanted_triangular(1000)
    assert factor(100) == 1.0 and factor(0) == pytest.approx(1 / 32) and factor(1000) == pytest.approx(1 / 32)
    # eta_t / eta_max = (1 + p (ratio - 1)) / ratio, with p = 1 - (t - cut) / (cut (1/cut_frac - 1))
    assert factor(550) == pytest.approx((1 + (1 - 450 / (100 * 9)) * 31) / 32)
    assert factor(50) == pytest.approx((1 + 0.5 * 31) / 32)


def test_a_thawed_group_warms_up_from_its_own_start():
    weights = [torch.nn.Parameter(torch.ones(1)) for _ in range(3)]
    optimizer = torch.optim.SGD([{"params": [w], "lr": 1.0, "depth": depth} for depth, w in enumerate(weights)])
    schedule = groupwise_schedule(optimizer, lambda step: 1 - step / 100, {2: 0, 1: 10, 0: None}.get, warmup_steps=4)
    rates = []
    for _ in range(16):
        rates.append(schedule.get_last_lr())
        optimizer.step()
        schedule.step()
    assert [r[2] for r in rates] == pytest.approx([1 - step / 100 for step in range(16)])
    assert [r[1] for r in rates[8:16]] == pytest.approx([0, 0, 0.9 * 0.25, 0.89 * 0.5, 0.88 * 0.75, 0.87, 0.86, 0.85])


# In training


def slanted(step: int) -> float:
    """Howard and Ruder 2018, equation 3, with T = 20, cut_frac = 0.1 and ratio = 32."""
    cut = 2
    share = step / cut if step < cut else 1 - (step - cut) / (cut * (1 / 0.1 - 1))
    return (1 + share * (32 - 1)) / 32


SCHEDULES = {
    "slanted": (dict(slanted_triangular=True), slanted),
    "cosine": (
        dict(lr_scheduler_type="cosine", warmup_steps=2),
        lambda step: step / 2 if step < 2 else (1 + math.cos(math.pi * (step - 2) / 18)) / 2,
    ),
    "constant": (dict(lr_scheduler_type="constant_with_warmup", warmup_steps=2), lambda step: min(1.0, step / 2)),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_follow_their_formula_and_thawed_groups_warm_up_on_them(name, checkpoint, corpus, tmp_path):
    flags, factor = SCHEDULES[name]
    plan = dict(head_only=0.25, unfreeze_stages=2, unfreeze_until=0.6, thaw_warmup=0.2)
    run = trainer(checkpoint, corpus, tmp_path, strategy="gradual", max_steps=20, **plan, **flags)
    run.train()
    strategy = STRATEGIES["gradual"]
    logs = [entry for entry in run.state.log_history if "loss" in entry]
    assert [entry["step"] for entry in logs] == list(range(1, 21))
    assert run.unfreezing.plan.starts == (0, 5, 12)
    for entry in logs:
        # Logged after the step that the rates were used in; schedules count from 0.
        step, lowest = entry["step"] - 1, entry["lowest_trainable_depth"]
        assert entry["head_learning_rate"] == pytest.approx(strategy.head_learning_rate * factor(step))
        if lowest < run.unfreezing.depths.head:
            peak = strategy.learning_rate * strategy.layer_decay ** (run.unfreezing.depths.head - 1 - lowest)
            warm = min(1.0, (step - run.unfreezing.plan.thaw_step(lowest) + 1) / 4)
            assert entry["lowest_learning_rate"] == pytest.approx(peak * factor(step) * warm)
