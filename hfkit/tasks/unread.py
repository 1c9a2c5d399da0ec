"""Parameters of a checkpoint that have no part in its answers."""

from collections.abc import Callable

import torch
from torch import Tensor
from transformers import PreTrainedModel

from hfkit.model.conversions import say_once


def freeze_unread(model: PreTrainedModel, answer: Callable[[], Tensor]) -> None:
    """Freeze the parameters that no answer depends on: blocks of BEiT above the last one that its head reads, the norm
    behind a Swin whose stages are read, and the head beside another that only stock training uses.

    They would stay as they are in any case, and a run that is told to train them would break off.

    Args:
        answer: runs the model; the sum of all numbers that answers are read from.
    """
    training = model.training
    model.eval()
    with torch.enable_grad():
        answer().backward()
    unread = [(name, parameter) for name, parameter in model.named_parameters() if parameter.grad is None]
    model.zero_grad(set_to_none=True)
    model.train(training)
    for _, parameter in unread:
        parameter.requires_grad_(False)
    if unread:
        count = sum(parameter.numel() for _, parameter in unread)
        say_once(f"{count:,} parameters have no part in the answers and stay as they are, from {unread[0][0]} on.")
