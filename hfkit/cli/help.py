"""The layout of a command's help: prose fills the lines, and an example stays a command that can be copied."""

import copy
import inspect
import re
from typing import Any

from rich.console import Console
from rich.markup import escape
from typer.core import TyperCommand, TyperGroup

EXAMPLE = "    hfkit "
TOKEN = re.compile(r"""(?:"[^"]*"|'[^']*'|\S)+""")


class Command(TyperCommand):
    """A command whose help is laid out like that."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        TyperCommand.format_help(lay_out_command(self), ctx, formatter)


class Group(TyperGroup):
    """The same for a group of commands."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        TyperGroup.format_help(lay_out_command(self), ctx, formatter)


def lay_out_command(command: Any) -> Any:
    """A copy of the command whose help is laid out for this terminal."""
    other = copy.copy(command)
    other.help = lay_out(command.help or "", Console().width - 2)  # typer leaves a column on either side
    return other


def lay_out(docstring: str, width: int) -> str:
    """A docstring as markup of rich: paragraphs as one line each, which is wrapped when it is printed; examples as
    lines of at most `width`.

    The last paragraph must not be of examples: what is indented to the end loses its indentation in typer.
    """
    paragraphs = []
    for paragraph in inspect.cleandoc(docstring).split("\n\n"):
        lines = paragraph.splitlines()
        if all(line.startswith(EXAMPLE) for line in lines):
            paragraphs.append("\n".join(["Examples:", *(fold(line, width) for line in lines)]))
        else:
            paragraphs.append(" ".join(line.strip() for line in lines))
    return escape("\n\n".join(paragraphs))


def fold(example: str, width: int) -> str:
    """A command over as many lines as it needs, broken before flags; a shell joins them."""
    parts: list[str] = []
    for word in TOKEN.findall(example):
        if parts and not word.startswith("--"):
            parts[-1] += f" {word}"
        else:
            parts.append(word)
    lines = [f"    {parts[0]}"]
    for part in parts[1:]:
        if len(lines[-1]) + len(part) + 3 > width:
            lines[-1] += " \\"
            lines.append(" " * 7)
        lines[-1] += f" {part}"
    return "\n".join(lines)
