"""Mixout: in every training step some weights are those of the checkpoint, so that the others do not stray far."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

from hfkit.errors import UserError
from hfkit.model.adapters import find_linear
from hfkit.model.depth import Depths


class Mixout:
    """The linear layers of blocks, and their weights in the checkpoint.

    A layer that learns computes with (m * w0 + (1 - m) * w - p * w0) / (1 - p), where w0 are its weights in the
    checkpoint, and each m is 1 with probability `share` p; the mean over m is w. The head has no weights to mix with.
    What the optimizer moves, and a checkpoint holds, is w alone: nothing of this is in the model but while it trains.

    Source: Lee et al. 2020, "Mixout: Effective Regularization to Finetune Large-scale Pretrained Language Models";
    as in their code, biases are left alone.

    Args:
        model: with the weights of the checkpoint.
        drawn: top blocks that have random weights instead.

    Raises:
        UserError: no block with pretrained weights has a linear layer.
    """

    def __init__(self, model: nn.Module, depths: Depths, share: float, drawn: int = 0) -> None:
        self.share, modules = share, dict(model.named_modules())
        self.layers = [modules[name] for name in find_linear(model) if 0 < depths.modules[name] < depths.head - drawn]
        if not self.layers:
            raise UserError(
                f"mixout={share}",
                f"it mixes weights of linear layers, and no pretrained block of {type(model).__name__} has any",
                "Leave it out",
            )
        self.pretrained = [layer.weight.detach().clone() for layer in self.layers]

    @contextmanager
    def mixing(self) -> Iterator[None]:
        """Within it the layers mix their weights whenever they learn."""
        self.pretrained = [w0.to(layer.weight) for w0, layer in zip(self.pretrained, self.layers, strict=True)]
        for layer, w0 in zip(self.layers, self.pretrained, strict=True):
            # As an attribute of the layer itself: torch's parametrizations would rename its weight, and with it the
            # optimizer's groups and the entries of a checkpoint.
            layer.__dict__["forward"] = partial(self._compute, layer, w0)
        try:
            yield
        finally:
            for layer in self.layers:
                del layer.__dict__["forward"]

    def _compute(self, layer: nn.Module, w0: Tensor, inputs: Tensor) -> Tensor:
        if not (layer.training and layer.weight.requires_grad):
            return type(layer).forward(layer, inputs)
        weight = mix(layer.weight, w0, self.share)
        if isinstance(layer, Conv1D):  # GPT-2's, whose weights are (inputs, outputs)
            weight = weight.T
        return functional.linear(inputs, weight, layer.bias)


def mix(weight: Tensor, pretrained: Tensor, share: float) -> Tensor:
    """Each weight or its pretrained value, at random, scaled so that their mean is the weight."""
    kept = torch.rand_like(weight) < share
    return (torch.where(kept, pretrained, weight) - share * pretrained) / (1 - share)
