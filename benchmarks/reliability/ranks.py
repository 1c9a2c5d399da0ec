"""T6: two processes over gloo, and one of them fails. The launcher ends with an error within 60 seconds of it."""

import os
import re
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.reliability.cases import Case, Cases
from benchmarks.reliability.harness import PROJECT, flags, make_empty
from benchmarks.reliability.material import make_material
from benchmarks.reliability.rank import FAULT

FAULTS = ["healthy", "kill", "raise", "user-error", "exit-0", "kill@0", "kill@save", "nan", "drift", "term"]
FAULTS += ["kill@report", "stop", "sleep"]
LIMIT, PATIENCE = 60, 240  # seconds after the fault; seconds after the start


@dataclass(frozen=True)
class Ended:
    """How a launcher ended."""

    code: int | None  # None: it was hung, and had to be killed
    seconds: float  # after the fault
    errors: str
    has_report: bool


def run(work: Path) -> list[Case]:
    make_material(work / "material")
    cases = Cases("T6", work)
    for fault in FAULTS:
        if cases.has(fault):
            continue
        ended = launch(work, fault)
        if fault == "healthy":
            good = ended.code == 0 and ended.has_report
        else:
            good = ended.code not in (0, None) and ended.seconds <= LIMIT
        how = "hung" if ended.code is None else f"exit code {ended.code}"
        cases.add(fault, good, f"{how} {ended.seconds:.0f} s after it: {ended.errors}")
    return cases


def launch(work: Path, fault: str, *more: str, place: Path | None = None) -> Ended:
    log = work / "ranks.txt"
    place = place or make_empty(work / "T6")
    recipe, *rest = flags("ner", work, "--num_train_epochs", "3", *more, "--output_dir", str(place))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", find_port()]
    # As a module: next to a script, secrets.py would be taken for Python's own.
    command += ["--module", "benchmarks.reliability.rank", fault, recipe, *rest]
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    began, struck = time.time(), None
    with log.open("w") as stderr:
        launcher = subprocess.Popen(command, env=environment, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=stderr)
    while launcher.poll() is None:
        time.sleep(0.1)
        if struck is None and (found := re.search(rf"{FAULT} ([\d.]+)", log.read_text(errors="replace"))):
            struck = float(found[1])
        if time.time() > (struck + LIMIT + 15 if struck else began + PATIENCE):
            break
    seconds, code = time.time() - (struck or began), launcher.poll()
    if code is None:
        for process in [*psutil.Process(launcher.pid).children(recursive=True), launcher]:
            process.kill()
        launcher.wait()
    return Ended(code, seconds, find_errors(log.read_text(errors="replace")), (place / "report.json").is_file())


def find_errors(text: str) -> str:
    """The first lines that say why processes ended."""
    lines = [line.strip()[:160] for line in text.splitlines()]
    wanted = re.compile(r"(\[rank\d\]: )?(error|interrupted|[\w.]*(Error|BrokenPromise|NonFinite)): ")
    return " / ".join([line for line in lines if wanted.match(line)][:2])


def find_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])
