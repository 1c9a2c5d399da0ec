"""Surgery on a checkpoint: the top blocks drawn anew as from nothing, and blocks that stay as they were."""

import math

import pytest
import torch
from transformers import (
    BertConfig,
    BertForTokenClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    ResNetForImageClassification,
    T5Config,
    T5ForSequenceClassification,
    set_seed,
)

from hfkit.arguments.training import TransferArguments
from hfkit.errors import UserError
from hfkit.model.depth import Depths
from hfkit.model.surgery import parse_depth_range, reinitialise, train_only
from hfkit.model.unfreezing import FreezePlan
from hfkit.training.plan import spans_of
from hfkit.training.refusals import refuse_surgery
from tests.cli.test_plan import hfkit
from tests.fixtures.runs import at, trainer
from tests.tiny import images as tiny_images

HEAD = 5  # of the tiny encoder of four layers


def loaded(checkpoint: str) -> BertForTokenClassification:
    return BertForTokenClassification.from_pretrained(checkpoint, num_labels=3)


def values(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def moved(before: dict[str, torch.Tensor], model: torch.nn.Module) -> set[int]:
    """The depths of which a parameter differs from what it was."""
    depths = Depths.of(model).parameters
    return {depths[name] for name, p in model.named_parameters() if not torch.equal(p, before[name])}


# Drawn anew


def test_the_top_blocks_are_drawn_anew_and_the_rest_stays(checkpoint):
    model = loaded(checkpoint)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)  # also where a checkpoint is as it was drawn: norms and biases
    before = values(model)
    reinitialise(model, 2)
    depths = Depths.of(model).parameters
    assert moved(before, model) == {3, 4}
    for name, parameter in model.named_parameters():
        if depths[name] not in (3, 4):
            continue
        assert not torch.equal(parameter, before[name]), name
        if name.endswith("bias"):
            assert (parameter == 0).all()
        elif "LayerNorm" in name:
            assert (parameter == 1).all()
        else:
            assert parameter.mean().abs() < 0.005
            assert parameter.std().item() == pytest.approx(model.config.initializer_range, rel=0.15)
    # What follows reads it as loaded: another call of transformers' own draws nothing.
    after = values(model)
    model.initialize_weights()
    assert moved(after, model) == set()
    reinitialise(model, 0)
    assert moved(after, model) == set()


def test_a_decoder_is_drawn_with_its_narrow_projections():
    set_seed(0)
    config = GPT2Config(vocab_size=50, n_embd=64, n_layer=4, n_head=2, n_positions=16, initializer_range=0.5)
    model = GPT2ForSequenceClassification(config)
    before = values(model)
    reinitialise(model, 1)
    assert moved(before, model) == {4}
    block = model.transformer.h[3]
    assert block.attn.c_attn.weight.std().item() == pytest.approx(0.5, rel=0.1)
    for projection in (block.attn.c_proj, block.mlp.c_proj):
        assert projection.weight.std().item() == pytest.approx(0.5 / math.sqrt(8), rel=0.1)


def test_what_a_norm_remembers_is_forgotten_too(tmp_path):
    model = ResNetForImageClassification.from_pretrained(tiny_images.resnet(tmp_path))
    model.train()(torch.rand(4, 3, 32, 32))
    buffers = {name: value.clone() for name, value in model.named_buffers()}
    before = values(model)
    reinitialise(model, 1)
    assert moved(before, model) == {max(Depths.of(model).parameters.values()) - 1}
    changed = [name for name, value in model.named_buffers() if not torch.equal(value, buffers[name])]
    assert changed and all("stages.1" in name for name in changed)
    assert all((value == 0).all() for name, value in model.named_buffers() if name in changed and "mean" in name)


def test_an_encoder_decoder_is_drawn_by_its_own_rules():
    config = T5Config(vocab_size=50, d_model=32, d_ff=64, d_kv=16, num_layers=2, num_decoder_layers=2, num_heads=2)
    config.pad_token_id = config.decoder_start_token_id = 0
    set_seed(0)
    model = T5ForSequenceClassification(config)
    before = values(model)
    reinitialise(model, 1)
    query = model.transformer.decoder.block[1].layer[0].SelfAttention.q.weight
    assert moved(before, model) == {4}
    assert query.std().item() == pytest.approx((32 * 16) ** -0.5, rel=0.15)


def test_drawing_goes_by_the_seed(checkpoint):
    drawn = []
    for seed in (1, 1, 2):
        model = loaded(checkpoint)
        set_seed(seed)
        reinitialise(model, 1)
        drawn.append(model.bert.encoder.layer[3].output.dense.weight)
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize("blocks", [-1, 5])
def test_there_are_only_so_many_blocks(blocks, checkpoint):
    with pytest.raises(UserError, match=f"reinit_blocks={blocks}: BertForTokenClassification has 4 blocks"):
        reinitialise(loaded(checkpoint), blocks)


def test_what_transformers_does_not_draw_is_refused(tmp_path):
    from transformers import AutoModelForImageClassification

    model = AutoModelForImageClassification.from_pretrained(tiny_images.timm_resnet(tmp_path))
    with pytest.raises(UserError, match="not known to transformers"):
        reinitialise(model, 1)
    config = BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=8)
    strange = BertForTokenClassification(config)
    strange.bert.encoder.layer[1].extra = torch.nn.Parameter(torch.ones(3))
    with pytest.raises(UserError, match=r"does not say how bert\.encoder\.layer\.1\.extra is drawn"):
        reinitialise(strange, 1)


# Only some learn


@pytest.mark.parametrize(("given", "expected"), [("1-2", (1, 2)), ("3", (3, 3)), (" 0-4 ", (0, 4))])
def test_a_range_of_depths_is_read(given, expected):
    assert parse_depth_range(given) == expected


@pytest.mark.parametrize("given", ["", "2-1", "a", "1-", "-1", "1,2"])
def test_what_is_no_range_is_refused(given):
    with pytest.raises(UserError, match="train_blocks="):
        parse_depth_range(given)


def test_depths_outside_are_frozen_and_the_head_is_not(checkpoint):
    model = loaded(checkpoint)
    train_only(model, (1, 2))
    depths = Depths.of(model).parameters
    assert {depths[name] for name, p in model.named_parameters() if p.requires_grad} == {1, 2, HEAD}
    assert {depths[name] for name, p in model.named_parameters() if not p.requires_grad} == {0, 3, 4}
    with pytest.raises(UserError, match="train_blocks=3-5: .* depths 0 to 4"):
        train_only(model, (3, 5))


@pytest.mark.parametrize(
    ("lowest", "expected"),
    [
        ((0,), ((0,), (1,))),
        ((5, 3, 2, 0), ((0, 20, 30), (5, 2, 1))),
        ((4, 0), ((0, 10), (5, 1))),
        ((5,), ((0,), (5,))),
    ],
)
def test_a_plan_begins_where_something_learns(lowest, expected):
    starts = tuple(10 * i for i in range(len(lowest)))
    assert FreezePlan(starts, lowest).restricted_to(1, 2, 5) == FreezePlan(*expected)


def test_runs_of_depths_are_shown_without_their_gaps():
    assert spans_of([0, 1, 2, 5]) == [(0, 2), (5, 5)]
    assert spans_of([3]) == [(3, 3)]


# In training


@pytest.mark.parametrize(
    ("strategy", "only", "learning", "lowest"),
    [("full", "1-2", {1, 2, 5}, (1,)), ("full", "3", {3, 5}, (3,)), ("full", "0-1", {0, 1, 5}, (0,))],
)
def test_only_the_chosen_depths_move(strategy, only, learning, lowest, checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path, strategy=strategy, train_blocks=only)
    before = values(run.model)
    run.train()
    assert moved(before, run.model) == learning
    assert run.unfreezing.plan.lowest == lowest
    (row,) = run.plan_rows()
    assert row["depths"] == {"1-2": "1-2, 5", "3": "3, 5", "0-1": "0-1, 5"}[only]
    assert row["trainable"] == sum(
        p.numel() for name, p in run.model.named_parameters() if run.unfreezing.learns(name, 0)
    )


def test_adapters_stand_in_the_chosen_depths_alone(checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path, strategy="lora", train_blocks="2-3", num_train_epochs=1)
    before = {name: p.detach().clone() for name, p in run.model.named_parameters()}
    run.train()
    depths = run.unfreezing.depths.parameters
    changed = {depths[n] for n, p in run.model.named_parameters() if not torch.equal(p, before[n])}
    assert changed == {2, 3, HEAD}


@pytest.mark.parametrize("strategy", [pytest.param("full", marks=pytest.mark.slow), "gradual"])
def test_a_resumed_run_ends_with_the_same_bits(strategy, checkpoint, corpus, tmp_path):
    flags = dict(strategy=strategy, reinit_blocks=2, train_blocks="2-4", num_train_epochs=2)
    whole = trainer(checkpoint, corpus, tmp_path / "whole", save_strategy="steps", save_steps=3, **flags)
    started = values(whole.model)
    assert moved({**started, **values(loaded(checkpoint))}, whole.model) >= {3, 4}
    whole.train()
    assert moved(started, whole.model) == {2, 3, 4, HEAD}
    for cut in (3, 9):
        # Drawn otherwise before the checkpoint is read: it is no part of what decides the run.
        resumed = trainer(checkpoint, corpus, tmp_path / f"resumed-{cut}", **flags)
        torch.nn.init.normal_(resumed.model.bert.encoder.layer[3].output.dense.weight)
        resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / f"checkpoint-{cut}"))
        assert all(torch.equal(value, whole.model.state_dict()[name]) for name, value in values(resumed.model).items())
    for other in (dict(reinit_blocks=1), dict(train_blocks="1-4")):
        name = next(iter(other))
        with pytest.raises(UserError, match=f"settings.{name}"):
            trainer(checkpoint, corpus, tmp_path / "other", **{**flags, **other}).train(
                resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-3")
            )


def test_what_is_frozen_below_is_computed_once(checkpoint, corpus, tmp_path):
    """The prefix cache starts above what no longer learns, and changes nothing but the cost."""
    runs = []
    for cache in (True, False):
        flags = dict(strategy="full", train_blocks="3-4", prefix_cache=cache, cache_dtype="float32")
        run = trainer(checkpoint, corpus, tmp_path / str(cache), num_train_epochs=4, **flags)
        stored = set()
        run.add_callback(
            at(
                "on_step_begin",
                lambda *_, run=run, stored=stored, **__: stored.update(*(c.stores for c in run.caching.of_train)),
            )
        )
        run.train()
        assert stored == ({3} if cache else set())
        runs.append(values(run.model))
    for name, value in runs[0].items():
        torch.testing.assert_close(value, runs[1][name], rtol=1e-4, atol=1e-5)


def test_the_plan_shows_both(checkpoint):
    printed = hfkit(
        "plan", "--checkpoint", checkpoint, "--strategy", "full", "--reinit_blocks", "2", "--train_blocks", "1-4"
    )
    assert "full, the top 2 blocks from random weights, of the blocks only depths 1-4" in printed.stdout
    assert "1-5: encoder.layer.0 … head" in printed.stdout
    gap = hfkit("plan", "--checkpoint", checkpoint, "--strategy", "full", "--train_blocks", "1-2").stdout
    assert "1-2, 5: encoder.layer.0 … encoder.layer.1, head" in gap
    for flag, value in (("--reinit_blocks", "9"), ("--train_blocks", "2-7"), ("--train_blocks", "x")):
        assert hfkit("plan", "--checkpoint", checkpoint, "--strategy", "full", flag, value).exit_code == 2


@pytest.mark.parametrize(
    "flags",
    [
        {"strategy": "feature-extraction", "reinit_blocks": 1},
        {"strategy": "lora", "reinit_blocks": 1},
        {"strategy": "feature-extraction", "train_blocks": "1"},
    ],
)
def test_a_strategy_without_use_for_it_refuses_it(flags, tmp_path):
    with pytest.raises(UserError, match="(reinit|train)_blocks=1 with strategy"):
        refuse_surgery(TransferArguments(output_dir=str(tmp_path), use_cpu=True, report_to="none", **flags))
