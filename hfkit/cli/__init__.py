"""The command line `hfkit …`, one module per command.

A command reads its flags and calls a room below; what it prints is decided here. Heavy imports are inside the commands,
so that `hfkit --help` answers at once. This room stands on floor 4, as the last of all: nothing imports it.
"""

from typing import Annotated

import typer

from hfkit.cli.card import card
from hfkit.cli.chat import chat
from hfkit.cli.compare import Compare, compare
from hfkit.cli.demo import demo
from hfkit.cli.doctor import doctor
from hfkit.cli.evaluate import evaluate
from hfkit.cli.export import export
from hfkit.cli.help import Command, Group
from hfkit.cli.plan import plan
from hfkit.cli.predict import predict
from hfkit.cli.push import push
from hfkit.cli.report import report

# Flags that a command does not know are those of a recipe, or of a task: parsers of their own read them.
FURTHER_FLAGS = {"allow_extra_args": True, "ignore_unknown_options": True}

app = typer.Typer(
    cls=Group,
    context_settings={"help_option_names": ["--help", "-h"]},
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def hfkit(
    debug: Annotated[bool, typer.Option("--debug", help="show where an error came from, not one line of it")] = False,
) -> None:
    """Transfer learning for a pretrained checkpoint and a modest dataset.

    Exit codes: 0 done; 1 it failed; 2 something given cannot work, and one line on stderr says what to do;
    75 it was interrupted, and the last line says what the same command does then.
    """


app.command(cls=Command, context_settings=FURTHER_FLAGS)(plan)
app.command(cls=Command, context_settings=FURTHER_FLAGS)(doctor)
app.command(cls=Compare, context_settings=FURTHER_FLAGS)(compare)
app.command(cls=Command, context_settings=FURTHER_FLAGS)(predict)
app.command(cls=Command, context_settings=FURTHER_FLAGS)(evaluate)
app.command(cls=Command)(report)
app.add_typer(card, name="card")
app.command(cls=Command)(push)
app.command(cls=Command)(export)
app.command(cls=Command)(demo)
app.command(cls=Command)(chat)
