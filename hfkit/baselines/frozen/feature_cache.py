"""Features of a frozen checkpoint on disk: one file for each combination of weights and rows."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from datasets import DatasetDict
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils import logging

from hfkit.baselines.frozen.linear import Features
from hfkit.contract.abilities import Pooled
from hfkit.contract.codec import Codec
from hfkit.data.digests import rows_digest
from hfkit.errors import Failure
from hfkit.model.digests import digest
from hfkit.runtime.durable import replace_file

FORMAT = 1  # changes with what is read of a checkpoint
Poolings = dict[str, dict[str, Features]]  # by pooling and split

logger = logging.get_logger(__name__)


def key_of(codec: Codec, model: PreTrainedModel, backbone: nn.Module, encoded: DatasetDict) -> str:
    """A file's name that changes with whatever decides the features of the encoded rows.

    Args:
        codec: its flags show in the encoded rows.
        model: the one that `backbone` is a part of.
    """
    config = {k: v for k, v in model.config.to_dict().items() if k not in ("_name_or_path", "transformers_version")}
    decided = {
        "format": FORMAT,
        "codec": f"{type(codec).__module__}.{type(codec).__qualname__}",
        "pooling": codec.pooling if isinstance(codec, Pooled) else None,
        "weights": digest(backbone.state_dict().values()).hex(),
        "modules": repr(backbone),
        "config": config,
        "attention": model.config._attn_implementation,
        "processor": repr(codec.processor),
        "rows": {split: rows_digest(rows) for split, rows in encoded.items()},
        "versions": [torch.__version__, transformers.__version__],
        "device": next(backbone.parameters()).device.type,
    }
    text = json.dumps(decided, default=str, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest() + ".safetensors"


def read(file: Path, encoded: DatasetDict) -> tuple[Poolings, dict[str, Any]] | None:
    """The features of all splits and the facts beside them; None unless every byte is as it was written."""
    try:
        with safe_open(file, framework="pt") as stored:
            described = json.loads(stored.metadata()["features"])
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}
        if digest_of(tensors) != described["digest"]:
            return None
        splits = {split: (tensors[f"targets/{split}"], tensors[f"places/{split}"].numpy()) for split in encoded}
        if any(len(places) != len(encoded[split]) for split, (_, places) in splits.items()):
            return None
        poolings = {
            pooling: {split: Features(tensors[f"{pooling}/{split}"], *rest) for split, rest in splits.items()}
            for pooling in described["poolings"]
        }
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return None
    return poolings, described["facts"]


def write(file: Path, poolings: Poolings, facts: Mapping[str, Any]) -> None:
    """Put the features in `file`, whole or not at all, so that other processes may read or write the same one.

    A full disk costs a warning only.
    """
    splits = next(iter(poolings.values()))
    tensors = {f"targets/{split}": found.targets for split, found in splits.items()}
    tensors |= {f"places/{split}": torch.from_numpy(found.places) for split, found in splits.items()}
    tensors |= {f"{name}/{split}": found.inputs for name, of in poolings.items() for split, found in of.items()}
    described = {"poolings": list(poolings), "facts": dict(facts), "digest": digest_of(tensors)}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with replace_file(file) as part:
            save_file(tensors, part, metadata={"features": json.dumps(described)})
    except (OSError, SafetensorError, Failure) as error:
        logger.warning(f"the features were not kept in {file.parent}: {error}")


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """Changes with any name, kind, shape or bit."""
    names = [f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}" for name in sorted(tensors)]
    return digest(tensors[name] for name in sorted(tensors)).hex() + hashlib.blake2b(repr(names).encode()).hexdigest()
