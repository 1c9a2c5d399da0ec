"""An exponential moving average of whatever learns, updated after every optimizer step."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn


def decay_at(step: int, decay: float) -> float:
    """The share of itself that the average keeps in an optimizer step, from 1: less at first, or the start would weigh
    for long (the schedule of TensorFlow's ExponentialMovingAverage).
    """
    return min(decay, (1 + step) / (10 + step))


class MovingAverage:
    """The averages of some tensors of a model, by name.

    A frozen weight is its own average, and so needs no copy: one that thaws is added with the value it then has, and
    comes out as if it had been averaged from the first step on. `torch.optim.swa_utils.AveragedModel` would copy the
    whole model. Running statistics are averaged like weights; counters are those of now.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.values: dict[str, Tensor] = {}

    def add(self, tensors: Mapping[str, Tensor]) -> None:
        """Begin to average those that are not yet."""
        for name, tensor in tensors.items():
            if name not in self.values:
                self.values[name] = tensor.detach().clone()

    @torch.no_grad()
    def update(self, tensors: Mapping[str, Tensor], step: int) -> None:
        """Take the values after an optimizer step into the averages.

        Args:
            tensors: all that are averaged, by name.
            step: its number, from 1.
        """
        numbers = [name for name, value in self.values.items() if value.is_floating_point()]
        for name in self.values.keys() - set(numbers):
            self.values[name].copy_(tensors[name])
        blend = get_ema_multi_avg_fn(decay_at(step, self.decay))
        blend([self.values[name] for name in numbers], [tensors[name].detach() for name in numbers], None)

    @torch.no_grad()
    def swap(self, tensors: Mapping[str, Tensor]) -> None:
        """Exchange the values of a model and its averages; twice, and all is as before, bit for bit."""
        for name, value in self.values.items():
            mine = tensors[name].detach().clone()
            tensors[name].copy_(value)
            value.copy_(mine)
