"""Running statistics (BatchNorm) that fit averaged weights: those kept in training fit weights that are gone."""

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from hfkit.arguments.training import TransferArguments
from hfkit.contract.codec import Codec, Collator
from hfkit.data.batches import rows_to_fetch

MOST_ROWS = 1024  # of the training rows: more move the statistics by less than a batch does in training


class Run(Protocol):
    """The attributes of a trainer that are used here."""

    args: TransferArguments
    codec: Codec
    model: nn.Module
    train_dataset: Dataset
    data_collator: Collator


def find_moved(model: nn.Module, start: Mapping[str, Tensor]) -> dict[str, nn.Module]:
    """The modules with running statistics that training moved, by name.

    Args:
        start: buffers by name, as they were.
    """
    found = {}
    for name, module in model.named_modules():
        mean = f"{name}.running_mean"
        if isinstance(module, _BatchNorm) and mean in start:
            if not torch.equal(start[mean], module.running_mean.cpu()):
                found[name] = module
    return found


@torch.no_grad()
def measure_statistics(run: Run, modules: Iterable[nn.Module]) -> None:
    """Give `modules` the statistics that training rows have under the weights of now.

    As `torch.optim.swa_utils.update_bn` does, but of these modules alone, and with nothing else in training mode: that
    would measure frozen layers anew, and draw dropout. The rows are drawn by the seed, and come without augmentation,
    as at evaluation; every process takes the same.
    """
    modules = list(modules)
    if not modules:
        return
    before = [(module, module.momentum, module.training) for module in modules]
    rows, size = run.train_dataset, run.args.eval_batch_size
    order = np.random.default_rng(run.args.seed).permutation(len(rows))[:MOST_ROWS]
    whole = len(order) // size * size or len(order)  # of a last batch of one row there is no variance
    was_training = run.model.training
    run.model.eval()
    try:
        for module in modules:
            module.reset_running_stats()
            module.momentum = None  # the mean over all batches
            module.training = True
        for begin in range(0, whole, size):
            batch = run.data_collator(rows_to_fetch(rows).__getitems__(order[begin : begin + size].tolist()))
            batch = {name: value.to(run.args.device) for name, value in batch.items()}
            run.model(**run.codec.inputs(batch))
    finally:
        run.model.train(was_training)
        for module, momentum, training in before:
            module.momentum, module.training = momentum, training


def copy_statistics(modules: Mapping[str, nn.Module]) -> dict[str, dict[str, Tensor]]:
    """Copies of their buffers, by module."""
    return {
        name: {buffer: value.detach().clone() for buffer, value in module.named_buffers(recurse=False)}
        for name, module in modules.items()
    }


@torch.no_grad()
def set_statistics(modules: Mapping[str, nn.Module], statistics: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Put back what `copy_statistics` returned."""
    for name, buffers in statistics.items():
        own: dict[str, Any] = dict(modules[name].named_buffers(recurse=False))
        for buffer, value in buffers.items():
            own[buffer].copy_(value)
