"""Whether a model fits, before it is loaded."""

import psutil
import torch

from hfkit.arguments.training import TransferArguments
from hfkit.contract.target import Target
from hfkit.contract.task import Task
from hfkit.errors import UserError
from hfkit.model.weights import read_config

WEIGHT = 4  # bytes of a parameter in fp32
LEARNING = 12  # more bytes of one that learns: its gradient and Adam's two moments
GIB = 2**30


def needed_bytes(parameters: int, learning: float) -> int:
    """The bytes that weights, gradients and moments take; activations come on top.

    Args:
        learning: share of the parameters that ever learn.
    """
    return round(parameters * (WEIGHT + LEARNING * learning))


def learning_share(args: TransferArguments) -> float:
    """About which share of the parameters ever learns."""
    return 0.05 if args.adapted or args.unfreeze_stages == 0 else 1


def parameters_of(task: Task, checkpoint: str, target: Target) -> int:
    """How many parameters the model of a codec would have; only the checkpoint's configuration is read."""
    config = read_config(task.path(checkpoint), **task.head_config(target))
    with torch.device("meta"):
        return task.auto_model.from_config(config, trust_remote_code=False).num_parameters()


def refuse_too_large(checkpoint: str, parameters: int, args: TransferArguments, *, jobs: int) -> None:
    """Refuse a checkpoint that does not fit into the memory.

    Args:
        parameters: of the model, see `parameters_of`.
        jobs: runs that share the memory.

    Raises:
        UserError: it needs more memory than is available.
    """
    needed = needed_bytes(parameters, learning_share(args))
    if torch.cuda.is_available():
        free, where = torch.cuda.mem_get_info()[0], "on the GPU"
    else:
        # Of all there is: what is free now depends on the other runs.
        free, where = psutil.virtual_memory().total // jobs, f"for each of {jobs} runs at once" if jobs > 1 else "here"
    if needed > free:
        raise UserError(
            f"checkpoint '{checkpoint}' with strategy {args.strategy}",
            f"weights, gradients and moments take {needed / GIB:.1f} GiB, and {free / GIB:.1f} GiB are there {where}",
            "Use a smaller checkpoint, --strategies lora feature-extraction, or fewer --jobs",
        )
