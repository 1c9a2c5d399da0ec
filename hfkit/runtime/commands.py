"""A command from its beginning to its exit code: errors in one line, and signals that ask it to end."""

import gc
import io
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from hfkit.errors import Failure, UserError, first_line

# Exit codes. 75 is a temporary failure in sysexits.h, so a queue may start the command again.
FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 75
PANIC = "pyo3_runtime"  # the module of what libraries written in Rust raise when they give up: no `Exception`
# What running the same command again does after an interruption.
GOES_ON, ANEW = "the same command goes on", "the same command begins anew"
TRAINING = f"{ANEW}; with --resume_from_checkpoint auto it goes on from its last checkpoint"

# The signals that ask a process to end: from a terminal, a scheduler, or before the time of a job is up (Slurm's USR1).
SIGNALS = [
    signal.Signals[name]
    for name in ("SIGTERM", "SIGINT", "SIGUSR1", "SIGUSR2")
    if name in signal.Signals.__members__  # Windows has two of them
]


class Signals:
    """Signals that ask this process to end become `KeyboardInterrupt`: at once, or at the next safe point.

    Only the first one counts. Those after it print a line: what is being written is finished.

    Attributes:
        asked: the name of the first signal; None if none came.
        promise: what is finished first, in words; None where there is nothing to finish.
    """

    def __init__(self) -> None:
        self.asked: str | None = None
        self.promise: str | None = None
        self._process = 0
        self._before: dict[signal.Signals, Any] = {}

    def listen(self) -> None:
        """Handle the signals from now on, as far as nobody else does; in the main thread, the only one that can."""
        self.asked, self.promise, self._process = None, None, os.getpid()
        if threading.current_thread() is not threading.main_thread():
            return
        for number in SIGNALS:
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):  # not: ignored under nohup
                self._before[number] = signal.signal(number, self._receive)

    def let_go(self) -> None:
        """Give the signals back to those who handled them before."""
        while self._before:
            number, before = self._before.popitem()
            if signal.getsignal(number) == self._receive:
                signal.signal(number, before)

    def ignore(self) -> None:
        """Ignore the signals until the process has ended: Python itself would be killed by one on its way out."""
        for number in self._before:
            if signal.getsignal(number) == self._receive:
                signal.signal(number, signal.SIG_IGN)

    def _receive(self, number: int, frame: object) -> None:
        name = signal.Signals(number).name
        if os.getpid() != self._process:  # a forked worker: its parent decides, and may end it by SIGTERM
            if number == signal.SIGTERM:
                os._exit(128 + number)
            return
        if self.asked is not None:
            _say(f"{name}: this process is ending already, since {self.asked} came.")
            return
        self.asked = name
        if self.promise is None:
            raise KeyboardInterrupt
        _say(f"{name}: {self.promise}.")


def _say(line: str) -> None:
    try:
        print(line, file=sys.stderr, flush=True)
    except RuntimeError:  # the signal came while this very stream was written to
        os.write(2, f"{line}\n".encode())


signals = Signals()


def replace_unwritable(*streams: Any) -> None:
    """Let streams write characters that their encoding lacks as ? or \\x, where they would fail after hours of work.

    Under LC_ALL=C a terminal's encoding may be ASCII, and a path that is no UTF-8 cannot be printed as it is.
    """
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")


def run(main: Callable[[], None], again: str = TRAINING) -> None:
    """Call `main`; an error becomes one line on stderr and an exit code. `--debug` keeps the traceback.

    A `UserError` ends with 2 and a `Failure` with 1, like any other exception; a signal that asks to end (`SIGNALS`,
    Ctrl+C among them) with 75.

    Args:
        again: what to tell the user about rerunning the command after an interrupt, unless the interrupt says it.
    """
    gc.freeze()  # imported modules stay to the end: the collector need not walk them
    replace_unwritable(sys.stdout, sys.stderr)
    signals.listen()
    try:
        main()
    except (UserError, Failure) as error:
        if "--debug" in sys.argv:
            raise
        _end_with(error)
    except KeyboardInterrupt as interrupt:
        signals.asked = signals.asked or signal.Signals.SIGINT.name
        print(f"interrupted: {str(interrupt) or again}", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BaseException as error:
        if type(error).__module__ != PANIC or "--debug" in sys.argv:
            raise
        # Such as a tokenizer's regular expression that takes exponential time, which the library breaks off.
        fix = "Look for odd values in the input and in tokenizer.json of the checkpoint"
        _end_with(UserError("a library", f"it gave up on what it was given ({first_line(error)})", fix))
    finally:
        gc.unfreeze()  # otherwise the interpreter warns at its end of everything it could not take down
        _leave_process_group()
        if signals.asked is None:
            signals.let_go()
        else:  # a second signal during the exit would replace its code
            signals.ignore()


def _end_with(error: UserError | Failure) -> NoReturn:
    from hfkit.runtime.redaction import make_printable  # rare: what is imported at every start has to be little

    print(f"error: {make_printable(str(error))}", file=sys.stderr)
    sys.exit(BAD_INPUT if isinstance(error, UserError) else FAILED)


def _leave_process_group() -> None:
    """Leave before exiting: a process whose group still runs threads may be aborted, and lose its exit code."""
    if "torch" in sys.modules:
        import torch

        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
