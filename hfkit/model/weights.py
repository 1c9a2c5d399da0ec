"""A checkpoint's weights and configuration, loaded so that an untrusted one can do no harm: no code, no pickles."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel

from hfkit.errors import UserError, first_line
from hfkit.model.depth import Depths
from hfkit.model.heads import describe_fresh_head, fit_head, labels_of, wanted_labels
from hfkit.progress import loading
from hfkit.samples import resolve_checkpoint


def read_config(checkpoint: str, **settings: Any) -> PreTrainedConfig:
    """The checkpoint's configuration with `settings` applied. Of a Hub checkpoint nothing else is downloaded.

    Raises:
        UserError: it is missing or unreadable, or its architecture is unknown.
    """
    try:
        config = AutoConfig.from_pretrained(resolve_checkpoint(checkpoint), trust_remote_code=False, **settings)
    except UserError:
        raise
    except (OSError, ValueError) as error:
        raise UserError(
            f"checkpoint '{checkpoint}'",
            f"its config.json could not be read ({first_line(error)})",
            "Check the path or the Hub id, and the network",
        ) from error
    # transformers drops settings that no architecture has, silently: a saved model then did not say what it was for.
    config.update({name: value for name, value in settings.items() if name.startswith("hfkit_")})
    return config


def load_weights(
    auto_model: Any, path: str, config: PreTrainedConfig, named: str, **options: Any
) -> tuple[PreTrainedModel, dict[str, Any]]:
    """The model in `path` as `auto_model` loads it, and transformers' account of the loading (`missing_keys`, …).

    In fp32, from safetensors in the checkpoint's own folder, without remote code.

    Args:
        config: from `read_config`.
        named: what errors call the checkpoint, such as "checkpoint 'name'".
        options: further arguments of `from_pretrained`.

    Raises:
        UserError: it cannot be loaded, or names weights outside its folder.
    """
    # The configuration may name an index of its own.
    for index in ("model.safetensors.index.json", getattr(config, "transformers_weights", None)):
        if index and index.endswith(".index.json"):
            refuse_shards_elsewhere(Path(path, index))
    with refuse_unreadable(auto_model, named), loading():
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
def refuse_unreadable(auto_model: Any, named: str) -> Iterator[None]:
    """Within it, what transformers and timm raise for a checkpoint that they cannot build becomes a `UserError`."""
    try:
        yield
    # TypeError: timm, for settings it does not know. RuntimeError: weights of other shapes.
    except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        raise UserError(
            named,
            f"{auto_model.__name__} cannot load it ({first_line(error)})",
            "Give a folder or a Hub id with a whole model.safetensors, of an architecture that this class knows",
        ) from error


def load_whole_model(auto_model: Any, checkpoint: str, flag: str) -> PreTrainedModel:
    """A checkpoint to be evaluated as it is: every weight comes from it, and none is new.

    Args:
        flag: the flag that names the checkpoint.

    Raises:
        UserError: it cannot be loaded, or lacks weights, so that random ones would answer.
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
    """Refuse the index of a local checkpoint if it names weights outside its folder: loading would follow it there.

    Raises:
        UserError: it does (the error names the shard), or the index cannot be read.
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


def refuse_unfinished(named: str, fresh: set[str]) -> None:
    """Refuse a model if some of its weights were drawn at random when it was loaded.

    Raises:
        UserError: naming those weights.
    """
    if fresh:
        raise UserError(
            named,
            f"it has no weights for {len(fresh)} of its parameters ({', '.join(sorted(fresh)[:3])}), so its answers"
            " would be random",
            "Give the output_dir of a run that has ended, or a model that was fine-tuned for this task",
        )


def load_model(
    auto_model: type,
    path: str,
    named: str,
    head_config: Mapping[str, Any],
    *,
    pretrained: bool = True,
    finished: bool = False,
    blocks: Sequence[str] = (),
) -> PreTrainedModel:
    """A plain `AutoModelFor…`: fp32 weights, safetensors only, no remote code (see `Codec.model`).

    Args:
        path: a folder or a Hub id.
        named: what the checkpoint is called in messages.
        head_config: what the configuration says of the head, which is fresh where the checkpoint has none that fits.

    Raises:
        UserError: the checkpoint cannot be found or read, names weights outside its folder, or lacks some that it
            should have.
    """
    config = read_config(path, **head_config)
    if not pretrained:
        with refuse_unreadable(auto_model, named):
            return auto_model.from_config(config, dtype=torch.float32, trust_remote_code=False)
    model, info = load_weights(auto_model, path, config, named, ignore_mismatched_sizes=True)
    fresh = {*info["missing_keys"], *(key[0] for key in info["mismatched_keys"])}
    if finished:
        refuse_unfinished(named, fresh)
        return model
    depths = Depths.of(model, blocks)
    lost = sorted(key for key in fresh if key in depths.parameters and depths.parameters[key] < depths.head)
    if lost:
        raise UserError(
            named,
            f"it has no weights for {len(lost)} parameters below the head ({', '.join(lost[:3])}, …)",
            f"Use a checkpoint of the architecture '{config.model_type}'",
        )
    if (wanted := wanted_labels(head_config)) is not None:
        known = labels_of(read_config(path))
        line = describe_fresh_head(known) if info["mismatched_keys"] else fit_head(model, known, wanted, fresh)
        if line is not None:
            print(f"{named[0].upper()}{named[1:]}: {line}.")
    return model
