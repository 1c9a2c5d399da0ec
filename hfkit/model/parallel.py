"""Tensors of which every process holds a part (FSDP2)."""

from collections.abc import Mapping

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel


def is_sharded(tensor: Tensor) -> bool:
    return isinstance(tensor, DTensor)


def own_part(tensor: Tensor) -> Tensor:
    """What this process holds of it: without shards all of it."""
    return tensor.to_local() if is_sharded(tensor) else tensor


def whole(tensor: Tensor) -> Tensor:
    """All of it, on every process; all of them have to ask."""
    return tensor.full_tensor() if is_sharded(tensor) else tensor


def total(norms: Tensor, of: list[Tensor]) -> Tensor:
    """Norms of own parts, summed over the processes if `of` holds a shard: nan and infinity of one reach all."""
    if any(map(is_sharded, of)):
        torch.distributed.all_reduce(norms)
    return norms


def add(parameter: nn.Parameter, shift: Tensor) -> None:
    """Add `shift`, which is whole on every process, to a parameter that may be in parts."""
    shift = shift.to(parameter.device, parameter.dtype)
    if is_sharded(parameter):
        shift = distribute_tensor(shift, parameter.device_mesh, parameter.placements)
    with torch.no_grad():
        parameter += shift


def shard_by_blocks(accelerator: Accelerator, model: nn.Module, depths: Mapping[str, int], head: int) -> None:
    """Under FSDP put one block after the other together as a whole, unless it was told what else.

    The stock list, `_no_split_modules`, names BERT's embeddings beside what lies in them, and both cannot be sharded.

    Args:
        depths: of every parameter.
        head: the head's depth; blocks are between 0 and it.
    """
    if not accelerator.is_fsdp2 or accelerator.state.fsdp_plugin.transformer_cls_names_to_wrap:
        return
    found, inside = set(), ()
    for name, module in model.named_modules():
        if name.startswith(inside):
            continue
        of = {depths[f"{name}.{own}".removeprefix(".")] for own, _ in module.named_parameters()}
        if len(of) == 1 and 0 < min(of) < head:  # the outermost module that holds a block and nothing else
            found.add(type(module).__name__)
            inside = (*inside, f"{name}.")
    accelerator.state.fsdp_plugin.transformer_cls_names_to_wrap = sorted(found)


def rebuild(wrapper: DistributedDataParallel, **settings) -> None:
    """Wrap the module anew, in place, so that exactly the parameters which learn now are synchronised.

    DDP registers the parameters that require gradients when it is constructed: one that thaws later is never reduced,
    and the replicas drift apart with exit code 0; one that freezes later makes the reduction wait for it. The object
    stays the same because the training loop holds on to it.

    Args:
        settings: the keyword arguments the wrapper was first constructed with, besides its devices.
    """
    module, devices, output = wrapper.module, wrapper.device_ids, wrapper.output_device
    # The old reducer's hooks go with its last reference; with both alive every gradient would be reduced twice.
    del wrapper.reducer, wrapper.logger
    wrapper.__init__(module, device_ids=devices, output_device=output, **settings)
