"""This process among those of a launcher, and its share of cores and GPUs."""

import ctypes
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from functools import cache

import psutil
import torch

PR_SET_PDEATHSIG = 1  # from <sys/prctl.h>
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


def end_with(parent: int) -> None:
    """Have this process sent SIGTERM when the one that started it ends, in whatever way; at once if it has already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it ended before this was asked for
            os.kill(os.getpid(), signal.SIGTERM)
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while psutil.pid_exists(parent):
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)


@cache
def obey_parent_alone() -> None:
    """Have this worker end by SIGTERM from the process that started it, and ignore it from everybody else.

    A scheduler signals all processes of a job. Without its loader's workers, a run could not finish its step. torch has
    them look themselves whether their parent is alive.
    """
    if sys.platform == "linux":  # others do not tell who sent a signal
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    while signal.sigwaitinfo([signal.SIGTERM]).si_pid != os.getppid():
        pass
    os._exit(0)


def count_cores() -> int:
    """The number of cores that this process may use, also under `taskset` or in a container."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def gpu_of(job: int) -> str:
    """The GPU for a job, among those that this process may see; to be asked before CUDA starts."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    seen = seen if seen != [""] else [str(gpu) for gpu in range(torch.cuda.device_count())]
    return seen[job % len(seen)]
