"""Run the notebooks in this folder and save their output: `python notebooks/run.py [text entities images]`."""

import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parent
NOTEBOOKS = sorted(path.stem for path in FOLDER.glob("*.ipynb"))
MOST_SECONDS = 300  # for one cell


def main() -> None:
    for name in sys.argv[1:] or NOTEBOOKS:
        path = FOLDER / f"{name}.ipynb"
        nbformat.write(execute(nbformat.read(path, 4)), path)
        print(path)


def execute(notebook: NotebookNode) -> NotebookNode:
    """The notebook with the output of all its cells, run in a working folder of its own and without a network.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed.
    """
    found = os.environ.get("PYTHONPATH")
    environment = {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",  # sums in the same order on every machine, and no waiting for each other's cores
        # This checkout's hfkit, whether or not it is installed.
        "PYTHONPATH": os.pathsep.join([str(FOLDER.parent), *([found] if found else [])]),
    }
    with tempfile.TemporaryDirectory() as place:
        client = NotebookClient(
            notebook,
            timeout=MOST_SECONDS,
            kernel_name="python3",
            coalesce_streams=True,
            resources={"metadata": {"path": place}},
        )
        client.execute(env=environment)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when each cell ran: another diff in every run
        cell.metadata.pop("collapsed", None)
    # The machine's version of Python is not part of the story.
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


if __name__ == "__main__":
    main()
