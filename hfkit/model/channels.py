"""The channels that a model of pictures reads: three of colours, made one of grey."""

from collections.abc import Sequence

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel

from hfkit.errors import UserError


def find_config(model: PreTrainedModel) -> PreTrainedConfig | None:
    """The part of a model's configuration that says how many channels a picture has; None: none does."""
    parts = [model.config, *(getattr(model.config, name) for name in model.config.sub_configs)]
    return next((part for part in parts if "num_channels" in part.to_dict()), None)


def find_first_convolution(model: PreTrainedModel, named: str) -> nn.Conv2d:
    """The convolution that reads the picture.

    Raises:
        UserError: there is none that could read another number of channels, such as in a model of another library.
    """
    config = find_config(model)
    channels = None if config is None else config.num_channels
    reading = [module for module in model.modules() if isinstance(module, nn.Conv2d) and module.in_channels == channels]
    # A model that shifts colours or splits them in groups has others; then nothing says which one reads the picture.
    if len(reading) != 1 or reading[0].groups != 1:
        raise UserError(
            "grey=sum",
            f"no single convolution of {named} reads its {channels or 'unknown'} channels",
            "Leave it out: grey is then repeated in every channel",
        )
    return reading[0]


@torch.no_grad()
def sum_channels(model: PreTrainedModel, *, spreads: Sequence[float], spread: float) -> None:
    """Let a model read one channel, as it reads a grey picture that is repeated in all of them.

    Exactly so where the colours are normalised alike; otherwise the differences of their means are lost.

    Args:
        spreads: the standard deviations that the colours are divided by.
        spread: the one that grey is divided by from now on.
    """
    first, config = find_first_convolution(model, "the checkpoint"), find_config(model)
    channels = config.num_channels
    scales = torch.tensor([spread / one for one in spreads], dtype=first.weight.dtype, device=first.weight.device)
    first.weight = nn.Parameter((first.weight * scales[None, :, None, None]).sum(1, keepdim=True))
    first.in_channels = 1
    for module in model.modules():  # many check it before they read
        if getattr(module, "num_channels", None) == channels:
            module.num_channels = 1
    config.num_channels = 1
