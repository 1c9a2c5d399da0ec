"""Models that write, from training with gradual unfreezing to the answers of the saved model."""

import json
from pathlib import Path

import pytest
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, set_seed

from hfkit import KEEP_BEST, RecipeArguments, TransferArguments, TransferTrainer, parse
from hfkit.inference.saved import load_saved
from hfkit.tasks import Summarization
from tests.tiny import writers


def train(checkpoint: str, data: str, place: Path, *flags: str) -> TransferTrainer:
    """A trainer that has trained: blocks thaw from the top down, lower ones more slowly."""
    recipe, task, args = parse(
        (RecipeArguments, Summarization, TransferArguments),
        argv=["--checkpoint", checkpoint, "--dataset", data, "--output_dir", str(place), "--use_cpu", *flags],
        strategy="gradual",
        unfreeze_until=0.8,
        layer_decay=0.8,
        learning_rate=3e-3,
        num_train_epochs=4,
        per_device_train_batch_size=8,
        per_device_eval_batch_size=6,
        max_target_length=12,
        report_to="none",
        disable_tqdm=True,
        precision="fp32",
        **KEEP_BEST,
    )
    set_seed(args.seed)
    rows = task.load(recipe.checkpoint)
    codec = task.codec(recipe.checkpoint, rows.target)
    trainer = TransferTrainer(model=codec.model(), args=args, task=task, codec=codec, rows=rows)
    trainer.train()
    trainer.save_model()
    trainer.publish(trainer.report(recipe))
    return trainer


def evaluations(trainer: TransferTrainer) -> list[list[float]]:
    log = [entry for entry in trainer.state.log_history if "eval_loss" in entry]
    return [[entry["eval_loss"], entry["eval_rougeL"]] for entry in log]


def check_whole_path(kind: str, place: Path) -> TransferTrainer:
    """Train, and compare what was saved with what was trained."""
    checkpoint, data = writers.writer(place / "checkpoint", kind), writers.pair_folder(place / "data", train=40)
    trainer = train(checkpoint, data, place / "run")
    lowest = trainer.unfreezing.plan.lowest
    assert len(lowest) > 2 and lowest[-1] == 0 and max(lowest) <= trainer.unfreezing.depths.head
    assert [name.partition(".")[0] for name in trainer.unfreezing.depths.names[1:-1:2]] != []
    learnt = evaluations(trainer)
    assert learnt[-1][0] < learnt[0][0]
    predictions = trainer.predictions("test")
    saved = load_saved(str(place / "run"))
    assert saved.task.key == "summarization"
    assert saved.predictions(trainer.rows["test"], batch_size=6) == predictions
    # The same from transformers alone, one row at a time.
    model = AutoModelForSeq2SeqLM.from_pretrained(place / "run")
    tokenizer = AutoTokenizer.from_pretrained(place / "run")
    for row in range(3):
        text = model.config.hfkit_source_prefix + trainer.rows["test"][row]["source"]
        written = model.generate(**tokenizer(text, return_tensors="pt"))
        assert tokenizer.batch_decode(written, skip_special_tokens=True)[0].strip() == predictions[row]
    report = json.loads((place / "run" / "report.json").read_text())
    assert report["task"]["headline"] == "rougeL" and report["contenders"][0]["scores"]["rougeL"] >= 0
    return trainer


def test_what_is_saved_writes_what_was_evaluated(tmp_path):
    trainer = check_whole_path("t5", tmp_path)
    assert trainer.unfreezing.depths.names[1:3] == ("encoder.block.0", "encoder.block.1")
    assert [entry["prefix_cache"] for entry in trainer.state.log_history if "prefix_cache" in entry] == ["on"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", writers.ARCHITECTURES[1:])
def test_the_same_of_other_architectures(kind, tmp_path):
    trainer = check_whole_path(kind, tmp_path)
    names = trainer.unfreezing.depths.names[1:-1]
    assert [name.partition(".")[0] for name in names] == ["encoder", "encoder", "decoder", "decoder"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_training_above_a_stored_prefix_is_training_as_ever(kind, tmp_path):
    checkpoint = writers.writer(tmp_path / "checkpoint", kind)
    data = writers.pair_folder(tmp_path / "data", train=40)
    cached = train(checkpoint, data, tmp_path / "cached", "--cache_dtype", "float32")
    plain = train(checkpoint, data, tmp_path / "plain", "--prefix_cache", "false")
    assert [entry["prefix_cache"] for entry in cached.state.log_history if "prefix_cache" in entry] == ["on"]
    for ours, theirs in zip(evaluations(cached), evaluations(plain), strict=True):
        assert ours == pytest.approx(theirs, abs=2e-3)
    assert cached.predictions("test") == plain.predictions("test")
