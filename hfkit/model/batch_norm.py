"""BatchNorm whose running statistics are worth evaluating with."""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from hfkit.model.conversions import say_once

MOMENTUM = 0.1  # torch's default: the weight of a new batch
LARGEST = 0.5  # beyond it most of the statistics are those of one batch


def slow_statistics(model: nn.Module, named: str) -> None:
    """Have the running statistics of BatchNorm be those of many batches where a model's own would be of the last one.

    Where torch's `momentum` is the weight of the new batch, TensorFlow's decay is that of the old ones, and some models
    (MobileNetV1, MobileNetV2) have 0.9997 of the latter in the former: what they are evaluated with after a step is
    that step's batch, and their scores jump.
    """
    found = [
        module for module in model.modules() if isinstance(module, _BatchNorm) and (module.momentum or 0) > LARGEST
    ]
    if found:
        say_once(
            f"{named[0].upper()}{named[1:]}: statistics of BatchNorm would be {found[0].momentum:.2%} those of the last"
            f" batch, and here a step moves them by {MOMENTUM:.0%}."
        )
    for module in found:
        module.momentum = MOMENTUM
