"""Low-rank adapters on a model whose depths are known."""

import copy

from torch import nn
from transformers.pytorch_utils import Conv1D

from hfkit.errors import UserError
from hfkit.model.depth import depth_names, module_depths


def with_lora(model: nn.Module, rank: int, blocks: tuple[str, ...] = ()) -> nn.Module:
    """The model under peft: every linear layer of its blocks gets an adapter of `rank`, the new head is trained whole.

    The head is listed as a module to save, so that the adapter's own files bring it back.

    Source: Hu et al. 2021 (LoRA); scaling alpha / rank = 2.

    Raises:
        UserError: the blocks have no linear layer, as those of a ResNet.
    """
    from peft import LoraConfig, get_peft_model

    depths, head = module_depths(model, blocks), len(depth_names(model, blocks)) - 1
    modules = dict(model.named_modules())
    adapted = [n for n, m in modules.items() if isinstance(m, nn.Linear | Conv1D) and 0 < depths[n] < head]
    if not adapted:
        raise UserError(
            f"lora_rank={rank}",
            f"an adapter stands beside a linear layer, and the blocks of {type(model).__name__} have none",
            "Choose another --strategy",
        )
    own = [n for n, m in modules.items() if depths[n] == head and any(True for _ in m.parameters(recurse=False))]
    return get_peft_model(
        model,
        LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=0.05, target_modules=adapted, modules_to_save=own),
    )


def merged(adapted: nn.Module) -> nn.Module:
    """A copy of an adapted model with its adapters folded into the weights; the model itself stays as it is."""
    return copy.deepcopy(adapted).merge_and_unload()
