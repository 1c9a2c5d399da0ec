"""Surgery on a checkpoint: top blocks initialised again, and blocks frozen for good."""

import re
from collections.abc import Mapping, Sequence

import torch
from torch import nn
from transformers import PreTrainedModel

from hfkit.errors import UserError
from hfkit.model.depth import Depths


def parse_depth_range(given: str) -> tuple[int, int]:
    """The first and the last depth of '1-2', or of '2' alone.

    Raises:
        UserError: it is not such a range.
    """
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", given.strip())
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if first > last:
        raise UserError(f"train_blocks={given}", "it is a depth, or a first and a last one", "Write it like 1-2")
    return first, last


def require_blocks(model: nn.Module, blocks: int, block_paths: Sequence[str] = ()) -> None:
    """Refuse to reinitialise more blocks than there are, or a model that cannot say how its weights are drawn.

    Raises:
        UserError: naming how many blocks there are.
    """
    most = Depths.of(model, block_paths).head - 1
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
    """Draw new weights for the top `blocks` of the backbone, as its architecture does for training from scratch.

    Source: Zhang et al. 2021, "Revisiting Few-sample BERT Fine-tuning": the top blocks know most of the old task.

    Raises:
        UserError: there are fewer blocks, or the architecture does not say how some of their weights are drawn.
    """
    require_blocks(model, blocks, block_paths)
    depths = Depths.of(model, block_paths)
    redrawn = range(depths.head - blocks, depths.head)
    fresh = {id(p) for name, p in model.named_parameters() if depths.parameters[name] in redrawn}
    modules = dict(model.named_modules())
    redrawn_modules = {
        name: module
        for name, module in modules.items()
        if (own := {id(p) for p in module.parameters()}) and own <= fresh
    }
    if left := redraw(model, redrawn_modules):
        raise UserError(
            f"reinit_blocks={blocks}",
            f"{type(model).__name__} does not say how {left[0]} is drawn",
            "Leave it out",
        )


@torch.no_grad()
def redraw(model: PreTrainedModel, redrawn: Mapping[str, nn.Module]) -> list[str]:
    """Draw new weights for some of a model's modules, as its architecture does; the parameters that it has no rule for.

    Args:
        redrawn: the modules by their names in the model, outer ones first.
    """
    modules = dict(model.named_modules())
    for module in redrawn.values():
        for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
            # Otherwise transformers skips it: it leaves alone what it loaded from a checkpoint.
            tensor._is_hf_initialized = False
        for parameter in module.parameters(recurse=False):
            parameter.fill_(torch.nan)  # a weight that no module draws then shows
    # Inner modules first: GPT-2 draws a projection a second time, narrower, when it comes to the attention around it.
    for name in reversed(list(redrawn)):
        find_owner(modules, name)._init_weights(redrawn[name])
    for module in redrawn.values():
        for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
            tensor._is_hf_initialized = True
    mine = {id(p) for module in redrawn.values() for p in module.parameters()}
    return [name for name, p in model.named_parameters() if id(p) in mine and p.isnan().any()]


def find_owner(modules: dict[str, nn.Module], name: str) -> PreTrainedModel:
    """The innermost transformers model around a module: each of them draws its own parts."""
    while not isinstance(modules[name], PreTrainedModel):
        name = name.rpartition(".")[0]
    return modules[name]


def train_only(model: nn.Module, learning: tuple[int, int], block_paths: Sequence[str] = ()) -> None:
    """Freeze everything below the head that lies outside the depths `learning`, given as (first, last).

    Source: Lee et al. 2022, "Surgical Fine-Tuning Improves Adaptation to Distribution Shifts".

    Raises:
        UserError: the model has no such depths.
    """
    (first, last), depths = learning, Depths.of(model, block_paths)
    head = depths.head
    if not 0 <= first <= last < head:
        raise UserError(
            f"train_blocks={first}-{last}",
            f"below the head, which always learns, {type(model).__name__} has depths 0 to {head - 1}",
            f"Use depths up to {head - 1}",
        )
    for name, parameter in model.named_parameters():
        if not first <= depths.parameters[name] <= last and depths.parameters[name] < head:
            parameter.requires_grad_(False)
