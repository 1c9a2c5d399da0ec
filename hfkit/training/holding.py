"""An output directory belongs to one process, from the beginning of its training to the end of its run."""

import os
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from hfkit.runtime.locks import hold_folder


@dataclass
class Held:
    """A folder that this process holds, for some of its trainers."""

    process: int
    lock: ExitStack
    trainers: int = 0


_held: dict[Path, Held] = {}


@dataclass
class Holding:
    """The claim of one trainer to its output directory. Trainers of one process may share it, one after the other."""

    folder: Path
    held: Held | None = field(default=None, init=False)

    def begin(self) -> None:
        """Keep the folder from other processes, until `end` or the end of this process; again, it does nothing.

        Raises:
            UserError: another process trains there.
        """
        if self.held is not None and self.held.process == os.getpid():
            return
        place = self.folder.resolve()
        if place not in _held or _held[place].process != os.getpid():  # a forked process inherits no lock
            lock = ExitStack()
            lock.enter_context(hold_folder(self.folder, f"output_dir={self.folder}"))
            _held[place] = Held(os.getpid(), lock)
        self.held = _held[place]
        self.held.trainers += 1

    def end(self) -> None:
        held, self.held = self.held, None
        if held is None or held.process != os.getpid():
            return
        held.trainers -= 1
        if not held.trainers:
            _held.pop(self.folder.resolve(), None)
            held.lock.close()
