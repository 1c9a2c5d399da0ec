"""A lock keeps others out, says who holds it, and ends with its holder."""

import os
import signal
import socket

import pytest

from hfkit.errors import UserError
from hfkit.runtime.locks import LOCK, hold_file, hold_folder


def fork(work):
    """Run `work` in a child process; returns its process id."""
    child = os.fork()
    if child:
        return child
    try:
        work()
    finally:
        os._exit(1)


def test_the_second_is_refused_and_told_who_the_first_is(tmp_path):
    with hold_folder(tmp_path / "run", "output_dir=run"):
        with pytest.raises(UserError, match=f"process {os.getpid()} on {socket.gethostname()}, since 2"):
            with hold_folder(tmp_path / "run", "output_dir=run"):
                pass
        with hold_folder(tmp_path / "other", "output_dir=other"):
            pass
    with hold_folder(tmp_path / "run", "output_dir=run"):
        assert os.listdir(tmp_path / "run") == [LOCK]
    assert os.listdir(tmp_path / "run") == []


def test_a_file_is_held_by_a_lock_beside_it(tmp_path):
    with hold_file(tmp_path / "a.jsonl", "output 'a.jsonl'"):
        with pytest.raises(UserError, match="it is in use by process"), hold_file(tmp_path / "a.jsonl", "output"):
            pass
    assert os.listdir(tmp_path) == []


def test_a_killed_holder_keeps_nobody_out(tmp_path):
    read, write = os.pipe()

    def hold_forever():
        with hold_folder(tmp_path, "folder"):
            os.write(write, b"held")
            signal.pause()

    child = fork(hold_forever)
    assert os.read(read, 4) == b"held"
    with pytest.raises(UserError, match=f"process {child} "), hold_folder(tmp_path, "folder"):
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert os.listdir(tmp_path) == [LOCK]
    with hold_folder(tmp_path, "folder"):
        pass
    assert os.listdir(tmp_path) == []


def test_the_end_of_a_forked_child_does_not_release_the_lock(tmp_path):
    with hold_folder(tmp_path, "folder"):
        os.waitpid(fork(lambda: None), 0)
        with pytest.raises(UserError), hold_folder(tmp_path, "folder"):
            pass
