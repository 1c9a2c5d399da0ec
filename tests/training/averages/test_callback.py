"""Averaged weights are judged, chosen and saved; the steps of training and the end of a cut run stay the same."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForTokenClassification

from hfkit import KEEP_BEST, RecipeArguments, TransferTrainer
from hfkit.model.digests import digest
from hfkit.training.averages.callback import FILE
from hfkit.training.checkpoints import TRAINED
from tests.fixtures.pairs import AUTO, job, launch
from tests.fixtures.runs import at, trainer
from tests.tiny import text as tiny

GRADUAL = {"strategy": "gradual", "head_only": 0.2, "unfreeze_stages": 2, "unfreeze_until": 0.6}
GRADUAL |= {"learning_rate": 1e-2, "fit_head": "no"}
FLAGS = {
    **GRADUAL,
    **KEEP_BEST,
    "num_train_epochs": 3,
    "save_total_limit": None,
    "ema": 0.8,
    "wise_ft": ["0.3", "0.6", "1"],
}
CUTS = (6, 12, 18)  # steps: before the last thaw, after it, and the end, with the choice still to be made


class Record:
    """The raw weights of a run after every step, and those that its evaluations saw."""

    def __init__(self, run: TransferTrainer) -> None:
        self.run, self.judged = run, {}
        self.steps = [self.read()]
        run.add_callback(at("on_step_end", lambda *_, **__: self.steps.append(self.read())))
        run.add_callback(at("on_prediction_step", self.see))

    def read(self) -> dict[str, np.ndarray]:
        return {name: p.detach().double().numpy().copy() for name, p in self.run.model.named_parameters()}

    def see(self, args, state, control, **_) -> None:
        if self.run.is_in_train:
            self.judged[state.global_step] = self.read()


def bits(run: TransferTrainer) -> bytes:
    return digest(run.model.state_dict().values())


def entry_of(run: TransferTrainer, name: str) -> dict:
    (entry,) = [entry[name] for entry in run.state.log_history if name in entry]
    return entry


def headline(run: TransferTrainer) -> float:
    return run.predict(run.encoded["validation"]).metrics[f"test_{run.task.judge.headline.key}"]


@pytest.fixture(scope="module")
def whole(checkpoint, corpus, tmp_path_factory) -> tuple[TransferTrainer, Record]:
    run = trainer(checkpoint, corpus, tmp_path_factory.mktemp("whole"), **FLAGS)
    record = Record(run)
    run.train()
    return run, record


def test_evaluations_see_the_moving_average_of_the_steps_before(whole):
    run, record = whole
    average = record.steps[0]
    for step, weights in enumerate(record.steps[1:], 1):
        decay = min(0.8, (1 + step) / (10 + step))
        average = {name: decay * average[name] + (1 - decay) * value for name, value in weights.items()}
        if step in record.judged:
            for name, value in record.judged[step].items():
                np.testing.assert_allclose(value, average[name], rtol=1e-4, atol=1e-6)
            assert any(np.abs(average[name] - weights[name]).max() > 1e-3 for name in weights)
    assert sorted(record.judged) == [6, 12, 18]


def test_frozen_weights_take_no_copy(whole):
    run, record = whole
    starts, folder = run.unfreezing.plan.starts, Path(run.args.output_dir)
    assert starts[-2] < CUTS[0] < starts[-1] < CUTS[1]
    frozen = {
        name for name, depth in run.unfreezing.depths.parameters.items() if depth < run.unfreezing.plan.lowest[-2]
    }
    held = [load_file(folder / f"checkpoint-{cut}" / FILE).keys() for cut in CUTS[:2]]
    assert frozen and held[0] == {
        *(f"average/{name}" for name in record.steps[0].keys() - frozen),
        *(f"start/classifier.{name}" for name in ("weight", "bias")),
    }
    assert held[1] - held[0] == {f"average/{name}" for name in frozen}


@pytest.mark.slow
def test_raw_weights_are_those_of_a_run_without_averages(whole, checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path, **FLAGS | {"ema": None, "wise_ft": ["1"]})
    record = Record(run)
    run.train()
    for one, other in zip(record.steps, whole[1].steps, strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in one)
    # The end of the way is no other place than without the flag: that of the best checkpoint.
    best = load_file(Path(run.state.best_model_checkpoint, "model.safetensors"))
    assert entry_of(run, "wise_ft")["share"] == 1
    assert all(torch.equal(value, best[name]) for name, value in run.model.state_dict().items())


def test_the_share_of_the_way_back_is_the_best_on_validation(whole):
    run, record = whole
    chosen = entry_of(run, "wise_ft")
    scores = {float(share): score for share, score in chosen["scores"].items()}
    assert list(scores) == [1.0, 0.6, 0.3]
    assert scores[chosen["share"]] == chosen["after"] == max(scores.values()) >= scores[1] == chosen["before"]
    assert all(score < chosen["after"] for share, score in scores.items() if share > chosen["share"])
    assert headline(run) == chosen["after"] and chosen["before"] == run.state.best_metric
    # The head had learnt by itself, and so the start has one: that of the step in which the first blocks thawed.
    end, begun = record.judged[run.state.best_global_step], run.unfreezing.plan.starts[1]
    assert begun > 0 and chosen["head"] == "interpolated"
    for name, value in run.model.named_parameters():
        start = record.steps[begun if name.startswith("classifier") else 0][name]
        way = start + chosen["share"] * (end[name] - start)
        np.testing.assert_allclose(value.detach().numpy(), way, rtol=1e-4, atol=1e-6)


def test_a_head_that_began_at_random_with_the_blocks_keeps_its_weights(checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path, strategy="full", wise_ft=["0.3"], num_train_epochs=1)
    record = Record(run)
    run.train()
    assert entry_of(run, "wise_ft")["share"] == 0.3 and entry_of(run, "wise_ft")["head"] == "kept"
    for name, value in run.model.named_parameters():
        first, last = record.steps[0][name], record.steps[-1][name]
        share = 1.0 if name.startswith("classifier") else 0.3
        np.testing.assert_allclose(value.detach().numpy(), first + share * (last - first), rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_a_fitted_head_is_part_of_the_start(corpus, tmp_path):
    blind = tiny.blind_bert(tmp_path / "blind")
    flags = {"wise_ft": ["0.5"], "save_total_limit": None, "learning_rate": 1e-2, "num_train_epochs": 2}
    run = trainer(blind, corpus, tmp_path / "run", **AUTO | flags)
    run.train()
    fitted = load_file(tmp_path / "run" / "checkpoint-0" / "model.safetensors")
    held = load_file(tmp_path / "run" / "checkpoint-6" / FILE)
    assert held.keys() == {"start/classifier.weight", "start/classifier.bias"}
    assert all(torch.equal(value, fitted[name.removeprefix("start/")]) for name, value in held.items())


@pytest.mark.parametrize("cut", [CUTS[1], *(pytest.param(cut, marks=pytest.mark.slow) for cut in CUTS[::2])])
def test_a_resumed_run_ends_with_the_same_bits(cut, whole, checkpoint, corpus, tmp_path):
    """At the last cut training had ended, and the run was killed while it chose."""
    run, _ = whole
    place = shutil.copytree(run.args.output_dir, tmp_path / "cut", ignore=shutil.ignore_patterns(TRAINED))
    resumed = trainer(checkpoint, corpus, place, **FLAGS)
    resumed.train(resume_from_checkpoint=f"{place}/checkpoint-{cut}")
    assert bits(resumed) == bits(run)
    assert entry_of(resumed, "wise_ft") == entry_of(run, "wise_ft")
    assert torch.equal(torch.rand(3), resumed_draw(run))


def resumed_draw(run: TransferTrainer) -> torch.Tensor:
    """The next numbers after the training of a run."""
    state = torch.get_rng_state()
    run._load_rng_state(str(Path(run.args.output_dir, TRAINED)))
    drawn = torch.rand(3)
    torch.set_rng_state(state)
    return drawn


def test_the_saved_model_is_the_one_that_was_judged(whole, checkpoint, corpus, tmp_path):
    run, _ = whole
    folder = shutil.copytree(run.args.output_dir, tmp_path / "ended")
    again = trainer(checkpoint, corpus, folder, **FLAGS)
    again.train(resume_from_checkpoint="auto")  # no step is repeated
    assert bits(again) == bits(run) and again.state.log_history == run.state.log_history
    again.save_model()
    plain = AutoModelForTokenClassification.from_pretrained(folder)
    assert digest(plain.state_dict().values()) == bits(run)
    report = again.report(RecipeArguments())
    assert "weights averaged with decay 0.8; WiSE-FT: " in report.contenders[0]["description"]


@pytest.mark.slow
def test_without_a_best_checkpoint_the_last_averages_are_kept(whole, checkpoint, corpus, tmp_path):
    flags = FLAGS | {"load_best_model_at_end": False, "metric_for_best_model": None, "wise_ft": []}
    run = trainer(checkpoint, corpus, tmp_path, **flags)
    run.train()
    for name, value in run.model.named_parameters():
        assert np.array_equal(value.detach().double().numpy(), whole[1].judged[18][name])


@pytest.mark.slow
def test_adapters_are_averaged_too(checkpoint, corpus, tmp_path):
    flags = FLAGS | {"strategy": "lora", "wise_ft": []}
    run = trainer(checkpoint, corpus, tmp_path / "whole", **flags)
    run.train()
    assert headline(run) == run.state.best_metric
    resumed = trainer(checkpoint, corpus, tmp_path / "resumed", **flags)
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-6"))
    assert bits(resumed) == bits(run)
    again = trainer(checkpoint, corpus, tmp_path / "resumed", **flags)
    again.train(resume_from_checkpoint="auto")
    assert bits(again) == bits(run) and again.state.log_history == resumed.state.log_history


@pytest.mark.slow
def test_two_processes_choose_alike(checkpoint, corpus, tmp_path):
    flags = {**FLAGS, "save_total_limit": 1, "soup": "greedy"}
    ended = launch([job(tmp_path, "averaged", checkpoint, corpus, flags)])
    assert ended.returncode == 0, ended.stderr[-3000:]
    ranks = [(tmp_path / "averaged" / f"rank-{rank}.txt").read_text() for rank in (0, 1)]
    assert ranks[0] == ranks[1]
