"""Processes that work on a comparison: several on this machine, or one per rank of a launcher on many machines."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import torch

from hfkit.errors import UserError
from hfkit.runtime.processes import count_cores, gpu_of

MOST_DEATHS = 10  # of one worker: a cell is given up after three
PATIENCE = 30  # seconds that a worker has to end; a step of training may have to end first
PER_RUN = 3 * 2**30  # bytes of memory that a run with a small model takes


def default_jobs() -> int:
    """One run per GPU; without any, one per core as far as the free memory reaches."""
    if gpus := torch.cuda.device_count():
        return gpus
    return max(1, min(count_cores(), psutil.virtual_memory().available // PER_RUN))


def started(job: int, jobs: int, argv: list[str], logs: Path) -> subprocess.Popen:
    """Process `job` of `jobs` that work on the comparison of `argv`, with its share of the cores, or a GPU."""
    logs.mkdir(parents=True, exist_ok=True)
    threads = max(1, count_cores() // jobs)
    environment = {"OMP_NUM_THREADS": str(threads), **os.environ, "TOKENIZERS_PARALLELISM": "false"}
    if torch.cuda.device_count():
        environment["CUDA_VISIBLE_DEVICES"] = gpu_of(job)
    command = [sys.executable, "-m", "hfkit.ledger", "work", *argv, "--jobs", str(jobs)]
    with (logs / f"worker-{job}.txt").open("a") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)


def watched(starts: list[Callable[[], subprocess.Popen]], every: float) -> Iterator[None]:
    """Starts the workers and ticks until every one has ended; one that died is started again, a few times.

    They are stopped if the caller leaves early.

    Args:
        every: seconds.

    Raises:
        UserError: a worker dies again and again.
    """
    workers: list[subprocess.Popen] = []
    deaths = [0] * len(starts)
    try:
        for start in starts:
            workers.append(start())
        while any(worker.poll() is None for worker in workers):
            yield
            time.sleep(every)
            for i, start in enumerate(starts):
                if workers[i].poll() in (None, 0):
                    continue
                deaths[i] += 1
                if deaths[i] > MOST_DEATHS:
                    raise UserError(
                        f"worker {i}",
                        f"it ended {deaths[i]} times with exit code {workers[i].returncode}",
                        f"Look into its log, worker-{i}.txt in the folder logs; less memory is taken by fewer --jobs",
                    )
                workers[i] = start()
    finally:
        stop(workers)


def stop(workers: list[subprocess.Popen]) -> None:
    """End the workers and wait for them; none outlives its parent, not even one that does not listen."""
    for worker in workers:
        if worker.poll() is None:
            worker.terminate()
    until = time.monotonic() + PATIENCE
    try:
        for worker in workers:
            worker.wait(max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        pass
    finally:  # of a second Ctrl+C, too
        for worker in workers:
            if worker.poll() is None:
                worker.kill()
                worker.wait()
