"""What no training here can bear, refused before the first step."""

from typing import Any

from datasets import Dataset
from torch import nn
from transformers import Trainer

from .arguments import TransferArguments
from .errors import UserError


def refuse_before(model: nn.Module, args: TransferArguments, rows: Any) -> None:
    """Refuse rows that have no identity, and flags that this model cannot bear.

    Raises:
        UserError: naming them.
    """
    if not isinstance(rows, Dataset):
        raise UserError(
            f"train_dataset of type {type(rows).__name__}",
            "a run is known by its rows, so it needs a datasets.Dataset",
            "Give what Task.prepare returns",
        )
    if args.activation_checkpointing and not model.supports_gradient_checkpointing:
        raise UserError(
            "activation_checkpointing or gradient_checkpointing",
            f"{type(model).__name__} cannot recompute its blocks",
            "Leave it out",
        )
    if args.label_smoothing_factor and model.config.problem_type == "regression":
        raise UserError(
            f"label_smoothing_factor={args.label_smoothing_factor}",
            "numbers have no classes to smooth",
            "Leave it out",
        )


def refuse_surgery(args: TransferArguments) -> None:
    """Refuse blocks drawn anew that never learn, and blocks to train in a strategy that chooses them itself.

    Raises:
        UserError: naming the flags.
    """
    alone = not args.unfreeze_stages or args.strategy == "auto"  # the head is fitted to the blocks as they are
    if args.reinit_blocks and (args.lora_rank or alone):
        raise UserError(
            f"reinit_blocks={args.reinit_blocks} with strategy={args.strategy}",
            "weights drawn anew are to learn, and this strategy leaves them as they are",
            "Use --strategy full or gradual",
        )
    if args.train_blocks and alone:
        raise UserError(
            f"train_blocks={args.train_blocks} with strategy={args.strategy}",
            "it trains the head alone, or finds the blocks to train by itself",
            "Use --strategy full or gradual",
        )


def refuse_engines(trainer: Trainer) -> None:
    """Refuse engines that would not honour a changing set of trainable parameters.

    Raises:
        UserError: naming the engine.
    """
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        raise UserError(
            "FSDP or DeepSpeed",
            "a changing trainable set is only proven for one process and for DDP",
            "Launch with plain multi-GPU (DDP)",
        )
    if trainer.args.torch_compile and trainer.args.world_size > 1:
        raise UserError(
            "torch_compile with several processes",
            "the distributed wrapper is rebuilt at every thaw, which a compiled one does not survive",
            "Leave one of them out",
        )
