"""A watch over the processes of one run: where one of them hangs, all end, instead of waiting for it for hours.

A launcher notices a process that dies. It does not notice one that was stopped, or whose main thread waits for what
never comes, and a collective operation waits for it as long as `--ddp_timeout` says: 30 minutes, if nothing is said. No
clock can tell that from a process which writes a large checkpoint. The system can: whoever works computes, or waits for
a disk.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

import psutil

EVERY = 2.0  # seconds between two looks
STOPPED = 20.0  # seconds for which a process may be stopped
GONE = 10.0  # seconds for which the others may go on without a process that has ended in the middle of training
IDLE = 30.0  # seconds for which all processes may do nothing
BUSY = 0.05  # of a core: a process that uses less does nothing; a progress bar alone takes up to 3 %


@dataclass(frozen=True)
class Place:
    """Where a process runs, and since when: numbers of processes are used again, and in every container."""

    host: str
    process: int
    started: float

    @classmethod
    def find_own(cls) -> Self:
        return cls(socket.gethostname(), os.getpid(), psutil.Process().create_time())

    def find(self) -> psutil.Process | None:
        """The process; None if it has ended, or runs on another machine."""
        try:
            found = psutil.Process(self.process)
            same = self.host == socket.gethostname() and abs(found.create_time() - self.started) < 1
            return found if same and found.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


class Watch(threading.Thread):
    """Looks at the processes of a run on this machine, from a thread, and ends this process where one of them hangs.

    Those on other machines are watched by their neighbours there.

    Args:
        places: of all processes by rank, this one included.

    Attributes:
        training: set while processes depend on each other; before and after, one may end before the others.
        stepping: set while this process computes together with the others, and opens no file and no connection.
    """

    def __init__(self, places: Sequence[Place]) -> None:
        super().__init__(name="hfkit-hangs", daemon=True)
        here = {rank: place for rank, place in enumerate(places) if place.find() is not None}
        self.all_here = len(here) == len(places)
        self.others = {rank: place for rank, place in here.items() if place.process != os.getpid()}
        self.training = self.stepping = False
        self._for: dict[tuple[str, int], float] = {}  # seconds for which something has been so
        self._work: dict[int, float] = {}  # process -> CPU seconds at the last look

    def run(self) -> None:
        while self.others:
            time.sleep(EVERY)
            if found := self.look():
                self._end(*found)

    def look(self) -> tuple[str, list[psutil.Process]] | None:
        """The reason to end the run, in words, and the processes that cannot do so by themselves; None: all is well."""
        found = {rank: place.find() for rank, place in self.others.items()}
        for rank, process in found.items():
            who = f"process {rank} ({self.others[rank].process})"
            stopped = process is not None and status_of(process) == psutil.STATUS_STOPPED
            if self._lasts("stopped", rank, stopped) >= STOPPED:
                return f"{who} was stopped {STOPPED:.0f} seconds ago", [process]
            if self._lasts("gone", rank, self.training and process is None) >= GONE:
                return f"{who} ended in the middle of training", []
        running = [process for process in found.values() if process is not None]
        # Of every process, for the next look goes by this one.
        idle = [self._is_idle(process) for process in (psutil.Process(), *running)]
        waiting = self.all_here and self.stepping and all(idle)
        if self._lasts("idle", -1, waiting) >= IDLE:
            return f"no process of this run has done anything for {IDLE:.0f} seconds: they wait for each other", running
        return None

    def _lasts(self, what: str, rank: int, so: bool) -> float:
        """For how many seconds it has been so, by looks: a machine that sleeps does not count."""
        self._for[what, rank] = self._for.get((what, rank), -EVERY) + EVERY if so else -EVERY
        return self._for[what, rank]

    def _is_idle(self, process: psutil.Process) -> bool:
        """Whether a process and those that it started have done nothing since the last look, and wait for no disk."""
        if self._has_worked(process):
            return False
        try:
            family = [process, *process.children(recursive=True)]
        except psutil.Error:
            return True
        worked = [self._has_worked(one) for one in family[1:]]
        return not any(worked) and all(status_of(one) != psutil.STATUS_DISK_SLEEP for one in family)

    def _has_worked(self, process: psutil.Process) -> bool:
        """Whether a process has computed since the last look; true as well where it is looked at for the first time."""
        try:
            times = process.cpu_times()
        except psutil.Error:
            return False
        before, self._work[process.pid] = self._work.get(process.pid), times.user + times.system
        return before is None or self._work[process.pid] - before > BUSY * EVERY

    def _end(self, reason: str, deaf: list[psutil.Process]) -> None:
        """End this process from this thread: the main thread waits for another process, and hears of nothing."""
        line = f"error: {reason}. This run ends; the same command with --resume_from_checkpoint auto goes on."
        print(line, file=sys.stderr, flush=True)
        for process in deaf:
            with suppress(psutil.Error):
                process.kill()
        os._exit(1)


def status_of(process: psutil.Process) -> str | None:
    """The state of a process; None if it has ended."""
    try:
        return process.status()
    except psutil.Error:
        return None
