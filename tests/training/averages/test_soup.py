"""A soup is no worse on validation than the best weights in it, and a cut run cooks the same."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hfkit import KEEP_BEST, TransferTrainer
from hfkit.errors import UserError
from hfkit.training.averages.soup import rank_steps
from hfkit.training.checkpoints import SOUP, TRAINED
from tests.fixtures.runs import at, trainer
from tests.training.averages.test_callback import GRADUAL, bits, entry_of, headline

FLAGS = {
    **GRADUAL,
    **KEEP_BEST,
    "num_train_epochs": 3,
    "save_total_limit": None,
    "soup": "4",
    "head_learning_rate": 1e-2,
    "seed": 9,  # with which three of the four are worth keeping
}
FLAGS |= {"eval_strategy": "steps", "save_strategy": "steps", "eval_steps": 3, "save_steps": 3}


@pytest.fixture(scope="module")
def whole(checkpoint, corpus, tmp_path_factory) -> tuple[TransferTrainer, list]:
    """A run that was killed when it tried its second soup: it ends when it is resumed."""
    folder = tmp_path_factory.mktemp("whole")
    run, tried = trainer(checkpoint, corpus, folder, **FLAGS), []

    def kill(*_, **__) -> None:
        tried.append(bits(run))
        if len(tried) == 2:
            raise KeyboardInterrupt

    run.add_callback(at("on_predict", kill))
    with pytest.raises(KeyboardInterrupt):
        run.train()
    assert len(list((folder / SOUP).glob("step-*"))) == 4 and not (folder / TRAINED).exists()
    shutil.copytree(folder, folder / "killed")
    again, tried = trainer(checkpoint, corpus, folder, **FLAGS), []
    again.add_callback(at("on_predict", lambda *_, **__: tried.append(bits(again))))
    again.train(resume_from_checkpoint="auto")
    return again, tried


def test_the_best_steps_come_first_and_of_equal_ones_the_earliest():
    log = [{"step": step, "eval_f1": score} for step, score in ((0, 0.2), (3, 0.5), (6, 0.5), (9, 0.9), (12, 0.1))]
    log += [{"step": 12, "loss": 1.0}]
    assert rank_steps(log, "eval_f1", 1, 3) == [9, 3, 6] and rank_steps(log, "eval_f1", -1, 2) == [12, 0]


def test_it_is_the_average_of_what_was_kept_and_no_worse_than_the_best(whole):
    run, tried = whole
    soup, folder = entry_of(run, "soup"), Path(run.args.output_dir)
    ranked = rank_steps(run.state.log_history, "eval_f1", 1, 4)
    assert list(soup["scores"]) == [str(step) for step in ranked] and soup["steps"][0] == ranked[0]
    singles = [entry["eval_f1"] for entry in run.state.log_history if "eval_f1" in entry]
    assert headline(run) == soup["after"] >= soup["before"] == max(singles)
    best, kept = soup["before"], ranked[:1]
    for step in ranked[1:]:
        if soup["scores"][str(step)] >= best:
            best, kept = soup["scores"][str(step)], [*kept, step]
    assert soup["steps"] == kept and 1 < len(kept) < 4 and len(set(tried)) > 2
    weights = [load_file(folder / f"checkpoint-{step}" / "model.safetensors") for step in kept]
    for name, value in run.model.named_parameters():
        mean = sum(one[name].double() for one in weights) / len(kept)
        torch.testing.assert_close(value.detach().double(), mean, rtol=1e-4, atol=1e-6)
    assert not (folder / SOUP).exists()


@pytest.mark.slow
@pytest.mark.parametrize("cut", [3, 9])
def test_a_run_resumed_elsewhere_cooks_the_same(cut, whole, checkpoint, corpus, tmp_path):
    run, _ = whole
    resumed = trainer(checkpoint, corpus, tmp_path / "other", **FLAGS)
    resumed.train(resume_from_checkpoint=f"{run.args.output_dir}/killed/checkpoint-{cut}")
    assert bits(resumed) == bits(run) and entry_of(resumed, "soup") == entry_of(run, "soup")


@pytest.mark.slow
def test_weights_that_were_damaged_are_left_out_with_a_line(whole, checkpoint, corpus, tmp_path, capsys):
    run, _ = whole
    folder = shutil.copytree(Path(run.args.output_dir, "killed"), tmp_path / "damaged")
    worst = list(entry_of(run, "soup")["scores"])[-1]
    (folder / SOUP / f"step-{worst}" / "weights.safetensors").write_bytes(b"")
    resumed = trainer(checkpoint, corpus, folder, **FLAGS)
    resumed.train(resume_from_checkpoint="auto")
    assert f"the weights of step {worst} are left out: weights.safetensors has 0 bytes" in capsys.readouterr().out
    assert worst not in entry_of(resumed, "soup")["scores"]


def test_another_score_for_the_best_weights_is_refused(checkpoint, corpus, tmp_path):
    with pytest.raises(UserError, match="a soup begins with the best weights by f1"):
        trainer(checkpoint, corpus, tmp_path, **FLAGS | {"metric_for_best_model": "loss"})
