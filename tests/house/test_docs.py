"""The pages of docs/: whatever they show exists and runs, no figure is typed, and they build without a network."""

import ast
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from hfkit import Report
from hfkit.cli import app
from hfkit.contract import abilities
from hfkit.ledger.arguments import load_recipe, split_flags
from hfkit.tasks import TextClassification

ROOT = Path(__file__).parents[2]
PAGES = {path.relative_to(ROOT / "docs").as_posix(): path.read_text() for path in (ROOT / "docs").rglob("*.md")}
SHELL = re.compile(r"```bash\n(.*?)```", re.DOTALL)
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)
OF_RECIPES = ("python recipes/", "accelerate launch ", "torchrun --nproc_per_node 2 recipes/")
COMMANDS = sorted(
    {part for text in PAGES.values() for block in SHELL.findall(text) for part in re.split(r"\n| && ", block.strip())}
)


def commands_of(group) -> dict[str, list[str]]:
    return {name: list(getattr(command, "commands", {})) for name, command in group.commands.items()}


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("hfkit ")])
def test_a_command_of_hfkit_is_one(command):
    known, words = commands_of(typer.main.get_command(app)), shlex.split(command)
    assert words[1] in known
    assert not known[words[1]] or words[2] in known[words[1]]
    if words[1] == "compare":
        own, flags = split_flags(words[2:])
        load_recipe(own.recipe)(flags)


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith(OF_RECIPES)])
def test_flags_of_a_recipe_parse_and_its_files_are_there(command, monkeypatch):
    monkeypatch.chdir(ROOT)
    before, recipe, flags = re.fullmatch(r"(.*)(recipes/\w+\.py)(.*)", command).groups()
    for path in [recipe, *re.findall(r"--config_file (\S+)", before)]:
        assert Path(path).is_file(), path
    load_recipe(recipe)(shlex.split(flags))


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("python -m benchmarks ")])
def test_flags_of_the_benchmarks_are_there(command, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["benchmarks", "--help"])
    with pytest.raises(SystemExit):
        runpy.run_module("benchmarks", run_name="__main__")
    known = capsys.readouterr().out
    assert all(word in known for word in command.split() if word.startswith("--"))


def test_every_command_is_of_a_kind_that_is_checked():
    kinds = (
        "hfkit ",
        "python recipes/",
        "python -m benchmarks ",
        "accelerate launch ",
        "torchrun --nproc_per_node 2 recipes/",
        "pip install -e",
    )
    assert [command for command in COMMANDS if not command.startswith(kinds)] == []


def test_the_snippet_of_a_trained_model_runs(finished_runs, capsys):
    (snippet,) = PYTHON.findall(PAGES["using.md"])
    exec(snippet, {})
    assert "'score'" in capsys.readouterr().out


def test_the_parts_of_a_task_do_what_the_walk_through_one_shows(capsys):
    (snippet,) = PYTHON.findall(PAGES["adding-a-task.md"])
    exec(snippet, {})
    *_, scores, words = capsys.readouterr().out.splitlines()
    assert ast.literal_eval(scores)["accuracy"] == 1
    assert [set(word) for word in ast.literal_eval(words)][0] == {"word", "tag", "start", "end"}


def test_every_python_snippet_is_run_by_a_test():
    pages = {page for page, text in PAGES.items() if PYTHON.findall(text)}
    assert pages == {"using.md", "baselines.md", "adding-a-task.md"}


@pytest.mark.parametrize("page", PAGES)
def test_whatever_a_page_leaves_to_the_code_is_filled_in(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    hooks = runpy.run_path(str(ROOT / "docs" / "hooks.py"))
    left = re.findall(r"<!-- (?!.*:(?:begin|end) -->).*? -->", hooks["MARK"].sub(hooks["fill"], PAGES[page]))
    assert left == []


def test_a_baseline_of_your_own_is_judged(finished_runs):
    (snippet,) = PYTHON.findall(PAGES["baselines.md"])
    names: dict = {"__name__": "snippet"}
    exec(snippet, names)
    task = TextClassification(dataset="reviews")
    rows = task.load()
    report = Report(task, rows, settings={})
    report.judge(names["Longest"]())
    (judged,) = report.contenders
    gold = task.rows.references(rows["test"])
    pairs = zip(rows["test"]["text"], gold, strict=True)
    right = [("positive" if len(text) > 20 else "negative") == label for text, label in pairs]
    assert judged["name"] == "longest"
    assert judged["scores"]["accuracy"] == pytest.approx(sum(right) / len(right)) and sum(right) > 0


@pytest.mark.parametrize("page", PAGES)
def test_no_figure_is_typed(page):
    text = re.sub(r"<!-- (\S+):begin -->.*?<!-- \1:end -->", "", PAGES[page], flags=re.DOTALL)
    text = re.sub(r"```.*?```|`[^`]*`|<!--.*?-->", "", text, flags=re.DOTALL)
    assert re.findall(r"\d[.,]\d|\d ?%", re.sub(r"95 %|Python 3\.11", "", text)) == []


def test_every_page_is_in_the_menu():
    menu = re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2])
    assert sorted(menu) == sorted(PAGES)


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_whole(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    pages = {path.relative_to(tmp_path).as_posix(): path.read_text() for path in tmp_path.rglob("*.html")}
    assert {page.replace(".md", ".html") for page in PAGES} <= pages.keys()
    for name, text in pages.items():
        assert not re.search(r"""<(?:script|link|img|iframe)[^>]+(?:src|href)=["']?(?:https?:)?//""", text), name
    commands = commands_of(typer.main.get_command(app))
    for name in commands:
        assert f"hfkit {name}" in pages["commands.html"]
    assert "GPT-NeoX" in pages["devices.html"]
    assert "TransferTrainer" in pages["reference/recipes.html"] and "banking77" in pages["results.html"]


@pytest.mark.parametrize("page", ["docs/tasks.md", "CONTRIBUTING.md"])
def test_every_ability_is_listed(page):
    named = {name for name, value in vars(abilities).items() if getattr(value, "_is_protocol", False)}
    own = {name for name in named if vars(abilities)[name].__module__ == abilities.__name__}
    written = (ROOT / page).read_text(encoding="utf-8")
    assert {name for name in own if f"`{name}`" not in written} == set() and len(own) > 15
