"""Setups that cannot work, refused before the first step."""

import os

from accelerate import FullyShardedDataParallelPlugin
from torch import nn
from torch.distributed.fsdp import CPUOffloadPolicy
from transformers import Trainer

from hfkit.arguments.training import TransferArguments
from hfkit.errors import UserError

# Model types that train in parts as with whole copies: tests/model/test_parallel.py trains each both ways.
SHARDED = frozenset(
    "beit bert bloom camembert deberta-v2 deit dinov2 dinov2_with_registers distilbert electra gemma gemma2 gpt2"
    " gpt_neox llama mistral modernbert mpnet phi3 qwen2 qwen3 roberta swin swinv2 vit xlm-roberta xlnet".split()
)


def refuse_flags(model: nn.Module, args: TransferArguments) -> None:
    """Refuse flags that do not work with this model.

    Raises:
        UserError: naming them.
    """
    if args.activation_checkpointing and not model.supports_gradient_checkpointing:
        raise UserError(
            "activation_checkpointing or gradient_checkpointing",
            f"{type(model).__name__} cannot recompute its blocks",
            "Leave it out",
        )
    if args.quantize and args.world_size > 1:
        raise UserError(
            f"quantize={args.quantize} with {args.world_size} processes",
            "not proven to keep the same few bits in all of them",
            "Start one process, or leave it out",
        )
    if args.activation_checkpointing and args.adapter == "prefix":
        raise UserError(
            "activation_checkpointing or gradient_checkpointing with adapter=prefix",
            "the keys and values of a prefix are kept where blocks that are computed twice would add them twice",
            "Leave it out, or use --adapter prompt",
        )


def refuse_surgery(args: TransferArguments) -> None:
    """Refuse blocks drawn anew that never learn, and blocks to train in a strategy that chooses them itself.

    Raises:
        UserError: naming the flags.
    """
    alone = not args.unfreeze_stages or args.decided  # the head is fitted to the blocks as they are
    if args.reinit_blocks and (args.adapted or alone):
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
    """Refuse engines that would not honour a changing set of trainable parameters, or that nothing proves to do so.

    Raises:
        UserError: naming the engine.
    """
    if trainer.is_deepspeed_enabled:
        raise UserError(
            "DeepSpeed",
            "it steps within the backward pass, from gradients in buffers of its own: neither the plan nor its checks"
            " reach them",
            "Launch with recipes/accelerate/ddp.yaml, or fsdp2.yaml where the model does not fit on one GPU",
        )
    if trainer.args.n_gpu > 1:
        raise UserError(
            f"one process with {trainer.args.n_gpu} GPUs",
            "the stock trainer would split every batch over them (nn.DataParallel), where gradients come out as many"
            " times too large as there are GPUs",
            "Start the recipe with: accelerate launch --config_file recipes/accelerate/ddp.yaml recipes/<recipe>.py, or"
            " with CUDA_VISIBLE_DEVICES=0 to use one",
        )
    asked = trainer.args.fsdp or os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"
    if asked and not trainer.is_fsdp_enabled:
        raise UserError(
            "FSDP without several GPUs",
            "accelerate would train with a whole copy in every process, and not say so",
            "Launch with recipes/accelerate/ddp.yaml",
        )
    if trainer.is_fsdp_enabled:
        refuse_shards(trainer.model, trainer.args, trainer.accelerator.state.fsdp_plugin)
    if trainer.args.torch_compile and trainer.args.world_size > 1:
        raise UserError(
            "torch_compile with several processes",
            "the distributed wrapper is rebuilt at every thaw, which a compiled one does not survive",
            "Leave one of them out",
        )


def refuse_shards(model: nn.Module, args: TransferArguments, plugin: FullyShardedDataParallelPlugin) -> None:
    """Refuse to train in parts (FSDP2) what is not proven to come out as with whole copies.

    Raises:
        UserError: naming the model or the setting.
    """
    if model.config.model_type not in SHARDED:
        raise UserError(
            f"FSDP with a model of type {model.config.model_type}",
            "training in parts is proven for models without shared weights or running statistics:"
            f" {', '.join(sorted(SHARDED))}",
            "Launch with recipes/accelerate/ddp.yaml",
        )
    if args.adapted or args.decided:
        raise UserError(
            f"FSDP with strategy={args.strategy}",
            "adapters are merged into whole weights, and auto fits a head to a whole model",
            "Launch with recipes/accelerate/ddp.yaml, or choose another --strategy",
        )
    for name, found, needed, fix in (
        ("mixout", args.mixout, 0, "Leave it out"),
        ("fsdp_version", plugin.fsdp_version, 2, "Set it to 2"),
        ("fsdp_state_dict_type", plugin.state_dict_type.name, "FULL_STATE_DICT", "Set it to FULL_STATE_DICT"),
        ("fsdp_offload_params", isinstance(plugin.cpu_offload, CPUOffloadPolicy), False, "Leave it out"),
        ("fsdp_cpu_ram_efficient_loading", plugin.cpu_ram_efficient_loading, False, "Set it to false"),
        ("fsdp_activation_checkpointing", plugin.activation_checkpointing, False, "Use the flag of that name"),
        ("fp16", args.fp16, False, "Use --bf16"),
    ):
        if found != needed:
            raise UserError(f"{name}={found} with FSDP", "not proven to train as whole copies do, or to save them", fix)
