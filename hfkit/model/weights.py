"""A checkpoint's weights and configuration, loaded so that a foreign one can do no harm: no code, no pickles."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel

from hfkit.errors import UserError, first_line
from hfkit.progress import loading
from hfkit.samples import resolve_checkpoint


def read_config(checkpoint: str, **settings: Any) -> PreTrainedConfig:
    """The checkpoint's configuration with `settings` in it; of a Hub checkpoint nothing else is downloaded.

    Raises:
        UserError: there is none, it cannot be read, or its architecture is unknown.
    """
    try:
        return AutoConfig.from_pretrained(resolve_checkpoint(checkpoint), trust_remote_code=False, **settings)
    except UserError:
        raise
    except (OSError, ValueError) as error:
        raise UserError(
            f"checkpoint '{checkpoint}'",
            f"its config.json could not be read ({first_line(error)})",
            "Check the path or the Hub id, and the network",
        ) from error


def load_weights(
    auto_model: Any, path: str, config: PreTrainedConfig, named: str, **options: Any
) -> tuple[PreTrainedModel, dict[str, Any]]:
    """The model in `path` as `auto_model` loads it, and what transformers tells of the loading (`missing_keys`, …).

    In fp32, from safetensors in its own folder, without remote code.

    Args:
        config: what `read_config` gave for it.
        named: what errors call it, such as "checkpoint 'name'".
        options: of `from_pretrained`.

    Raises:
        UserError: it cannot be loaded, or names weights outside its folder.
    """
    # The configuration may name an index of its own.
    for index in ("model.safetensors.index.json", getattr(config, "transformers_weights", None)):
        if index and index.endswith(".index.json"):
            refuse_shards_elsewhere(Path(path, index))
    with readable(auto_model, named), loading():
        return auto_model.from_pretrained(
            path,
            config=config,
            # A bf16 checkpoint would load as bf16, and small learning rates would then round to no change.
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            **options,
        )


@contextmanager
def readable(auto_model: Any, named: str) -> Iterator[None]:
    """What transformers and timm raise of a checkpoint that `auto_model` cannot build, as a `UserError`."""
    try:
        yield
    # TypeError: what timm makes of settings that it does not know. RuntimeError: weights of other shapes.
    except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        raise UserError(
            named,
            f"{auto_model.__name__} cannot load it ({first_line(error)})",
            "Give a folder or a Hub id with a whole model.safetensors, of an architecture that this class knows",
        ) from error


def whole_model(auto_model: Any, checkpoint: str, flag: str) -> PreTrainedModel:
    """A checkpoint that answers as it is, for judging: every weight of it is loaded, and none is new.

    Args:
        flag: what names the checkpoint.

    Raises:
        UserError: it cannot be loaded, or lacks weights: new ones would answer at random.
    """
    named = f"{flag} '{checkpoint}'"
    model, info = load_weights(auto_model, resolve_checkpoint(checkpoint), read_config(checkpoint), named)
    if info["missing_keys"]:
        lost = sorted(info["missing_keys"])
        raise UserError(
            named,
            f"it has no weights for {', '.join(lost[:3])} of {type(model).__name__}, which would answer at random",
            "Give a checkpoint that was trained for this",
        )
    return model.eval()


def refuse_shards_elsewhere(index: Path) -> None:
    """Refuse an index of a local checkpoint that names weights outside its folder: loading would follow it there.

    Raises:
        UserError: naming the shard; or the index cannot be read.
    """
    if not index.is_file():
        return
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


def refuse_unfinished(checkpoint: str, fresh: set[str]) -> None:
    """Refuse a model some of whose weights were drawn at random when it was loaded.

    Raises:
        UserError: naming them.
    """
    if fresh:
        raise UserError(
            f"model '{checkpoint}'",
            f"it has no weights for {len(fresh)} of its parameters ({', '.join(sorted(fresh)[:3])}), so its answers"
            " would be random",
            "Give the output_dir of a run that has ended, or a model that was fine-tuned for this task",
        )
