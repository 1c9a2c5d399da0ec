"""The notebooks: run as a whole, without traces of a machine, of public names alone, and with the same output today."""

import ast
import importlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hfkit.tasks import HOMES

if TYPE_CHECKING:
    from nbformat import NotebookNode

# nbformat takes seconds to import, in every process that collects tests: what reads a notebook imports it.
FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
OF_A_MACHINE = re.compile(r"/(?:tmp|home|root|Users|work|opt|usr|var)/|[A-Z]:\\\\")
ANSI = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(scope="module")
def read() -> "dict[str, NotebookNode]":
    import nbformat

    return {name: nbformat.read(FOLDER / f"{name}.ipynb", 4) for name in NOTEBOOKS}


def code_cells(notebook: "NotebookNode") -> "list[NotebookNode]":
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def lines_of(cell: "NotebookNode") -> list[str]:
    """The lines of text in a cell's output."""
    outputs = cell.get("outputs", [])
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs]
    return [ANSI.sub("", line).strip() for text in texts for line in text.splitlines()]


def lines_without_numbers(notebook: "NotebookNode") -> list[list[str]]:
    """By cell: what another machine prints as well."""
    return [[line for line in lines_of(cell) if line and not re.search(r"\d", line)] for cell in code_cells(notebook)]


def test_there_is_a_notebook_for_each_modality():
    assert NOTEBOOKS == ["entities", "images", "text"]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_valid_and_was_run_from_top_to_bottom(name, read):
    import nbformat

    notebook = read[name]
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    silent = [cell.source for cell in cells if not cell.outputs]
    # Imports, and making a codec or a trainer, print nothing.
    assert all(re.search(r"^(import|from) |= task\.codec\(", source, flags=re.MULTILINE) for source in silent)
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]
    assert not [output for cell in cells for output in cell.outputs if output.get("name") == "stderr"]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_names_no_path_of_a_machine(name, read):
    for cell in read[name].cells:
        parts = [cell.source, *(text for output in cell.get("outputs", []) for text in texts_of(output))]
        assert [found[0] for part in parts if (found := OF_A_MACHINE.search(part))] == []


def texts_of(output: "NotebookNode") -> list[str]:
    return [output.get("text", ""), *(str(v) for k, v in output.get("data", {}).items() if not k.startswith("image/"))]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_imports_only_names_that_exist_and_of_hfkit_only_public_ones(name, read):
    for cell in code_cells(read[name]):
        source = "\n".join(line for line in cell.source.splitlines() if not line.startswith("%"))
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module)
                missing = [alias.name for alias in node.names if not hasattr(module, alias.name)]
                assert missing == []
                if node.module.startswith("hfkit"):
                    public = HOMES if node.module == "hfkit.tasks" else module.__all__
                    assert {alias.name for alias in node.names} <= {*public}


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs_and_prints_the_same_again(name, read):
    import nbformat

    from notebooks.run import execute

    before = lines_without_numbers(read[name])
    after = execute(nbformat.read(FOLDER / f"{name}.ipynb", 4))
    assert lines_without_numbers(after) == before
    assert any(before)
    assert not Path(FOLDER / "runs").exists(), "it runs in a folder of its own"
