"""Layer-wise parameter groups and the schedules that move their rates."""

from bisect import bisect_right
from collections.abc import Callable, Sequence

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from hfkit.model.depth import Depths


def layerwise_parameter_groups(
    model: nn.Module,
    depths: Depths,
    *,
    learning_rate: float,
    layer_decay: float,
    head_learning_rate: float | None,
    weight_decay: float,
) -> list[dict]:
    """Optimizer groups over ALL parameters, frozen or not: one per (depth, decays?), each with a stable `name`.

    The block at depth i of N learns at `learning_rate * layer_decay ** (N - i)`, depth 0 being the embeddings, and the
    head at `head_learning_rate`. Parameters of one dimension (biases, norms, scales) are not decayed. No group is added
    later: a frozen parameter has no gradient, and the optimizer skips it until it thaws.

    Source: Howard and Ruder 2018 (ULMFiT), section 3.2; Clark et al. 2020 (ELECTRA), appendix A.
    """
    groups: dict[str, dict] = {}
    for name, parameter in model.named_parameters():
        depth, decays = depths.parameters[name], parameter.ndim > 1
        if depth < depths.head:
            rate = learning_rate * layer_decay ** (depths.head - 1 - depth)
        else:
            rate = head_learning_rate or learning_rate
        # Three digits: names sort by depth, and a resumed run finds its groups in the same order.
        group = groups.setdefault(
            f"depth{depth:03d}.{'decay' if decays else 'no_decay'}",
            {"params": [], "lr": rate, "weight_decay": weight_decay if decays else 0.0, "depth": depth},
        )
        group["params"].append(parameter)
    return [{**groups[name], "name": name} for name in sorted(groups)]


def slanted_triangular(total_steps: int, *, cut: float = 0.1, ratio: float = 32.0) -> Callable[[int], float]:
    """Step -> factor: a short linear rise to 1 over the first `cut` of training, then a long fall to 1/ratio.

    Source: Howard and Ruder 2018 (ULMFiT), equation 3.
    """
    peak = max(1, int(total_steps * cut))

    def factor(step: int) -> float:
        rise = step / peak if step < peak else 1 - (step - peak) / max(1, total_steps - peak)
        return (1 + max(0.0, rise) * (ratio - 1)) / ratio

    return factor


def triangle_of_each_stage(starts: Sequence[int], total_steps: int) -> Callable[[int], float]:
    """Step -> factor: one triangle per stage, so that training may end with any of them.

    Args:
        starts: first step of each stage.
    """
    ends = [*starts[1:], total_steps]
    triangles = [slanted_triangular(end - start) for start, end in zip(starts, ends, strict=True)]

    def factor(step: int) -> float:
        stage = bisect_right(starts, step) - 1
        return triangles[stage](step - starts[stage])

    return factor


def warm_up_after_thaw(factor: Callable[[int], float], thaw_step: int, warmup_steps: int) -> Callable[[int], float]:
    """`factor`, with a linear warm-up over the `warmup_steps` that follow the group's thaw.

    Without it a newly thawed group would take its first step at the full rate, with Adam's moments still empty.
    """

    def warming(step: int) -> float:
        return factor(step) * min(1.0, max(0, step - thaw_step + 1) / warmup_steps)

    return warming


def groupwise_schedule(
    optimizer: Optimizer,
    factor: Callable[[int], float],
    thaw_steps: Callable[[int], int | None],
    warmup_steps: int,
) -> LambdaLR:
    """One schedule for all groups: each follows `factor`, and one that thaws later warms up from its thaw.

    Args:
        thaw_steps: depth -> the first step at which it learns; None if it never does.
        warmup_steps: optimizer steps; 0 leaves every group on `factor`.
    """

    def factor_at(depth: int) -> Callable[[int], float]:
        thaw = thaw_steps(depth)
        return warm_up_after_thaw(factor, thaw, warmup_steps) if thaw and warmup_steps else factor

    return LambdaLR(optimizer, [factor_at(group["depth"]) for group in optimizer.param_groups])
