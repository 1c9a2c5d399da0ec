"""A checkpoint's weights and configuration, loaded so that an untrusted one can do no harm: no code is run."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig, PreTrainedModel

from hfkit.errors import Failure, UserError, first_line
from hfkit.model.conversions import say_once
from hfkit.model.depth import Depths
from hfkit.model.heads import describe_fresh_head, find_label_tensors, fit_head, labels_of, wanted_labels
from hfkit.model.kept_shares import turn_shares
from hfkit.model.pickles import convert_pickles, read_shards
from hfkit.model.sources import holds_virtual_tokens, open_checkpoint
from hfkit.progress import loading

# Architectures that replace modules of theirs within a forward pass.
SWITCHING = ("big_bird", "bigbird_pegasus")
LAYOUT = torch.channels_last  # of convolutions: the channels of a place lie together, which computes fastest
IMPLEMENTATIONS = "_implementation_internal"  # how transformers keeps by which code attention and experts are computed


def read_config(checkpoint: str, **settings: Any) -> PreTrainedConfig:
    """The checkpoint's configuration with `settings` applied. Of a Hub checkpoint nothing else is downloaded.

    Raises:
        UserError: it is missing or unreadable, its architecture is unknown, or its weights are quantised.
    """
    place = open_checkpoint(checkpoint)
    try:
        config = AutoConfig.from_pretrained(place, trust_remote_code=False, **settings)
    except UserError:
        raise
    # Of any kind: every architecture computes with the values before it has looked at them.
    except Exception as error:
        raise UserError(
            f"checkpoint '{checkpoint}'",
            f"its config.json could not be read ({first_line(error)})",
            "Check the path or the Hub id, and the network",
        ) from error
    refuse_quantised(checkpoint, config)
    refuse_kernels(checkpoint, config)
    # transformers drops settings that no architecture has, silently: a saved model then did not say what it was for.
    config.update({name: value for name, value in settings.items() if name.startswith("hfkit_")})
    return config


def refuse_quantised(checkpoint: str, config: PreTrainedConfig) -> None:
    """Refuse a checkpoint whose weights are not floats.

    Raises:
        UserError: naming how they were quantised.
    """
    for part in (config, config.get_text_config()):
        how = vars(part).get("quantization_config")
        if not how:
            continue
        method = how.get("quant_method") or ("bitsandbytes" if "load_in_4bit" in how or "load_in_8bit" in how else "")
        raise UserError(
            f"checkpoint '{checkpoint}'",
            f"its weights are quantised{f' ({method})' if method else ''}, and here they are floats",
            "Give the checkpoint that it was made from, or one in floats made of it where its package is installed:"
            f" AutoModel.from_pretrained('{checkpoint}').dequantize().save_pretrained('FOLDER')",
        )


def refuse_kernels(checkpoint: str, config: PreTrainedConfig) -> None:
    """Refuse a checkpoint that has its attention computed by code of a repository on the Hub: that would be run.

    Raises:
        UserError: naming the repository.
    """
    for name, value in vars(config).items():
        if isinstance(value, PreTrainedConfig):
            refuse_kernels(checkpoint, value)
        elif name.endswith(IMPLEMENTATIONS) and isinstance(value, str) and "/" in value:
            raise UserError(
                f"checkpoint '{checkpoint}'",
                f"its config.json wants code of '{value}' to be run, and code of a repository never is",
                f"Take {name.removesuffix('_internal').lstrip('_')} out of its config.json",
            )


def refuse_own_code(place: str, named: str, *, accepted: bool) -> None:
    """Refuse a checkpoint that brings code of its own, or if that is accepted, say what is used instead.

    Its weights fit the class that transformers has for its model_type, or some of them do; whether that class computes
    the same with them, nobody knows but its author.

    Args:
        place: from `open_checkpoint`.
        accepted: the stock class will do.

    Raises:
        UserError: naming its code.
    """
    try:
        written, _ = PreTrainedConfig.get_config_dict(place)
    except (OSError, ValueError):
        return  # `read_config` says so
    mapped = written.get("auto_map") or {}
    own = {str(code) for kind, code in mapped.items() if kind == "AutoConfig" or kind.startswith("AutoModel")}
    if not own or "hfkit_task" in written:  # a run saved it: as the stock class
        return
    files = ", ".join(sorted({f"{code.rpartition('--')[2].partition('.')[0]}.py" for code in own}))
    kind = written.get("model_type")
    if kind not in CONFIG_MAPPING:
        raise UserError(
            named,
            f"its architecture '{kind}' is code of its own ({files}), which is never run, and transformers has none of"
            " that name",
            "Use a checkpoint of an architecture that transformers has",
        )
    stock = f"the class that transformers has for '{kind}'"
    if not accepted:
        raise UserError(
            named,
            f"it brings code of its own ({files}), which is never run, and {stock} may compute something else with its"
            " weights",
            "Set --accept_stock_class to take that class, or use another checkpoint",
        )
    say_once(f"{named[0].upper()}{named[1:]}: its own code ({files}) is not run; {stock} takes its weights.")


def load_weights(
    auto_model: Any, path: str, config: PreTrainedConfig, named: str, **options: Any
) -> tuple[PreTrainedModel, dict[str, Any]]:
    """The model in `path` as `auto_model` loads it, and transformers' account of the loading (`missing_keys`, …).

    In fp32, from the checkpoint's own folder, without remote code. Pickles become safetensors in the cache first.

    Args:
        config: from `read_config`.
        named: what errors call the checkpoint, such as "checkpoint 'name'".
        options: further arguments of `from_pretrained`.

    Raises:
        UserError: it cannot be loaded, or names weights outside its folder.
    """
    # The configuration may name an index of its own.
    for index in ("model.safetensors.index.json", getattr(config, "transformers_weights", None)):
        if index and index.endswith(".index.json") and Path(path, index).is_file():
            read_shards(Path(path, index))
    place = convert_pickles(path, named)
    with refuse_unreadable(auto_model, named), loading():
        model, info = auto_model.from_pretrained(
            place,
            config=config,
            # A bf16 checkpoint would load as bf16, and small learning rates would then round to no change.
            dtype=torch.float32,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            **options,
        )
    model.config.name_or_path = model.name_or_path = path  # not the folder of the cache
    refuse_non_finite(model, named)
    return model, info


def refuse_non_finite(model: PreTrainedModel, named: str) -> None:
    """Refuse a model with weights that are no numbers: all that it computes would be none either.

    Raises:
        UserError: naming the first of them.
    """
    # A sum is read in a fraction of the time of a comparison, and is finite only if all its terms are.
    odd = [name for name, weight in model.named_parameters() if not torch.isfinite(weight.sum())]
    odd = [name for name in odd if not torch.isfinite(model.get_parameter(name)).all()]
    if odd:
        raise UserError(
            named,
            f"{len(odd)} of its weights hold values that are not finite, the first is {odd[0]}",
            "Use an earlier checkpoint, or fetch it again",
        )


@contextmanager
def refuse_unreadable(auto_model: Any, named: str) -> Iterator[None]:
    """Within it, what transformers and timm raise for a checkpoint that they cannot build becomes a `UserError`."""
    try:
        yield
    except (UserError, Failure):
        raise
    # Of any kind: unknown activations are KeyErrors, heads that do not divide the width are divisions by zero.
    except Exception as error:
        raise UserError(
            named,
            f"{auto_model.__name__} cannot load it ({first_line(error)})",
            "Give a folder or a Hub id with whole weights, of an architecture that this class knows",
        ) from error


def load_whole_model(auto_model: Any, checkpoint: str, flag: str) -> PreTrainedModel:
    """A checkpoint to be evaluated as it is: every weight comes from it, and none is new.

    Args:
        flag: the flag that names the checkpoint.

    Raises:
        UserError: it cannot be loaded, or lacks weights, so that random ones would answer.
    """
    named, place = f"{flag} '{checkpoint}'", open_checkpoint(checkpoint)
    refuse_own_code(place, named, accepted=True)
    model, info = load_weights(auto_model, place, read_config(place), named)
    if info["missing_keys"]:
        lost = sorted(info["missing_keys"])
        raise UserError(
            named,
            f"it has no weights for {', '.join(lost[:3])} of {type(model).__name__}, which would answer at random",
            "Give a checkpoint that was trained for this",
        )
    return model.eval()


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


def attend_in_full(config: PreTrainedConfig, named: str) -> None:
    """Let BigBird begin with the attention that it would switch to at the first short batch, for good.

    That replaces its modules: a plan that held on to them failed, and dropout of the new ones was never switched off.
    """
    if config.model_type in SWITCHING and config.attention_type == "block_sparse":
        config.attention_type = "original_full"
        say_once(
            f"{named[0].upper()}{named[1:]}: {config.model_type} switches from sparse to full attention at the first"
            " batch of short rows, and here it attends in full from the start."
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
    """A plain `AutoModelFor…`: fp32 weights, no remote code, no pickle that is run (see `Codec.model`).

    Args:
        path: a folder or a Hub id.
        named: what the checkpoint is called in messages.
        head_config: what the configuration says of the head, which is fresh where the checkpoint has none that fits.

    Raises:
        UserError: the checkpoint cannot be found or read, names weights outside its folder, or lacks some that it
            should have.
    """
    config = read_config(path, **head_config)
    # Saved with the model, it would name files that are not there.
    vars(config).pop("auto_map", None)
    if not pretrained:
        attend_in_full(config, named)
        with refuse_unreadable(auto_model, named):
            model = auto_model.from_config(config, dtype=torch.float32, trust_remote_code=False)
        turn_shares(model, named)
        return model.to(memory_format=LAYOUT)
    if holds_virtual_tokens(Path(path)):
        from hfkit.model.virtual_tokens import load_virtual_tokens  # in its function: it imports this module

        if finished:
            return load_virtual_tokens(auto_model, path, config, named)
        raise UserError(named, "it is virtual tokens on a base, and no weights can hold them", "Start from its base")
    if not finished:
        attend_in_full(config, named)
    model, info = load_weights(auto_model, path, config, named, ignore_mismatched_sizes=True)
    model.to(memory_format=LAYOUT)
    fresh = {*info["missing_keys"], *(key[0] for key in info["mismatched_keys"])}
    if finished:
        refuse_unfinished(named, fresh)
        return model
    turn_shares(model, named)
    depths = Depths.of(model, blocks)
    lost = sorted(key for key in fresh if key in depths.parameters and depths.parameters[key] < depths.head)
    if lost:
        # A detector scores classes within its body too, where it chooses the places it looks at.
        lost = [key for key in lost if key not in find_label_tensors(model)[0]]
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
            say_once(f"{named[0].upper()}{named[1:]}: {line}.")
    return model
