"""The best stretch of a passage: within a window by its tokens' logits, and over all windows of a row."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


def find_best(start: Tensor, end: Tensor, inside: Tensor, longest: int) -> tuple[Tensor, Tensor, Tensor]:
    """The score, and the first and last place, of every window's best stretch, (batch,) each.

    All stretches of at most `longest` tokens are compared: a list of the best starts and ends, as the stock script
    keeps it, may hold no pair that is one.

    Args:
        start, end: logits, (batch, tokens).
        inside: whether a token belongs to the passage, (batch, tokens).

    Returns:
        A score of -inf where no token does.
    """
    start, end = (logits.masked_fill(~inside, -torch.inf) for logits in (start, end))
    best = start + end
    length = torch.zeros_like(best, dtype=torch.long)
    for more in range(1, min(longest, start.shape[1])):
        longer = start[:, :-more] + end[:, more:]
        better = longer > best[:, :-more]
        best[:, :-more] = torch.where(better, longer, best[:, :-more])
        length[:, :-more].masked_fill_(better, more)
    score, first = best.max(1)
    return score, first, first + length.gather(1, first[:, None])[:, 0]


class Best(NamedTuple):
    """For every row its best window, and what its windows say together."""

    window: np.ndarray  # (rows,)
    score: np.ndarray  # of the best stretch, (rows,)
    null: np.ndarray  # of no answer, by the window that is least for it, (rows,)
    mass: np.ndarray  # logarithm of the sum over all pairs of starts and ends, (rows,)


def choose_window(outputs: dict[str, np.ndarray], row: np.ndarray) -> Best:
    """The window with the best stretch of each row; the first of equals.

    Args:
        outputs: `score`, `null_start`, `null_end`, `start_mass` and `end_mass` of every window, (windows,) each.
        row: of every window, ascending.
    """
    rows = row.max(initial=-1) + 1
    order = np.lexsort((-outputs["score"], row))
    window = order[np.searchsorted(row, np.arange(rows))]
    null = np.full(rows, np.inf)
    np.minimum.at(null, row, outputs["null_start"] + outputs["null_end"])
    mass = sum(add_up(outputs[name], row, rows) for name in ("start_mass", "end_mass"))
    return Best(window, outputs["score"][window], null, mass)


def add_up(values: np.ndarray, row: np.ndarray, rows: int) -> np.ndarray:
    """The logarithm of the sum of exponentials over the windows of each row."""
    top = np.full(rows, -np.inf)
    np.maximum.at(top, row, values)
    total = np.zeros(rows)
    np.add.at(total, row, np.exp(values.astype(float) - top[row]))
    return top + np.log(total)
