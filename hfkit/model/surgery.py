"""Which of a checkpoint's blocks are kept, and which may learn: the top ones drawn anew, all but some frozen."""

import re
from collections.abc import Sequence

import torch
from torch import nn
from transformers import PreTrainedModel

from hfkit.errors import UserError
from hfkit.model.depth import depth_names, parameter_depths


def depth_range(given: str) -> tuple[int, int]:
    """The first and the last depth of '1-2', or of '2' alone.

    Raises:
        UserError: it is no such range.
    """
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", given.strip())
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if first > last:
        raise UserError(f"train_blocks={given}", "it is a depth, or a first and a last one", "Write it like 1-2")
    return first, last


def require_blocks(model: nn.Module, blocks: int, block_paths: Sequence[str] = ()) -> None:
    """Refuse to draw more blocks anew than there are, or those of a model that does not say how.

    Raises:
        UserError: naming what there is.
    """
    most = len(depth_names(model, block_paths)) - 2
    if not 0 <= blocks <= most:
        raise UserError(
            f"reinit_blocks={blocks}",
            f"{type(model).__name__} has {most} blocks",
            f"Use {most} or fewer, or --strategy scratch for none of the checkpoint",
        )
    if blocks and (not isinstance(model, PreTrainedModel) or model.config.model_type == "timm_wrapper"):
        raise UserError(
            f"reinit_blocks={blocks}",
            f"how {type(model).__name__} draws its weights is not known to transformers",
            "Leave it out",
        )


@torch.no_grad()
def reinitialise(model: PreTrainedModel, blocks: int, block_paths: Sequence[str] = ()) -> None:
    """Draw the top `blocks` of the backbone anew, as its architecture draws them for training from nothing.

    Source: Zhang et al. 2021, "Revisiting Few-sample BERT Fine-tuning": the top blocks know most of the old task.

    Raises:
        UserError: there are fewer blocks, or the architecture leaves some of their weights to others.
    """
    require_blocks(model, blocks, block_paths)
    depths, head = parameter_depths(model, block_paths), len(depth_names(model, block_paths)) - 1
    anew = {id(p) for name, p in model.named_parameters() if head - blocks <= depths[name] < head}
    modules = dict(model.named_modules())
    whole = {
        name: module
        for name, module in modules.items()
        if anew.issuperset(parameters := {id(p) for p in module.parameters()}) and parameters
    }
    for module in whole.values():
        for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
            # Else transformers leaves alone what it has loaded.
            tensor._is_hf_initialized = False
        for parameter in module.parameters(recurse=False):
            parameter.fill_(torch.nan)  # so that what nobody draws shows
    # Parts first: GPT-2 draws a projection once more, narrower, when it comes to the attention around it.
    for name in reversed(whole):
        owner(modules, name)._init_weights(whole[name])
    left = [name for name, p in model.named_parameters() if id(p) in anew and p.isnan().any()]
    if left:
        raise UserError(
            f"reinit_blocks={blocks}",
            f"{type(model).__name__} does not say how {left[0]} is drawn",
            "Leave it out",
        )
    for module in whole.values():
        for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
            tensor._is_hf_initialized = True


def owner(modules: dict[str, nn.Module], name: str) -> PreTrainedModel:
    """The innermost model of transformers that a module stands in: each draws its own parts."""
    while not isinstance(modules[name], PreTrainedModel):
        name = name.rpartition(".")[0]
    return modules[name]


def train_only(model: nn.Module, depths: tuple[int, int], block_paths: Sequence[str] = ()) -> None:
    """Freeze what is below the head and outside of these depths, the first and the last one.

    Source: Lee et al. 2022, "Surgical Fine-Tuning Improves Adaptation to Distribution Shifts".

    Raises:
        UserError: the model has no such depths.
    """
    (first, last), head = depths, len(depth_names(model, block_paths)) - 1
    if not 0 <= first <= last < head:
        raise UserError(
            f"train_blocks={first}-{last}",
            f"below the head, which always learns, {type(model).__name__} has depths 0 to {head - 1}",
            f"Use depths up to {head - 1}",
        )
    located = parameter_depths(model, block_paths)
    for name, parameter in model.named_parameters():
        if not first <= located[name] <= last and located[name] < head:
            parameter.requires_grad_(False)
