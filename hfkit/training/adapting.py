"""A model under the adapters that its arguments ask for, and what else has to fit them."""

from collections.abc import Mapping

from datasets import Dataset
from torch import nn

from hfkit.arguments.training import TransferArguments
from hfkit.contract.codec import Codec
from hfkit.model.adapters import Adapter, add_adapters
from hfkit.model.own_adapter import add_own_lora
from hfkit.model.quantising import quantise
from hfkit.model.virtual_tokens import VIRTUAL_KINDS, add_virtual_tokens


def adapt_model(model: nn.Module, args: TransferArguments, *, draw: bool) -> nn.Module:
    """The model with the adapters that the arguments ask for.

    Args:
        draw: False leaves the values of weights alone, of a model that has none (torch's meta device).

    Raises:
        UserError: there is no adapter to train on, or the model has no place for one.
    """
    blocks = tuple(args.blocks)
    if args.checkpoint_adapter == "train":
        model = add_own_lora(model, args.lora_rank, blocks, load=draw)
        args.lora_rank = model.peft_config["default"].r
        return model
    if args.quantize and draw:
        model = quantise(model, args.quantize, blocks)
    if args.adapter in VIRTUAL_KINDS:
        return add_virtual_tokens(model, Adapter(args.adapter, args.virtual_tokens), blocks)
    return add_adapters(model, Adapter(args.adapter, args.lora_rank or args.oft_block_size or 0), blocks)


def leave_room(codec: Codec, args: TransferArguments, encoded: Mapping[str, Dataset] | None) -> Mapping[str, Dataset]:
    """Let the tokenizer cut rows off where the virtual tokens before them take up the model's positions.

    The limit is saved with the tokenizer, so that whoever asks the model does the same.

    Args:
        encoded: splits that are encoded already.

    Returns:
        Those of them that still fit: with virtual tokens none, for a row may be as long as the model reads.
    """
    if args.adapter not in VIRTUAL_KINDS:
        return encoded or {}
    codec.processor.model_max_length -= args.virtual_tokens
    return {}
