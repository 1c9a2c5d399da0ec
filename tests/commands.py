"""`hfkit …` as a user types it, and the examples that its help shows."""

import inspect
from collections.abc import Callable

from typer.testing import CliRunner, Result

from hfkit.cli import app


def hfkit(*argv: str, given: str | bytes | None = None, columns: int = 80) -> Result:
    """What became of a command in this process; `given` stands on its standard input, `columns` is the terminal's."""
    return CliRunner().invoke(app, [*argv], input=given, env={"COLUMNS": str(columns)})


def examples(command: Callable) -> list[str]:
    """The lines of a command's docstring that stand indented, of which there is at least one."""
    # Python 3.13 takes the docstring's own indentation away, earlier ones do not.
    lines = inspect.cleandoc(command.__doc__).splitlines()
    found = [line.strip() for line in lines if line.startswith("    ")]
    assert found, command.__name__
    return found
