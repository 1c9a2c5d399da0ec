"""Promises of README and docstrings that no other test holds to their word."""

import json
import math
import runpy
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, AutoModelForTokenClassification, ResNetConfig, ResNetForImageClassification

from hfkit.arguments.strategies import STRATEGIES
from hfkit.errors import UserError
from hfkit.model.unfreezing import Unfreezing
from hfkit.tasks import NER
from hfkit.training.invariants import NonFinite
from tests.fixtures.runs import trainer

RECIPE = str(Path(__file__).parents[2] / "recipes" / "bert_ner.py")
LABELS = ["O", "B-PER", "I-PER"]


def same_bits(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def run_recipe(*argv: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", [RECIPE, "--use_cpu", "--report_to", "none", "--disable_tqdm", "true", *argv])
        runpy.run_path(RECIPE, run_name="__main__")


# What a checkpoint becomes


def test_a_bf16_checkpoint_loads_as_fp32_master_weights(checkpoint, tmp_path):
    half = AutoModel.from_pretrained(checkpoint).to(torch.bfloat16)
    half.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == "bfloat16"
    model = NER().model(str(tmp_path), LABELS)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    name = "encoder.layer.1.output.dense.weight"
    assert torch.equal(model.bert.get_parameter(name), half.get_parameter(name).float())


def test_a_head_is_kept_for_the_same_number_of_labels_and_fresh_for_another(checkpoint, tmp_path):
    tagger = AutoModelForTokenClassification.from_pretrained(checkpoint, num_labels=3)
    tagger.save_pretrained(tmp_path)
    kept, fresh = (NER().model(str(tmp_path), labels) for labels in (LABELS, [*LABELS, "B-LOC", "I-LOC"]))
    assert same_bits(kept.state_dict(), tagger.state_dict())
    assert kept.config.id2label == dict(enumerate(LABELS))
    assert fresh.classifier.weight.shape[0] == fresh.config.num_labels == 5
    assert torch.count_nonzero(fresh.classifier.weight) == fresh.classifier.weight.numel()
    assert same_bits(fresh.bert.state_dict(), tagger.bert.state_dict())


def test_pickled_weights_are_refused(checkpoint, tmp_path):
    model = AutoModel.from_pretrained(checkpoint)
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"cannot load it.*Give a folder or a Hub id with a whole model\.safetensors"):
        NER().model(str(tmp_path), LABELS)


@pytest.fixture
def sharded(checkpoint, tmp_path) -> Path:
    """The tiny checkpoint in two shards, and a copy of each in a folder beside it."""
    model = AutoModel.from_pretrained(checkpoint)
    folder = tmp_path / "sharded"
    half = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters()) // 2
    model.save_pretrained(folder, max_shard_size=half + 4096)
    assert len(list(folder.glob("model-*-of-00002.safetensors"))) == 2
    shutil.copytree(folder, tmp_path / "outside")
    return folder


def test_shards_in_the_folder_are_loaded(checkpoint, sharded):
    model = NER().model(str(sharded), LABELS)
    assert same_bits(
        model.bert.state_dict(), AutoModel.from_pretrained(checkpoint, add_pooling_layer=False).state_dict()
    )


@pytest.mark.parametrize("place", ["../outside/{}", "/outside/{}", "..", "..\\outside\\{}", "inside/{}"])
@pytest.mark.parametrize("index", ["model.safetensors.index.json", "other.safetensors.index.json"])
def test_shards_elsewhere_are_refused(place, index, sharded):
    stock = sharded / "model.safetensors.index.json"
    content = json.loads(stock.read_text())
    shard = content["weight_map"]["embeddings.word_embeddings.weight"]
    elsewhere = place.format(shard)
    content["weight_map"] = {k: elsewhere if v == shard else v for k, v in content["weight_map"].items()}
    (sharded / index).write_text(json.dumps(content))
    if index != stock.name:
        config = json.loads((sharded / "config.json").read_text())
        (sharded / "config.json").write_text(json.dumps(config | {"transformers_weights": index}))
    with pytest.raises(UserError) as refusal:
        NER().model(str(sharded), LABELS)
    assert f"{index}': the weights of a checkpoint lie in its own folder" in str(refusal.value)
    assert f"'{elsewhere}'" in str(refusal.value)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"weight_map": ["a"], "metadata": {}}', '{"weight_map": {}}'])
def test_an_index_that_is_none_is_refused(text, sharded):
    (sharded / "model.safetensors.index.json").write_text(text)
    with pytest.raises(UserError, match=r"index\.json': it is not an index .*Save the checkpoint again"):
        NER().model(str(sharded), LABELS)


# Frozen running statistics


def pictures_seen(model: torch.nn.Module, unfreezing: Unfreezing) -> dict[str, bool]:
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
    assert pictures_seen(resnet, unfreezing) == {name: depth >= lowest for name, depth in depth_of.items()}


def test_norms_frozen_before_training_hold_still_at_any_depth(resnet):
    """As under adapters: the plan trains every depth, and the weights of the backbone were frozen beforehand."""
    resnet.requires_grad_(False)
    resnet.classifier.requires_grad_(True)
    learning = "resnet.encoder.stages.1.layers.0.layer.0.normalization"
    resnet.get_submodule(learning).requires_grad_(True)
    unfreezing = Unfreezing(resnet)
    unfreezing.apply(resnet, 0)
    moved = pictures_seen(resnet, unfreezing)
    assert {name for name, moves in moved.items() if moves} == {name for name in moved if name.startswith(learning)}


# Schedules


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


# How a run ends, resumes, and what it leaves behind


def test_a_non_finite_run_is_no_user_error(checkpoint, corpus, tmp_path):
    """It leaves the recipe as an exception, which ends a process with exit code 1, and writes no model."""
    flags = ["--strategy", "full", "--learning_rate", "1e38", "--head_learning_rate", "1e38", "--warmup_steps", "0"]
    with pytest.raises(NonFinite, match="Training stopped before the optimizer step"):
        run_recipe("--checkpoint", checkpoint, "--dataset", corpus, "--output_dir", str(tmp_path / "out"), *flags)
    assert not issubclass(NonFinite, UserError | SystemExit)
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_a_run_that_keeps_its_best_epoch_resumes_to_the_same_bits(checkpoint, corpus, tmp_path):
    flags = dict(
        strategy="full",
        num_train_epochs=4,
        learning_rate=3e-3,
        eval_strategy="epoch",
        save_strategy="epoch",
        load_best_model_at_end=True,
        metric_for_best_model=NER.headline,
    )
    whole = trainer(checkpoint, corpus, tmp_path / "whole", **flags)
    whole.train()
    resumed = trainer(checkpoint, corpus, tmp_path / "resumed", **flags)
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-12"))
    assert same_bits(resumed.model.state_dict(), whole.model.state_dict())
    last = [(tmp_path / name / "checkpoint-24" / "model.safetensors").read_bytes() for name in ("whole", "resumed")]
    assert last[0] == last[1]
    scores = [[(e["step"], e["eval_f1"]) for e in t.state.log_history if "eval_f1" in e] for t in (whole, resumed)]
    assert [step for step, _ in scores[0]] == [6, 12, 18, 24] and scores[0] == scores[1]
    assert whole.state.best_metric == resumed.state.best_metric == max(score for _, score in scores[0]) > 0


def test_a_hub_token_is_in_no_file_of_the_run(checkpoint, corpus, tmp_path, monkeypatch):
    token = "hf_" + "x" * 34
    monkeypatch.setenv("HF_TOKEN", token)
    run_recipe(
        *("--checkpoint", checkpoint, "--dataset", corpus, "--output_dir", str(tmp_path / "out")),
        *("--run_name", token, "--max_steps", "2"),
    )
    files = [file for file in (tmp_path / "out").rglob("*") if file.is_file()]
    written = {"model.safetensors", "report.json", "hfkit_run.json", "trainer_state.json", "optimizer.pt"}
    assert written <= {file.name for file in files}
    assert [file for file in files if token.encode() in file.read_bytes()] == []


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
