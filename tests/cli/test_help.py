"""Every command of hfkit has examples that a test runs, and its help shows them as commands that can be copied."""

import re
import shlex
from pathlib import Path

import pytest
from rich.text import Text
from typer.testing import CliRunner

from hfkit.cli import app
from hfkit.cli.help import fold, lay_out
from tests.fixtures.examples import commands, examples_of

COMMANDS = dict(commands())
ALL = pytest.mark.parametrize("name", COMMANDS)
# The files that ask for the examples of a command are those that run them; asking is all that can be seen cheaply.
RUN = {
    name
    for path in Path(__file__).parents[1].rglob("*.py")
    if path != Path(__file__)
    for name in re.findall(r'examples_of\("([\w ]+)"\)', path.read_text(encoding="utf-8"))
}


def shown(name: str, width: int, monkeypatch) -> str:
    """The help in a terminal of that width, above its tables and without the column on the left."""
    monkeypatch.setenv("COLUMNS", str(width))
    ended = CliRunner().invoke(app, [*name.split(), "--help"])
    assert ended.exit_code == 0, ended.output
    return "\n".join(line.removeprefix(" ").rstrip() for line in ended.stdout.partition("╭")[0].splitlines())


def test_the_commands_are_all_there():
    assert {"plan", "compare", "card write", "card lint"} <= COMMANDS.keys() and len(COMMANDS) >= 11


@ALL
def test_a_command_has_examples_of_its_own_that_a_test_runs(name):
    examples = examples_of(name)
    assert examples
    for argv in examples:
        assert argv[: len(name.split())] == name.split()
    assert name in RUN, f'no test asks for examples_of("{name}")'


@ALL
def test_what_looks_like_an_example_is_one(name):
    # A formatter may take the indentation of examples that nothing follows: then they would be prose.
    prose = [line for line in COMMANDS[name].help.splitlines() if line.startswith("hfkit ") and name in line]
    assert prose == []


@ALL
@pytest.mark.parametrize("width", [80, 200])
def test_the_help_shows_every_example_as_it_is_typed(name, width, monkeypatch):
    block = shown(name, width, monkeypatch).partition("\nExamples:\n")[2].partition("\n\n")[0]
    assert all(line.startswith("    ") for line in block.splitlines())
    assert max(map(len, block.splitlines())) < width
    # Read as a shell does, which takes a line break behind a backslash for nothing.
    lines = block.replace("\\\n", "").splitlines()
    assert [shlex.split(line) for line in lines] == [["hfkit", *argv] for argv in examples_of(name)]


@ALL
def test_the_help_says_what_its_exit_codes_mean(name, monkeypatch):
    assert re.search(r"\n\nExit codes: 0 [-\w ,;:.]+ 2 ", shown(name, 200, monkeypatch))


@ALL
def test_flags_of_one_name_for_one_thing(name):
    flags = {flag for parameter in COMMANDS[name].params for flag in parameter.opts if flag.startswith("--")}
    assert "--help" not in flags and "--as_json" not in flags
    # As the flags of recipes are; those of push are as in `hf upload`.
    assert name == "push" or not [flag for flag in flags if "-" in flag.removeprefix("--")]


@ALL
def test_help_has_a_short_flag_too(name):
    runner = CliRunner()
    assert runner.invoke(app, [*name.split(), "-h"]).stdout == runner.invoke(app, [*name.split(), "--help"]).stdout


def test_compare_lists_the_flags_that_another_parser_reads():
    printed = CliRunner().invoke(app, ["compare", "--help"]).stdout
    for flag in ("--strategies", "--label_budgets", "--compare_dir", "--jobs"):
        assert f"\n  {flag} " in printed


def test_prose_fills_its_lines_and_brackets_stay():
    text = lay_out("One\n    sentence of hfkit[demo].\n\n    More\n    of it.", 80)
    assert Text.from_markup(text).plain == "One sentence of hfkit[demo].\n\nMore of it."


def test_a_quoted_argument_is_never_broken():
    example = 'hfkit compare --strategies full "full --reinit_blocks 2" "full --train_blocks 1-2" --seeds 0 1 2'
    lines = fold(example, 50).splitlines()
    assert len(lines) == 3 and '"full --reinit_blocks 2"' in lines[1]
    assert shlex.split("".join(line.removesuffix("\\") for line in lines)) == shlex.split(example)
