"""What a user sees when something they gave cannot work: value, rule, fix, and exit code 2."""

import gc
import sys
from collections.abc import Callable


class UserError(ValueError):
    """Something the user gave breaks a rule: `value` names it, `rule` says what must hold, `fix` what to do."""

    def __init__(self, value: str, rule: str, fix: str) -> None:
        super().__init__(f"{value}: {rule.rstrip('.')}. {fix.rstrip('.')}{'' if fix.endswith('?') else '.'}")


class DataError(UserError):
    """Rows at fault: the place is named as split, row (0-based) and column, as far as they are known."""

    def __init__(
        self, value: str, rule: str, fix: str, *, split: str, row: int | None = None, column: str | None = None
    ) -> None:
        place = [f"split '{split}'"]
        if row is not None:
            place.append(f"row {row}")
        if column is not None:
            place.append(f"column '{column}'")
        super().__init__(f"{', '.join(place)}: {value}", rule, fix)


def run(main: Callable[[], None]) -> None:
    """Call `main`; a `UserError` becomes one line on stderr and exit code 2. `--debug` keeps the traceback."""
    gc.freeze()  # what is imported stays to the end: the collector need not walk it
    try:
        main()
    except UserError as error:
        if "--debug" in sys.argv:
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    finally:
        gc.unfreeze()  # at its end the interpreter tells of whatever it could not take down
        _leave_process_group()


def _leave_process_group() -> None:
    """A process that ends while its group still runs threads may be aborted instead of ending with its own code."""
    if "torch" in sys.modules:
        import torch

        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
