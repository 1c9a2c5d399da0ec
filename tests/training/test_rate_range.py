"""Rates are swept before the first step: nothing is left of it but factors, which belong to the run."""

import math
from pathlib import Path

import numpy as np
import pytest

from hfkit import RecipeArguments, TransferTrainer
from hfkit.errors import UserError
from hfkit.model.digests import digest
from hfkit.tasks import ImageClassification
from hfkit.training import rate_range
from hfkit.training.auto import STOP, decisions
from hfkit.training.generators import read_generators
from hfkit.training.rate_range import ENTRY, Sweep, choose_factor, factors_by_depth, rows_of_steps, sweep_rates
from tests.fixtures.pairs import AUTO, job, launch
from tests.fixtures.runs import at, trainer
from tests.tasks.test_image_classification import trainer as image_trainer
from tests.tiny import images as tiny_images

GRADUAL = {"strategy": "gradual", "head_only": 0.2, "unfreeze_stages": 2, "unfreeze_until": 0.6}
SWEPT = {**GRADUAL, "find_rate": True}
FACTORS = 30.0 ** np.linspace(-1, 1, 36)


def bits(run: TransferTrainer) -> bytes:
    return digest(run.model.state_dict().values())


def entries(run: TransferTrainer) -> list[dict]:
    return [entry[ENTRY] for entry in run.state.log_history if ENTRY in entry]


def logged(run: TransferTrainer) -> list[tuple]:
    return [(e["loss"], e["grad_norm"], e["learning_rate"]) for e in run.state.log_history if "loss" in e]


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(rate_range, "STEPS", 8)
    return monkeypatch


# What follows from a curve


def curve(lowest: float, *, noise: float = 0.002, broken: bool = True) -> np.ndarray:
    """Losses that fall towards the factor `lowest`, and rise behind it if it breaks training."""
    far = np.log(FACTORS / lowest)
    losses = 0.7 - 0.5 * np.exp(-np.square(far) / 2)
    if not broken:
        losses = np.where(far > 0, 0.2, losses)
    return losses + noise * np.random.default_rng(0).standard_normal(len(FACTORS))


@pytest.mark.parametrize("lowest", [1.0, 3.0, 8.0])
def test_the_rate_lies_half_an_order_of_magnitude_below_that_of_the_lowest_loss(lowest):
    found = choose_factor(FACTORS, curve(lowest), diverged=True)
    # The mean of the last losses comes a step or two later than they do.
    assert abs(math.log2(found / (lowest / math.sqrt(10)))) < 0.8


def test_it_is_at_most_ten_times_as_high_or_as_low():
    assert choose_factor(1000 * FACTORS, curve(8.0), diverged=True) == 10
    assert choose_factor(FACTORS / 1000, curve(8.0), diverged=True) == 0.1


def test_where_nothing_falls_only_rates_that_break_training_count():
    noise = 0.7 + 0.05 * np.random.default_rng(1).standard_normal(len(FACTORS))
    assert choose_factor(FACTORS, noise, diverged=False) == 1
    rises = np.append(noise[:20], [1.0, 3.0])  # at the rate of the strategy
    assert choose_factor(FACTORS[:22], rises, diverged=True) == pytest.approx(0.1 * FACTORS[21])
    assert choose_factor(FACTORS[:1], np.array([0.7]), diverged=True) == 0.1  # from the first step on


def test_lower_depths_learn_no_faster_than_upper_ones():
    def sweep(lowest: int, factor: float) -> Sweep:
        return Sweep(lowest, [1.0], [0.7], [0.7], factor, "")

    assert factors_by_depth([sweep(3, 2.0), sweep(0, 0.5)], 5) == [0.5, 0.5, 0.5, 2.0, 2.0, 2.0]
    assert factors_by_depth([sweep(3, 0.5), sweep(1, 2.0)], 5) == [1.0, 0.5, 0.5, 0.5, 0.5, 0.5]
    assert factors_by_depth([sweep(5, 3.0)], 5) == [1.0, 1.0, 1.0, 1.0, 1.0, 3.0]


# What is left of a sweep


def test_a_run_whose_factors_are_one_ends_with_the_bits_of_a_run_without_a_sweep(short, checkpoint, corpus, tmp_path):
    plain = trainer(checkpoint, corpus, tmp_path / "plain", **GRADUAL)
    plain.train()
    short.setattr(rate_range, "MOST", 1.0)
    swept = trainer(checkpoint, corpus, tmp_path / "swept", **SWEPT)
    swept.train()
    (entry,) = entries(swept)
    assert entry["factors"] == [1.0] * 6 and [sweep["lowest_depth"] for sweep in entry["sweeps"]] == [2, 0]
    assert bits(swept) == bits(plain) and logged(swept) == logged(plain)
    assert swept.plan_rows() == plain.plan_rows()


def test_a_sweep_leaves_no_trace_in_model_optimizer_and_generators(short, tmp_path):
    task = ImageClassification(dataset=tiny_images.image_folder(tmp_path / "images"), flip="horizontal")
    run = image_trainer(tiny_images.resnet(tmp_path / "resnet"), task, tmp_path / "run", strategy="full")
    seen = []

    def everything() -> list:
        model, drawn, optimizer = run.model, read_generators(), run.optimizer.optimizer
        return [
            bits(run),
            [(p.requires_grad, p.grad) for p in model.parameters()],
            [module.training for module in model.modules()],
            [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups],
            [len(optimizer.state), run.training_collator.epoch, run.unfreezing.lowest],
            [drawn["python"], drawn["numpy"][1].tolist(), drawn["cpu"].tolist()],
        ]

    def sweep(*_, **__) -> None:
        before = everything()
        (found, upper) = reversed(sweep_rates(run, 0))
        assert everything() == before and found.losses != upper.losses
        assert sweep_rates(run, 0) == [upper, found]  # whatever was drawn before
        seen.append(found)

    def interrupt(*_, **__) -> None:
        before = everything()
        with short.context() as broken, pytest.raises(KeyboardInterrupt):
            broken.setattr(rate_range, "smooth", raise_signal)
            sweep_rates(run, 0)
        run.unfreezing.apply(run.model, 0)
        assert everything() == before
        run.control.should_training_stop = True

    run.add_callback(at("on_train_begin", sweep))
    run.add_callback(at("on_train_begin", interrupt))
    run.train()
    assert len(seen) == 1


def raise_signal(_) -> None:
    raise KeyboardInterrupt


def test_each_step_has_rows_of_its_own(checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path, gradient_accumulation_steps=2)
    steps = rows_of_steps(run)
    assert len(steps) == 36 and all([len(rows) for rows in step] == [4, 4] for step in steps)
    taken = [row for step in steps for rows in step for row in rows]
    assert sorted(taken[:22]) == sorted(taken[22:44]) == list(range(22)) and taken[:22] != taken[22:44]


# What becomes of the factors


@pytest.fixture
def found(short):
    """The sweeps speak for twice the rates above and half of them below."""
    short.setattr(rate_range, "choose_factor", lambda factors, losses, diverged: next(answers))
    answers = iter((2.0, 0.5))
    return short


@pytest.mark.slow
def test_rates_are_multiplied_by_depth_and_a_resumed_run_does_not_sweep_again(
    found, checkpoint, corpus, tmp_path, capsys
):
    saving = dict(save_strategy="steps", save_steps=4, thaw_warmup=0.2)
    run = trainer(checkpoint, corpus, tmp_path / "whole", **SWEPT, **saving)
    run.train()
    (entry,) = entries(run)
    assert entry["factors"] == [0.5, 0.5, 2.0, 2.0, 2.0, 2.0]
    line = "Rates: those of the strategy times 2 at depths 2 to 5, 0.5 at depths 0 to 1, by sweeps of up to 8 steps."
    assert entry["line"] == line and capsys.readouterr().out.count(line) == 1
    rates = {group["depth"]: group["initial_lr"] for group in run.optimizer.optimizer.param_groups}
    planned = {group["depth"]: group["lr"] for group in run.groups()}
    assert rates == {depth: planned[depth] * entry["factors"][depth] for depth in range(6)}
    plain = trainer(checkpoint, corpus, tmp_path / "plain", **GRADUAL, thaw_warmup=0.2)
    plain.train()
    assert [rate for *_, rate in logged(run)] == [2 * rate for *_, rate in logged(plain)]
    assert run.plan_rows()[0]["highest_learning_rate"] == 2 * plain.plan_rows()[0]["highest_learning_rate"]
    assert run.plan_rows()[-1]["lowest_learning_rate"] == plain.plan_rows()[-1]["lowest_learning_rate"] / 2
    report = run.report(RecipeArguments()).save(tmp_path / "whole")
    assert all(line in path.read_text("utf-8") for path in (report, report.with_suffix(".md")))
    # Answers are used up: another sweep would fail.
    for cut in (4, 8):
        resumed = trainer(checkpoint, corpus, tmp_path / f"resumed-{cut}", **SWEPT, **saving)
        resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / f"checkpoint-{cut}"))
        assert bits(resumed) == bits(run) and entries(resumed) == [entry] and logged(resumed) == logged(run)
    with pytest.raises(UserError, match="settings.find_rate: True then, False now"):
        trainer(checkpoint, corpus, tmp_path / "other", **GRADUAL, **saving).train(
            resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-4")
        )


@pytest.mark.slow
def test_an_extension_keeps_the_factors(found, checkpoint, corpus, tmp_path):
    trainer(checkpoint, corpus, tmp_path, **SWEPT, save_strategy="epoch").train()
    run = trainer(checkpoint, corpus, tmp_path, **SWEPT, save_strategy="epoch", num_train_epochs=3, extend=True)
    run.train()
    rates = {group["depth"]: group["initial_lr"] for group in run.optimizer.optimizer.param_groups}
    assert rates[4] == 2 * run.groups()[-3]["lr"] and len(entries(run)) == 1


def test_with_auto_the_sweep_starts_from_the_fitted_head(short, checkpoint, tmp_path, request):
    corpus = request.getfixturevalue("corpus")
    run = trainer(checkpoint, corpus, tmp_path, **{**AUTO, "num_train_epochs": 3}, find_rate=True)
    run.train()
    stopped = decisions(run.state.log_history)[0]["decision"] == STOP
    assert len(entries(run)) == (not stopped)
    if not stopped:
        assert entries(run)[0]["sweeps"][0]["losses"][0] < 1  # of seven tags: log 7 without a head


@pytest.mark.slow
def test_adapters_are_swept_like_blocks(short, checkpoint, corpus, tmp_path):
    short.setattr(rate_range, "MOST", 1.0)
    swept = trainer(checkpoint, corpus, tmp_path / "swept", strategy="lora", find_rate=True)
    swept.train()
    plain = trainer(checkpoint, corpus, tmp_path / "plain", strategy="lora")
    plain.train()
    assert len(entries(swept)[0]["sweeps"]) == 2 and bits(swept) == bits(plain)


def test_a_model_in_parts_is_refused(checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path, find_rate=True)
    run.is_fsdp_enabled = True
    with pytest.raises(UserError, match="find_rate with FSDP: a sweep takes back"):
        rate_range.refuse_rate_range(run)


@pytest.mark.slow
def test_two_processes_sweep_the_same_batches_and_stay_equal(checkpoint, corpus, tmp_path):
    ended = launch([job(tmp_path, "swept", checkpoint, corpus, {**SWEPT, "learning_rate": 1e-2})])
    assert ended.returncode == 0, ended.stderr[-3000:]
    ranks = [(Path(tmp_path) / "swept" / f"rank-{rank}.txt").read_text() for rank in (0, 1)]
    assert ranks[0] == ranks[1] and ended.stdout.count("Rates: ") == 1
