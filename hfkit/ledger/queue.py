"""The folder of a comparison as a queue: any number of processes, on any number of machines, take cells from it."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from hfkit.ledger.cells import Cell, Results

MOST_STARTS = 3  # a cell that took its process with it so often is not tried again
PAUSE = 0.5  # seconds between two looks for work


class Queue:
    """Results by cell. A cell is taken with a file lock, which the system lets go when its holder dies.

    Args:
        key: the file name of a cell.
    """

    def __init__(self, folder: Path, key: Callable[[Cell], str]) -> None:
        self.folder, self.key = folder, key
        self._known: dict[Cell, dict[str, Any]] = {}
        for name in ("cells", "locks", "scratch"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def results(self, cells: Iterable[Cell]) -> Results:
        """What the ended ones among `cells` found out."""
        return {cell: found for cell in cells if (found := self.result(cell)) is not None}

    def result(self, cell: Cell) -> dict[str, Any] | None:
        if cell not in self._known:
            path = self._path(cell, ".json")
            if not path.is_file():
                return None
            self._known[cell] = json.loads(path.read_text(encoding="utf-8"))
        return self._known[cell]

    def arrays(self, cell: Cell) -> dict[str, np.ndarray]:
        """The arrays that were written beside a result."""
        with np.load(self._path(cell, ".npz"), allow_pickle=False) as found:
            return dict(found)

    def forget(self, cells: Iterable[Cell], *statuses: str) -> None:
        """Make cells that ended with one of the statuses open again."""
        for cell in cells:
            if (self.result(cell) or {}).get("status") in statuses:
                self._path(cell, ".json").unlink(missing_ok=True)
                self._started(cell).unlink(missing_ok=True)
                del self._known[cell]

    def work(
        self,
        due: Callable[[Results], list[Cell]],
        run: Callable[[Cell, Path], tuple[dict[str, Any], dict[str, np.ndarray]]],
    ) -> None:
        """Take cells, one after the other, until all have ended: here, or wherever else somebody works on them.

        Args:
            due: results so far -> the cells that can be run or have been.
            run: a cell and a folder for its files -> result and arrays. It does not raise.
        """
        while True:
            open_cells = self.open(due)
            if not open_cells:
                return
            if not any(self._taken(cell, run) for cell in open_cells):
                time.sleep(PAUSE)

    def open(self, due: Callable[[Results], list[Cell]]) -> list[Cell]:
        """The cells that can be run and have not ended."""
        return [cell for cell in self.known(due) if self.result(cell) is None]

    def known(self, due: Callable[[Results], list[Cell]]) -> list[Cell]:
        """All cells that are due so far."""
        cells = due({})
        while True:
            more = due(self.results(cells))
            if more == cells:
                return cells
            cells = more

    def _taken(self, cell: Cell, run: Callable) -> bool:
        """Run the cell, unless another process has it or had it in the meantime."""
        try:
            with FileLock(self.folder / "locks" / f"{self.key(cell)}.lock", timeout=0):
                if self.result(cell) is not None:
                    return False
                starts = self._count(cell)
                if starts >= MOST_STARTS:
                    found, arrays = {"status": "failed", "reason": f"its process died {starts} times"}, {}
                else:
                    scratch = self.folder / "scratch" / self.key(cell)
                    shutil.rmtree(scratch, ignore_errors=True)
                    try:
                        found, arrays = run(cell, scratch)
                    except KeyboardInterrupt:
                        self._started(cell).unlink(missing_ok=True)  # stopped by somebody: not its fault
                        raise
                    finally:
                        shutil.rmtree(scratch, ignore_errors=True)
                self._write(cell, found, arrays)
                return True
        except Timeout:
            return False

    def _write(self, cell: Cell, found: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        part = self.folder / "cells" / f".{self.key(cell)}.{os.getpid()}"
        if arrays:
            with part.open("wb") as file:
                np.savez_compressed(file, **arrays)
            part.replace(self._path(cell, ".npz"))
        # Last, for its presence says that the cell has ended.
        part.write_text(json.dumps(found, allow_nan=False) + "\n", encoding="utf-8")
        part.replace(self._path(cell, ".json"))
        self._started(cell).unlink(missing_ok=True)

    def _count(self, cell: Cell) -> int:
        """How often the cell was started before and never ended; from now on once more."""
        path = self._started(cell)
        starts = len(path.read_text()) if path.is_file() else 0
        with path.open("a") as file:
            file.write("x")
        return starts

    def _started(self, cell: Cell) -> Path:
        return self.folder / "locks" / f"{self.key(cell)}.starts"

    def _path(self, cell: Cell, suffix: str) -> Path:
        return self.folder / "cells" / f"{self.key(cell)}{suffix}"
