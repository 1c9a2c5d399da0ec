"""Processes that work on a comparison: several on this machine, or one per rank of a launcher on many machines."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

PER_RUN = 3 * 2**30  # bytes of memory that a run with a small model takes
LAUNCHERS = (("RANK", "WORLD_SIZE", "LOCAL_RANK"), ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"))


@dataclass(frozen=True)
class Rank:
    """Which of how many processes of a launcher this one is."""

    rank: int
    size: int
    local: int  # among those of this machine


def launched() -> Rank | None:
    """This process's place among those that torchrun, `accelerate launch` or srun started; None: it is alone.

    The launcher's variables are taken away: a run on one process must not join a group of them.
    """
    found = None
    for names in LAUNCHERS:
        if all(name in os.environ for name in names) and found is None:
            found = Rank(*(int(os.environ[name]) for name in names))
    for name in (*LAUNCHERS[0], "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "GROUP_RANK", "ROLE_RANK"):
        os.environ.pop(name, None)
    if found and torch.cuda.is_available():
        os.environ["CUDA_VISIBLE_DEVICES"] = str(found.local % torch.cuda.device_count())
    return found if found and found.size > 1 else None


def cores() -> int:
    """The cores that this process may use: of a machine, or of what a container or `taskset` leaves of it."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def default_jobs() -> int:
    """One run per GPU; without any, one per core as far as the free memory reaches."""
    if torch.cuda.is_available():
        return torch.cuda.device_count()
    return max(1, min(cores(), psutil.virtual_memory().available // PER_RUN))


def started(jobs: int, argv: list[str], logs: Path) -> list[subprocess.Popen]:
    """`jobs` processes that work on the comparison of `argv`, each with its share of the cores, or a GPU."""
    logs.mkdir(parents=True, exist_ok=True)
    threads = max(1, cores() // jobs)
    found = []
    for job in range(jobs):
        environment = {"OMP_NUM_THREADS": str(threads), **os.environ, "TOKENIZERS_PARALLELISM": "false"}
        if torch.cuda.is_available():
            environment["CUDA_VISIBLE_DEVICES"] = str(job % torch.cuda.device_count())
        with (logs / f"worker-{job}.txt").open("a") as log:
            command = [sys.executable, "-m", "hfkit.ledger", "work", *argv]
            found.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment))
    return found


def watched(
    workers: list[subprocess.Popen], start: Callable[[], list[subprocess.Popen]], every: float
) -> Iterator[None]:
    """Ticks until every worker has ended; one that died is replaced. They are stopped if the caller leaves early.

    Args:
        start: starts one more.
        every: seconds.

    Raises:
        RuntimeError: workers die as soon as they start.
    """
    births = [time.monotonic()] * len(workers)
    early = 0
    try:
        while any(worker.poll() is None for worker in workers):
            yield
            time.sleep(every)
            for i, worker in enumerate(workers):
                if worker.poll() not in (None, 0):
                    early += time.monotonic() - births[i] < 20
                    if early > 2 * len(workers):
                        raise RuntimeError(f"workers end at once with exit code {worker.returncode}; see their logs")
                    workers[i], births[i] = start()[0], time.monotonic()
    finally:
        for worker in workers:
            if worker.poll() is None:
                worker.terminate()
        for worker in workers:
            worker.wait()
