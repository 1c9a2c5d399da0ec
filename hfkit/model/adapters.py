"""Adapters in the layers of a model whose depths are known, which can be merged into their weights."""

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn
from transformers.pytorch_utils import Conv1D

from hfkit.errors import UserError, first_line
from hfkit.model.depth import Depths

if TYPE_CHECKING:
    from peft import PeftConfig

LORA_DROPOUT = 0.05


@dataclass(frozen=True)
class Adapter:
    """A kind of adapter and its size."""

    kind: str
    size: int = 0  # rank, inputs that are rotated together, or virtual tokens; 0: the kind has none

    def __str__(self) -> str:
        return f"adapter={self.kind}" + (f" of size {self.size}" if self.size else "")


def add_adapters(model: nn.Module, adapter: Adapter, blocks: tuple[str, ...] = ()) -> nn.Module:
    """The model under peft: every linear layer of its blocks gets an adapter, and the new head trains in full.

    It computes what it did before: adapters begin without effect.

    Raises:
        UserError: the blocks have no linear layer, as those of a ResNet, or one that this kind does not fit.
    """
    from peft import get_peft_model

    depths = Depths.of(model, blocks)
    # Blocks only: the head is new, and is trained in full rather than adapted.
    adapted = [name for name in find_linear(model) if 0 < depths.modules[name] < depths.head]
    if not adapted:
        raise UserError(
            str(adapter),
            f"an adapter stands beside a linear layer, and the blocks of {type(model).__name__} have none",
            "Choose another --strategy",
        )
    settings = make_settings(adapter, model, adapted)
    settings.modules_to_save = find_head(model, depths)
    with refuse_unfit(adapter, model):
        return get_peft_model(model, settings)


def make_settings(adapter: Adapter, model: nn.Module, adapted: list[str]) -> "PeftConfig":
    """The settings of peft for adapters in some linear layers.

    Source: Hu et al. 2021 (LoRA), scaling alpha / rank = 2; Liu et al. 2024 (DoRA); Liu et al. 2022 (IA3); Kopiczko et
    al. 2024 (VeRA); Qiu et al. 2023 (OFT).

    IA3's paper scales keys, values and what enters the second layer of a feed-forward part. Which layers those are is
    not written in a model, but its second layer narrows, which is: it has its inputs scaled, all others their outputs.
    """
    from peft import IA3Config, LoraConfig, OFTConfig, VeraConfig

    match adapter.kind:
        case "lora" | "dora":
            return LoraConfig(
                r=adapter.size,
                lora_alpha=2 * adapter.size,
                lora_dropout=LORA_DROPOUT,
                use_dora=adapter.kind == "dora",
                target_modules=adapted,
            )
        case "ia3":
            narrowing = [name for name in adapted if narrows(model.get_submodule(name))]
            return IA3Config(target_modules=adapted, feedforward_modules=narrowing)
        case "vera":
            return VeraConfig(r=adapter.size, target_modules=adapted)
        case "oft":
            return OFTConfig(oft_block_size=adapter.size, target_modules=adapted)
    raise ValueError(f"no adapter in layers: {adapter.kind}")


@contextmanager
def refuse_unfit(adapter: Adapter, model: nn.Module) -> Iterator[None]:
    """Within it, what peft raises for a model that its adapter does not fit becomes a `UserError`."""
    try:
        with warnings.catch_warnings():
            # It says of every layer to which number it has changed a size that does not divide its inputs.
            warnings.filterwarnings("ignore", message="Invalid `oft_block_size`")
            yield
    # Of any kind: it looks into the configuration and the layers before it knows what they are.
    except Exception as error:
        raise UserError(
            str(adapter),
            f"it does not fit {type(model).__name__} ({first_line(error)})",
            "Use another --adapter, such as lora",
        ) from error


def find_linear(model: nn.Module) -> list[str]:
    """The names of the layers that an adapter may stand beside."""
    return [name for name, module in model.named_modules() if isinstance(module, nn.Linear | Conv1D)]


def narrows(layer: nn.Module) -> bool:
    """Whether a linear layer has more inputs than outputs."""
    rows, columns = layer.weight.shape  # of a Conv1D (inputs, outputs)
    return rows > columns if isinstance(layer, Conv1D) else columns > rows


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
