"""The frozen layers of a model in 8 or 4 bits, while adapters learn beside them, and in floats again to be saved."""

import copy
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn
from transformers import BitsAndBytesConfig, PreTrainedModel

from hfkit.errors import UserError, first_line
from hfkit.model.adapters import find_linear
from hfkit.model.depth import Depths
from hfkit.progress import loading


def quantise(model: PreTrainedModel, width: str, blocks: tuple[str, ...] = ()) -> PreTrainedModel:
    """The model with the linear layers of its blocks in few bits; embeddings, norms and the head stay as they are.

    Source: Dettmers et al. 2022 (LLM.int8), Dettmers et al. 2023 (QLoRA: 4 bits, NF4).

    Args:
        width: "8bit" or "4bit".

    Raises:
        UserError: bitsandbytes is missing, or does not do this here.
    """
    if find_spec("bitsandbytes") is None:
        rule = "the package bitsandbytes computes with such weights, and it is not installed"
        raise UserError(f"quantize={width}", rule, 'Run: pip install "hfkit[quantize]" (or: pip install bitsandbytes)')
    depths, layers = Depths.of(model, blocks), find_linear(model)
    wanted = {name for name in layers if 0 < depths.modules[name] < depths.head}
    settings = BitsAndBytesConfig(
        load_in_8bit=width == "8bit",
        load_in_4bit=width == "4bit",
        bnb_4bit_quant_type="nf4",
        llm_int8_skip_modules=[name for name in layers if name not in wanted],
    )
    place = model.config.name_or_path
    try:
        with loading():
            quantised = type(model).from_pretrained(
                None,
                config=model.config,
                state_dict=model.state_dict(),
                quantization_config=settings,
                dtype=torch.float32,
            )
        keep_bits(quantised)
        found = find_quantised(quantised)
        if found != wanted:
            raise ValueError(f"it would take {sorted(found ^ wanted)[0]} otherwise than it should")
    # Of any kind: a device that it does not know, a library that does not load.
    except Exception as error:
        raise UserError(
            f"quantize={width}",
            f"bitsandbytes does not do it for {type(model).__name__} on this machine ({first_line(error)})",
            "Leave it out",
        ) from error
    quantised.config.name_or_path = quantised.name_or_path = place
    return quantised


def find_quantised(model: nn.Module) -> set[str]:
    """The names of the layers whose weights are in few bits."""
    from bitsandbytes.nn import Linear4bit, Linear8bitLt

    return {name for name, module in model.named_modules() if isinstance(module, Linear4bit | Linear8bitLt)}


def keep_bits(model: nn.Module) -> None:
    """Let layers in 4 bits be evaluated as they are.

    On a CPU that has AVX-512 for bfloat16 they would rewrite themselves at the first evaluation, with scales of fewer
    digits: frozen weights changed, and a resumed run ended with others.
    """
    from bitsandbytes.nn import Linear4bit

    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False


def merge_into_floats(adapted: nn.Module, adapter: Path) -> nn.Module:
    """A plain model in floats: the weights that the adapters learnt beside, as their few bits say, and these merged in.

    Args:
        adapter: a folder with the adapters, saved.
    """
    from peft import PeftModel

    plain = copy.deepcopy(adapted).unload().dequantize()
    return PeftModel.from_pretrained(plain, str(adapter)).merge_and_unload()
