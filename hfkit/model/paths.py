"""Parts of a model by name: the transformers model inside wrappers, its base model, patterns of module paths."""

import re
from collections.abc import Iterable, Sequence

from torch import nn


def find_core(model: nn.Module) -> nn.Module:
    """The transformers model inside wrappers that add no parameters but virtual tokens; otherwise `model` itself."""
    from transformers import PreTrainedModel

    core = next((module for module in model.modules() if isinstance(module, PreTrainedModel)), model)
    held = {id(parameter) for parameter in core.parameters()}
    beside = {id(parameter) for parameter in model.parameters()} - held
    if beside:
        beside -= find_virtual_tokens(model).keys()
    return model if beside else core


def find_virtual_tokens(model: nn.Module) -> dict[int, int]:
    """The parameters of peft's virtual tokens by identity, and the depth at which they enter.

    A prompt enters with the embeddings, the keys and values of a prefix from the first block on.
    """
    from peft import PrefixEncoder, PromptEmbedding

    depths = {PromptEmbedding: 0, PrefixEncoder: 1}
    return {
        id(parameter): depths[type(module)]
        for module in model.modules()
        if type(module) in depths
        for parameter in module.parameters()
    }


def model_type_of(core: nn.Module) -> str | None:
    from transformers import PreTrainedModel

    return core.config.model_type if isinstance(core, PreTrainedModel) else None


def base_of(core: nn.Module, names: Iterable[str]) -> str:
    """The path of the base model with its dot, or "" where the model has none below it."""
    from transformers import PreTrainedModel

    base = f"{core.base_model_prefix}." if isinstance(core, PreTrainedModel) else ""
    return base if any(name.startswith(base) for name in names) else ""


def match_path(pattern: str, name: str) -> re.Match[str] | None:
    """The module that `pattern` finds at the start of the parameter's name, whole path segments only."""
    return re.match(re.escape(pattern).replace(r"\*", r"([^.]+)") + r"(?=\.|$)", name)


def first_match(patterns: Iterable[str], name: str) -> re.Match[str] | None:
    return next((found for pattern in patterns if (found := match_path(pattern, name))), None)


def find_modules(patterns: Sequence[str], names: Iterable[str]) -> list[list[str]]:
    """For each pattern the modules it finds, in order of registration."""
    names = list(names)
    return [list(dict.fromkeys(m[0] for name in names if (m := match_path(pattern, name)))) for pattern in patterns]


def summarize(paths: Iterable[str]) -> str:
    """Module paths with a star for every number: 'encoder.stages.*.layers.*'."""
    return ", ".join(dict.fromkeys(re.sub(r"(?<=\.)\d+(?=\.|$)", "*", path) for path in paths))
