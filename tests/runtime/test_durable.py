"""What is written durably is there whole or not at all, and a full disk is one line that names it."""

import errno
import os
import resource
import signal
import stat
import subprocess
from contextlib import ExitStack, contextmanager

import pytest
import torch
from safetensors.torch import save_file

from hfkit.errors import Failure
from hfkit.runtime.commands import ANEW
from hfkit.runtime.durable import (
    delete_abandoned,
    explain_no_room,
    is_no_room,
    permit,
    replace_file,
    replace_folder,
    require_room,
    write_file,
)


@contextmanager
def files_of_at_most(size):
    """Within it no file of this process can grow beyond `size` bytes, as under a quota."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 256 kB, and what makes it larger; where it cannot be mounted, a folder with a limit on its files."""
    place = tmp_path / "disk"
    place.mkdir()
    with ExitStack() as ending:
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", place], capture_output=True).returncode:
            ending.enter_context(files_of_at_most(256 << 10))
            yield place, ending.close
        else:
            ending.callback(subprocess.run, ["umount", "-l", place], check=True)
            yield place, lambda: subprocess.run(["mount", "-o", "remount,size=9m", place], check=True)


def names_in(folder):
    return sorted(os.listdir(folder))


def test_a_file_that_fails_leaves_the_earlier_one_and_nothing_else(tmp_path):
    file = tmp_path / "a.json"
    write_file(file, "earlier")
    with pytest.raises(ZeroDivisionError), replace_file(file) as part:
        part.write_text("half")
        assert file.read_text() == "earlier"
        1 / 0  # noqa: B018
    assert (file.read_text(), names_in(tmp_path)) == ("earlier", ["a.json"])
    write_file(file, b"new")
    assert (file.read_text(), names_in(tmp_path)) == ("new", ["a.json"])


def test_a_folder_that_fails_leaves_the_earlier_one_and_nothing_else(tmp_path):
    folder = tmp_path / "onnx"
    with replace_folder(folder) as part:
        (part / "deep").mkdir()
        (part / "deep/a").write_text("earlier")
    with pytest.raises(ZeroDivisionError), replace_folder(folder) as part:
        (part / "b").write_text("half")
        1 / 0  # noqa: B018
    assert ((folder / "deep/a").read_text(), names_in(tmp_path)) == ("earlier", ["onnx"])
    with replace_folder(folder) as part:
        (part / "b").write_text("new")
    assert (names_in(folder), names_in(tmp_path)) == (["b"], ["onnx"])


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_permissions_are_those_of_the_umask_even_of_files_that_safetensors_writes(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        with replace_file(tmp_path / "one") as part:
            save_file({"a": torch.zeros(2)}, part)
        with replace_folder(tmp_path / "all") as part:
            save_file({"a": torch.zeros(2)}, part / "two")
        save_file({"a": torch.zeros(2)}, tmp_path / "three")
        permit(tmp_path / "three")
    finally:
        os.umask(before)
    files = [tmp_path / "one", tmp_path / "all/two", tmp_path / "three"]
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [mode] * 3


def test_leftovers_of_killed_processes_go_and_those_of_living_ones_stay(tmp_path):
    file = tmp_path / "a.json"
    with replace_file(file) as part:
        dead = subprocess.Popen(["true"])
        dead.wait()
        left = part.with_name(part.name.replace(f".{os.getpid()}.", f".{dead.pid}."))
        left.write_text("half")
        delete_abandoned(tmp_path / "b.json")
        assert left.exists()  # it is of another file
        delete_abandoned(file)
        assert part.exists() and not left.exists()


def write_with_torch(place):
    torch.save({"a": torch.zeros(200_000)}, place)


def write_with_safetensors(place):
    save_file({"a": torch.zeros(200_000)}, place)


def write_with_python(place):
    place.write_bytes(bytes(800_000))


@pytest.mark.parametrize("write", [write_with_torch, write_with_safetensors, write_with_python])
def test_a_full_disk_is_one_line_whoever_writes_and_the_same_goes_on_with_room(small_disk, write):
    disk, make_room = small_disk
    write_file(disk / "a", "earlier")
    with pytest.raises(Failure, match=rf"^'{disk}/a' cannot be written: no room is left \(.* are free\)"):
        with replace_file(disk / "a") as part:
            write(part)
    with pytest.raises(Failure, match="the same command begins anew"), explain_no_room(disk / "b", ANEW):
        write(disk / "b")
    (disk / "b").unlink(missing_ok=True)
    assert (disk / "a").read_text() == "earlier"
    assert [name for name in names_in(disk) if not name.startswith(".tmp")] == ["a"]  # safetensors leaves .tmp
    make_room()
    with replace_file(disk / "a") as part:
        write(part)
    assert (disk / "a").stat().st_size >= 800_000


@pytest.mark.parametrize("write", [write_with_torch, write_with_safetensors, write_with_python])
def test_a_limit_on_the_size_of_files_is_one_line_too(tmp_path, write):
    write_file(tmp_path / "a", "earlier")
    with pytest.raises(Failure, match="no room is left"):
        with files_of_at_most(100_000), replace_file(tmp_path / "a") as part:
            write(part)
    assert (tmp_path / "a").read_text() == "earlier"


def test_room_is_asked_for_beside_a_place(tmp_path):
    require_room(tmp_path / "none")
    with pytest.raises(Failure, match="no room is left"), files_of_at_most(1000):
        require_room(tmp_path)
    assert names_in(tmp_path) == []


def test_other_errors_stay_what_they_are(tmp_path):
    with pytest.raises(PermissionError), explain_no_room(tmp_path):
        raise PermissionError(errno.EACCES, "Permission denied")
    with pytest.raises(RuntimeError, match="unexpected pos"), explain_no_room(tmp_path):
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 352832 vs 352724")


def test_an_error_is_known_by_the_one_that_led_to_it(tmp_path):
    def raise_late():
        try:
            raise OSError(errno.EDQUOT, "Disk quota exceeded")
        except OSError as error:
            raise ValueError("An error occurred while generating the dataset") from error

    with pytest.raises(ValueError) as caught:
        raise_late()
    assert is_no_room(caught.value, tmp_path)
    assert not is_no_room(ValueError("os error 2"), tmp_path)
