"""Weights in pickles give the model that they are the weights of, and never run."""

import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from transformers import AutoModel, GPT2LMHeadModel

from hfkit.errors import UserError
from hfkit.model.pickles import find_pickles, separate_tensors
from tests.model.test_weights import load, same_bits
from tests.tiny import text as tiny

SHARDS = ("pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "hfkit" / "checkpoints"


def save_pickles(model: torch.nn.Module, folder: Path, *, shards: int = 1, zipped: bool = True) -> Path:
    """A checkpoint as old versions saved it."""
    model.config.save_pretrained(folder)
    weights = model.state_dict()
    if shards == 1:
        torch.save(weights, folder / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
        return folder
    places = {name: SHARDS[number % 2] for number, name in enumerate(weights)}
    for shard in SHARDS:
        torch.save({name: weights[name] for name in weights if places[name] == shard}, folder / shard)
    index = {"metadata": {"total_size": 0}, "weight_map": places}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    return folder


@pytest.mark.parametrize("form", [{}, {"zipped": False}, {"shards": 2}], ids=["zip", "older", "shards"])
def test_pickles_are_converted_once_and_load_like_safetensors(form, checkpoint, cache, tmp_path, capsys):
    base = AutoModel.from_pretrained(checkpoint, add_pooling_layer=False)
    folder = save_pickles(base, tmp_path / "old", **form)
    first = load(folder)
    assert same_bits(first.bert.state_dict(), base.state_dict())
    assert "were read without running code, and are kept as safetensors in " in capsys.readouterr().out
    (made,) = (path for path in cache.iterdir() if path.is_dir())
    before = {file.name: file.stat().st_mtime_ns for file in made.iterdir()}
    assert first.config.name_or_path == str(folder)
    assert same_bits(load(folder).bert.state_dict(), base.state_dict())
    assert {file.name: file.stat().st_mtime_ns for file in made.iterdir()} == before


def test_a_checkpoint_that_is_saved_again_is_converted_again(checkpoint, tmp_path):
    base = AutoModel.from_pretrained(checkpoint, add_pooling_layer=False)
    load(save_pickles(base, tmp_path / "old"))
    with torch.no_grad():
        base.embeddings.word_embeddings.weight.add_(1)
    again = load(save_pickles(base, tmp_path / "old"))
    assert torch.equal(again.bert.embeddings.word_embeddings.weight, base.embeddings.word_embeddings.weight)


class Attack:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return os.mkdir, (str(self.file),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_with_code_is_refused_by_name_and_runs_nothing(zipped, checkpoint, cache, tmp_path):
    folder = save_pickles(AutoModel.from_pretrained(checkpoint), tmp_path / "old")
    content = {"weight": torch.ones(2), "payload": Attack(tmp_path / "ran")}
    torch.save(content, folder / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        UserError, match=r"pytorch_model\.bin': .*this one would run code \(it names \w+\.mkdir\)"
    ) as refusal:
        load(folder)
    assert "save_pretrained writes safetensors" in str(refusal.value)
    assert not (tmp_path / "ran").exists() and not [path for path in cache.iterdir() if path.is_dir()]


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps([1], 2), pickle.dumps({"weight": 1.0}, 2)])
def test_a_pickle_of_something_else_is_refused(content, checkpoint, tmp_path):
    folder = save_pickles(AutoModel.from_pretrained(checkpoint), tmp_path / "old")
    (folder / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(UserError, match=r"pytorch_model\.bin'"):
        load(folder)


def test_shards_elsewhere_are_refused(checkpoint, tmp_path):
    folder = save_pickles(AutoModel.from_pretrained(checkpoint), tmp_path / "old", shards=2)
    index = folder / "pytorch_model.bin.index.json"
    index.write_text(index.read_text().replace(SHARDS[1], "../outside.bin"))
    with pytest.raises(UserError, match=r"lie in its own folder, and here they are in '\.\./outside\.bin'"):
        load(folder)


def test_safetensors_come_first(checkpoint, tmp_path):
    model = AutoModel.from_pretrained(checkpoint)
    model.save_pretrained(tmp_path / "both")
    (tmp_path / "both" / "pytorch_model.bin").write_bytes(b"never looked at")
    assert find_pickles(str(tmp_path / "both")) == []


def test_tensors_that_share_memory_are_kept_apart(tmp_path):
    """A head tied to the embeddings stands in a pickle twice, as one tensor."""
    model = GPT2LMHeadModel.from_pretrained(tiny.gpt2(tmp_path))
    weights = dict(model.state_dict()) | {"turned": model.lm_head.weight.T}
    separate = separate_tensors(weights)
    assert same_bits(separate, weights)
    assert len({tensor.data_ptr() for tensor in separate.values()}) == len(weights)
    assert all(tensor.is_contiguous() for tensor in separate.values())
