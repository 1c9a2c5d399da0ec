"""Weights between those of the start and those of the end of a run (WiSE-FT, Wortsman et al. 2022).

How far to go is chosen on validation: a share of 1 keeps the end. A run that started from a checkpoint has learnt its
rows and lost some of what it knew; on the straight line between both there is often a point that is better than either.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from hfkit.training.averages.statistics import Run, copy_statistics, find_moved, measure_statistics, set_statistics


def interpolate(
    run: Run,
    start: Mapping[str, Tensor],
    statistics: Mapping[str, Tensor],
    shares: Sequence[float],
    headline: Callable[[], float],
    sign: int,
) -> dict[str, Any] | None:
    """Give the model the weights on the way from `start` to its own that are best on validation.

    Running statistics that training moved are measured anew at every point of the way but its end.

    Args:
        start: parameters by name, on the CPU; all others stay.
        statistics: buffers by name, as they were at the start.
        shares: of the way, to be tried; where several are equally good, the largest is kept.
        headline: the score of the model as it is, on validation.
        sign: -1 where a lower headline is better.

    Returns:
        The `share` that was kept, the headline `before` and `after`, and the `scores` of all shares; None if the model
        has not moved.
    """
    parameters = {name: p for name, p in run.model.named_parameters() if name in start}
    end = {name: p.detach().cpu().clone() for name, p in parameters.items()}
    if all(torch.equal(end[name], start[name]) for name in end):
        return None
    moved = find_moved(run.model, statistics)
    before, scores = headline(), {}
    kept = {1.0: copy_statistics(moved)}
    for share in sorted(shares, reverse=True):
        if share == 1:
            scores[share] = before
            continue
        move(parameters, start, end, share)
        measure_statistics(run, moved.values())
        scores[share], kept[share] = headline(), copy_statistics(moved)
    best = max(scores, key=lambda share: (sign * scores[share], share))
    move(parameters, start, end, best)
    set_statistics(moved, kept[best])
    return {
        "share": best,
        "before": before,
        "after": scores[best],
        "scores": {f"{share:g}": score for share, score in scores.items()},
    }


@torch.no_grad()
def move(
    parameters: Mapping[str, nn.Parameter], start: Mapping[str, Tensor], end: Mapping[str, Tensor], share: float
) -> None:
    """Set parameters to the point of the way from `start` to `end` that lies so far along it; 1 is the end itself."""
    for name, parameter in parameters.items():
        parameter.copy_(end[name] if share == 1 else torch.lerp(start[name], end[name], share))
