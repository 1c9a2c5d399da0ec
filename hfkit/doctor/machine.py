"""The machine: cores and threads, GPUs, memory, and the processes of a launcher."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import torch

from hfkit.arguments.training import refuse_lost_processes
from hfkit.doctor.findings import Finding, report_refusal
from hfkit.errors import UserError
from hfkit.runtime.processes import LAUNCHERS, count_cores
from hfkit.training.memory import GIB

DRIVER = Path("/proc/driver/nvidia/version")
# The memory limit of a container, in control groups of version 2 and of version 1.
LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def examine_machine(*, use_cpu: bool) -> tuple[list[Finding], dict[str, Any]]:
    """The resources of a run, and those it would waste."""
    total, free = memory_of(LIMITS)
    gpus = [
        {"name": gpu.name, "memory_gib": gpu.total_memory / GIB, "capability": f"{gpu.major}.{gpu.minor}"}
        for gpu in map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
    ]
    facts = {
        "cores": os.cpu_count() or 1,
        "usable_cores": count_cores(),
        "threads": torch.get_num_threads(),
        "gpus": gpus,
        "cuda": torch.version.cuda,
        "driver": driver_version(DRIVER),
        "mps": torch.backends.mps.is_available(),
        "memory_gib": total / GIB,
        "free_memory_gib": free / GIB,
    }
    found = [core_finding(facts["cores"], facts["usable_cores"], facts["threads"])]
    found += gpu_findings(facts, use_cpu=use_cpu, processes=processes_of(os.environ))
    found.append(memory_finding(total, free))
    return found, facts


def core_finding(cores: int, usable: int, threads: int) -> Finding:
    """Whether torch runs as many threads as there are cores for it."""
    evidence = [f"{cores} cores, {usable} of them for this process, {threads} thread{'s' * (threads != 1)} in torch"]
    if threads > usable:
        fix = f"Set OMP_NUM_THREADS={usable}"
        what = f"{threads} threads share {usable} cores, and wait for each other"
        return Finding("environment", "cores", "warning", what, evidence, fix)
    if threads < usable:
        what = f"torch uses {threads} of the {usable} cores"
        fix = f"Set OMP_NUM_THREADS={usable}, unless other processes run beside it"
        return Finding("environment", "cores", "note", what, evidence, fix)
    return Finding("environment", "cores", "ok", f"{usable} cores and as many threads")


def gpu_findings(facts: Mapping[str, Any], *, use_cpu: bool, processes: int) -> list[Finding]:
    """Whether there is a GPU, and whether a run would use all of them.

    Args:
        facts: gpus, cuda, driver and mps of `examine_machine`.
    """
    gpus = facts["gpus"]
    if gpus and use_cpu:
        return [Finding("environment", "gpu", "note", f"{len(gpus)} GPUs, which --use_cpu leaves alone")]
    if gpus:
        names = [f"{gpu['name']}, {gpu['memory_gib']:.0f} GiB" for gpu in gpus]
        named = f"CUDA {facts['cuda']}, driver {facts['driver'] or 'unknown'}"
        found = [Finding("environment", "gpu", "ok", f"{len(gpus)} x {names[0]} ({named})", names[1:])]
        if processes == 1 and len(gpus) > 1:
            what = f"one process sees {len(gpus)} GPUs, and training refuses to split its batches over them"
            fix = "Start the recipe with accelerate launch, or set CUDA_VISIBLE_DEVICES=0"
            found.append(Finding("environment", "gpu", "warning", what, fix=fix))
        return found
    if facts["mps"]:
        return [Finding("environment", "gpu", "ok", "Apple's GPU (MPS)")]
    if facts["driver"] and not use_cpu:
        built = f"built for CUDA {facts['cuda']}" if facts["cuda"] else "built without CUDA"
        what = f"there is a driver of NVIDIA ({facts['driver']}), and torch sees no GPU: it is {built}"
        fix = "Check CUDA_VISIBLE_DEVICES, and install the torch that fits the driver (pytorch.org)"
        return [Finding("environment", "gpu", "warning", what, fix=fix)]
    return [Finding("environment", "gpu", "note", "no GPU: training runs on the CPU")]


def driver_version(file: Path) -> str | None:
    """The version of NVIDIA's driver, as Linux reports it."""
    words = file.read_text(errors="replace").split() if file.is_file() else []
    return next((word for word in words if word[0].isdigit() and "." in word), None)


def memory_of(limits: tuple[Path, ...]) -> tuple[int, int]:
    """Bytes of memory in all and free, within the limit of a container if there is one."""
    memory = psutil.virtual_memory()
    limited = [int(text) for file in limits if file.is_file() and (text := file.read_text().strip()).isdigit()]
    total = min([memory.total, *limited])
    # In a container cached files count as used, so only the machine can tell what is free.
    return total, min(memory.available, total)


def memory_finding(total: int, free: int) -> Finding:
    what = f"{free / GIB:.1f} GiB of {total / GIB:.1f} GiB memory are free"
    if free < total / 10:
        fix = "End other programs, or a run may be killed without a word"
        return Finding("environment", "memory", "warning", what, fix=fix)
    return Finding("environment", "memory", "ok", what)


def processes_of(environment: Mapping[str, str]) -> int:
    """How many processes a launcher started."""
    sizes = [environment.get(names[1], "") for names in LAUNCHERS if all(name in environment for name in names)]
    return next((int(size) for size in sizes if size.isdigit()), 1)


def launcher_finding(environment: Mapping[str, str]) -> Finding:
    """The processes of a launcher; read before `take_rank` removes its variables."""
    size = processes_of(environment)
    try:
        refuse_lost_processes(None, size)
    except UserError as error:
        return report_refusal("environment", "processes", error)
    several = f"{size} processes of a launcher; only the first one speaks"
    return Finding("environment", "processes", "ok", several if size > 1 else "one process")
