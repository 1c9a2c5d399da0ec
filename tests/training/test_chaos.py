"""A run that is killed, at whatever call that changes its folder, ends by the same command as if nothing had happened.

The runs that are killed are forked children, which share the imports of this process.
"""

import gc
import json
import os
import re
import signal
import sys
import traceback
from pathlib import Path
from typing import NamedTuple

import pytest

from hfkit import TransferTrainer
from hfkit.contract.task import Loaded
from hfkit.model.digests import digest
from hfkit.tasks import NER
from hfkit.training.checkpoints import TRAINED
from hfkit.training.sealed import find_fault
from tests.fixtures.runs import trainer

FLAGS = {
    **{"strategy": "full", "max_steps": 4, "save_strategy": "steps", "save_steps": 2, "save_total_limit": 1},
    **{"eval_strategy": "epoch", "logging_steps": 3},
}
KILLS = 24
CHANGES = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod"}  # in the words of sys.addaudithook


class Setting(NamedTuple):
    """A checkpoint, and rows to train it on."""

    checkpoint: str
    corpus: str
    rows: Loaded


class Whole(NamedTuple):
    """A run that nobody killed, and the calls by which it changed its folder."""

    calls: list[str]
    outcome: list


def train(setting: Setting, folder: Path) -> TransferTrainer:
    """What the same command does: it goes on, or begins, and saves the model."""
    run = trainer(setting.checkpoint, setting.corpus, folder, rows=setting.rows, **FLAGS)
    run.train(resume_from_checkpoint="auto")
    run.save_model()
    return run


def outcome(run: TransferTrainer) -> list:
    """What may not depend on kills, as JSON values."""
    timed = ("runtime", "per_second", "preparation_time", "train_loss", "total_flos")
    log = [
        {name: value for name, value in entry.items() if not any(word in name for word in timed)}
        for entry in run.state.log_history
    ]
    return json.loads(json.dumps([log, digest(run.model.state_dict().values()).hex()]))


def call_below(folder: Path, event: str, args: tuple) -> str | None:
    """A call that changes something below a folder, in words; None for any other one."""
    if event not in CHANGES or not isinstance(args[0], str | os.PathLike):
        return None
    if event == "open" and not args[2] & (os.O_WRONLY | os.O_RDWR):
        return None
    place = Path(os.fspath(args[0]))
    return f"{event} {place.relative_to(folder)}" if place.is_relative_to(folder) else None


def run_in_child(setting: Setting, folder: Path, *, kill_at: int | None = None) -> tuple[int, list[str]]:
    """The exit code of a forked child that trains, and the calls by which it changed its folder until its end."""
    listed = folder.with_suffix(".calls")
    pid = os.fork()
    if not pid:
        try:
            lines = listed.open("w")

            def watch(event: str, args: tuple) -> None:
                if (call := call_below(folder, event, args)) is not None:
                    print(call, file=lines, flush=True)
                    watch.count += 1
                    if watch.count == kill_at:
                        os.kill(os.getpid(), signal.SIGKILL)

            watch.count = 0
            sys.addaudithook(watch)
            train(setting, folder)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), listed.read_text().splitlines()


@pytest.fixture(scope="module")
def setting(checkpoint, corpus) -> Setting:
    return Setting(checkpoint, corpus, NER(dataset=corpus).load())


@pytest.fixture(scope="module")
def whole(setting, tmp_path_factory) -> Whole:
    folder = tmp_path_factory.mktemp("whole") / "run"
    code, calls = run_in_child(setting, folder)
    assert code == 0
    other = train(setting, folder.with_name("other"))
    found = Whole(calls, outcome(other))
    gc.collect()
    gc.freeze()  # every training asks for a collection, which takes longer than the training
    return found


def choose(calls: list[str], count: int) -> list[int]:
    """Numbers of calls, from 1: one of every kind first, and then others from all over the run."""
    kinds: dict[str, int] = {}
    for number, call in enumerate(calls, 1):
        kinds.setdefault(re.sub(r"\d+", "*", call), number)
    first = sorted(kinds.values())
    step = max(1, len(first) // count)
    return first[::step][:count]


@pytest.mark.parametrize(
    "share", [pytest.param(share, marks=() if share % 3 == 0 else pytest.mark.slow) for share in range(KILLS)]
)
def test_the_same_command_ends_alike_after_a_kill(share, whole, setting, tmp_path):
    number = choose(whole.calls, KILLS)[share]
    folder = tmp_path / "run"
    code, calls = run_in_child(setting, folder, kill_at=number)
    assert code == -signal.SIGKILL and len(calls) == number
    assert all(find_fault(path) is None for path in folder.glob("checkpoint-*")), calls[-1]
    run = train(setting, folder)
    assert outcome(run) == whole.outcome, calls[-1]
    left = {path.name for path in folder.iterdir()}
    assert left >= {"checkpoint-4", "model.safetensors", TRAINED} and "_unfinished" not in left
