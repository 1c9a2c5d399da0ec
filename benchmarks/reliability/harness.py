"""Runs of hfkit as forked children of one process that has imported everything: seconds a case instead of ten.

A forked child is a process of its own: it is killed, signalled and waited for like one. `python -m
benchmarks.reliability` starts every test in a process with the settings that these runs need (`environment`), among
them fault.c, which kills a child, or fills its disk, at a chosen system call.
"""

import ctypes
import hashlib
import importlib
import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from benchmarks.reliability.material import make_material

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
NER, REVIEWS, PICTURES = (
    str(PROJECT / "recipes" / f"{name}.py") for name in ("bert_ner", "bert_sentiment", "resnet_images")
)
QUIET = ["--use_cpu", "--disable_tqdm", "true", "--report_to", "none", "--per_device_train_batch_size", "4"]
STEPS = ["--num_train_epochs", "2", "--eval_strategy", "steps", "--save_strategy", "steps"]
STEPS += ["--eval_steps", "6", "--save_steps", "6", "--resume_from_checkpoint", "auto"]
COUNT, KILL, NO_ROOM = 0, 1, 2  # actions of fault.c


def environment(work: Path) -> dict[str, str]:
    """The environment of a process that runs a test."""
    settings = {
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "CUDA_VISIBLE_DEVICES": "",
        "HF_HOME": str(work / "hf_home"),
        "PYTHONPATH": str(PROJECT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    shim = work / "fault.so"
    if not shim.exists():
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-w", "-o", shim, HERE / "fault.c", "-ldl"], check=True)
    return {**os.environ, **settings, "LD_PRELOAD": str(shim)}


def flags(kind: str, work: Path, *more: str) -> list[str]:
    """A recipe and its flags on tiny material: of "ner", "reviews" or "images"."""
    recipe, checkpoint, baselines = {
        "ner": (NER, "bert", ["lexicon"]),
        "reviews": (REVIEWS, "bert", ["majority", "tf-idf"]),
        "images": (PICTURES, "resnet", ["majority"]),
    }[kind]
    place = work / "material"
    rows = ["--checkpoint", str(place / checkpoint), "--dataset", str(place / kind)]
    return [recipe, *rows, *QUIET, "--baseline", *baselines, *more]


class Job:
    """A run that was started."""

    def __init__(self, process: int, out: Path) -> None:
        self.process, self.out, self.code = process, out, None
        self._text: str | None = None  # once it has ended: the next run may print into the same file

    def poll(self) -> int | str | None:
        """The exit code, negative for a signal; None while it runs."""
        if self.code is None:
            ended, status = os.waitpid(self.process, os.WNOHANG)
            if ended:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def wait(self, timeout: float = 300) -> int | str:
        """The exit code; "timeout" if it had to be killed."""
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > end:
                os.kill(self.process, signal.SIGKILL)
                os.waitpid(self.process, 0)
                self.code = "timeout"
            time.sleep(0.005)
        self._text = self.text
        return self.code

    def send(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.process, number)

    @property
    def text(self) -> str:
        if self._text is not None:
            return self._text
        return self.out.read_text(errors="replace") if self.out.exists() else ""

    @property
    def error(self) -> str:
        """The line in which the run says why it ended, otherwise its last line."""
        lines = [line for line in self.text.splitlines() if line.strip()]
        said = [line for line in lines if line.startswith(("error:", "interrupted:"))]
        return (said or lines or [""])[-1][:500]

    @property
    def has_traceback(self) -> bool:
        return "Traceback (most recent call last)" in self.text

    @property
    def verdict(self) -> str:
        """Exit code and, unless it is 0, the error, for the outcome of a case."""
        fell = " with a traceback" if self.has_traceback else ""
        return f"exit code {self.code}{fell}" + (f": {self.error}" if self.code else "")


def start(
    argv: Sequence[str],
    out: Path,
    *,
    cwd: Path | None = None,
    env: Mapping[str, object] | None = None,
    stdin: str = "",
    before: Callable[[], object] | None = None,
    after: Callable[[], object] | None = None,
    fault: tuple[int, Path, int, Path | None] | None = None,
) -> Job:
    """Fork a child that runs a recipe (its path and flags) or a command ("hfkit" and its flags).

    Args:
        out: file for what it prints.
        before, after: called in the child.
        fault: what to do (`COUNT`, `KILL`, `NO_ROOM`), the folder in which calls count, the number of the call, and
            a file that lists the calls.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    child = os.fork()
    if child:
        return Job(child, out)
    code = 1
    try:
        _redirect(out, stdin)
        os.environ.update({name: str(value) for name, value in (env or {}).items()})
        os.chdir(cwd or os.getcwd())
        sys.argv = [str(word) for word in argv]
        if before:
            before()
        if fault:
            arm(*fault)
        code = _run_main()
        if after:
            after()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def run(argv: Sequence[str], out: Path, timeout: float = 300, **options) -> Job:
    """Start a child and wait for its end."""
    job = start(argv, out, **options)
    job.wait(timeout)
    return job


def _redirect(out: Path, stdin: str) -> None:
    read, write = os.pipe()
    os.write(write, stdin.encode())
    os.close(write)
    opened = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for number, stream in ((0, read), (1, opened), (2, opened)):
        os.dup2(stream, number)
    sys.stdin = open(0, closefd=False)
    sys.stdout, sys.stderr = (open(number, "w", buffering=1, closefd=False) for number in (1, 2))
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr
    tempfile.tempdir = None
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _run_main() -> int:
    """Run what sys.argv names; returns the exit code."""
    try:
        if sys.argv[0].endswith(".py"):
            runpy.run_path(sys.argv[0], run_name="__main__")
        else:
            from hfkit.cli import app

            app()
    except SystemExit as ended:
        if not isinstance(ended.code, int | None):
            print(ended.code, file=sys.stderr)
            return 1
        return ended.code or 0
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def arm(action: int, below: Path, number: int = -1, log: Path | None = None) -> None:
    """Let fault.c act at the n-th call of this process that changes a file below a folder."""
    shim = ctypes.CDLL(os.environ["LD_PRELOAD"])
    shim.fault_arm.argtypes = [ctypes.c_char_p, ctypes.c_long, ctypes.c_int, ctypes.c_char_p]
    shim.fault_arm(str(below).encode(), number, action, str(log or "").encode())


def calls(log: Path) -> list[tuple[int, str, str]]:
    """The calls that fault.c has listed: number, name ("write", "open", "rename", ...) and path."""
    split = (line.split(" ", 2) for line in log.read_text(errors="replace").splitlines())
    return [(int(number), name, path) for number, name, path in split]


def prepare(work: Path) -> None:
    """Make the material and a trained model, work/warm/reviews, and import everything that runs import."""
    make_material(work / "material")
    listed = work / "modules.txt"
    if not listed.exists():
        found: list[str] = []
        for kind in ("ner", "reviews"):
            place = work / "warm" / kind
            shutil.rmtree(place, ignore_errors=True)
            found += _list_modules(flags(kind, work, "--output_dir", str(place), "--num_train_epochs", "1"), work)
        predict = ["hfkit", "predict", str(work / "warm/reviews"), "--text", "anna saw rain", "-o"]
        found += _list_modules([*predict, str(work / "warm/a.jsonl")], work)
        listed.write_text("\n".join(dict.fromkeys(found)))
    warnings.simplefilter("ignore")
    for name in listed.read_text().split():
        with suppress(Exception):  # some are only imported by others, in an order of their own
            importlib.import_module(name)


def _list_modules(argv: Sequence[str], work: Path) -> list[str]:
    place = work / "imported.txt"
    job = run(argv, work / "warm.txt", after=lambda: place.write_text("\n".join(sys.modules)))
    if job.code != 0:
        raise RuntimeError(f"{' '.join(argv)} fails on a whole machine: {job.text[-1500:]}")
    return [name for name in place.read_text().split() if not name.startswith(("_", "benchmarks"))]


def make_empty(place: Path) -> Path:
    """A folder with nothing in it."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    return place


def list_tree(folder: Path) -> dict[str, int]:
    """Every file below a folder, with its size."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_symlink() or not path.is_dir())
    return {str(path.relative_to(folder)): path.lstat().st_size for path in files}


def digest(file: Path) -> str | None:
    """A digest of a file; None if it is not there."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16] if file.is_file() else None


def find_outcome(folder: Path) -> dict[str, str | None]:
    """Digests of the results of a run: weights, the judged part of the report, and losses; no times, no places."""
    try:
        report = json.loads((folder / "report.json").read_text())
    except (OSError, ValueError):
        return {"weights": digest(folder / "model.safetensors"), "report": None, "losses": None}
    kept = ("name", "scores", "interval", "difference")
    judged = [[contender[name] for name in kept] for contender in report["contenders"]]
    entries = [entry for entry in report["training"]["log_history"] if "loss" in entry or "eval_loss" in entry]
    timed = ("runtime", "per_second")
    losses = [{name: entry[name] for name in entry if not name.endswith(timed)} for entry in entries]
    return {
        "weights": digest(folder / "model.safetensors"),
        "report": _digest_value([judged, report["errors"], report["breakdown"]]),
        "losses": _digest_value(losses),
    }


def _digest_value(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def flip(content: bytes) -> bytes:
    """The content with one bit in its middle turned over."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0x40]) + content[middle + 1 :]
