"""A checkpoint becomes a plain model with fp32 weights from its own folder, and a head for the labels asked for."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    AutoModelForImageClassification,
    AutoModelForTokenClassification,
    LevitConfig,
    LevitForImageClassificationWithTeacher,
    PreTrainedModel,
    TimmWrapperConfig,
    TimmWrapperForImageClassification,
)

from hfkit.contract.target import Labels
from hfkit.errors import UserError
from hfkit.model.weights import load_model

LABELS = ("O", "B-PER", "I-PER")


def load(folder: Path, labels: tuple[str, ...] = LABELS) -> PreTrainedModel:
    config = Labels(labels).to_config()
    return load_model(AutoModelForTokenClassification, str(folder), f"checkpoint '{folder}'", config)


def tiny_levit(folder: Path) -> PreTrainedModel:
    config = LevitConfig(
        image_size=32,
        hidden_sizes=[16, 16, 16],
        num_attention_heads=[1, 1, 1],
        depths=[1, 1, 1],
        key_dim=[8, 8, 8],
        **Labels(("a", "b", "c")).to_config(),
    )
    model = LevitForImageClassificationWithTeacher(config)
    model.save_pretrained(folder)
    return model.eval()


def tiny_timm(folder: Path) -> PreTrainedModel:
    config = TimmWrapperConfig(architecture="test_resnet", **Labels(("a", "b", "c")).to_config())
    model = TimmWrapperForImageClassification(config)
    model.save_pretrained(folder)
    return model.eval()


def same_bits(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_bf16_checkpoint_loads_as_fp32_master_weights(checkpoint, tmp_path):
    half = AutoModel.from_pretrained(checkpoint).to(torch.bfloat16)
    half.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == "bfloat16"
    model = load(tmp_path)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    name = "encoder.layer.1.output.dense.weight"
    assert torch.equal(model.bert.get_parameter(name), half.get_parameter(name).float())


@pytest.fixture
def tagger(checkpoint, tmp_path) -> PreTrainedModel:
    """A finished tagger of three labels, saved in the test's folder."""
    model = AutoModelForTokenClassification.from_pretrained(checkpoint, **Labels(LABELS).to_config())
    model.save_pretrained(tmp_path)
    return model


def test_a_head_is_taken_over_as_it_is_for_the_same_labels(tagger, tmp_path, capsys):
    kept = load(tmp_path)
    assert same_bits(kept.state_dict(), tagger.state_dict())
    assert kept.config.id2label == dict(enumerate(LABELS))
    assert not capsys.readouterr().out


def test_a_head_follows_its_labels_into_another_order(tagger, tmp_path, capsys):
    moved = load(tmp_path, ("B-PER", "I-PER", "O"))
    ids = torch.arange(5, 12)[None]
    assert torch.equal(moved.eval()(ids).logits, tagger.eval()(ids).logits[..., [1, 2, 0]])
    assert capsys.readouterr().out.count("knows the same 3 labels in another order") == 1


@pytest.mark.parametrize("labels", [("O", "B-LOC", "I-LOC"), (*LABELS, "B-LOC"), ("LABEL_0", "LABEL_1", "LABEL_2")])
def test_a_head_for_other_labels_is_drawn_anew(labels, tagger, tmp_path, capsys):
    fresh = load(tmp_path, labels)
    assert same_bits(fresh.bert.state_dict(), tagger.bert.state_dict())
    assert fresh.config.id2label == dict(enumerate(labels))
    assert fresh.classifier.weight.shape[0] == len(labels)
    assert torch.isin(fresh.classifier.weight, tagger.classifier.weight).sum() == 0
    assert 0.01 < fresh.classifier.weight.std() < 0.03 and torch.count_nonzero(fresh.classifier.bias) == 0
    assert (
        "its head is for other labels (O, B-PER, I-PER), so this run begins with a fresh head"
        in capsys.readouterr().out
    )


def test_nothing_is_said_where_a_checkpoint_has_no_head(checkpoint, capsys):
    load(Path(checkpoint))
    assert not capsys.readouterr().out


@pytest.mark.parametrize("build", [tiny_levit, tiny_timm])
def test_every_part_of_a_head_follows(build, tmp_path):
    """LeViT has two heads, each with a norm before it; timm has heads of its own."""
    finished, pixels = build(tmp_path), torch.rand(2, 3, 32, 32)
    kind, names = AutoModelForImageClassification, ("a", "b", "c")
    moved = load_model(kind, str(tmp_path), "checkpoint", Labels(("c", "a", "b")).to_config()).eval()
    finished = finished.to(memory_format=torch.channels_last)  # in which sums come in another order
    assert torch.equal(moved(pixels).logits, finished(pixels).logits[:, [2, 0, 1]])
    fresh = load_model(kind, str(tmp_path), "checkpoint", Labels(("x", *names[1:])).to_config()).eval()
    assert torch.isfinite(fresh(pixels).logits).all()
    assert not torch.isin(fresh(pixels).logits, finished(pixels).logits).any()


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
    model = load(sharded)
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
        load(sharded)
    assert f"{index}': the weights of a checkpoint lie in its own folder" in str(refusal.value)
    assert f"'{elsewhere}'" in str(refusal.value)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"weight_map": ["a"], "metadata": {}}', '{"weight_map": {}}'])
def test_an_index_that_is_none_is_refused(text, sharded):
    (sharded / "model.safetensors.index.json").write_text(text)
    with pytest.raises(UserError, match=r"index\.json': it is not an index .*Save the checkpoint again"):
        load(sharded)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(value, checkpoint, tmp_path):
    place = shutil.copytree(checkpoint, tmp_path / "model")
    weights = load_file(place / "model.safetensors")
    weights["embeddings.word_embeddings.weight"][3, 5] = value
    save_file(weights, place / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match="1 of its weights hold values that are not finite, the first is .*word_embed"):
        load(place)


@pytest.mark.parametrize(
    "changes",
    [{"hidden_act": "nosuch"}, {"num_attention_heads": 0}, {"hidden_size": 0}, {"pad_token_id": 10**9}],
    ids=str,
)
def test_settings_that_no_model_can_be_built_with_are_named(changes, checkpoint, tmp_path):
    place = shutil.copytree(checkpoint, tmp_path / "model")
    settings = json.loads((place / "config.json").read_text())
    (place / "config.json").write_text(json.dumps(settings | changes))
    with pytest.raises(UserError, match="cannot load it|could not be read"):
        load(place)
