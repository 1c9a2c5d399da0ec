"""The notebooks: whole, without traces of a machine, of names that exist, and still saying what they said."""

import ast
import importlib
import re
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from notebooks.run import FOLDER, NOTEBOOKS, executed

READ = {name: nbformat.read(FOLDER / f"{name}.ipynb", 4) for name in NOTEBOOKS}
OF_A_MACHINE = re.compile(r"/(?:tmp|home|root|Users|work|opt|usr|var)/|[A-Z]:\\\\")
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cell: NotebookNode) -> list[str]:
    """The lines that a cell shows as text."""
    outputs = cell.get("outputs", [])
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs]
    return [ANSI.sub("", line).strip() for text in texts for line in text.splitlines()]


def wordy(notebook: NotebookNode) -> list[list[str]]:
    """By cell the lines without numbers, which another machine shows as well."""
    return [[line for line in shown(cell) if line and not re.search(r"\d", line)] for cell in code(notebook)]


def test_there_is_one_for_each_modality():
    assert NOTEBOOKS == ["entities", "images", "text"]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_valid_and_was_run_from_top_to_bottom(name):
    notebook = READ[name]
    nbformat.validate(notebook)
    cells = code(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    silent = [cell.source for cell in cells if not cell.outputs]
    # Imports, preparing, and making a trainer show nothing.
    assert all(re.search(r"^(import|from) |= task\.prepare\(", source, flags=re.MULTILINE) for source in silent)
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]
    assert not [output for cell in cells for output in cell.outputs if output.get("name") == "stderr"]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_tells_nothing_of_a_machine(name):
    for cell in READ[name].cells:
        parts = [cell.source, *(text for output in cell.get("outputs", []) for text in texts_of(output))]
        assert [found[0] for part in parts if (found := OF_A_MACHINE.search(part))] == []


def texts_of(output: NotebookNode) -> list[str]:
    return [output.get("text", ""), *(str(v) for k, v in output.get("data", {}).items() if not k.startswith("image/"))]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_imports_what_exists_and_of_hfkit_only_public_names(name):
    for cell in code(READ[name]):
        source = "\n".join(line for line in cell.source.splitlines() if not line.startswith("%"))
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module)
                missing = [alias.name for alias in node.names if not hasattr(module, alias.name)]
                assert missing == []
                if node.module.startswith("hfkit"):
                    assert {alias.name for alias in node.names} <= set(module.__all__)


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_and_says_what_it_said(name):
    before = wordy(READ[name])
    after = executed(nbformat.read(FOLDER / f"{name}.ipynb", 4))
    assert wordy(after) == before
    assert any(before)
    assert not Path(FOLDER / "runs").exists(), "it runs in a folder of its own"
