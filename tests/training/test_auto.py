"""The strategy that picks itself: it stops where the probe is enough, goes to the top where it must, keeps the best."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Value
from safetensors.torch import load_file

from hfkit import TransferArguments, TransferTrainer
from hfkit.errors import UserError
from hfkit.tasks import ImageClassification, TextClassification
from hfkit.training.auto import ENOUGH, ON, STOP, decide, decisions
from hfkit.training.invariants import digest
from tests.fixtures.pairs import AUTO, digests
from tests.fixtures.runs import at, trainer
from tests.tasks.test_image_classification import trainer as image_trainer
from tests.tiny import images as tiny_images
from tests.tiny import text as tiny

HIGH = {"learning_rate": 1e-2, "head_learning_rate": 1e-2, "layer_decay": 1.0}


@pytest.fixture(scope="module")
def larger(tmp_path_factory) -> str:
    return tiny.ner_folder(tmp_path_factory.mktemp("larger"), train=64, validation=48, test=8)


@pytest.fixture(scope="module")
def blind(tmp_path_factory) -> str:
    """A checkpoint that tells no two words apart, until its embeddings learn."""
    return tiny.blind_bert(tmp_path_factory.mktemp("blind"))


@pytest.fixture(scope="module")
def faulty(tmp_path_factory) -> str:
    """The larger corpus with a validation split where every third row lost its labels: nobody is faultless. All rows
    are of two patients.
    """
    splits = tiny.ner_splits(train=64, validation=48, test=8)
    splits["validation"] = splits["validation"].map(
        lambda row, i: {"tags": row["tags"] if i % 3 else ["O"] * len(row["tags"])}, with_indices=True
    )
    splits = splits.map(lambda row, i: {"patient": f"p{i % 2}"}, with_indices=True)
    return tiny.folder_of(splits, tmp_path_factory.mktemp("faulty"))


def bits(run: TransferTrainer) -> bytes:
    return digest(run.model.state_dict().values())


def judged(run: TransferTrainer) -> list[float]:
    return [entry["eval_f1"] for entry in run.state.log_history if "eval_f1" in entry]


def test_the_probe_is_kept_where_the_features_are_enough(checkpoint, larger, tmp_path, capsys):
    """Validation could hardly see a gain: training goes on for its patience, and no stage further."""
    run = trainer(checkpoint, larger, tmp_path, **AUTO, patience=1, keep_weights="best")
    before = {name: p.detach().clone() for name, p in run.model.named_parameters()}
    run.train()
    decision, *_, last = decisions(run.state.log_history)
    assert decision["stage"] == 0 and decision["decision"] == ON and ENOUGH in decision["why"]
    assert last["decision"] == STOP and "1 evaluations without a gain" in last["why"]
    assert decision["lowest_depth"] == run.unfreezing.depths.head and decision["validation"] > 0.95
    assert 0 < run.state.global_step < run.state.max_steps
    moved = {name for name, p in run.model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {"classifier.weight", "classifier.bias"}
    assert [row["depths"] for row in run.facts()["plan"]][:2] == ["5", "3-5"]
    assert f"Stage 0, depths from 5: validation f1 {decision['validation']:.3f}: go on" in capsys.readouterr().out


def test_it_goes_to_the_top_where_only_everything_can_learn(blind, larger, tmp_path):
    run = trainer(blind, larger, tmp_path, **{**AUTO, "num_train_epochs": 10}, **HIGH)
    run.train()
    found = decisions(run.state.log_history)
    assert [decision["stage"] for decision in found] == [0, 1, 2, 3]
    assert [decision["lowest_depth"] for decision in found] == [5, 3, 2, 0]
    assert all(decision["validation"] < 0.3 for decision in found[:3]) and found[3]["validation"] > 0.7
    assert "better, beyond noise" in found[3]["why"] and found[3]["p"] < 0.01
    assert found[3]["low"] > 0 and found[3]["best_before"] == max(d["validation"] for d in found[:3])
    assert run.state.best_metric == max(judged(run)) and run.invariants.checked["frozen_depths_unchanged"] >= 3


def test_rows_of_two_patients_are_no_evidence_for_another_stage(checkpoint, faulty, tmp_path):
    run = trainer(checkpoint, faulty, tmp_path, task={"unit_column": "patient"}, **AUTO)
    run.train()
    decision, *_ = decisions(run.state.log_history)  # without the column there is much left to gain
    assert decision["stage"] == 0 and ENOUGH in decision["why"] and decision["validation"] < 0.95


@pytest.mark.slow
def test_two_ruinous_stages_end_training_and_the_probe_is_restored(checkpoint, faulty, tmp_path):
    run = trainer(checkpoint, faulty, tmp_path, **AUTO, learning_rate=3.0, max_grad_norm=0.0)
    run.train()
    found = decisions(run.state.log_history)
    assert [decision["stage"] for decision in found] == [0, 1, 2] and "2 stages in a row" in found[-1]["why"]
    assert found[0]["validation"] == run.state.best_metric == max(judged(run)) > found[2]["validation"]
    best = load_file(tmp_path / "checkpoint-0" / "model.safetensors")
    assert all(torch.equal(value, best[name]) for name, value in run.model.state_dict().items())
    run.evaluate()
    assert judged(run)[-1] == found[0]["validation"] and len(decisions(run.state.log_history)) == 3


@pytest.mark.parametrize(
    ("model", "data", "rate"),
    [
        pytest.param("blind", "larger", 1e-2, id="to the top", marks=pytest.mark.slow),
        pytest.param("checkpoint", "faulty", 3.0, id="stopped"),
    ],
)
def test_a_resumed_run_ends_with_the_same_bits(model, data, rate, tmp_path, request):
    """Cut at the probe, and before, at and after every decision."""
    model, data = (request.getfixturevalue(name) for name in (model, data))
    flags = {**AUTO, "learning_rate": rate, "per_device_train_batch_size": 16, "max_grad_norm": 0.0}
    flags |= {"eval_strategy": "steps", "save_strategy": "steps", "eval_steps": 2, "save_steps": 1}
    flags |= {"num_train_epochs": 3}
    whole = trainer(model, data, tmp_path / "whole", **{**flags, "save_steps": 2})
    saved = at("on_step_end", lambda args, state, control, **_: setattr(control, "should_save", True))
    whole.add_callback(saved)
    whole.train()
    cuts = sorted(int(path.name.partition("-")[2]) for path in (tmp_path / "whole").glob("checkpoint-*"))
    ends = [entry["step"] for entry in whole.state.log_history if "auto" in entry]
    assert cuts == list(range(whole.state.global_step + 1)) and len(ends) > 2
    for cut in sorted({cut + d for cut in ends[:2] + ends[-1:] for d in (-1, 0, 1)} & set(cuts)):
        resumed = trainer(model, data, tmp_path / f"from-{cut}", **{**flags, "save_steps": 2})
        resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / f"checkpoint-{cut}"))
        assert bits(resumed) == bits(whole), f"cut at {cut}"
        assert decisions(resumed.state.log_history) == decisions(whole.state.log_history), f"cut at {cut}"
        assert resumed.state.global_step == whole.state.global_step


@pytest.mark.slow
def test_what_is_trained_is_what_the_stage_says(blind, larger, tmp_path):
    run = trainer(blind, larger, tmp_path, **AUTO, learning_rate=1e-3)
    before = {name: p.detach().clone() for name, p in run.model.named_parameters()}

    def compare(args, state, control, **_):
        lowest = run.unfreezing.plan.lowest_trainable(state.global_step - 1)
        for name, parameter in run.model.named_parameters():
            assert run.unfreezing.depths.parameters[name] >= lowest or torch.equal(parameter, before[name]), name

    run.add_callback(at("on_step_end", compare))
    run.train()
    rows = run.facts()["plan"]
    assert [row["until_step"] for row in rows] == [0, 16, 32, 64] and rows[-1]["depths"] == "0-5"
    assert [round(entry["epoch"], 3) for entry in run.state.log_history if "eval_f1" in entry] == [0, 1, 2, 3, 4]
    # Each stage has rates of its own, from low to high and back.
    rates = [entry["learning_rate"] for entry in run.state.log_history if "learning_rate" in entry]
    for start, end in ((0, 16), (16, 32), (32, 64)):
        assert rates[start] < max(rates[start:end]) == pytest.approx(1e-3) and rates[end - 1] < 2e-4


def test_the_head_is_fitted_whatever_the_model_gives_it(checkpoint, tmp_path):
    """A decoder whose head reads every token and answers by the last; numbers far from 0; labels of which many hold."""
    texts = tiny.folder_of(tiny.review_splits(train=64, validation=24, test=8), tmp_path / "texts")
    run = text_trainer(tiny.gpt2(tmp_path / "gpt2"), TextClassification(dataset=texts), tmp_path / "a")
    assert fitted(run)["validation"] > 0.9
    splits = tiny.review_splits(train=64, validation=24, test=8)
    numbers = splits.map(lambda row: {"label": 500.0 + 20 * (row["label"] == "positive")}).cast_column(
        "label", Value("float64")
    )
    task = TextClassification(dataset=tiny.folder_of(numbers, tmp_path / "numbers"), problem="regression")
    run = text_trainer(checkpoint, task, tmp_path / "b")
    assert fitted(run)["validation"] > 0.7
    assert 495 < np.mean(run.predictions("validation")) < 525


def text_trainer(checkpoint: str, task: TextClassification, output: Path) -> TransferTrainer:
    flags = {**AUTO, "num_train_epochs": 1, "learning_rate": 1e-7, "use_cpu": True, "report_to": "none"}
    args = TransferArguments(output_dir=str(output), disable_tqdm=True, per_device_train_batch_size=16, **flags)
    rows = task.load()
    codec = task.codec(checkpoint, rows.target)
    torch.manual_seed(0)
    return TransferTrainer(model=codec.model(), args=args, task=task, codec=codec, rows=rows)


def fitted(run: TransferTrainer) -> dict:
    run.train()
    return decisions(run.state.log_history)[0]


@pytest.mark.parametrize("make", [tiny_images.vit, tiny_images.resnet], ids=["vit", "resnet"])
def test_images_too(make, tmp_path):
    images = tiny_images.image_folder(tmp_path)
    run = image_trainer(make(tmp_path / "model"), ImageClassification(dataset=images), tmp_path / "run", **AUTO)
    run.train()
    found = decisions(run.state.log_history)
    assert found[0]["stage"] == 0 and found[-1]["decision"] == STOP
    assert run.state.best_metric == max(decision["validation"] for decision in found)


@pytest.mark.slow
def test_two_processes_decide_alike(more_pairs):
    ranks = digests(more_pairs / "auto")
    assert len(ranks) == 2 and ranks[0] == ranks[1]
    log = json.loads((more_pairs / "auto" / "log.json").read_text())
    assert log["auto"]["stage"] >= 2 and log["auto"]["decision"] == STOP


@pytest.mark.parametrize(
    ("gain", "left", "strikes", "last", "decision", "words"),
    [
        (None, 0.001, 0, False, ON, "first"),
        (None, 0.2, 0, False, ON, ENOUGH),
        ((0.1, 0.01), 0.001, 0, False, ON, "better, beyond noise"),
        ((0.1, 0.3), 0.001, 0, False, ON, "better, within noise"),
        ((0.0, 0.5), 0.001, 0, False, ON, "no better"),
        ((-0.1, 0.99), 0.001, 1, False, ON, "worse, beyond noise"),
        ((-0.1, 0.99), 0.001, 2, False, STOP, "worse, beyond noise, 2 stages in a row"),
        ((0.1, 0.01), 0.06, 0, False, ON, ENOUGH),
        ((0.1, 0.01), 0.001, 0, True, STOP, "nothing is left"),
    ],
)
def test_the_rules(gain, left, strikes, last, decision, words):
    gain = gain and dict(zip(("difference", "p"), gain, strict=True))
    found, why = decide(gain, left, strikes, last=last)
    assert found == decision and words in why


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        ({"load_best_model_at_end": False}, "load_best_model_at_end=False"),
        ({"metric_for_best_model": "loss"}, "metric_for_best_model=loss"),
        ({"lora_rank": 4}, "lora_rank=4"),
    ],
)
def test_what_it_cannot_be_judged_by_is_refused(flags, word, checkpoint, corpus, tmp_path):
    with pytest.raises(UserError) as error:
        trainer(checkpoint, corpus, tmp_path, **{**AUTO, **flags})
    assert word in str(error.value) and "--eval_strategy epoch" in str(error.value)
