"""Traps for what must not happen while something hostile is read: code that runs, an address that is asked, a file
written elsewhere, a program that is started.

A payload leaves a file in a folder of its own, a server on this machine counts requests, and within the process that
reads, Python's audit events say what it opens for writing, starts and connects to.
"""

import json
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks.reliability import harness
from benchmarks.reliability.cases import Cases
from benchmarks.reliability.harness import Job, make_empty

PATIENCE = 90  # seconds for a command that reads something hostile
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
STARTS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.startfile")
OWN_PROGRAMS = (
    os.path.basename(sys.executable),
    "git",
    "lscpu",
    "nvidia-smi",
    "ldconfig",
    "gcc",
    "cc",
    "ld",
    "uname",
)  # of records of the machine, and trials


class Attack:
    """An object whose pickle runs a command when it is read."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@dataclass(frozen=True)
class Attempt:
    """One hostile thing: what reads it, and how that may end.

    Attributes:
        codes: exit codes that are right: 2 where it has to be refused, 0 where it is harmless as it is read.
        named: words of the error, with which it names the culprit.
        holds: what must be true afterwards.
    """

    case: str
    argv: Sequence[str]
    codes: tuple[int, ...] = (2,)
    named: tuple[str, ...] = ()
    stdin: str = ""
    holds: Callable[[Job], bool] = lambda job: True


class Traps:
    """The traps of one test, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ran, self.outside, self.here = folder / "ran", folder / "outside", folder / "here"
        self.hits: list[str] = []
        self.port = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self, name: str) -> str:
        """A command for a shell that leaves a file."""
        return f"touch {self.ran / name}"

    def attack(self, name: str = "pickle") -> Attack:
        return Attack(self.command(name))

    def code(self, name: str) -> str:
        """Python code that leaves a file."""
        return f"import pathlib\npathlib.Path({str(self.ran / name)!r}).touch()\n"

    @contextmanager
    def set_up(self) -> Iterator[None]:
        """Listen, and show that every trap springs."""
        make_empty(self.ran)
        make_empty(self.outside)
        with ThreadingHTTPServer(("127.0.0.1", 0), self._handler()) as server:
            self.port = server.server_port
            threading.Thread(target=server.serve_forever, daemon=True).start()
            try:
                self._prove()
                yield
            finally:
                server.shutdown()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hits = self.hits

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hits.append(f"{self.command} {self.path}")
                self.send_response(404)
                self.end_headers()

            do_HEAD = do_POST = do_PUT = do_GET

            def log_message(self, *args: object) -> None:
                pass

        return Handler

    def _prove(self) -> None:
        """Fall into every trap on purpose.

        Raises:
            RuntimeError: one of them does not spring.
        """
        lay = self.lay()
        script = lay.file("in/fall.py", PROOF.format(ran=self.ran, address=self.address, outside=self.outside))
        job = self.watch([str(script)], lay)
        found = " ".join(self.sprung(lay))
        if job.code != 0 or any(word not in found for word in ("code ran", "asked", "written", "started", "changed")):
            raise RuntimeError(f"a trap did not spring: exit code {job.code}, {found}, {job.text[-500:]}")

    def lay(self) -> "Lay":
        """A fresh place for something hostile; what the last one did is forgotten."""
        make_empty(self.ran)
        make_empty(self.outside)
        self.hits.clear()
        (self.outside / "private.txt").write_text("this lies outside\n")
        return Lay(self, make_empty(self.here))

    def watch(self, argv: Sequence[str], lay: "Lay", stdin: str = "") -> Job:
        """Run a command with the audit events of its process kept."""
        lay.before = lay.contents()
        record = lay.folder / "events.jsonl"
        tmp, cwd = lay.folder / "tmp", lay.folder / "cwd"
        tmp.mkdir()
        cwd.mkdir()
        return harness.run(
            argv,
            lay.folder / "out.txt",
            PATIENCE,
            cwd=cwd,
            env={"TMPDIR": str(tmp)},
            stdin=stdin,
            before=lambda: record_events(record),
        )

    def sprung(self, lay: "Lay") -> list[str]:
        """What happened that must not, in words."""
        found = [f"code ran ({path.name})" for path in self.ran.iterdir()]
        found += [f"{hit} was asked for" for hit in self.hits]
        if lay.before != lay.contents():
            found.append("files were changed that are not the output")
        found += sorted(set(self.read_events(lay)))
        return found

    def read_events(self, lay: "Lay") -> Iterator[str]:
        """The audit events that no command of hfkit needs."""
        work = self.folder.parent
        allowed = [str(lay.folder / name) for name in ("out", "tmp", "events.jsonl")]
        allowed += [str(work / "hf_home"), "/dev/"]
        for line in (lay.folder / "events.jsonl").read_text(encoding="utf-8").splitlines():
            kind, what = json.loads(line)
            if kind == "written" and not what.startswith(tuple(allowed)):
                yield f"{what} was written"
            elif kind == "started" and os.path.basename(what.split()[0]) not in OWN_PROGRAMS:
                yield f"{what} was started"
            elif kind == "connected":
                yield f"{what} was connected to"

    def add(self, cases: Cases, attempt: Attempt, lay: "Lay") -> None:
        """Try something hostile, and judge what came of it."""
        job = self.watch(attempt.argv, lay, attempt.stdin)
        sprung = self.sprung(lay)
        errors = [line for line in job.text.splitlines() if line.startswith("error: ")]
        named = all(word in " ".join(errors) for word in attempt.named)
        refused = job.code != 2 or len(errors) == 1
        good = not sprung and job.code in attempt.codes and not job.has_traceback and refused and named
        unkept = "" if attempt.holds(job) else "; what had to hold does not"
        cases.add(attempt.case, good and not unkept, "; ".join([*sprung, job.verdict]) + unkept)


class Lay:
    """The place of one hostile thing: `in` for what is read, and `out` for what is written."""

    def __init__(self, traps: Traps, folder: Path) -> None:
        self.traps, self.folder = traps, folder
        self.given, self.out = folder / "in", folder / "out"
        self.given.mkdir()
        self.before: dict[str, str | None] = {}

    @property
    def work(self) -> Path:
        return self.traps.folder.parent

    def file(self, name: str, content: str | bytes = "") -> Path:
        """Write a file, by its name below the place."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def copy(self, name: str, to: str = "") -> Path:
        """A copy of some of the material, or of the trained model, in `in`."""
        place = self.given / (to or Path(name).name)
        shutil.copytree(self.work / name, place)
        return place

    def recipe(self, kind: str, *more: str, steps: int = 1) -> list[str]:
        """The command line of a short run."""
        short = ["--max_steps", str(steps), "--eval_strategy", "no", "--save_strategy", "no"]
        short += ["--load_best_model_at_end", "false", "--baseline", "majority", "--output_dir", str(self.out)]
        if kind == "ner":
            short[-3] = "lexicon"
        return harness.flags(kind, self.work, *short, *more)

    def contents(self) -> dict[str, str | None]:
        """The files that nobody may change, by name, with a digest."""
        files = [path for place in (self.given, self.traps.outside) for path in sorted(place.rglob("*"))]
        cwd = self.folder / "cwd"
        files += sorted(cwd.rglob("*")) if cwd.exists() else []
        return {str(path): harness.digest(path) for path in files if not path.is_symlink()}


def record_events(record: Path) -> None:
    """Keep what this process opens for writing, starts and connects to, from now on."""
    log = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(kind: str, what: object) -> None:
        text = os.fsdecode(what) if isinstance(what, bytes | os.PathLike) else str(what)
        os.write(log, (json.dumps([kind, text]) + "\n").encode())

    def hear(event: str, args: tuple) -> None:
        if event == "open" and not isinstance(args[0], int) and isinstance(args[2], int) and args[2] & WRITES:
            note("written", os.path.abspath(os.fsdecode(args[0])))
        elif event in ("os.rename", "os.link", "os.symlink", "shutil.move"):
            note("written", os.path.abspath(os.fsdecode(args[1])))
        elif event == "os.mkdir":
            note("written", os.path.abspath(os.fsdecode(args[0])))
        elif event in STARTS:
            note("started", args[0] or args[1])
        elif event == "socket.connect" and isinstance(args[1], tuple):
            note("connected", args[1])

    sys.addaudithook(hear)


PROOF = """
import os, pathlib, subprocess, urllib.error, urllib.request
os.system("touch {ran}/proof")
try:
    urllib.request.urlopen("{address}/proof")
except urllib.error.HTTPError:
    pass
pathlib.Path("{outside}/proof").write_text("x")
subprocess.run(["true"])
"""
