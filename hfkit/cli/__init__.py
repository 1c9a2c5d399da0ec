"""The command line `hfkit …`, one module per command. Heavy imports live inside the commands, so that `hfkit --help`
answers at once.
"""

from typing import Annotated

import typer

from .card import card
from .compare import compare
from .demo import demo
from .doctor import doctor
from .evaluate import evaluate
from .export import export
from .plan import plan
from .predict import predict
from .push import push
from .report import report

# What a command gets beside its own flags goes to a recipe's parser.
FLAGS_OF_A_RECIPE = {"allow_extra_args": True, "ignore_unknown_options": True}

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Paragraphs flow to the width of the terminal, and examples stay as they stand.
    rich_markup_mode="markdown",
)


@app.callback()
def hfkit(
    debug: Annotated[bool, typer.Option("--debug", help="show where an error came from, not one line of it")] = False,
) -> None:
    """Transfer learning for a pretrained checkpoint and a modest dataset.

    Exit codes: 0 done; 1 it failed; 2 something given cannot work, and one line on stderr says what to do;
    75 it was interrupted, and the same command goes on.
    """


app.command(context_settings={**FLAGS_OF_A_RECIPE, "help_option_names": ["--help"]})(plan)
app.command(context_settings={**FLAGS_OF_A_RECIPE, "help_option_names": ["--help"]})(doctor)
app.command(add_help_option=False, context_settings=FLAGS_OF_A_RECIPE)(compare)
app.command()(predict)
app.command(context_settings=FLAGS_OF_A_RECIPE)(evaluate)
app.command()(report)
app.add_typer(card, name="card")
app.command()(push)
app.command()(export)
app.command()(demo)
