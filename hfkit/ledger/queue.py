"""The folder of a comparison as a queue: any number of processes, on any number of machines, take cells from it."""

import io
import json
import shutil
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from xxhash import xxh3_128_hexdigest

from hfkit.errors import UserError, one_line
from hfkit.ledger.cells import Cell, Plan, Result, Results
from hfkit.runtime.durable import write_file

MOST_STARTS = 3  # a cell whose process died this often is not tried again by the same command
UNREADABLE = (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error)
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
        self._unreadable: set[Cell] = set()  # of which a line was printed
        for name in ("cells", "locks", "scratch"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def results(self, cells: Iterable[Cell]) -> Results:
        """The results of those cells that have ended."""
        return {cell: result for cell in cells if (result := self.result(cell)) is not None}

    def result(self, cell: Cell) -> Result | None:
        """The result of a cell; None if it has not ended, or its files are not as they were written."""
        if cell not in self._results:
            try:
                self._results[cell] = self._read(cell)
            except FileNotFoundError:
                return None
            except UNREADABLE as error:
                self._say_unreadable(cell, error)
                return None
        return self._results[cell]

    def _read(self, cell: Cell) -> Result:
        """
        Raises:
            FileNotFoundError: the cell has not ended.
            Exception: one of UNREADABLE.
        """
        values = json.loads(self._path(cell, ".json").read_text(encoding="utf-8"))
        digests = values.pop("digests", None)  # cells of earlier versions have none
        result, arrays = Result(**values), self._path(cell, ".npz")
        if digests is None:
            self._load_arrays(cell)
        elif digests["result"] != _digest_result(result):
            raise ValueError("its result was changed")
        elif digests["arrays"] and not arrays.is_file():
            raise ValueError(f"{arrays.name} is missing")
        elif digests["arrays"] and digests["arrays"] != _digest_file(arrays):
            raise ValueError(f"{arrays.name} was changed")
        return result

    def _say_unreadable(self, cell: Cell, error: BaseException) -> None:
        if cell not in self._unreadable:
            self._unreadable.add(cell)
            path = self._path(cell, ".json")
            print(f"{path}: it cannot be read ({one_line(error)}), and counts as not run", flush=True)

    def arrays(self, cell: Cell) -> dict[str, np.ndarray]:
        """The arrays beside a result; {} if there are none.

        Raises:
            UserError: they were damaged since the result was read.
        """
        try:
            return self._load_arrays(cell)
        except UNREADABLE as error:
            raise UserError(
                f"'{self._path(cell, '.npz')}'",
                f"it cannot be read ({one_line(error)})",
                "Run the same command again, which makes it anew",
            ) from error

    def _load_arrays(self, cell: Cell) -> dict[str, np.ndarray]:
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
                self._reopen(cell)

    def forget_faults_of_the_machine(self, cells: Iterable[Cell]) -> None:
        """Reopen the cells that failed for want of room or the like, and forget how often a process died in a cell.

        Memory that was full, or a machine that was taken away, says nothing about the contender.
        """
        for cell in cells:
            result = self.result(cell)
            if result is not None and result.machine:
                self._reopen(cell)
            elif self._starts(cell).is_file():
                try:
                    with FileLock(self._lock(cell), timeout=0):
                        self._starts(cell).unlink(missing_ok=True)
                except Timeout:
                    pass  # it is running

    def _reopen(self, cell: Cell) -> None:
        for path in (self._path(cell, ".json"), self._path(cell, ".npz"), self._starts(cell)):
            path.unlink(missing_ok=True)
        self._results.pop(cell, None)

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
            with FileLock(self._lock(cell), timeout=0):
                if self.result(cell) is not None:
                    return False
                self._path(cell, ".json").unlink(missing_ok=True)  # one that cannot be read
                starts = self._count_start(cell)
                if starts >= MOST_STARTS:
                    result, arrays = Result("failed", f"its process died {starts} times", machine=True), {}
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
        digests: dict[str, Any] = {"result": _digest_result(result), "arrays": None}
        if arrays:
            content = io.BytesIO()
            np.savez_compressed(content, **arrays)
            write_file(self._path(cell, ".npz"), content.getvalue())
            digests["arrays"] = _digest_file(self._path(cell, ".npz"))
        # Last: a cell has ended once this file is there.
        text = json.dumps({**result.to_json(), "digests": digests}, allow_nan=False)
        write_file(self._path(cell, ".json"), text + "\n")
        self._starts(cell).unlink(missing_ok=True)

    def _count_start(self, cell: Cell) -> int:
        """Count one more start of the cell; returns how often it was started before and never ended."""
        path = self._starts(cell)
        starts = len(path.read_text()) if path.is_file() else 0
        with path.open("a") as file:
            file.write("x")
        return starts

    def _lock(self, cell: Cell) -> Path:
        return self.folder / "locks" / f"{self.key(cell)}.lock"

    def _starts(self, cell: Cell) -> Path:
        return self.folder / "locks" / f"{self.key(cell)}.starts"

    def _path(self, cell: Cell, suffix: str) -> Path:
        return self.folder / "cells" / f"{self.key(cell)}{suffix}"


def _digest_result(result: Result) -> str:
    """A digest of a result that is the same after it was written and read."""
    return xxh3_128_hexdigest(json.dumps(json.loads(json.dumps(result.to_json())), sort_keys=True).encode())


def _digest_file(path: Path) -> str:
    return xxh3_128_hexdigest(path.read_bytes())
