"""A worker ends with the process that started it, in whatever way that one ends, and not because of a stranger."""

import os
import signal
import time
from collections.abc import Callable

import psutil

from hfkit.runtime.parents import end_with, obey_parent_alone


def fork(act: Callable[[], object]) -> int:
    """The number of a child that does something, and then sleeps for a minute."""
    child = os.fork()
    if child == 0:
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            act()
            time.sleep(60)
        finally:
            os._exit(0)
    return child


def test_a_worker_ends_with_its_parent_that_is_killed():
    read, write = os.pipe()

    def start_worker() -> None:
        parent = os.getpid()

        def work() -> None:
            end_with(parent)
            os.write(write, str(os.getpid()).encode())

        fork(work)

    parent = fork(start_worker)
    worker = psutil.Process(int(os.read(read, 20)))
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    psutil.wait_procs([worker], timeout=10)
    assert not worker.is_running()


def test_a_worker_whose_parent_has_ended_already_ends_at_once():
    worker = fork(lambda: end_with(1 << 30))  # no process has this number
    assert os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == -signal.SIGTERM


def test_a_worker_obeys_its_parent_and_nobody_else():
    read, write = os.pipe()

    def work() -> None:
        obey_parent_alone()
        os.write(write, b"ready")

    worker = fork(work)
    assert os.read(read, 5) == b"ready"
    stranger = fork(lambda: (os.kill(worker, signal.SIGTERM), os._exit(0)))
    os.waitpid(stranger, 0)
    time.sleep(0.2)
    assert psutil.Process(worker).status() != psutil.STATUS_ZOMBIE
    os.kill(worker, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]) == 0
