"""What steps do without: the same gradients, the same modules, and memory that goes back in the end."""

import importlib.util
import subprocess
import sys

import pytest
import torch

from hfkit.training.invariants import refuse_non_finite
from hfkit.training.sparing import LOOKED_FOR, clip_by_norms, note_absence


@pytest.mark.parametrize("most", [0.3, 1e6])
def test_gradients_are_clipped_to_the_bits_of_torch(most):
    draw = torch.Generator().manual_seed(0)
    ours = [torch.nn.Parameter(torch.zeros(7, n)) for n in range(1, 9)]
    for parameter in ours[1:]:
        parameter.grad = torch.randn(parameter.shape, generator=draw)
    theirs = [torch.nn.Parameter(torch.zeros_like(parameter)) for parameter in ours]
    for own, other in zip(ours[1:], theirs[1:], strict=True):
        other.grad = own.grad.clone()
    norms = refuse_non_finite(0, torch.tensor(1.0), [(str(i), parameter) for i, parameter in enumerate(ours)])
    assert torch.equal(clip_by_norms(ours, norms, most), torch.nn.utils.clip_grad_norm_(theirs, most))
    assert ours[0].grad is None
    assert all(torch.equal(own.grad, other.grad) for own, other in zip(ours[1:], theirs[1:], strict=True))


def test_what_is_not_installed_is_not_looked_for_and_may_be_installed_later(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    with note_absence(("not_there_yet", "json")):
        (tmp_path / "not_there_yet.py").touch()
        assert importlib.util.find_spec("not_there_yet") is None
        assert importlib.util.find_spec("json") is not None
    importlib.invalidate_caches()
    assert importlib.util.find_spec("not_there_yet") is not None
    assert not {"not_there_yet", *LOOKED_FOR} & sys.modules.keys()


@pytest.mark.skipif(sys.platform != "linux", reason="only the C library of Linux has these settings")
def test_freed_memory_is_kept_within_and_given_back_at_the_end():
    """In a process of its own: what else was allocated in this one may lie between."""
    done = subprocess.run([sys.executable, "-c", KEPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    grown, given_back = map(int, done.stdout.split())
    assert grown < SIZE // 4 and given_back > SIZE // 2


SIZE = 64 << 20
KEPT = f"""
import ctypes
from hfkit.runtime.heap import keep_freed_memory

library = ctypes.CDLL(None)
library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
library.free.argtypes = [ctypes.c_void_p]

def use():
    place = library.malloc({SIZE})
    ctypes.memset(place, 1, {SIZE})
    library.free(place)

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

with keep_freed_memory():
    with keep_freed_memory():
        use()
    before = resident()
    use()  # of the same pages
    grown = resident() - before
print(grown, before - resident())
"""
