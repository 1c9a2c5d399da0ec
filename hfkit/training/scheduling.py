"""The optimizer's groups as the trainer needs them, and a schedule for each of them."""

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler

from hfkit.arguments.training import TransferArguments
from hfkit.errors import UserError
from hfkit.model.groups import groupwise_schedule, slanted_triangular, triangle_of_each_stage
from hfkit.model.unfreezing import FreezePlan


def require_all_groups(optimizer: Optimizer, model: nn.Module) -> None:
    """Refuse an optimizer that a plan cannot work with.

    Raises:
        UserError: a parameter is in none of its groups, or in two, or groups have no names.
    """
    grouped = [id(p) for group in optimizer.param_groups for p in group["params"]]
    if sorted(grouped) != sorted(id(p) for p in model.parameters()) or "name" not in optimizer.param_groups[0]:
        raise UserError(
            f"optimizer {type(optimizer).__name__}",
            "its groups must hold every parameter exactly once, by depth",
            "Leave `optimizers` to TransferTrainer and choose by --optim",
        )


def schedule_groups(
    stock: LRScheduler, optimizer: Optimizer, args: TransferArguments, plan: FreezePlan, steps: int
) -> LRScheduler:
    """The schedule that the arguments ask for, in which every group warms up when it thaws.

    Args:
        stock: the schedule of the stock trainer.
        steps: optimizer steps of the training.

    Raises:
        UserError: groups cannot warm up on a schedule that follows the loss.
    """
    warmup = round(args.thaw_warmup * steps)
    if isinstance(stock, LambdaLR):
        factor = stock.lr_lambdas[0]
        if args.decided:
            factor = triangle_of_each_stage(plan.starts, steps)
        elif args.slanted_triangular:
            factor = slanted_triangular(steps)
        return groupwise_schedule(optimizer, factor, plan.thaw_step, warmup)
    if warmup or args.slanted_triangular:
        raise UserError(
            f"lr_scheduler_type={args.lr_scheduler_type}",
            "it follows the loss, so thawed groups cannot warm up on it",
            "Use linear or cosine, or --thaw_warmup 0",
        )
    return stock
