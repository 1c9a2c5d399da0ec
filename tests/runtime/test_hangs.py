"""The watch over the processes of a run: one that hangs is noticed, and one that works is left alone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import psutil
import pytest

from hfkit.runtime.hangs import EVERY, GONE, IDLE, STOPPED, Place, Watch


@pytest.fixture
def other() -> Iterator[subprocess.Popen]:
    """A process that does nothing, and computes while there is input."""
    code = "import sys\nfor line in sys.stdin:\n    sum(i * i for i in range(int(line)))\n    print('done', flush=True)"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        compute(process, 1)
        yield process
        process.kill()


def compute(process: subprocess.Popen, numbers: int) -> None:
    process.stdin.write(f"{numbers}\n")
    process.stdin.flush()
    assert process.stdout.readline() == "done\n"


def place(other: subprocess.Popen) -> Place:
    return replace(Place.find_own(), process=other.pid, started=psutil.Process(other.pid).create_time())


def watch(other: subprocess.Popen) -> Watch:
    return Watch([Place.find_own(), place(other)])


def look(watch: Watch, seconds: float) -> str | None:
    """What is found by looks over so much time, as if it had passed."""
    for _ in range(int(seconds / EVERY) + 1):
        if found := watch.look():
            return found[0]
    return None


def test_a_process_that_was_stopped_is_noticed(other):
    one = watch(other)
    assert look(one, STOPPED) is None
    other.send_signal(signal.SIGSTOP)
    while psutil.Process(other.pid).status() != psutil.STATUS_STOPPED:
        time.sleep(0.01)
    assert look(one, STOPPED - 2 * EVERY) is None
    other.send_signal(signal.SIGCONT)
    while psutil.Process(other.pid).status() == psutil.STATUS_STOPPED:
        time.sleep(0.01)
    assert look(one, EVERY) is None  # for a while only: it counts anew
    other.send_signal(signal.SIGSTOP)
    while psutil.Process(other.pid).status() != psutil.STATUS_STOPPED:
        time.sleep(0.01)
    assert look(one, STOPPED) == f"process 1 ({other.pid}) was stopped 20 seconds ago"


def test_a_process_may_end_before_the_others_but_not_within_training(other):
    one = watch(other)
    other.kill()
    other.wait()
    assert look(one, GONE) is None
    one.training = True
    assert look(one, GONE) == f"process 1 ({other.pid}) ended in the middle of training"


def test_processes_that_wait_for_each_other_are_noticed_within_steps_alone(other):
    one = watch(other)
    assert look(one, 2 * IDLE) is None  # one of them may write a checkpoint, or fit a baseline
    one.stepping = True
    assert look(one, IDLE / 2) is None
    compute(other, 4_000_000)
    assert look(one, IDLE - EVERY) is None
    assert "wait for each other" in look(one, IDLE)


def test_another_process_with_the_same_number_is_none_of_them(other):
    here = Place.find_own()
    elsewhere = replace(place(other), host="elsewhere")
    later = replace(place(other), started=here.started + 60)
    assert elsewhere.find() is later.find() is None
    assert here.find().pid == os.getpid()
    one = Watch([here, elsewhere])
    one.training = one.stepping = True
    assert not one.others and look(one, 2 * IDLE) is None
