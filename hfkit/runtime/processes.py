"""This process among those of a launcher, and its share of cores and GPUs."""

import os
import sys
from dataclasses import dataclass

import torch

LAUNCHERS = (("RANK", "WORLD_SIZE", "LOCAL_RANK"), ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"))


@dataclass(frozen=True)
class Rank:
    """The rank of this process among those of a launcher."""

    rank: int
    size: int
    local: int  # rank on this machine


def take_rank() -> Rank | None:
    """This process's rank among those that torchrun, `accelerate launch` or srun started; None if it is the only one.

    Removes the launcher's variables from the environment: a run on one process must not join a process group.
    """
    found = None
    for names in LAUNCHERS:
        if all(name in os.environ for name in names) and found is None:
            found = Rank(*(int(os.environ[name]) for name in names))
    for name in (*LAUNCHERS[0], "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "GROUP_RANK", "ROLE_RANK"):
        os.environ.pop(name, None)
    if found and torch.cuda.device_count():
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu_of(found.local)
    return found if found and found.size > 1 else None


def count_cores() -> int:
    """The number of cores that this process may use, also under `taskset` or in a container."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def gpu_of(job: int) -> str:
    """The GPU for a job, among those that this process may see; to be asked before CUDA starts."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    seen = seen if seen != [""] else [str(gpu) for gpu in range(torch.cuda.device_count())]
    return seen[job % len(seen)]
