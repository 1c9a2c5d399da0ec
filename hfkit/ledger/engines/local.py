"""Processes of this machine that work on a comparison."""

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

PLACE = Path(__file__).resolve().parents[3]  # the folder that hfkit is imported from
MOST_DEATHS = 10  # of one worker: a cell is given up after three
PATIENCE = 30  # seconds for a worker to end; it may have to finish a training step first
PER_RUN = 3 * 2**30  # bytes of memory for a run with a small model


def default_jobs() -> int:
    """One run per GPU; without GPUs one per core, as far as the free memory allows."""
    if gpus := torch.cuda.device_count():
        return gpus
    return max(1, min(count_cores(), psutil.virtual_memory().available // PER_RUN))


def start_worker(job: int, jobs: int, argv: list[str], logs: Path) -> subprocess.Popen:
    """Start process `job` of `jobs` on the comparison of `argv`, with its share of the cores, or a GPU.

    It imports nothing from the working folder: a user's own `statistics.py` there would run in place of Python's.
    """
    logs.mkdir(parents=True, exist_ok=True)
    threads = max(1, count_cores() // jobs)
    environment = {"OMP_NUM_THREADS": str(threads), **os.environ, "TOKENIZERS_PARALLELISM": "false"}
    if torch.cuda.device_count():
        environment["CUDA_VISIBLE_DEVICES"] = gpu_of(job)
    if PLACE.name not in ("site-packages", "dist-packages"):  # a checkout, which this process may have found there
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(PLACE), os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-P", "-m", "hfkit.ledger", "work", str(os.getpid()), *argv, "--jobs", str(jobs)]
    with (logs / f"worker-{job}.txt").open("a") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)


def watch_workers(starts: list[Callable[[], subprocess.Popen]], every: float) -> Iterator[None]:
    """Start the workers, and yield regularly until all have ended. Workers that die are restarted a few times.

    All are stopped if the caller leaves early.

    Args:
        every: seconds between two looks at them.

    Raises:
        UserError: a worker keeps dying.
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
        stop_workers(workers)


def stop_workers(workers: list[subprocess.Popen]) -> None:
    """End the workers and wait for them; one that ignores the signal is killed, so that none outlives its parent."""
    for worker in workers:
        if worker.poll() is None:
            worker.terminate()
    until = time.monotonic() + PATIENCE
    try:
        for worker in workers:
            worker.wait(max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        pass
    finally:  # after a second Ctrl+C, too
        for worker in workers:
            if worker.poll() is None:
                worker.kill()
                worker.wait()
