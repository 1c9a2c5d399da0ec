"""The commands that `hfkit COMMAND --help` shows, for the tests that run them: each command's own test file does."""

import inspect
import shlex
from collections.abc import Iterator
from typing import Any

import typer

from hfkit.cli import app


def commands(group: Any = None, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every command by what is typed for it: 'plan', 'card lint'."""
    for name, command in (group or typer.main.get_command(app)).commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


def examples_of(name: str) -> list[list[str]]:
    """Its examples as arguments of `hfkit`."""
    lines = inspect.cleandoc(dict(commands())[name].help).splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("    hfkit ")]
