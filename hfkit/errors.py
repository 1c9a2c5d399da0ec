"""Errors that a user can mend: value, rule, fix, and exit code 2."""


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
    """The first line of an error's message, or its class where it has none.

    A line that ends with a colon only announces the fault: then it is the last line, which names it.
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1 if lines[0].endswith(":") else 0].strip()


def one_line(error: BaseException) -> str:
    """An error's whole message on one line."""
    return " ".join(str(error).split())
