"""How far apart two computations of the same activations may lie, by the precision in which they were made.

In float32 that is a small share of the largest. In half precision rows that are computed in other batches differ by
more. How much depends on the model, and a share that is large enough for all models would hide faults. So both are held
against float32: whichever kernel rounds, its distance from there is about that of any other, and a fault adds to it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

# How far an activation may lie from another one of the same row, as a share of the largest, by the precision in which
# it is stored or computed. Two things differ: the rounding, and the padding of the batch it was computed in.
TOLERANCE = {"float32": 1e-4, "float16": 2e-3, "bfloat16": 2e-2}
# In half precision: how many times as far from float32 as the same row in another batch. Over texts and pictures of
# four checkpoints in bfloat16 it was at most 1.2 times.
FARTHER = 2.0


def is_close(found: Tensor, wanted: Tensor, tolerance: float) -> bool:
    """Whether activations are others up to a share of the largest."""
    # `<=`, and not `not >`: a nan is no match either.
    return bool((found.to(wanted) - wanted).abs().max() <= tolerance * wanted.abs().max())


def is_within_rounding(found: Tensor, own: Tensor, exact: Tensor, counts: np.ndarray) -> bool:
    """Whether activations lie about as far from float32 as others of the same rows, each row by itself.

    Args:
        found, own: computed in half precision, in batches that differ, (activations, width).
        exact: computed in float32.
        counts: activations of each row, (rows,).
    """
    counted = torch.from_numpy(counts).to(exact.device)
    row = torch.repeat_interleave(torch.arange(len(counts), device=exact.device), counted)

    def distances(values: Tensor) -> Tensor:  # (rows,)
        squares = (values.to(exact) - exact).square().mean(1)
        return (exact.new_zeros(len(counts)).index_add_(0, row, squares) / counted.clamp_min(1)).sqrt()

    # At least that of all rows together: one may be exact by chance. And what float32 itself rounds.
    least = torch.maximum((own.to(exact) - exact).square().mean().sqrt(), 1e-6 * exact.square().mean().sqrt())
    return bool((distances(found) <= FARTHER * distances(own).clamp_min(least)).all())


@contextmanager
def computing_in_float32(model: nn.Module) -> Iterator[None]:
    """Within it the model does without the autocast that accelerate has put around its `forward`, on the instance."""
    prepared = vars(model).pop("forward", None)
    try:
        yield
    finally:
        if prepared is not None:
            model.__dict__["forward"] = prepared
