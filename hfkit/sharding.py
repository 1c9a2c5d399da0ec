"""Tensors of which every process holds a part (FSDP2)."""

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor


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
