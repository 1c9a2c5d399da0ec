"""Weights in pickles: their tensors are read without running any code, and kept as safetensors."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers.utils import (
    GENERATION_CONFIG_NAME,
    SAFE_WEIGHTS_INDEX_NAME,
    SAFE_WEIGHTS_NAME,
    WEIGHTS_INDEX_NAME,
    WEIGHTS_NAME,
    cached_file,
)

from hfkit.errors import UserError, first_line
from hfkit.model.conversions import convert_once, say_once

REWRITE = "Load it where you trust it, and save it again: save_pretrained writes safetensors"


def find_file(path: str, name: str) -> Path | None:
    """A file of a checkpoint, a folder or a Hub id, downloaded if it has one; None if it has none."""
    found = cached_file(
        path,
        name,
        _raise_exceptions_for_gated_repo=False,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )
    return None if found is None else Path(found)


def find_pickles(path: str) -> list[Path]:
    """The pickles that a checkpoint has its weights in, without safetensors beside them; [] for any other checkpoint.

    Raises:
        UserError: their index cannot be read, or names files elsewhere.
    """
    if find_file(path, SAFE_WEIGHTS_NAME) or find_file(path, SAFE_WEIGHTS_INDEX_NAME):
        return []
    if whole := find_file(path, WEIGHTS_NAME):
        return [whole]
    index = find_file(path, WEIGHTS_INDEX_NAME)
    if index is None:
        return []
    shards = [find_file(path, name) for name in read_shards(index)]
    return [shard for shard in shards if shard is not None]  # what is missing shows as missing weights


def read_shards(index: Path) -> list[str]:
    """The files that an index of weights names, all of them in its own folder.

    Raises:
        UserError: it is no index, or names files elsewhere: loading would follow it there.
    """
    try:
        content = json.loads(index.read_text(encoding="utf-8"))
        weights, _ = content["weight_map"], content["metadata"]  # transformers reads both
        shards = sorted({str(name) for name in weights.values()})
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(
            f"file '{index}'",
            f"it is not an index with metadata and a map from weights to files ({first_line(error)})",
            "Save the checkpoint again",
        ) from error
    for shard in shards:
        if "/" in shard or "\\" in shard or shard == "..":
            raise UserError(
                f"file '{index}'",
                f"the weights of a checkpoint lie in its own folder, and here they are in '{shard}'",
                "Use a checkpoint from a source you trust, or save this one again",
            )
    return shards


def read_tensors(file: Path) -> dict[str, Tensor]:
    """The tensors of a pickle, by name. Whatever else it holds is not run.

    Raises:
        UserError: it holds anything but tensors, or cannot be read.
    """
    try:
        content = load_tensors_only(file)
    except Exception as error:  # of any kind, where a file is anything else
        if named := re.search(r"GLOBAL ([\w.]+)", str(error)):
            rule = f"a pickle of weights holds tensors, and this one would run code (it names {named[1]})"
            raise UserError(f"file '{file}'", rule, REWRITE) from error
        raise UserError(f"file '{file}'", "no tensors could be read from it", "Copy or download it again") from error
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise UserError(f"file '{file}'", "a pickle of weights maps names to tensors, and this one does not", REWRITE)
    return {str(name): tensor for name, tensor in content.items()}


def load_tensors_only(file: Path) -> Any:
    """The content of a pickle, by the reader of torch that knows tensors and nothing else."""
    try:
        return torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError as error:
        if "mmap can only be used" not in str(error):  # so for files that torch wrote before 1.6
            raise
        return torch.load(file, map_location="cpu", weights_only=True)


def convert_pickles(path: str, named: str) -> str:
    """The checkpoint itself, or where its weights are in pickles, a folder with them as safetensors.

    Raises:
        UserError: a pickle holds anything but tensors.
    """
    pickles = find_pickles(path)
    if not pickles:
        return path
    settings = find_file(path, GENERATION_CONFIG_NAME)  # otherwise a decoder would lose what it came with

    def write(folder: Path) -> None:
        write_safetensors(pickles, folder)
        if settings is not None:
            (folder / GENERATION_CONFIG_NAME).write_bytes(settings.read_bytes())

    folder, made = convert_once([*pickles, *([settings] if settings else [])], write, "pickles")
    if made:
        names = pickles[0].name if len(pickles) == 1 else f"{len(pickles)} pickles"
        say_once(
            f"{named[0].upper()}{named[1:]}: the tensors of {names} were read without running code, and are kept as"
            f" safetensors in {folder}."
        )
    return str(folder)


def write_safetensors(pickles: list[Path], folder: Path) -> None:
    """Write the tensors of some pickles, one at a time, with an index if there are several."""
    places, size = {}, 0
    for number, file in enumerate(pickles, start=1):
        name = f"model-{number:05d}-of-{len(pickles):05d}.safetensors" if len(pickles) > 1 else SAFE_WEIGHTS_NAME
        tensors = separate_tensors(read_tensors(file))
        save_file(tensors, folder / name, metadata={"format": "pt"})
        places |= dict.fromkeys(tensors, name)
        size += sum(tensor.nbytes for tensor in tensors.values())
    if len(pickles) > 1:
        index = {"metadata": {"total_size": size}, "weight_map": places}
        (folder / SAFE_WEIGHTS_INDEX_NAME).write_text(json.dumps(index, indent=2), encoding="utf-8")


def separate_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, none of which shares memory with another: safetensors has no way to say so."""
    known: set[int] = set()
    separate = {}
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        shared = place in known
        separate[name] = tensor.clone(memory_format=torch.contiguous_format) if shared else tensor.contiguous()
        known.add(place)
    return separate
