"""Whatever people call a checkpoint becomes a folder or a Hub id with a config.json and whole weights."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import file_exists, snapshot_download, try_to_load_from_cache
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageClassification,
    AutoModelForQuestionAnswering,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    PreTrainedConfig,
)
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, WEIGHTS_NAME

from hfkit.errors import UserError, first_line
from hfkit.model.conversions import convert_once, say_once
from hfkit.model.heads import find_label_tensors
from hfkit.model.pickles import find_file, read_tensors
from hfkit.model.settings_files import CONFIG, refuse_odd_settings
from hfkit.progress import loading
from hfkit.runtime.files import read_object
from hfkit.samples import resolve_checkpoint

ADAPTER, MODULES, POOLING = "adapter_config.json", "modules.json", "1_Pooling/config.json"
MEAN = "mean"
# The names that sentence-transformers had for them before version 6.
OLD_POOLINGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": MEAN,
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
OWN_WEIGHTS = "adapter_model.safetensors"
ADAPTER_WEIGHTS = (OWN_WEIGHTS, "adapter_model.bin")
OWN = "hfkit_adapter"  # the folder of a merged checkpoint with the adapter itself, which may be trained on
VIRTUAL = ("PREFIX_TUNING", "PROMPT_TUNING")  # kinds of adapter that are read beside the rows
WHOLE = ("model*.safetensors", "pytorch_model*.bin")
# What a folder has beside its weights: a tokenizer, or the settings of an image processor.
READERS = ("*token*", "vocab*", "merges.txt", "*.model", "*.codes", "*processor*.json", "chat_template*", "*.tiktoken")
# By the kind of task that peft knows an adapter for.
MODELS = {
    "SEQ_CLS": AutoModelForSequenceClassification,
    "TOKEN_CLS": AutoModelForTokenClassification,
    "CAUSAL_LM": AutoModelForCausalLM,
    "SEQ_2_SEQ_LM": AutoModelForSeq2SeqLM,
    "QUESTION_ANS": AutoModelForQuestionAnswering,
}


def open_checkpoint(checkpoint: str) -> str:
    """The folder or the Hub id that a name stands for, with a config.json and whole weights.

    An adapter is merged into its base, and a GGUF file converted, into the cache. A checkpoint that is one already
    stays as it is: this may be called of what it returned.

    Raises:
        UserError: nothing of it can be read.
    """
    named = f"checkpoint '{checkpoint}'"
    place = find_folder(resolve_checkpoint(checkpoint), named)
    refuse_odd_settings(place, named)
    return place


def find_folder(place: str, named: str) -> str:
    """The folder or the Hub id itself, of the encoder within it, or of what was merged or converted.

    Raises:
        UserError: nothing of it can be read.
    """
    folder = Path(place)
    if folder.suffix == ".gguf":
        return convert_gguf(folder, named)
    if adapter := find_adapter(place):
        return str(adapter) if holds_virtual_tokens(adapter) else merge_adapter(adapter, named)
    if os.path.isdir(folder) and not os.path.lexists(folder / CONFIG):
        if (folder / MODULES).is_file():
            return open_modules(folder, named)
        if files := sorted(folder.glob("*.gguf")):
            return convert_gguf(only_one(files, named), named)
    return place


# Folders of sentence-transformers


def open_modules(folder: Path, named: str) -> str:
    """The folder of the encoder within one that sentence-transformers saved.

    Raises:
        UserError: it has none.
    """
    try:
        modules = json.loads((folder / MODULES).read_text(encoding="utf-8"))
        places = [folder / str(module["path"]) for module in modules]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(named, f"its {MODULES} cannot be read ({first_line(error)})", "Save it again") from error
    inside = [place for place in places if place.parent == folder and (place / "config.json").is_file()]
    encoders = [place for place in inside if PreTrainedConfig.get_config_dict(place)[0].get("model_type")]
    if not encoders:
        raise UserError(named, "none of its modules is a model of transformers", "Give the folder of its encoder")
    return str(encoders[0])


def read_pooling(path: str, named: str) -> str:
    """How the encoder of sentence-transformers makes one vector of its tokens: mean, cls, max or lasttoken.

    The mean where a checkpoint says nothing of it, or where it asks for a way that is not known here; then it is said.

    Args:
        path: from `open_checkpoint`.
    """
    settings = find_file(path, POOLING) or (find_file(str(Path(path).parent), POOLING) if Path(path).is_dir() else None)
    if settings is None:
        return MEAN
    try:
        written = json.loads(settings.read_text(encoding="utf-8"))
        old = [name for key, name in OLD_POOLINGS.items() if written.get(key)]
        asked = written.get("pooling_mode", old)
    except (OSError, ValueError, AttributeError):
        return MEAN
    names = [asked] if isinstance(asked, str) else [str(name) for name in asked]
    if len(names) == 1 and names[0] in (MEAN, "cls", "max", "lasttoken"):
        if names[0] != MEAN:
            say_once(f"{named[0].upper()}{named[1:]}: one vector is made of a text by its own pooling ({names[0]}).")
        return names[0]
    asked = " and ".join(names) or "none"
    say_once(f"{named[0].upper()}{named[1:]}: its own pooling ({asked}) is not known here, and the mean is taken.")
    return MEAN


# GGUF


def only_one(files: list[Path], named: str) -> Path:
    """The file, if there is just one.

    Raises:
        UserError: there are several.
    """
    if len(files) > 1:
        names = ", ".join(file.name for file in files[:5])
        raise UserError(named, f"it holds {len(files)} GGUF files ({names})", f"Name one, such as {files[0]}")
    return files[0]


def convert_gguf(file: Path, named: str) -> str:
    """A folder with the language model of a GGUF file, in fp32.

    Raises:
        UserError: there is no such file, the package gguf is missing, or transformers does not know what is in it.
    """
    if not file.is_file():
        raise UserError(named, "there is no such file", "Check the path")
    if find_spec("gguf") is None:
        raise UserError(
            named,
            "it is a GGUF file, and the package that reads those is not installed",
            'Run: pip install "hfkit[gguf]" (or: pip install gguf)',
        )
    # In its function: it imports this module, to open what it loads.
    from hfkit.model.weights import refuse_unreadable

    def write(folder: Path) -> None:
        options = {"gguf_file": file.name, "trust_remote_code": False}
        with refuse_unreadable(AutoModelForCausalLM, named), loading():
            model = AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.float32, **options)
            tokenizer = AutoTokenizer.from_pretrained(file.parent, **options)
        # It is in floats now. Otherwise save_pretrained refuses a model of this format.
        del model.config.quantization_config
        model.hf_quantizer = None
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    folder, made = convert_once([file], write, "gguf")
    if made:
        say_once(f"{named[0].upper()}{named[1:]}: {file.name} was converted to floats, which are kept in {folder}.")
    return str(folder)


# Adapters


@lru_cache(maxsize=64)
def find_adapter_online(name: str) -> Path | None:
    """The folder with the adapter that a Hub id stands for; None if it stands for anything else.

    Raises:
        UserError: it holds a whole model beside the adapter.
    """
    if find_file(name, ADAPTER) is None or not any(find_file(name, kind) for kind in ADAPTER_WEIGHTS):
        return None
    for whole in (SAFE_WEIGHTS_NAME, SAFE_WEIGHTS_INDEX_NAME, WEIGHTS_NAME):
        if has_online(name, whole):
            raise UserError(
                f"checkpoint '{name}'",
                f"it holds a whole model ({whole}) and an adapter beside it, and either may be meant",
                f"Download it, and move {whole} or {ADAPTER} to another folder",
            )
    return fetch(name, ADAPTER, *READERS)


def has_online(name: str, file: str) -> bool:
    """Whether a Hub id has a file, which is not downloaded; without a network, whether the cache has it."""
    try:
        return file_exists(name, file)
    except Exception:  # whatever a network raises
        return isinstance(try_to_load_from_cache(name, file), str)


def fetch(name: str, *kinds: str) -> Path:
    """The folder of the cache with some files of a Hub id, downloaded if they are missing.

    Raises:
        UserError: the Hub does not give them.
    """
    try:
        return Path(snapshot_download(name, allow_patterns=list(kinds), ignore_patterns=["*/*"]))
    except (OSError, ValueError) as error:
        raise UserError(
            f"checkpoint '{name}'", f"the Hub did not give its files ({first_line(error)})", "Check the network"
        ) from error


def find_adapter(place: str) -> Path | None:
    """The folder with the adapter that a place holds; None if it holds a whole model or none.

    Raises:
        UserError: it holds both.
    """
    folder = Path(place)
    if not folder.is_dir():
        return find_adapter_online(place)
    if not (folder / ADAPTER).is_file() or not any((folder / name).is_file() for name in ADAPTER_WEIGHTS):
        return None
    if whole := sorted(
        file.name for kind in ("model*.safetensors", "pytorch_model*.bin") for file in folder.glob(kind)
    ):
        raise UserError(
            f"checkpoint '{place}'",
            f"it holds a whole model ({whole[0]}) and an adapter beside it, and either may be meant",
            f"Move {whole[0]} or {ADAPTER} to another folder",
        )
    return folder


def holds_virtual_tokens(folder: Path) -> bool:
    """Whether a run has saved virtual tokens there, with the configuration of the whole: that can be asked as it is."""
    if not (folder / ADAPTER).is_file() or not (folder / CONFIG).is_file():
        return False
    return read_object(folder / ADAPTER, f"{folder / ADAPTER}", "Save it again").get("peft_type") in VIRTUAL


@contextmanager
def refuse_base(named: str, base: str) -> Iterator[None]:
    """Say of what goes wrong with the base of an adapter whose base it is.

    Args:
        named: the adapter, as the user gave it.
    """
    try:
        yield
    except UserError as error:
        raise UserError(
            named,
            f"it is an adapter on '{base}', which cannot be used ({error.value}: {error.rule})",
            f"Put its base there, or mend base_model_name_or_path in its {ADAPTER}",
        ) from error


def merge_adapter(folder: Path, named: str) -> str:
    """A folder with an adapter's base into whose weights it is merged.

    Raises:
        UserError: the base is missing, or it is no adapter that can be merged.
    """
    from peft import PeftConfig

    from hfkit.model.weights import read_config  # in its function: it imports this module

    weights = next(folder / name for name in ADAPTER_WEIGHTS if (folder / name).is_file())
    if weights.suffix == ".bin":
        read_tensors(weights)  # refuses one with code, by name
    try:
        settings = PeftConfig.from_pretrained(str(folder))
        name = str(settings.base_model_name_or_path or "")
        if settings.is_prompt_learning or not name:
            raise ValueError(f"{settings.peft_type.value} on {name or 'no base'}")
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(
            named,
            f"it is an adapter that cannot be merged into a base ({first_line(error)})",
            "Use one that changes weights, such as LoRA, with base_model_name_or_path in its adapter_config.json",
        ) from error
    with refuse_base(named, name):
        base = open_checkpoint(name)
        config = read_config(base)
    sources, facts = [folder / ADAPTER, weights, *readers_of(folder)], ["adapter beside", base]
    if Path(base).is_dir():
        sources += sorted(file for file in Path(base).iterdir() if file.suffix in (".json", ".safetensors", ".bin"))
    else:
        facts.append(commit_of(base))
    auto_model = find_class(config, settings.task_type, settings.auto_mapping)
    write = partial(write_merged, adapter=folder, weights=weights, base=base, auto_model=auto_model, named=named)
    merged, made = convert_once(sources, write, *facts)
    if made:
        kind = settings.peft_type.value
        say_once(f"{named[0].upper()}{named[1:]}: an adapter ({kind}), merged into its base '{name}', in {merged}.")
    return str(merged)


def commit_of(name: str) -> str:
    """The commit of a Hub id whose files are in the cache; the name of their folder."""
    file = find_file(name, "config.json")
    return file.parent.name if file else ""


def find_class(config: PreTrainedConfig, task: Any, mapping: Mapping[str, Any] | None) -> Any:
    """The class of transformers that an adapter was trained on: by its task, or by the name of the model's class."""
    if task is not None:
        return MODELS.get(str(getattr(task, "value", task)), AutoModel)
    name = (mapping or {}).get("base_model_class")
    for auto_model in (*MODELS.values(), AutoModelForImageClassification):  # peft has no name for its task
        made = auto_model._model_mapping.get(type(config), ())
        if any(kind.__name__ == name for kind in (made if isinstance(made, tuple) else (made,))):
            return auto_model
    return AutoModel


def write_merged(folder: Path, *, adapter: Path, weights: Path, base: str, auto_model: Any, named: str) -> None:
    """Save an adapter's base with the adapter in its weights, and what reads texts or pictures for it."""
    from peft import PeftModel, get_peft_model_state_dict

    from hfkit.model.weights import load_weights, read_config, refuse_unreadable

    # Modules that are saved whole go by the names that they have in the base.
    shapes = {name.removeprefix("base_model.model."): shape for name, shape in read_shapes(weights).items()}
    config = read_config(base, **count_labels(auto_model, read_config(base), shapes))
    model, info = load_weights(auto_model, base, config, named, ignore_mismatched_sizes=True)
    drawn = {*info["missing_keys"], *(key[0] for key in info["mismatched_keys"])} - shapes.keys()
    with refuse_unreadable(auto_model, named), loading():
        try:
            adapted = PeftModel.from_pretrained(model, str(adapter))
            # Otherwise peft warns, and an adapter that has not been loaded does nothing.
            own = get_peft_model_state_dict(adapted, save_embedding_layers=False).keys()
            if lost := sorted(own - read_shapes(weights).keys()):
                raise ValueError(f"it has no {lost[0]}, which fits its base")
            merged = adapted.merge_and_unload()
        except (NotImplementedError, AttributeError, LookupError) as error:
            raise ValueError(f"its adapter cannot be merged: {first_line(error)}") from error
    # What neither of them has stays missing: saved, a random head would pass for a trained one.
    state = {name: tensor for name, tensor in merged.state_dict().items() if name not in drawn}
    merged.save_pretrained(folder, state_dict=state)
    whole = Path(base) if Path(base).is_dir() else fetch(base, *READERS)
    for place in (whole, adapter):  # the adapter's own come last
        for file in readers_of(place):
            shutil.copyfile(file, folder / file.name)
    keep_adapter(adapter, weights, folder / OWN)


def keep_adapter(adapter: Path, weights: Path, folder: Path) -> None:
    """Save an adapter as it is, its weights in safetensors."""
    folder.mkdir()
    shutil.copyfile(adapter / ADAPTER, folder / ADAPTER)
    if weights.suffix == ".bin":
        save_file({name: tensor.contiguous() for name, tensor in read_tensors(weights).items()}, folder / OWN_WEIGHTS)
    else:
        shutil.copyfile(weights, folder / OWN_WEIGHTS)


def name_base(checkpoint: str) -> str:
    """The name of the base of a checkpoint that is an adapter; that of the checkpoint where none can be read."""
    try:
        folder = find_adapter(resolve_checkpoint(checkpoint))
        settings = read_object(folder / ADAPTER, f"its {ADAPTER}", "Save it again") if folder else {}
    except (UserError, OSError, ValueError):
        return checkpoint
    return str(settings.get("base_model_name_or_path") or checkpoint)


def readers_of(folder: Path) -> list[Path]:
    """The files of a folder's tokenizer, or of its image processor."""
    return sorted({file for kind in READERS for file in folder.glob(kind) if file.is_file()})


def read_shapes(weights: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors in an adapter's file, by name."""
    if weights.suffix == ".bin":
        return {name: tuple(tensor.shape) for name, tensor in read_tensors(weights).items()}
    with safe_open(weights, "pt") as file:
        return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}


def count_labels(auto_model: Any, config: PreTrainedConfig, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """How many labels the head has that is saved with an adapter; {} if none is."""
    with torch.device("meta"):
        of_labels, _ = find_label_tensors(auto_model.from_config(config))
    found = [shapes[name][0] for name in of_labels if name in shapes]
    return {"num_labels": found[0]} if found else {}
