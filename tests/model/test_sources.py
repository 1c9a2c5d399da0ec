"""Adapters, GGUF files, folders of sentence-transformers and checkpoints with code of their own."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants
from peft import LoraConfig, PrefixTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForTokenClassification, AutoTokenizer

from hfkit.contract.target import Labels
from hfkit.errors import UserError
from hfkit.model.adapters import Adapter, add_adapters
from hfkit.model.sources import open_checkpoint
from hfkit.model.weights import load_model, load_whole_model, read_config
from hfkit.tasks import NER
from tests.hub.test_push import environment
from tests.tiny import text as tiny

LABELS = ("O", "B-PER", "I-PER")
IDS = torch.arange(5, 12)[None]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """A cache of the test's own."""
    monkeypatch.setattr(constants, "HF_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "hfkit" / "checkpoints"


def folders_in(cache: Path) -> list[Path]:
    return [path for path in cache.glob("*") if path.is_dir()]


# Adapters


def save_adapter(base: str, folder: Path, *, by_task: bool) -> torch.nn.Module:
    """An adapter whose weights have moved, with its head, as it is before it is merged."""
    torch.manual_seed(1)
    model = AutoModelForTokenClassification.from_pretrained(base, num_labels=3)
    if by_task:
        adapted = get_peft_model(model, LoraConfig(task_type="TOKEN_CLS", r=2, target_modules=["query", "value"]))
    else:
        adapted = add_adapters(model, Adapter("lora", 2))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3)
    adapted.save_pretrained(folder)
    return adapted.eval()


@pytest.mark.parametrize("by_task", [True, False])
def test_an_adapter_is_merged_into_its_base_once(by_task, checkpoint, cache, tmp_path, capsys):
    adapted = save_adapter(checkpoint, tmp_path / "adapter", by_task=by_task)
    place = open_checkpoint(str(tmp_path / "adapter"))
    assert "an adapter (LORA), merged into its base" in capsys.readouterr().out
    merged = AutoModelForTokenClassification.from_pretrained(place).eval()
    with torch.no_grad():
        assert torch.allclose(merged(IDS).logits, adapted(IDS).logits, atol=1e-5)
    assert open_checkpoint(str(tmp_path / "adapter")) == place == open_checkpoint(place)
    assert len(folders_in(cache)) == 1
    assert (
        AutoTokenizer.from_pretrained(place)("anna saw paris").input_ids == tiny.wordpiece()("anna saw paris").input_ids
    )
    # Whatever takes a checkpoint takes it.
    model = NER().codec(str(tmp_path / "adapter"), Labels(LABELS)).model()
    assert torch.equal(
        model.bert.encoder.layer[0].attention.self.query.weight,
        merged.bert.encoder.layer[0].attention.self.query.weight,
    )


def test_an_adapter_in_a_pickle_is_merged_too(checkpoint, tmp_path):
    adapted, folder = save_adapter(checkpoint, tmp_path / "adapter", by_task=True), tmp_path / "adapter"
    torch.save(load_file(folder / "adapter_model.safetensors"), folder / "adapter_model.bin")
    (folder / "adapter_model.safetensors").unlink()
    merged = AutoModelForTokenClassification.from_pretrained(open_checkpoint(str(folder))).eval()
    with torch.no_grad():
        assert torch.allclose(merged(IDS).logits, adapted(IDS).logits, atol=1e-5)


def test_a_head_that_neither_adapter_nor_base_has_stays_missing(checkpoint, tmp_path):
    model = AutoModelForTokenClassification.from_pretrained(checkpoint)
    get_peft_model(model, LoraConfig(r=2, target_modules=["query"])).save_pretrained(tmp_path / "adapter")
    place = open_checkpoint(str(tmp_path / "adapter"))
    names = load_file(Path(place, "model.safetensors")).keys()
    assert any("query" in name for name in names) and not any("classifier" in name for name in names)


def test_adapters_that_cannot_be_merged_are_refused(checkpoint, tmp_path):
    base = Path(shutil.copytree(checkpoint, tmp_path / "base"))
    folder = tmp_path / "adapter"
    save_adapter(str(base), folder, by_task=True)
    shutil.copy(base / "model.safetensors", folder)
    with pytest.raises(UserError, match=r"a whole model \(model.safetensors\) and an adapter beside it"):
        open_checkpoint(str(folder))
    (folder / "model.safetensors").unlink()
    weights = load_file(folder / "adapter_model.safetensors")
    other = {name.replace("layer.1", "block.1"): value for name, value in weights.items()}
    save_file(other, folder / "adapter_model.safetensors")
    with pytest.raises(UserError, match=r"it has no base_model.model.bert.encoder.layer.1\S+, which fits its base"):
        open_checkpoint(str(folder))
    shutil.rmtree(base)
    with pytest.raises(UserError, match=r"an adapter on '.*base', which cannot be used .*mend base_model_name_or_path"):
        open_checkpoint(str(folder))
    prefix = PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2)
    get_peft_model(AutoModelForCausalLM.from_pretrained(tiny.gpt2(tmp_path / "gpt2")), prefix).save_pretrained(folder)
    with pytest.raises(UserError, match=r"cannot be merged into a base \(PREFIX_TUNING"):
        open_checkpoint(str(folder))


# sentence-transformers


@pytest.mark.parametrize("inside", ["", "0_Transformer"])
def test_the_encoder_of_a_folder_of_sentence_transformers_is_found(inside, checkpoint, tmp_path):
    shutil.copytree(checkpoint, tmp_path / "st" / inside)
    kinds = {inside: "sentence_transformers.models.Transformer", "1_Pooling": "sentence_transformers.models.Pooling"}
    modules = [{"idx": i, "name": str(i), "path": path, "type": kind} for i, (path, kind) in enumerate(kinds.items())]
    (tmp_path / "st" / "modules.json").write_text(json.dumps(modules))
    place = open_checkpoint(str(tmp_path / "st"))
    assert Path(place) == tmp_path / "st" / inside and read_config(place).model_type == "bert"


# On the Hub

CLIENT = """
import sys
from pathlib import Path
from huggingface_hub import HfApi
from transformers import AutoModelForTokenClassification
from hfkit.contract.target import Labels
from hfkit.errors import UserError
from hfkit.model.sources import open_checkpoint
from hfkit.tasks import NER

for name in ("base", "adapter", "pickles"):
    HfApi().create_repo(f"me/{name}")
    HfApi().upload_folder(repo_id=f"me/{name}", folder_path=Path(sys.argv[1], name))
assert open_checkpoint("me/base") == "me/base"
assert Path(open_checkpoint("me/adapter"), "model.safetensors").is_file()
HfApi().create_repo("me/both")
for part in ("base", "adapter"):
    HfApi().upload_folder(repo_id="me/both", folder_path=Path(sys.argv[1], part))
try:
    open_checkpoint("me/both")
except UserError as error:
    print("refused", error)
ids = [NER().codec(f"me/{name}", Labels(("O", "B-PER", "I-PER"))) for name in ("adapter", "pickles")]
for codec in ids:
    print(codec.checkpoint, codec.model().bert.encoder.layer[0].attention.self.query.weight.sum().item())
"""


@pytest.mark.slow
def test_adapters_and_pickles_are_read_from_the_hub_too(checkpoint, hub, tmp_path):
    base = AutoModelForTokenClassification.from_pretrained(checkpoint, num_labels=3)
    shutil.copytree(checkpoint, tmp_path / "base")
    shutil.copytree(checkpoint, tmp_path / "pickles")
    (tmp_path / "pickles" / "model.safetensors").unlink()
    torch.save(base.state_dict(), tmp_path / "pickles" / "pytorch_model.bin")
    adapted = save_adapter(checkpoint, tmp_path / "adapter", by_task=True)
    (tmp_path / "adapter" / "README.md").unlink()  # of peft, with a path where the Hub wants an id
    settings = tmp_path / "adapter" / "adapter_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"base_model_name_or_path": "me/base"}))
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, str(tmp_path)],
        env=environment(hub, tmp_path, "lfs"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    sums = {line.split()[0]: float(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("me/")}
    query = "bert.encoder.layer.0.attention.self.query.weight"
    merged = adapted.merge_and_unload().get_parameter(query).sum().item()
    assert sums == pytest.approx({"me/adapter": merged, "me/pickles": base.get_parameter(query).sum().item()}, abs=1e-4)
    assert "Checkpoint 'me/adapter': an adapter (LORA), merged into its base 'me/base'" in done.stdout
    assert "refused checkpoint 'me/both': it holds a whole model (model.safetensors) and an adapter" in done.stdout
    assert "Checkpoint 'me/pickles': the tensors of pytorch_model.bin were read" in done.stdout


# Names


def test_a_name_as_timm_writes_it_is_an_id_of_the_hub():
    assert open_checkpoint("hf-hub:timm/test_vit.r160_in1k") == "timm/test_vit.r160_in1k"
    assert open_checkpoint("timm/test_vit.r160_in1k") == "timm/test_vit.r160_in1k"


# GGUF


def test_a_gguf_file_is_converted_to_floats_once(cache, tmp_path, capsys):
    model = tiny.llama_gguf(tmp_path / "files" / "tiny.gguf")
    for name in ("files/tiny.gguf", "files"):
        loaded = load_whole_model(AutoModelForCausalLM, str(tmp_path / name), "prompt_checkpoint")
        with torch.no_grad():
            assert torch.allclose(loaded(IDS).logits, model(IDS).logits, atol=1e-5)
    assert capsys.readouterr().out.count("was converted to floats") == 1 == len(folders_in(cache))
    shutil.copy(tmp_path / "files" / "tiny.gguf", tmp_path / "files" / "other.gguf")
    with pytest.raises(UserError, match=r"2 GGUF files \(other.gguf, tiny.gguf\).*Name one, such as .*other.gguf"):
        open_checkpoint(str(tmp_path / "files"))
    with pytest.raises(UserError, match="there is no such file"):
        open_checkpoint("nowhere.gguf")


# Code of their own, and weights that are no floats


def with_config(checkpoint: str, folder: Path, **entries: object) -> str:
    shutil.copytree(checkpoint, folder)
    config = json.loads((folder / "config.json").read_text()) | entries
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)


OWN = {"AutoConfig": "configuration_own.OwnConfig", "AutoModel": "me/other--modeling_own.OwnModel"}


def test_a_checkpoint_with_code_of_its_own_is_trained_as_the_stock_class_on_request_only(checkpoint, tmp_path, capsys):
    place = with_config(checkpoint, tmp_path / "own", auto_map=OWN)
    with pytest.raises(UserError, match=r"configuration_own.py, modeling_own.py\).*--accept_stock_class"):
        NER().codec(place, Labels(LABELS))
    codec = NER(accept_stock_class=True).codec(place, Labels(LABELS))
    assert "(configuration_own.py, modeling_own.py) is not run" in capsys.readouterr().out
    codec.model().save_pretrained(tmp_path / "saved")
    codec.processor.save_pretrained(tmp_path / "saved")
    assert not [file for file in (tmp_path / "saved").glob("*.json") if "auto_map" in file.read_text()]
    NER().codec(str(tmp_path / "saved"), Labels(LABELS))


def test_an_architecture_of_its_own_is_refused_whatever_is_accepted(checkpoint, tmp_path):
    place = with_config(checkpoint, tmp_path / "own", auto_map=OWN, model_type="own")
    with pytest.raises(UserError, match="'own' is code of its own .*transformers has none of that name"):
        NER(accept_stock_class=True).codec(place, Labels(LABELS))


@pytest.mark.parametrize("name", ["attn_implementation", "_attn_implementation", "experts_implementation"])
def test_attention_of_a_repository_is_refused_because_its_code_would_run(name, checkpoint, tmp_path):
    place = with_config(checkpoint, tmp_path / "kernel", **{name: "somebody/kernel:run"})
    with pytest.raises(UserError, match=r"code of 'somebody/kernel:run'.*never is\. Take \w+_implementation out"):
        read_config(place)
    read_config(with_config(checkpoint, tmp_path / "usual", **{name: "eager"}))


@pytest.mark.parametrize(
    ("settings", "method"),
    [
        ({"quant_method": "gptq", "bits": 4}, "gptq"),
        ({"quant_method": "awq", "bits": 4}, "awq"),
        ({"quant_method": "fp8"}, "fp8"),
        ({"load_in_4bit": True}, "bitsandbytes"),
    ],
)
def test_quantised_weights_are_refused_by_name(settings, method, checkpoint, tmp_path):
    place = with_config(checkpoint, tmp_path / "quantised", quantization_config=settings)
    with pytest.raises(UserError, match=rf"quantised \({method}\).*dequantize\(\)"):
        load_model(AutoModelForTokenClassification, place, "checkpoint", Labels(LABELS).to_config())
