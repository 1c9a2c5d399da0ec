"""Low-rank adapters on a model whose depths are known."""

import copy

from torch import nn
from transformers.pytorch_utils import Conv1D

from hfkit.errors import UserError
from hfkit.model.depth import Depths


def add_lora(model: nn.Module, rank: int, blocks: tuple[str, ...] = ()) -> nn.Module:
    """The model under peft: every linear layer of its blocks gets an adapter of `rank`, the new head trains in full.

    Source: Hu et al. 2021 (LoRA); scaling alpha / rank = 2.

    Raises:
        UserError: the blocks have no linear layer, as those of a ResNet.
    """
    from peft import LoraConfig, get_peft_model

    depths = Depths.of(model, blocks)
    # Blocks only: the head is new, and is trained in full rather than adapted.
    adapted = [name for name in find_linear(model) if 0 < depths.modules[name] < depths.head]
    if not adapted:
        raise UserError(
            f"lora_rank={rank}",
            f"an adapter stands beside a linear layer, and the blocks of {type(model).__name__} have none",
            "Choose another --strategy",
        )
    settings = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.05, target_modules=adapted)
    settings.modules_to_save = find_head(model, depths)
    return get_peft_model(model, settings)


def find_linear(model: nn.Module) -> list[str]:
    """The names of the layers that an adapter may stand beside."""
    return [name for name, module in model.named_modules() if isinstance(module, nn.Linear | Conv1D)]


def find_head(model: nn.Module, depths: Depths) -> list[str]:
    """The names of the head's modules with parameters of their own, which are saved whole beside an adapter.

    Without them its files would load with a head drawn at random.
    """
    return [
        name
        for name, module in model.named_modules()
        if depths.modules[name] == depths.head and any(True for _ in module.parameters(recurse=False))
    ]


def merge_adapters(adapted: nn.Module) -> nn.Module:
    """A copy of an adapted model with its adapters folded into the weights. The model itself is unchanged."""
    return copy.deepcopy(adapted).merge_and_unload()
