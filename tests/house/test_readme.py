"""README and docs are current: tables match the result files, commands parse, and files that they name exist."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from benchmarks.render import RESULTS, families_table, main, render, rendered
from hfkit.arguments.strategies import STRATEGIES
from hfkit.baselines import BASELINES
from hfkit.ledger.arguments import load_recipe, split_flags
from tests.tiny.families import FAMILIES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    command
    for block in re.findall(r"```bash\n(.*?)```", README, flags=re.DOTALL)
    for line in block.strip().splitlines()
    for command in line.split(" && ")
]
RESULT = {
    "schema": "hfkit.benchmark/1",
    "title": "Made up",
    "dataset": "nothing",
    "rows": {"train": 1234, "validation": 5, "test": 6},
    "command": "python benchmarks/made_up.py",
    "machine": "a machine",
    "versions": {"torch": "9.9"},
    "contenders": [
        {
            "name": "one|two",
            "settings": {"learning_rate": 5e-5},
            "seeds": [0, 1, 2],
            "validation_f1": {"mean": 0.61, "std": 0.012, "values": [0.6, 0.62, 0.61]},
            "test_f1": {"mean": 0.5, "std": 0.01, "values": [0.49, 0.5, 0.51], "low": 0.45, "high": 0.55},
            "train_cpu_seconds": {"mean": 1234.4, "min": 1200.0, "max": 1300.0},
            "note": "chosen from four",
        },
        {
            "name": "lexicon",
            "settings": {},
            "seeds": [],
            "validation_f1": None,
            "test_f1": {"mean": 0.1, "std": 0.0, "values": [0.1], "low": 0.05, "high": 0.15},
            "train_cpu_seconds": None,
            "note": "",
        },
    ],
    "grid": [],
    "comparison": {"first": "one", "second": "two", "difference": 0.02, "low": -0.01, "high": 0.05},
}
SECTION = "before\n<!-- results:made_up:begin -->\nold\n<!-- results:made_up:end -->\nafter\n"


def test_tables_are_what_the_files_say():
    assert render(README, RESULTS) == README and "results:ledgers" in README
    for path, text in rendered().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name} is stale: run python benchmarks/render.py"


def test_check_says_what_is_stale_and_writes_nothing(tmp_path, monkeypatch):
    copy = tmp_path / "README.md"
    monkeypatch.setattr("benchmarks.render.README", copy)
    monkeypatch.setattr("sys.path", [*sys.path])
    monkeypatch.setattr("sys.argv", ["render.py", "--check"])
    copy.write_text(README, encoding="utf-8")
    main()
    stale = README.replace("<!-- strategies:end -->", "| one more |\n<!-- strategies:end -->")
    copy.write_text(stale, encoding="utf-8")
    with pytest.raises(SystemExit, match="README.md: stale"):
        main()
    assert copy.read_text(encoding="utf-8") == stale
    monkeypatch.setattr("sys.argv", ["render.py"])
    main()
    assert copy.read_text(encoding="utf-8") == README


@pytest.mark.slow
def test_check_says_so_with_its_exit_code():
    # PYTHONPATH: this checkout's hfkit, installed or not.
    command, environment = [sys.executable, "benchmarks/render.py", "--check"], os.environ | {"PYTHONPATH": str(ROOT)}
    assert subprocess.run(command, cwd=ROOT, env=environment).returncode == 0


def test_a_result_file_becomes_a_table(tmp_path):
    (tmp_path / "made_up_x.json").write_text(json.dumps(RESULT))
    text = render(SECTION, tmp_path)
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert "| one\\|two | 0, 1, 2 | 0.610 ± 0.012 | 0.500 ± 0.010 [0.450, 0.550] | 1,234 |" in text
    assert "| lexicon | – | – | 0.100 [0.050, 0.150] | – |" in text
    assert "one against two: +0.020 test F1 [−0.010, 0.050]." in text
    assert "1,234 / 5 / 6 rows" in text and "chosen from four" in text and "torch 9.9" in text
    assert render(text, tmp_path) == text


def test_a_changed_figure_makes_the_table_stale(tmp_path):
    file = tmp_path / "made_up_x.json"
    file.write_text(json.dumps(RESULT))
    before = render(SECTION, tmp_path)
    file.write_text(json.dumps(RESULT).replace("0.45,", "0.46,"))
    assert render(before, tmp_path) != before


def test_without_files_the_table_says_so(tmp_path):
    assert "No result file yet" in render(SECTION, tmp_path)


def classification_result(**changes) -> dict:
    """A result of the classification benchmark in which TF-IDF is clearly above gradual unfreezing."""
    kinds = ("majority", "classical", "frozen", "gradual", "full", "scratch")
    everything = {"out_of_scope_recall": 0.31, "out_of_scope_precision": 0.8, "in_scope_accuracy": 0.9}
    scores = {
        kind: {"headline": 0.5 + i / 100, "low": 0.4, "high": 0.6, "all": everything} for i, kind in enumerate(kinds)
    }
    above = {kind: {"difference": 0.0, "low": -0.1, "high": 0.1, "p": 1.0, "clear": False} for kind in kinds}
    above["classical"] = {"difference": -0.2, "low": -0.3, "high": -0.1, "p": 0.001, "clear": True}
    return {
        "schema": "hfkit.classification/1",
        "title": "Made up",
        "task": "text",
        "dataset": "here",
        "headline": "accuracy",
        "rows": {"train": 1234, "validation": 5, "test": 6},
        "seed": 0,
        "command": "python benchmarks/made_up.py",
        "machine": "a machine",
        "versions": {"torch": "9.9"},
        "tests": [{"test": name, "rows": 6, "scores": scores, "gradual_above": above} for name in ("here", "there")],
        **changes,
    }


def test_a_classification_result_becomes_rows_and_words(tmp_path):
    (tmp_path / "classification_x.json").write_text(json.dumps(classification_result()))
    (tmp_path / "classification_y.json").write_text(json.dumps(classification_result(task="image", title="Picture")))
    marked = "<!-- results:classification:text:begin -->\n<!-- results:classification:text:end -->"
    table = render(marked, tmp_path).splitlines()[1:-1]
    assert len([line for line in table if line.startswith("| Made up")]) == 2
    assert "Made up → there" in table[3] and "**0.550** [0.400, 0.600]" in table[2]
    assert "- Made up: TF-IDF is 0.200 [0.100, 0.300] above gradual." in table
    assert "out-of-scope recall 0.310" in "".join(table) and "Picture" not in "".join(table)
    assert table[-1] == "Measured by `python benchmarks/made_up.py` on a machine, torch 9.9, seed 0."


@pytest.mark.parametrize("name", ["figures", "results_of:bert_ner"])
def test_an_unknown_section_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="no such table"):
        render(f"<!-- {name}:begin -->\n<!-- {name}:end -->", tmp_path)


def test_a_file_of_another_layout_is_refused(tmp_path):
    (tmp_path / "made_up_x.json").write_text(json.dumps(RESULT | {"schema": "hfkit.benchmark/2"}))
    with pytest.raises(ValueError, match="hfkit.benchmark/2"):
        render(SECTION, tmp_path)


def test_the_commands_are_where_the_continuous_integration_reads_them():
    # The function of .ci/run itself, so that the test and the check cannot disagree.
    printed = re.search(
        r"^printed\(\) \{\n.*?^\}\n", (ROOT / ".ci" / "run").read_text(), flags=re.DOTALL | re.MULTILINE
    )
    found = {
        name: subprocess.run(
            ["bash", "-c", f"{printed[0]}\nprinted {name}"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in ("test", "first", "compare", "no_such_name")
    }
    assert found == {
        "test": 'pip install -e ".[test]" && pytest',
        "first": 'pip install -e ".[sample]" && accelerate launch recipes/bert_ner.py',
        "compare": "hfkit compare --recipe recipes/bert_sentiment.py",
        "no_such_name": "",
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_name_what_exists(command):
    words = shlex.split(command)
    for before, word in zip(["", *words], words, strict=False):
        # What a reader has, what a run writes and what the Hub holds is not part of the checkout.
        if "/" in word and before != "--checkpoint" and not word.startswith(("path/to/", "runs/")):
            assert (ROOT / word).is_file(), word
        if word.startswith(".["):
            extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
            assert set(word[2:-1].split(",")) <= set(extras)


@pytest.mark.parametrize("command", [command for command in COMMANDS if "recipes/" in command])
def test_flags_of_a_recipe_parse(command, monkeypatch):
    monkeypatch.chdir(ROOT)
    if command.startswith("hfkit compare"):
        own, flags = split_flags(shlex.split(command)[2:])
        load_recipe(own.recipe)(flags)
        return
    recipe, flags = re.search(r"(recipes/\w+\.py)(.*)", command).groups()
    load_recipe(recipe)(shlex.split(flags))


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/adding-a-task.md", "docs/backbones.md"])
def test_links_and_named_files_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = [(ROOT / page).parent / link for link in re.findall(r"\]\(([^):#]+)(?:#[\w-]+)?\)", text)]
    named = [ROOT / path for path in re.findall(r"`((?:hfkit|recipes|benchmarks|tests|docs)/[\w/.-]+)`", text)]
    assert [path for path in [*links, *named] if not path.exists()] == []


def test_every_strategy_has_its_row():
    table = README.split("<!-- strategies:begin -->")[1].split("<!-- strategies:end -->")[0]
    assert re.findall(r"^\| `([a-z][a-z-]*)` \|", table, flags=re.MULTILINE) == list(STRATEGIES)


def test_every_baseline_has_its_row():
    table = README.split("### Baselines")[1].split("\n## ")[0]
    named = {name for line in table.splitlines() for name in re.findall(r"`([a-z0-9-]+)`", line.split(" | ")[0])}
    assert named - {"--baseline"} == {*BASELINES}


def test_every_family_that_is_tested_has_its_row_and_no_other():
    table = families_table()
    assert table in (ROOT / "docs" / "backbones.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in table.splitlines()[2:]]
    assert [(row[0].removeprefix("| "), row[2].strip("`")) for row in rows] == [
        (family.name, family.model_class) for family in FAMILIES
    ]
    assert len({family.name for family in FAMILIES}) == len(FAMILIES)
