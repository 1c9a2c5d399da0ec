"""Checkpoints that bring code, pickles, bombs, or files from elsewhere."""

import json
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoTokenizer, BertModel, GPT2Config, GPT2LMHeadModel

from benchmarks.reliability.harness import Job
from benchmarks.reliability.traps import Attempt, Lay, Traps
from hfkit.training.checkpoints import TRAINED as TRAINED_MARK

Attempts = Iterator[tuple[Attempt, Lay]]
STATES = ("optimizer.pt", "scheduler.pt", "rng_state.pth")
SEAL = "hfkit_manifest.json"


def change_json(file: Path, **values: Any) -> None:
    content = json.loads(file.read_text()) if file.is_file() else {}
    file.write_text(json.dumps(content | values))


def spoil(traps: Traps, kind: str = "bert") -> tuple[Lay, Path]:
    """A fresh place with a copy of a checkpoint."""
    lay = traps.lay()
    return lay, lay.copy(f"material/{kind}", "checkpoint")


def with_checkpoint(lay: Lay, place: Path, *more: str, kind: str = "reviews") -> list[str]:
    return lay.recipe(kind, "--checkpoint", str(place), *more)


def pickled_weights(traps: Traps) -> Attempts:
    """Weights in pickles that run code."""
    for form, zipped in (("zip", True), ("before torch 1.6", False)):
        lay, place = spoil(traps)
        (place / "model.safetensors").unlink()
        content = {"weight": torch.ones(2), "more": traps.attack()}
        torch.save(content, place / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
        case = f"checkpoint: pytorch_model.bin with code ({form})"
        yield Attempt(case, with_checkpoint(lay, place), named=("pytorch_model.bin", "system")), lay
    lay, place = spoil(traps)
    weights = BertModel.from_pretrained(place, add_pooling_layer=False).state_dict()
    (place / "model.safetensors").unlink()
    torch.save(weights, place / "one.bin")
    torch.save({"more": traps.attack()}, place / "two.bin")
    places = dict.fromkeys(weights, "one.bin") | {"more": "two.bin"}
    (place / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    yield Attempt("checkpoint: a shard with code", with_checkpoint(lay, place), named=("two.bin",)), lay
    for name in ("model.safetensors", "tokenizer.json", "config.json", "tokenizer_config.json"):
        lay, place = spoil(traps)
        (place / name).write_bytes(pickle.dumps(traps.attack()))
        yield Attempt(f"checkpoint: {name} is a pickle", with_checkpoint(lay, place), named=(str(place),)), lay
    for name in ("training_args.bin", "vocab.pkl", "optimizer.pt", "tf_model.h5"):
        lay, place = spoil(traps)
        torch.save(traps.attack(), place / name)
        yield Attempt(f"checkpoint: {name} with code lies beside it", with_checkpoint(lay, place), (0,)), lay
    lay, place = spoil(traps)
    (place / "model.safetensors").unlink()
    (place / "flax_model.msgpack").write_bytes(pickle.dumps(traps.attack()))
    yield Attempt("checkpoint: only flax_model.msgpack", with_checkpoint(lay, place), named=(str(place),)), lay
    lay, place = spoil(traps)
    lay.file("in/adapter/adapter_config.json", json.dumps({"peft_type": "LORA", "base_model_name_or_path": str(place)}))
    torch.save({"more": traps.attack()}, lay.given / "adapter/adapter_model.bin")
    argv = with_checkpoint(lay, lay.given / "adapter")
    yield Attempt("adapter: adapter_model.bin with code", argv, named=("adapter_model.bin",)), lay
    lay = traps.lay()
    model = lay.copy("warm/reviews", "model")
    (model / "model.safetensors").unlink()
    torch.save({"more": traps.attack()}, model / "pytorch_model.bin")
    argv = ["hfkit", "predict", str(model), "--text", "anna saw rain"]
    yield Attempt("predict: a saved model in a pickle with code", argv, named=("pytorch_model.bin",)), lay
    lay = traps.lay()
    file = lay.file("in/model.gguf", b"GGUF" + pickle.dumps(traps.attack()) * 20)
    yield Attempt("checkpoint: a GGUF file that is none", with_checkpoint(lay, file), named=("gguf",)), lay


def states(traps: Traps) -> Attempts:
    """What a run goes on from, with code in it and a seal that fits."""
    for name in (*STATES, "training_args.bin"):
        lay = cut_run(traps)
        (checkpoint,) = lay.out.glob("checkpoint-*")
        torch.save(traps.attack(), checkpoint / name)
        reseal(checkpoint)
        codes = (0, 2) if name == "training_args.bin" else (2,)
        yield Attempt(f"resume: {name} with code", resume(lay), codes, named=("would run code",) * (codes == (2,))), lay
    lay = traps.lay()
    shutil.move(lay.copy("hostile_run", "run"), lay.out)
    (mark,) = lay.out.glob(TRAINED_MARK)
    torch.save(traps.attack(), mark / "rng_state.pth")
    reseal(mark)
    case = "resume: generators with code, of a training that had ended"
    yield Attempt(case, resume(lay), named=("would run code",)), lay
    lay = cut_run(traps)
    (checkpoint,) = lay.out.glob("checkpoint-*")
    index_elsewhere(checkpoint, traps.outside)
    reseal(checkpoint)
    argv = resume(lay)
    yield Attempt("resume: an index that leads elsewhere", argv, named=("lie in its own folder",)), lay
    lay = cut_run(traps)
    (checkpoint,) = lay.out.glob("checkpoint-*")
    shutil.copytree(checkpoint, traps.outside / "checkpoint-9")
    change_json(checkpoint / "trainer_state.json", best_model_checkpoint=str(traps.outside / "checkpoint-9"))
    reseal(checkpoint)
    yield Attempt("resume: the best checkpoint lies elsewhere", resume(lay), named=("checkpoint-9",)), lay


def cut_run(traps: Traps) -> Lay:
    """The run that is gone on from, without the mark that its training had ended: its checkpoint will be read."""
    lay = traps.lay()
    shutil.move(lay.copy("hostile_run", "run"), lay.out)
    shutil.rmtree(lay.out / TRAINED_MARK)
    return lay


def train_run(lay: Lay, place: Path) -> list[str]:
    """A run that is gone on from: one epoch, with a checkpoint in its middle."""
    return lay.recipe("reviews", "--output_dir", str(place), *TRAINED)


TRAINED = ["--max_steps", "4", "--save_strategy", "steps", "--eval_strategy", "steps", "--save_steps", "2"]
TRAINED += ["--eval_steps", "2", "--load_best_model_at_end", "true", "--save_total_limit", "1"]


def resume(lay: Lay) -> list[str]:
    return [*train_run(lay, lay.out), "--resume_from_checkpoint", "auto"]


def reseal(checkpoint: Path) -> None:
    """Write the manifest anew, as anybody can."""
    from hfkit.training.sealed import seal

    seal(checkpoint)


def index_elsewhere(checkpoint: Path, outside: Path) -> None:
    """Move the weights of a checkpoint outside, with an index that leads there."""
    from safetensors import safe_open

    moved = outside / "model.safetensors"
    shutil.move(checkpoint / "model.safetensors", moved)
    with safe_open(moved, "pt") as file:
        places = dict.fromkeys(file.keys(), f"../../../outside/{moved.name}")
    index = {"metadata": {"total_size": 1}, "weight_map": places}
    (checkpoint / "model.safetensors.index.json").write_text(json.dumps(index))


def caches(traps: Traps) -> Attempts:
    """Arrays of objects where a run or a comparison keeps arrays."""
    lay = traps.lay()
    features = lay.out / "features"
    argv = lay.recipe("reviews", "--baseline", "knn", "--features_dir", str(features))
    traps.watch(argv, lay)
    for path in features.rglob("*"):
        if path.is_file():
            spoil_array(path, traps)
    shutil.rmtree(lay.folder / "tmp")
    shutil.rmtree(lay.folder / "cwd")
    yield Attempt("features_dir: arrays of objects", [*argv, "--overwrite_output_dir"], (0, 2)), lay
    lay = traps.lay()
    store = lay.out / "store"
    argv = lay.recipe("ner", "--max_steps", "-1", "--num_train_epochs", "2", "--cache_dir", str(store))
    traps.watch(argv, lay)
    for path in store.rglob("*"):
        if path.suffix in (".npy", ".npz"):
            spoil_array(path, traps)
    shutil.rmtree(lay.folder / "tmp")
    shutil.rmtree(lay.folder / "cwd")
    yield Attempt("cache_dir: arrays of objects", [*argv, "--overwrite_output_dir"], (0, 2)), lay


def spoil_array(path: Path, traps: Traps) -> None:
    array = np.array([traps.attack()], dtype=object)
    with path.open("wb") as file:
        if path.suffix == ".npz":
            np.savez(file, rows=array)
        else:
            np.save(file, array, allow_pickle=True)


def own_code(traps: Traps) -> Attempts:
    """Checkpoints with code of their own, and somebody who answers every question with y."""
    commands = {
        "train": lambda lay, place: with_checkpoint(lay, place),
        "train with the stock class": lambda lay, place: with_checkpoint(lay, place, "--accept_stock_class"),
        "plan": lambda lay, place: ["hfkit", "plan", "--checkpoint", str(place)],
        "doctor": lambda lay, place: [
            *("hfkit", "doctor", "--task", "text-classification", "--checkpoint", str(place)),
            *("--dataset", str(lay.work / "material/reviews")),
        ],
        "predict": lambda lay, place: ["hfkit", "predict", str(place), "--text", "anna"],
        "evaluate": lambda lay, place: [
            *("hfkit", "evaluate", str(place), "--dataset", str(lay.work / "material/reviews")),
            *("--output_dir", str(lay.out)),
        ],
        "export": lambda lay, place: ["hfkit", "export", str(place), "--output_dir", str(lay.out)],
        "demo": lambda lay, place: ["hfkit", "demo", str(place), "--check"],
    }
    for name, argv in commands.items():
        lay, place = spoil(traps)
        bring_code(place, traps)
        codes = {"train with the stock class": (0,), "doctor": (1,)}.get(name, (2,))
        if name == "doctor":  # findings are its output
            codes = (0, 1, 2)
        yield Attempt(f"{name}: code of a checkpoint, with y on stdin", argv(lay, place), codes, stdin="y\n" * 20), lay
    lay, place = spoil(traps)
    bring_code(place, traps)
    change_json(place / "config.json", model_type="evil")
    yield (
        Attempt("train: an architecture of its own", with_checkpoint(lay, place), named=("evil",), stdin="y\n" * 9),
        lay,
    )
    lay, place = spoil(traps)
    change_json(place / "config.json", auto_map={"AutoModel": "evil/repository--evil.Model"})
    yield Attempt("train: code in another repository", with_checkpoint(lay, place), stdin="y\n" * 9), lay
    lay, place = spoil(traps)
    (place / "evil.py").write_text(traps.code("tokenizer"))
    mapped = {"AutoTokenizer": ["evil.Tokenizer", "evil.Tokenizer"]}
    change_json(place / "tokenizer_config.json", auto_map=mapped, tokenizer_class="EvilTokenizer")
    yield Attempt("train: a tokenizer with code", with_checkpoint(lay, place), (0, 2), stdin="y\n" * 9), lay
    lay, place = spoil(traps, "resnet")
    (place / "evil.py").write_text(traps.code("processor"))
    mapped = {"AutoImageProcessor": "evil.Processor"}
    change_json(place / "preprocessor_config.json", auto_map=mapped, image_processor_type="EvilProcessor")
    argv = with_checkpoint(lay, place, kind="images")
    yield Attempt("train: an image processor with code", argv, (0, 2), stdin="y\n" * 9), lay
    for key, value in SETTINGS.items():
        lay, place = spoil(traps)
        change_json(place / "config.json", **{key: value})
        yield Attempt(f"train: config.json with {key} {value!r}", with_checkpoint(lay, place), (0, 2)), lay
    lay = traps.lay()
    model = lay.copy("warm/reviews", "model")
    (lay.given / "evil.py").write_text(traps.code("task"))
    change_json(model / "config.json", hfkit_task={"task": "evil", "kind": "os.system"})
    yield Attempt("predict: a task that is none", ["hfkit", "predict", str(model), "--text", "a"], (0, 2)), lay


SETTINGS = {
    "hidden_act": "os.system",
    "dtype": "os.system",
    "attn_implementation": "evil/kernel:run",
    "_attn_implementation": "evil/kernel",
    "transformers_weights": "../../../outside/model.safetensors",
    "_name_or_path": "http://127.0.0.1:9/model",
    "num_hidden_layers": 10**6,
    "vocab_size": 10**12,
}


def bring_code(place: Path, traps: Traps) -> None:
    """Give a checkpoint a class of its own."""
    (place / "evil.py").write_text(traps.code("model"))
    (place / "custom_generate").mkdir()
    (place / "custom_generate/generate.py").write_text(traps.code("generate"))
    kinds = ("AutoModel", "AutoModelForSequenceClassification", "AutoModelForTokenClassification")
    mapped = {"AutoConfig": "evil.Config", **dict.fromkeys(kinds, "evil.Model")}
    change_json(place / "config.json", auto_map=mapped)


def places(traps: Traps) -> Attempts:
    """Checkpoints whose files are elsewhere."""
    for name, where in {
        "beside it": "../../../outside/{}",
        "by its whole path": "{outside}/{}",
        "below it": "a/{}",
    }.items():
        lay, place = spoil(traps)
        index_elsewhere(place, traps.outside)
        index = place / "model.safetensors.index.json"
        content = json.loads(index.read_text())
        elsewhere = where.format("model.safetensors", outside=traps.outside)
        content["weight_map"] = dict.fromkeys(content["weight_map"], elsewhere)
        index.write_text(json.dumps(content))
        named = ("lie in its own folder",)
        yield Attempt(f"checkpoint: an index whose shards lie {name}", with_checkpoint(lay, place), named=named), lay
    lay, place = spoil(traps)
    (place / "model.safetensors").unlink()
    index = {"metadata": {}, "weight_map": {"a": "../../../outside/pytorch_model.bin"}}
    torch.save({"a": torch.ones(1)}, traps.outside / "pytorch_model.bin")
    (place / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    argv = with_checkpoint(lay, place)
    yield Attempt("checkpoint: an index of pickles that leads elsewhere", argv, named=("own folder",)), lay
    lay, place = spoil(traps)
    modules = [{"idx": 0, "path": "../../../outside/model", "type": "evil.Module"}]
    shutil.move(place, traps.outside / "model")
    lay.file("in/sentences/modules.json", json.dumps(modules))
    yield Attempt("modules.json that leads elsewhere", with_checkpoint(lay, lay.given / "sentences")), lay
    lay, place = spoil(traps)
    change_json(
        place / "tokenizer_config.json", vocab_file="../../../outside/private.txt", tokenizer_file="/etc/hostname"
    )
    yield Attempt("checkpoint: a vocabulary elsewhere", with_checkpoint(lay, place), (0, 2), holds=says_no_private), lay
    for name, base in {"an address": traps.address, "a file address": "file:///etc"}.items():
        lay, place = spoil(traps)
        settings = {"peft_type": "LORA", "base_model_name_or_path": f"{base}/x", "auto_mapping": EVIL_MAPPING}
        lay.file("in/adapter/adapter_config.json", json.dumps(settings))
        torch.save({"a": torch.ones(1)}, lay.given / "adapter/adapter_model.bin")
        yield Attempt(f"adapter: its base is {name}", with_checkpoint(lay, lay.given / "adapter"), named=(base,)), lay
    lay, place = spoil(traps)
    settings = {"peft_type": "LORA", "base_model_name_or_path": str(place), "auto_mapping": EVIL_MAPPING, "r": 2}
    settings |= {"target_modules": ["query"]}
    lay.file("in/adapter/adapter_config.json", json.dumps(settings))
    (lay.given / "adapter/evil.py").write_text(traps.code("adapter"))
    torch.save({"a": torch.ones(1)}, lay.given / "adapter/adapter_model.bin")
    yield Attempt("adapter: its class is in a module of its own", with_checkpoint(lay, lay.given / "adapter")), lay


EVIL_MAPPING = {"base_model_class": "Model", "parent_library": "evil"}


def says_no_private(job: Job) -> bool:
    """Nothing of the file outside was printed."""
    return "this lies outside" not in job.text


def bombs(traps: Traps) -> Attempts:
    """Tokenizers and templates that unpack, never end, or reach for more than text."""
    lay, place = spoil(traps)
    content = json.loads((place / "tokenizer.json").read_text())
    content["normalizer"] = {"type": "Replace", "pattern": {"String": "a"}, "content": "b" * 10**6}
    (place / "tokenizer.json").write_text(json.dumps(content))
    yield Attempt("tokenizer: a letter becomes a megabyte", with_checkpoint(lay, place), (0, 2)), lay
    lay, place = spoil(traps)
    content = json.loads((place / "tokenizer.json").read_text())
    split = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Removed", "invert": False}
    content["pre_tokenizer"] = split
    (place / "tokenizer.json").write_text(json.dumps(content))
    rows = [{"text": f"{'a' * 40}! {number}", "label": ("good", "bad")[number % 2]} for number in range(40)]
    data = lay.file("in/rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    argv = with_checkpoint(lay, place, "--dataset", str(data))
    yield Attempt("tokenizer: an expression of exponential time", argv, (0, 2)), lay
    lay, place = spoil(traps)
    (place / "tokenizer_config.json").write_text("[" * 100_000)
    yield Attempt("tokenizer_config.json nested 100,000 deep", with_checkpoint(lay, place)), lay
    lay, place = spoil(traps)
    with (place / "tokenizer.json").open("r+b") as file:
        file.truncate(300 * 2**20)
    yield Attempt("tokenizer.json of 300 MB, a hole", with_checkpoint(lay, place)), lay
    for name, template in TEMPLATES.items():
        lay = traps.lay()
        place = lay.given / "decoder"
        save_decoder(lay.work / "material/bert", place)
        command = traps.command("template")
        (place / "chat_template.jinja").write_text(template.replace("COMMAND", command))
        argv = lay.recipe("reviews", "--baseline", "zero-shot-prompt", "--prompt_checkpoint", str(place))
        yield Attempt(f"chat template: {name}", argv, (0, 2), holds=says_no_private), lay


TEMPLATES = {
    "by the globals of a helper": "{{ cycler.__init__.__globals__.os.popen('COMMAND').read() }}",
    "by all classes": "{{ ''.__class__.__mro__[1].__subclasses__()[100].__init__.__globals__ }}",
    "by the filter attr": "{{ ''|attr('__class__')|attr('__mro__') }}{{ messages|attr('__init__') }}",
    "includes a file": "{% include '/etc/hostname' %}",
    "a long loop": "{% for i in range(10**10) %}{% endfor %}",
    "loops in loops": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "a long text": "{{ 'x' * 10**7 }}",
    "a format string": "{{ '{0.__class__.__init__.__globals__}'.format(messages) }}",
}


def save_decoder(source: Path, place: Path) -> None:
    """A tiny language model with the tokenizer of a checkpoint."""
    tokenizer = AutoTokenizer.from_pretrained(source)
    tokenizer.save_pretrained(place)
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=len(tokenizer), n_positions=512, n_embd=16, n_layer=1, n_head=2)
    GPT2LMHeadModel(config).save_pretrained(place)
