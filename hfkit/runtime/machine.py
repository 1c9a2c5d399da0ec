"""The machine, the exact command, and the cost of a run."""

import os
import platform
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hfkit.runtime.files import has_working_folder
from hfkit.runtime.redaction import SECRET_NAME, WITHHELD, withhold_secrets
from hfkit.version import __version__

PACKAGES = ("torch", "transformers", "datasets", "accelerate", "peft")
DESCRIBE = ("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
EVERY = 0.02  # seconds between two measurements of memory
MIB = 2**20


def environment() -> dict[str, Any]:
    """The machine and the versions, needed to compare a time or to repeat a run."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "gpu": gpu,
        "versions": {"hfkit": __version__, **{package: _version(package) for package in PACKAGES}},
        "commit": _commit(),
    }


def has_bfloat16() -> bool:
    """Whether the processor has instructions for bfloat16; without them it is emulated, many times as slowly."""
    import torch

    return any(there is True and "bf16" in name for name, there in torch.cpu.get_capabilities().items())


def command() -> str:
    """The command line of this process, quoted for a shell, without interpreter and launcher.

    The program is given relative to the working folder, or by its name alone if it lies elsewhere: its folder is
    private. Secrets are withheld.
    """
    program = Path(sys.argv[0]).absolute()
    if program.name == "__main__.py":
        spec = sys.modules["__main__"].__spec__
        if spec is not None:  # None: started by its path
            return command_of("python", "-m", spec.parent, argv=sys.argv[1:])
    # The folder may have been deleted since the command began.
    inside = has_working_folder() and program.is_relative_to(Path.cwd())
    return command_of(str(program.relative_to(Path.cwd())) if inside else program.name, argv=sys.argv[1:])


def command_of(*program: str, argv: Sequence[str]) -> str:
    """A command line, quoted for a shell; secrets are withheld."""
    words = list(program)
    for word in argv:
        flag, equals, _ = word.partition("=")
        if equals and SECRET_NAME.search(flag):
            words.append(f"{flag}={WITHHELD}")
        else:
            words.append(WITHHELD if SECRET_NAME.search(words[-1]) else withhold_secrets(word))
    return shlex.join(words)


@contextmanager
def measure() -> Iterator[dict[str, float]]:
    """Yields a dict that holds the cost of the block after its end.

    `wall_seconds`; `cpu_seconds` of all threads of this process and of its finished children; `peak_memory_mib`, the
    highest resident memory of the whole process during the block; with a GPU also `peak_gpu_memory_mib`.
    """
    import psutil
    import torch

    process, over = psutil.Process(), threading.Event()
    peak = process.memory_info().rss

    # The system only keeps the peak of the whole process, so that of training would hide that of a baseline.
    def watch() -> None:
        nonlocal peak
        while not over.wait(EVERY):
            peak = max(peak, process.memory_info().rss)

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    cost: dict[str, float] = {}
    wall, cpu = time.perf_counter(), _cpu_seconds()
    try:
        yield cost
    finally:
        cost["wall_seconds"] = time.perf_counter() - wall
        cost["cpu_seconds"] = _cpu_seconds() - cpu
        over.set()
        watcher.join()
        cost["peak_memory_mib"] = max(peak, process.memory_info().rss) / MIB
        if torch.cuda.is_available():
            cost["peak_gpu_memory_mib"] = torch.cuda.max_memory_allocated() / MIB


def _cpu_seconds() -> float:
    return sum(os.times()[:4])


def _cpu() -> str:
    facts = Path("/proc/cpuinfo")
    if facts.is_file():
        for line in facts.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    """The commit of hfkit's own checkout, with '-dirty' if tracked files differ; 'none' if it was installed.

    A repository's configuration may name programs that git starts, and the working folder may be anybody's: an
    unpacked dataset ran code through `core.fsmonitor`. So git is asked about the folder whose code runs already.
    """
    checkout = Path(__file__).resolve().parents[2]
    folders = [folder for folder in os.environ.get("PATH", os.defpath).split(os.pathsep) if os.path.isabs(folder)]
    git = shutil.which("git", path=os.pathsep.join(folders))
    if git is None or not (checkout / ".git").exists():
        return "none"
    settings = ("core.fsmonitor=false", f"core.hooksPath={os.devnull}", f"safe.directory={checkout.as_posix()}")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        found = subprocess.run(
            [git, *(word for one in settings for word in ("-c", one)), *DESCRIBE],
            cwd=checkout,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "none"
    return found.stdout.strip() or "none"
