"""A process that ends with the one that started it, and by nobody else. Light: it comes before all other imports."""

import ctypes
import os
import signal
import sys
import threading
import time
from functools import cache

PR_SET_PDEATHSIG = 1  # from <sys/prctl.h>


def end_with(parent: int) -> None:
    """Have this process sent SIGTERM when the one that started it ends, in whatever way; at once if it has already."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it ended before this was asked for
            os.kill(os.getpid(), signal.SIGTERM)
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    import psutil

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
