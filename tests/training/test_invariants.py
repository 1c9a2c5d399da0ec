"""A run stops before numbers that are none reach its weights, and goes on where a batch has nothing to learn from."""

import json
import math
import runpy
from pathlib import Path

import pytest
import torch

from hfkit.errors import UserError
from hfkit.training.invariants import NonFinite
from tests.fixtures.runs import trainer

RECIPE = str(Path(__file__).parents[2] / "recipes" / "bert_ner.py")


def run_recipe(*argv: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", [RECIPE, "--use_cpu", "--report_to", "none", "--disable_tqdm", "true", *argv])
        runpy.run_path(RECIPE, run_name="__main__")


def test_a_non_finite_run_is_no_user_error(checkpoint, corpus, tmp_path):
    """It leaves the recipe as an exception, which ends a process with exit code 1, and writes no model."""
    flags = ["--strategy", "full", "--learning_rate", "1e38", "--head_learning_rate", "1e38", "--warmup_steps", "0"]
    with pytest.raises(NonFinite, match="Training stopped before the optimizer step"):
        run_recipe("--checkpoint", checkpoint, "--dataset", corpus, "--output_dir", str(tmp_path / "out"), *flags)
    assert not issubclass(NonFinite, UserError | SystemExit)
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_a_batch_without_labels_trains_without_nan(checkpoint, corpus, tmp_path):
    """A word of nothing but a zero-width space has no pieces, and one word to a batch leaves nothing to average."""
    for split in ("train", "validation", "test"):
        rows = [{"tokens": ["anna", "left", "."], "tags": ["B-PER", "O", "O"]}, {"tokens": ["\u200b"], "tags": ["O"]}]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = trainer(
        checkpoint, str(tmp_path), tmp_path / "out", strategy="full", per_device_train_batch_size=1, num_train_epochs=3
    )
    assert sorted(set(labels) == {-100} for labels in run.train_dataset["labels"]) == [False, True]
    run.train()
    losses = [entry["loss"] for entry in run.state.log_history if "loss" in entry]
    assert losses.count(0.0) == 3 and all(0 <= loss < math.inf for loss in losses) and len(losses) == 6
    assert all(torch.isfinite(parameter).all() for parameter in run.model.parameters())
    assert 0 <= run.evaluate()["eval_f1"] <= 1
