"""Checkpoints that answer as they are: every weight of theirs is loaded, and none is new."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import PreTrainedModel

from ..errors import UserError
from ..progress import loading
from ..samples import resolve_checkpoint
from ..tasks.base import read_config, refuse_shards_elsewhere


@loading()
def whole_model(auto_model: Any, checkpoint: str, flag: str) -> PreTrainedModel:
    """The checkpoint as `auto_model` loads it, in fp32, from safetensors, without remote code, for judging.

    Args:
        flag: what names the checkpoint.

    Raises:
        UserError: it cannot be loaded, or lacks weights: new ones would answer at random.
    """
    path, config = resolve_checkpoint(checkpoint), read_config(checkpoint)
    # The configuration may name an index of its own.
    for index in ("model.safetensors.index.json", getattr(config, "transformers_weights", None)):
        if index and index.endswith(".index.json"):
            refuse_shards_elsewhere(Path(path, index))
    try:
        model, info = auto_model.from_pretrained(
            path, dtype=torch.float32, use_safetensors=True, trust_remote_code=False, output_loading_info=True
        )
    except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        raise UserError(
            f"{flag} '{checkpoint}'",
            f"{auto_model.__name__} cannot load it ({first_line(error)})",
            "Give a folder or a Hub id with a whole model.safetensors, of an architecture that this class knows",
        ) from error
    if info["missing_keys"]:
        lost = sorted(info["missing_keys"])
        raise UserError(
            f"{flag} '{checkpoint}'",
            f"{type(model).__name__} finds no weights for {', '.join(lost[:3])}: it would answer at random",
            "Give a checkpoint that was trained for this",
        )
    return model.eval()


def first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
