"""Work that a step of training can do without, while its result stays the same bit for bit.

With a head alone to learn, most of a step is none of its arithmetic. Measured: docs/speed.md.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from hfkit.runtime.heap import keep_freed_memory

# accelerate looks for these on the disk twice in every optimizer step.
LOOKED_FOR = ("lomo_optim",)


@contextmanager
def spare_steps(device: torch.device) -> Iterator[None]:
    """Within it steps spend less on memory and on packages that are not there."""
    with ExitStack() as spared:
        if device.type == "cpu":
            spared.enter_context(keep_freed_memory())
        spared.enter_context(note_absence(LOOKED_FOR))
        yield


@contextmanager
def note_absence(modules: Sequence[str]) -> Iterator[None]:
    """Within it Python knows which of these modules are not installed, and does not look for them again."""
    absent = [name for name in modules if name not in sys.modules and find_spec(name) is None]
    # Python's own mark of a module that cannot be imported.
    sys.modules.update(dict.fromkeys(absent))
    try:
        yield
    finally:
        for name in absent:
            if sys.modules.get(name, absent) is None:
                del sys.modules[name]


def clip_by_norms(learning: Sequence[nn.Parameter], norms: Tensor, most: float) -> Tensor:
    """Scale the gradients so that all of them together have at most this norm; returns the norm they had.

    It does what `torch.nn.utils.clip_grad_norm_` does, which would compute the norms once more, and multiplies
    gradients by 1 where nothing is too large.

    Args:
        learning: those without a gradient are left out.
        norms: of each gradient, in their order.
    """
    total = torch.linalg.vector_norm(norms)
    factor = torch.clamp(most / (total + 1e-6), max=1.0)
    if factor < 1:
        torch._foreach_mul_([parameter.grad for parameter in learning if parameter.grad is not None], factor)
    return total
