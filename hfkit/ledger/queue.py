"""The folder of a comparison as a queue: any number of processes, on any number of machines, take cells from it."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from hfkit.ledger.cells import Cell, Plan, Result, Results

MOST_STARTS = 3  # a cell that killed its process this often is not tried again
PAUSE = 0.5  # seconds between two looks for work

Run = Callable[[Cell, Path], tuple[Result, dict[str, np.ndarray]]]  # a cell and a folder for its files; it never raises


class Queue:
    """Results by cell. A cell is claimed by a file lock, which the system releases when its holder dies.

    Args:
        key: the file name of a cell.
    """

    def __init__(self, folder: Path, key: Callable[[Cell], str]) -> None:
        self.folder, self.key = folder, key
        self._results: dict[Cell, Result] = {}
        for name in ("cells", "locks", "scratch"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def results(self, cells: Iterable[Cell]) -> Results:
        """The results of those cells that have ended."""
        return {cell: result for cell in cells if (result := self.result(cell)) is not None}

    def result(self, cell: Cell) -> Result | None:
        if cell not in self._results:
            path = self._path(cell, ".json")
            if not path.is_file():
                return None
            self._results[cell] = Result(**json.loads(path.read_text(encoding="utf-8")))
        return self._results[cell]

    def arrays(self, cell: Cell) -> dict[str, np.ndarray]:
        """The arrays beside a result; {} if there are none."""
        path = self._path(cell, ".npz")
        if not path.is_file():
            return {}
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)

    def forget(self, cells: Iterable[Cell], *statuses: str) -> None:
        """Reopen the cells that ended with one of these statuses."""
        for cell in cells:
            result = self.result(cell)
            if result is not None and result.status in statuses:
                self._path(cell, ".json").unlink(missing_ok=True)
                self._starts(cell).unlink(missing_ok=True)
                del self._results[cell]

    def work(self, plan: Plan, run: Run) -> None:
        """Run cells, one after the other, until all have ended, in this process or in another one."""
        while True:
            cells = self.open_cells(plan)
            if not cells:
                return
            if not any(self._try(cell, run) for cell in cells):
                time.sleep(PAUSE)

    def open_cells(self, plan: Plan) -> list[Cell]:
        """The cells that can be run and have not ended."""
        return [cell for cell in self.cells(plan) if self.result(cell) is None]

    def cells(self, plan: Plan) -> list[Cell]:
        """All cells planned so far."""
        cells = plan({})
        while True:
            more = plan(self.results(cells))
            if more == cells:
                return cells
            cells = more

    def _try(self, cell: Cell, run: Run) -> bool:
        """Run the cell, unless another process holds it or has run it in the meantime."""
        try:
            with FileLock(self.folder / "locks" / f"{self.key(cell)}.lock", timeout=0):
                if self.result(cell) is not None:
                    return False
                starts = self._count_start(cell)
                if starts >= MOST_STARTS:
                    result, arrays = Result("failed", f"its process died {starts} times"), {}
                else:
                    scratch = self.folder / "scratch" / self.key(cell)
                    shutil.rmtree(scratch, ignore_errors=True)
                    try:
                        result, arrays = run(cell, scratch)
                    except KeyboardInterrupt:
                        self._starts(cell).unlink(missing_ok=True)  # the user stopped it: not its fault
                        raise
                    finally:
                        shutil.rmtree(scratch, ignore_errors=True)
                self._write(cell, result, arrays)
                return True
        except Timeout:
            return False

    def _write(self, cell: Cell, result: Result, arrays: dict[str, np.ndarray]) -> None:
        part = self.folder / "cells" / f".{self.key(cell)}.{os.getpid()}"
        if arrays:
            with part.open("wb") as file:
                np.savez_compressed(file, **arrays)
            part.replace(self._path(cell, ".npz"))
        # Last: a cell has ended once this file is there.
        part.write_text(json.dumps(result.to_json(), allow_nan=False) + "\n", encoding="utf-8")
        part.replace(self._path(cell, ".json"))
        self._starts(cell).unlink(missing_ok=True)

    def _count_start(self, cell: Cell) -> int:
        """Count one more start of the cell; returns how often it was started before and never ended."""
        path = self._starts(cell)
        starts = len(path.read_text()) if path.is_file() else 0
        with path.open("a") as file:
            file.write("x")
        return starts

    def _starts(self, cell: Cell) -> Path:
        return self.folder / "locks" / f"{self.key(cell)}.starts"

    def _path(self, cell: Cell, suffix: str) -> Path:
        return self.folder / "cells" / f"{self.key(cell)}{suffix}"
