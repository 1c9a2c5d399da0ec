"""Several processes, one model: sharded tensors (FSDP2) and the wrapper of replicas (DDP)."""

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

from hfkit.model.depth import Depths


def is_sharded(tensor: Tensor) -> bool:
    return isinstance(tensor, DTensor)


def local_part(tensor: Tensor) -> Tensor:
    """The part of the tensor that this process holds: all of it unless it is sharded."""
    return tensor.to_local() if is_sharded(tensor) else tensor


def gather_whole(tensor: Tensor) -> Tensor:
    """The whole tensor, on every process. Every process must call this, or the others wait forever."""
    return tensor.full_tensor() if is_sharded(tensor) else tensor


def sum_over_processes(norms: Tensor, tensors: list[Tensor]) -> Tensor:
    """Norms of local parts, summed over all processes if one of `tensors` is sharded.

    A nan or an infinity on one process then shows on all of them, and all stop together.
    """
    if any(map(is_sharded, tensors)):
        torch.distributed.all_reduce(norms)
    return norms


def add_to_parameter(parameter: nn.Parameter, shift: Tensor) -> None:
    """Add `shift`, which every process holds in full, to a parameter that may be sharded."""
    shift = shift.to(parameter.device, parameter.dtype)
    if is_sharded(parameter):
        shift = distribute_tensor(shift, parameter.device_mesh, parameter.placements)
    with torch.no_grad():
        parameter += shift


def shard_by_blocks(accelerator: Accelerator, model: nn.Module, depths: Depths) -> None:
    """Under FSDP2, shard each block as one unit, unless the user named other classes.

    The stock list, `_no_split_modules`, names BERT's embeddings as well as modules inside them. Both cannot be sharded.
    """
    if not accelerator.is_fsdp2 or accelerator.state.fsdp_plugin.transformer_cls_names_to_wrap:
        return
    classes, inside = set(), ()
    for name, module in model.named_modules():
        if name.startswith(inside):
            continue
        held = {depths.parameters[f"{name}.{own}".removeprefix(".")] for own, _ in module.named_parameters()}
        if len(held) == 1 and 0 < min(held) < depths.head:  # the outermost module that holds a block and nothing else
            classes.add(type(module).__name__)
            inside = (*inside, f"{name}.")
    accelerator.state.fsdp_plugin.transformer_cls_names_to_wrap = sorted(classes)


def rebuild_wrapper(wrapper: DistributedDataParallel, **settings) -> None:
    """Wrap the module again, in place, so that exactly the parameters that learn now are synchronised.

    DDP registers the parameters that require gradients when it is constructed: one that thaws later is never reduced,
    and the replicas drift apart with exit code 0; one that freezes later makes the reduction wait for it. The wrapper
    stays the same object because the training loop keeps a reference to it.

    Args:
        settings: the keyword arguments of the wrapper's first construction, apart from its devices.
    """
    module, devices, output = wrapper.module, wrapper.device_ids, wrapper.output_device
    # The old reducer's hooks go with its last reference; with both alive every gradient would be reduced twice.
    del wrapper.reducer, wrapper.logger
    wrapper.__init__(module, device_ids=devices, output_device=output, **settings)
