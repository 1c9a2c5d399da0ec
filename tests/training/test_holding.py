"""Two runs in one output directory: the second one is refused, and a dead one keeps nobody out."""

import gc
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hfkit.errors import UserError
from hfkit.runtime.locks import LOCK
from hfkit.training.holding import Holding
from tests.fixtures import runs


@contextmanager
def child(act: Callable[[], object]) -> Iterator[int]:
    """A forked process that does something, and then waits for its end; its number."""
    read, write = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            act()
            os.write(write, b"done")
            signal.pause()
        finally:
            os._exit(1)
    try:
        assert os.read(read, 4) == b"done"
        yield process
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


@pytest.mark.parametrize("flags", [{}, {"overwrite_output_dir": True}])
def test_a_second_run_in_the_same_folder_is_refused_and_told_who_the_first_is(flags, checkpoint, corpus, tmp_path):
    first, folder = Holding(tmp_path), os.listdir(tmp_path)
    with child(first.begin) as process:
        second = runs.trainer(checkpoint, corpus, tmp_path, **flags)
        with pytest.raises(UserError, match=f"process {process} on {socket.gethostname()}, since 2"):
            second.train()
        assert os.listdir(tmp_path) == [*folder, LOCK]
    if not flags:
        second.train()  # the first was killed, and has left its file


def test_trainers_of_one_process_share_a_folder_until_the_last_one_ends(tmp_path):
    one, two = Holding(tmp_path), Holding(Path(os.path.relpath(tmp_path)))
    one.begin()
    one.begin()
    two.begin()
    one.end()
    one.end()
    with child(lambda: refused(tmp_path)):
        two.end()
    with child(Holding(tmp_path).begin):
        pass


def refused(folder: Path) -> None:
    with pytest.raises(UserError, match=f"process {os.getppid()}"):
        Holding(folder).begin()


def test_a_worker_that_outlives_a_run_does_not_keep_its_folder(tmp_path):
    holding = Holding(tmp_path)
    holding.begin()
    with child(lambda: None):  # as a loader's worker does, until it finds out
        holding.end()
        with child(Holding(tmp_path).begin):
            pass


def test_a_trainer_that_is_gone_holds_nothing(checkpoint, corpus, tmp_path):
    trainer = runs.trainer(checkpoint, corpus, tmp_path)
    trainer.holding.begin()
    assert os.listdir(tmp_path) == [LOCK]
    del trainer
    gc.collect()
    assert os.listdir(tmp_path) == []
