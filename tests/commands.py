"""`hfkit …` as a user types it."""

from typer.testing import CliRunner, Result

from hfkit.cli import app


def hfkit(*argv: str, given: str | bytes | None = None, columns: int = 80) -> Result:
    """What became of a command in this process; `given` stands on its standard input, `columns` is the terminal's."""
    return CliRunner().invoke(app, [*argv], input=given, env={"COLUMNS": str(columns)})
