"""An adapter is trained on: parted from its base again, it computes what the merged checkpoint does."""

import json
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForTokenClassification

from hfkit import RecipeArguments, TransferArguments
from hfkit.contract.target import Labels
from hfkit.errors import UserError
from hfkit.hub.card import render_card
from hfkit.model.depth import Depths
from hfkit.model.digests import digest
from hfkit.model.own_adapter import PREFIX, add_own_lora, find_targets, read_own
from hfkit.report.origins import base_origin
from hfkit.tasks import NER
from hfkit.training.checkpoints import differences
from hfkit.training.claiming import identify, starting_weights
from tests.fixtures.commands import hfkit
from tests.fixtures.runs import trainer

LABELS = ("O", "B-PER", "I-PER")
IDS = torch.arange(5, 12)[None]
QUERY = "bert.encoder.layer.0.attention.self.query"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> None:
    """A cache of the test's own."""
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path / "cache"))


def save_adapter(base: str, folder: Path, **settings) -> Path:
    """An adapter of another rank, scale and targets than hfkit's own, whose weights have moved."""
    torch.manual_seed(1)
    plain = dict(task_type="TOKEN_CLS", r=3, lora_alpha=5, lora_dropout=0.1, target_modules=["query", "value"])
    model = AutoModelForTokenClassification.from_pretrained(base, num_labels=3)
    adapted = get_peft_model(model, LoraConfig(**plain | settings))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3)
    adapted.save_pretrained(folder)
    return folder


@pytest.fixture
def adapter(checkpoint, tmp_path) -> Path:
    return save_adapter(checkpoint, tmp_path / "adapter")


def change(adapter: Path, **settings) -> Path:
    """Rewrite the settings of an adapter."""
    file = adapter / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))
    return adapter


def load(adapter: Path) -> torch.nn.Module:
    """The model that a run would start from."""
    return NER().codec(str(adapter), Labels(LABELS)).model().eval()


def test_an_adapter_parted_from_its_base_computes_the_same(adapter, checkpoint):
    tensors = load_file(adapter / "adapter_model.safetensors")
    torch.save(tensors, adapter / "adapter_model.bin")  # as some of them are
    (adapter / "adapter_model.safetensors").unlink()
    model = load(adapter)
    with torch.no_grad():
        merged = model(IDS).logits
        query = model.get_parameter(f"{QUERY}.weight").clone()
        adapted = add_own_lora(model).eval()
        assert torch.allclose(adapted(IDS).logits, merged, atol=1e-5)
    base = AutoModelForTokenClassification.from_pretrained(checkpoint).get_parameter(f"{QUERY}.weight")
    found = adapted.get_parameter(f"{PREFIX}{QUERY}.base_layer.weight")
    assert torch.equal(found, base) and not torch.allclose(query, base, atol=1e-2)
    own = {name.replace(".default", ""): value for name, value in adapted.named_parameters() if "lora_" in name}
    assert own.keys() == {name for name in tensors if "lora_" in name}
    assert all(torch.equal(own[name], tensors[name]) for name in own)
    settings = adapted.peft_config["default"]
    assert (settings.r, settings.lora_alpha, settings.lora_dropout) == (3, 5, 0.1)
    assert settings.base_model_name_or_path == checkpoint
    assert {name for name, one in adapted.named_parameters() if one.requires_grad} - own.keys() == {
        *(name for name, _ in adapted.named_parameters() if "lora_" in name),
        *(f"{PREFIX}classifier.modules_to_save.default.{kind}" for kind in ("weight", "bias")),
    }


def test_what_is_more_than_matrices_beside_layers_is_refused(adapter, checkpoint):
    for name, value in (
        ("use_dora", True),
        ("bias", "lora_only"),
        ("init_lora_weights", "pissa"),
        ("rank_pattern", {"query": 2}),
    ):
        plain = (adapter / "adapter_config.json").read_text()
        with pytest.raises(
            UserError, match=rf"more than plain low-rank matrices \({name}=.*--checkpoint_adapter merge"
        ):
            read_own(change(adapter, **{name: value}))
        (adapter / "adapter_config.json").write_text(plain)
    model, tensors = AutoModelForTokenClassification.from_pretrained(checkpoint), read_own(adapter)[1]
    depths, value = Depths.of(model), torch.zeros(2, 2)
    assert find_targets(model, depths, tensors)[:1] == [QUERY]
    for name, rule in (
        ("bert.embeddings.word_embeddings.lora_embedding_A", "BertForTokenClassification has no such linear layer"),
        ("bert.encoder.layer.4.attention.self.query.lora_A.weight", "BertForTokenClassification has no such linear"),
        ("classifier.lora_A.weight", "BertForTokenClassification has no such linear layer below its head"),
        ("bert.embeddings.LayerNorm.bias", "it holds whole weights below its head"),
    ):
        with pytest.raises(UserError, match=f"checkpoint_adapter=train: {rule}.*{name}.*--checkpoint_adapter merge"):
            find_targets(model, depths, tensors | {f"{PREFIX}{name}": value})


def test_other_starts_other_ranks_and_no_adapter_are_refused(adapter, checkpoint):
    model = load(adapter)
    with pytest.raises(UserError, match="lora_rank=4 with checkpoint_adapter=train: the adapter has rank 3"):
        add_own_lora(model, 4)
    model.config.name_or_path = checkpoint
    with pytest.raises(UserError, match="checkpoint_adapter=train: the checkpoint is no adapter"):
        add_own_lora(model)
    for flags, given in (({"strategy": "full"}, "strategy=full"), ({"pretrained": False}, "pretrained=False")):
        with pytest.raises(UserError, match=f"checkpoint_adapter=train with {given}"):
            TransferArguments("out", checkpoint_adapter="train", **{"strategy": "lora"} | flags)


def test_a_run_of_an_own_adapter(adapter, checkpoint, corpus, tmp_path, capsys):
    """It resumes to the same bits, says what it does, and saves the matrices and what they make of their base."""
    flags = dict(strategy="lora", checkpoint_adapter="train", max_steps=2)
    run = trainer(str(adapter), corpus, tmp_path / "run", save_strategy="steps", save_steps=1, **flags)
    begun = run.model.get_parameter(f"{PREFIX}{QUERY}.lora_A.default.weight").clone()
    identity, settings, began = identify(run), run.model.peft_config["default"], run.starting_weights
    settings.lora_alpha += 1
    run.starting_weights = starting_weights(run.model, run.unfreezing, run.args)
    told = differences(identity, identify(run))
    assert len(told) == 1 and told[0].startswith("weights: ") and identity["settings"]["checkpoint_adapter"] == "train"
    settings.lora_alpha, run.starting_weights = 5, began
    run.train()
    assert "Plan: lora, the adapter of the checkpoint trained on" in capsys.readouterr().out
    assert not torch.equal(run.model.get_parameter(f"{PREFIX}{QUERY}.lora_A.default.weight"), begun)
    resumed = trainer(str(adapter), corpus, tmp_path / "resumed", rows=run.rows, **flags)
    resumed.train(resume_from_checkpoint=str(tmp_path / "run" / "checkpoint-1"))
    assert digest(resumed.model.state_dict().values()) == digest(run.model.state_dict().values())
    # Saved, and put together again.
    run.save_model()
    saved = tmp_path / "run" / "adapter"
    written = json.loads((saved / "adapter_config.json").read_text())
    assert (written["base_model_name_or_path"], written["r"], written["lora_alpha"]) == (checkpoint, 3, 5)
    merged = AutoModelForTokenClassification.from_pretrained(tmp_path / "run").eval()
    base = AutoModelForTokenClassification.from_pretrained(checkpoint, config=merged.config)
    with torch.no_grad():
        answers = [model(IDS).logits for model in (PeftModel.from_pretrained(base, saved).eval(), run.model.eval())]
        assert torch.equal(*answers) and torch.allclose(merged(IDS).logits, answers[0], atol=1e-5)
    # Told.
    report = run.report(RecipeArguments(checkpoint=str(adapter)))
    report.judge()
    report.save(tmp_path / "run")
    facts, text = report.facts(), (tmp_path / "run" / "report.md").read_text()
    assert facts["origin"]["base"] == {**base_origin({"checkpoint": checkpoint}), "relation": "adapter"}
    assert (facts["settings"]["checkpoint_adapter"], facts["settings"]["lora_rank"]) == ("train", 3)
    assert f"The adapter of the checkpoint was trained on, on its base {Path(checkpoint).name}." in text
    assert " of adapter were trained on, and are merged into these weights." in render_card(facts)


@pytest.mark.slow
def test_a_plan_knows_the_adapter(adapter):
    flags = ["--strategy", "lora", "--checkpoint_adapter", "train", "--labels", "3", "--use_cpu"]
    planned = hfkit("plan", "--checkpoint", str(adapter), *flags)
    assert planned.exit_code == 0 and "Plan: lora, the adapter of the checkpoint trained on" in planned.stdout
    # Four layers with two matrices of rank 3 beside each of two layers 32 wide, and the head.
    assert f"{4 * 2 * 2 * 3 * 32 + 3 * 32 + 3:,} (" in planned.stdout
