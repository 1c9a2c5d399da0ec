"""Errors that a user can mend: value, rule, fix, and exit code 2."""

import gc
import signal
import sys
import threading
from collections.abc import Callable


class UserError(ValueError):
    """Something the user gave breaks a rule: `value` names it, `rule` says what must hold, and `fix` what to do."""

    def __init__(self, value: str, rule: str, fix: str) -> None:
        super().__init__(f"{value}: {rule.rstrip('.')}. {fix.rstrip('.')}{'' if fix.endswith('?') else '.'}")
        self.value, self.rule, self.fix = value, rule, fix


class DataError(UserError):
    """Rows at fault, with their split, row (from 0) and column as far as they are known."""

    def __init__(
        self, value: str, rule: str, fix: str, *, split: str, row: int | None = None, column: str | None = None
    ) -> None:
        self.value, self.rule, self.fix, self.row, self.column = value, rule, fix, row, column
        place = [f"split '{split}'"]
        if row is not None:
            place.append(f"row {row}")
        if column is not None:
            place.append(f"column '{column}'")
        super().__init__(f"{', '.join(place)}: {value}", rule, fix)


class Failure(RuntimeError):
    """A failure that is not the user's doing: what happened, and what to run once the cause is gone."""

    def __init__(self, happened: str, fix: str) -> None:
        super().__init__(f"{happened.rstrip('.')}. {fix.rstrip('.')}.")


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its class where it has none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def one_line(error: BaseException) -> str:
    """An error's whole message on one line."""
    return " ".join(str(error).split())


# Exit codes. 75 is a temporary failure in sysexits.h, so a queue may start the command again.
FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 75
# What running the same command again does after an interruption.
GOES_ON, ANEW = "the same command goes on", "the same command begins anew"
TRAINING = f"{ANEW}; with --resume_from_checkpoint auto it goes on from its last checkpoint"


def run(main: Callable[[], None], again: str = TRAINING) -> None:
    """Call `main`; an error becomes one line on stderr and an exit code. `--debug` keeps the traceback.

    A `UserError` ends with 2 and a `Failure` with 1, like any other exception; Ctrl+C or a scheduler's SIGTERM with 75.

    Args:
        again: what to tell the user about rerunning the command after an interrupt.
    """
    gc.freeze()  # imported modules stay to the end: the collector need not walk them
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main()
    except (UserError, Failure) as error:
        if "--debug" in sys.argv:
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(BAD_INPUT if isinstance(error, UserError) else FAILED)
    except KeyboardInterrupt:
        print(f"interrupted: {again}", file=sys.stderr)
        sys.exit(INTERRUPTED)
    finally:
        gc.unfreeze()  # otherwise the interpreter warns at its end of everything it could not take down
        _leave_process_group()


def _leave_process_group() -> None:
    """Leave before exiting: a process whose group still runs threads may be aborted, and lose its exit code."""
    if "torch" in sys.modules:
        import torch

        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
