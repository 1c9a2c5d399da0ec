"""In half precision a store is held against float32: rounding passes, and what is wrong by more than it does not."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from hfkit.prefix.rounding import computing_in_float32, is_close, is_within_rounding
from hfkit.tasks import ImageClassification
from hfkit.training.precision import batch_of
from tests.fixtures.runs import trainer
from tests.prefix.test_cache import (
    GRADUAL,
    SGD,
    bits,
    checked,
    decision,
    kept_run,
    logged,
    only_store,
    rewrite,
)
from tests.tasks.test_image_classification import trainer as image_trainer
from tests.tiny import images as tiny_images

BF16 = {"precision": "bf16"}
COUNTS = np.array([5, 1, 12, 0, 7])


def round_twice(seed: int, by: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Activations, and two computations of them that round by some share of their spread; each row by its own."""
    draw = torch.Generator().manual_seed(seed)
    exact = torch.randn(int(COUNTS.sum()), 64, generator=draw) + 3
    share = by * torch.repeat_interleave(torch.tensor([1.0, 3.0, 0.5, 1.0, 2.0]), torch.from_numpy(COUNTS))[:, None]
    one, two = (exact + share * torch.randn(exact.shape, generator=draw) for _ in range(2))
    return exact, one, two


@pytest.mark.parametrize("by", [0.003, 0.03])
def test_two_ways_to_round_are_told_from_a_fault(by):
    for seed in range(20):
        exact, own, found = round_twice(seed, by)
        assert is_within_rounding(found, own, exact, COUNTS) and is_within_rounding(exact, own, exact, COUNTS)
        wrong = found.clone()
        wrong[6:18] *= 1 + by  # all of one row, whose numbers are about 3
        assert not is_within_rounding(wrong, own, exact, COUNTS)
        wrong = found.clone()
        wrong[0, 0] = torch.nan
        assert not is_within_rounding(wrong, own, exact, COUNTS)
        assert not is_within_rounding(found.roll(1, 0), own, exact, COUNTS)
    # The bound that a share of the largest can give without refusing what rounds so does not see the fault.
    wrong = found.clone()
    wrong[6:18] *= 1 + by
    assert is_close(wrong, own, 3 * ((found - own).abs().max() / own.abs().max()).item())


def test_the_model_computes_in_float32_although_it_is_prepared_for_bfloat16(checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path, **BF16)
    batch = run.codec.inputs(batch_of(run))
    with torch.no_grad():
        plain = run.model.eval()(**batch).logits
        prepared = run.accelerator.prepare_model(run.model, evaluation_mode=True)
        assert not torch.equal(prepared(**batch).logits, plain)
        with computing_in_float32(run.model):
            assert torch.equal(run.model(**batch).logits, plain)
        assert not torch.equal(prepared(**batch).logits, plain)


@pytest.mark.parametrize("by", [1.005, pytest.param(np.nan, marks=pytest.mark.slow)])
def test_what_rounding_does_not_explain_switches_it_off_in_bfloat16(by, checkpoint, corpus, tmp_path, capsys):
    first = kept_run(checkpoint, corpus, tmp_path, **BF16)
    first.train()
    assert decision(first) == "on"

    def change(values, places):
        for row in places.keys() - checked(22):
            values[places[row]] *= by

    rewrite(only_store(tmp_path), change)
    again = kept_run(checkpoint, corpus, tmp_path, "again", seed=1, **BF16)  # with other rows in its first batch
    again.train()
    told = "logits differ by nan" if np.isnan(by) else "activations lie further from float32 than rounding explains"
    assert f"Prefix cache off: at depth 5 {told}" in capsys.readouterr().out


def test_what_a_run_computes_in_decides_how_activations_are_stored(checkpoint, corpus, tmp_path):
    found = []
    for flags in ({}, BF16):
        run = kept_run(checkpoint, corpus, tmp_path, f"run{len(found)}", cache_dtype="auto", **flags)
        before = set((tmp_path / "kept" / "activations").glob("*"))
        run.train()
        assert decision(run) == "on"
        (store,) = set((tmp_path / "kept" / "activations").iterdir()) - before
        found.append(json.loads((store / "part0.json").read_text())["dtype"])
    assert found == ["float16", "bfloat16"]


def losses(run) -> np.ndarray:
    return np.array(logged(run, "loss") + logged(run, "eval_loss"))


def make_run(kind: str, place: Path, checkpoint: str, corpus: str, **flags):
    """A run of some stages: over sentences, or over pictures by convolutions with running statistics."""
    flags = {**GRADUAL, "eval_strategy": "epoch", **flags}
    if kind == "text":
        return trainer(checkpoint, corpus, place, **flags)
    if not (place.parent / "images").exists():
        tiny_images.image_folder(place.parent / "images", train=16)
        tiny_images.resnet(place.parent / "resnet")
    task = ImageClassification(dataset=str(place.parent / "images"), augmentation="none", flip="none")
    return image_trainer(str(place.parent / "resnet"), task, place, **flags)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["text", "image"])
def test_a_run_with_a_cache_is_as_near_to_float32_as_one_without(kind, checkpoint, corpus, tmp_path):
    """All losses of a whole run: those that rounding makes otherwise, and no more than that."""
    runs = {}
    for name, flags in {
        "float32": {"precision": "fp32", "prefix_cache": False},
        "plain": {**BF16, "prefix_cache": False},
        "cached": BF16,
    }.items():
        runs[name] = make_run(kind, tmp_path / name, checkpoint, corpus, **SGD, **flags)
        runs[name].train()
        assert runs[name].invariants.checked["frozen_depths_unchanged"] >= 3
    assert decision(runs["cached"]) == "on" and runs["cached"].args.cache_dtype == "bfloat16"
    exact = losses(runs["float32"])
    apart = {name: np.sqrt(np.mean((losses(runs[name]) - exact) ** 2)) for name in ("plain", "cached")}
    assert 0 < apart["cached"] < 2 * apart["plain"] < 0.1 * exact.std()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["text", "image"])
@pytest.mark.parametrize("kept", [False, True], ids=["rebuilt", "reopened"])
def test_a_run_in_bfloat16_resumes_to_the_same_bits(kind, kept, checkpoint, corpus, tmp_path):
    flags = {**BF16, "cache_dir": str(tmp_path / "kept") if kept else None}
    whole = make_run(kind, tmp_path / "whole", checkpoint, corpus, save_strategy="steps", save_steps=2, **flags)
    whole.train()
    assert decision(whole) == "on"
    starts = whole.unfreezing.plan.starts
    for step in sorted({2, *(start + start % 2 for start in starts[1:]), whole.total_steps - 2}):
        resumed = make_run(kind, tmp_path / f"from-{step}", checkpoint, corpus, **flags)
        resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / f"checkpoint-{step}"))
        assert bits(resumed) == bits(whole) and decision(resumed) == "on", f"from step {step}"
        assert logged(resumed, "loss") == logged(whole, "loss")
