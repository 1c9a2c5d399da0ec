"""The places that a run writes to or reaches: folders, the Hub, trackers."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from datasets import config as datasets_config
from huggingface_hub import constants, get_token

from hfkit.arguments.trackers import find_tracker_fault
from hfkit.doctor.findings import Finding
from hfkit.training.memory import GIB

LITTLE = 2 * GIB  # bytes free, from where a warning is due
NOTHING = 0.1 * GIB


def examine_places(output_dir: Path, cache_dir: Path, *, pushes: bool) -> tuple[list[Finding], dict[str, Any]]:
    """Disks, permissions, and the Hub."""
    places = {
        "output_dir": output_dir,
        "cache_dir": cache_dir,
        "cache of the Hub": Path(constants.HF_HUB_CACHE),
        "cache of datasets": Path(datasets_config.HF_DATASETS_CACHE),
    }
    found, free = [], {}
    for name, place in places.items():
        found += place_findings(name, place)
        if (there := find_existing(place)) is not None:
            free[name] = shutil.disk_usage(there).free / GIB
    if not found:
        least = min(free, key=free.__getitem__)
        what = f"every folder can be written; least is free at {least}: {free[least]:.1f} GiB"
        found.append(Finding("environment", "folders", "ok", what))
    hub = {
        "endpoint": drop_password(constants.ENDPOINT),
        "offline": bool(constants.HF_HUB_OFFLINE),
        "token": get_token() is not None,
    }
    return [*found, hub_finding(**hub, pushes=pushes)], {"free_disk_gib": free, "hub": hub}


def drop_password(address: str) -> str:
    """An address without the name and password that may stand before the host."""
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def find_existing(place: Path) -> Path | None:
    """The folder itself, or the one that it would be made in; None if a file is in the way."""
    place = place.expanduser().absolute()
    first = next(path for path in (place, *place.parents) if path.exists() or path.is_symlink())
    return first if first.is_dir() else None


def place_findings(name: str, place: Path) -> list[Finding]:
    """Reasons why a folder, which need not exist yet, cannot be written."""
    there = find_existing(place)
    fix = f"Choose another --{name}" if "_" in name else "Set HF_HOME to another folder"
    if there is None:
        what = f"{name} {place} cannot be a folder: there is a file in the way"
        return [Finding("environment", "folders", "error", what, fix=fix)]
    if not os.access(there, os.W_OK | os.X_OK):
        what = f"{name} {place} cannot be written: no permission in {there}"
        return [Finding("environment", "folders", "error" if "_" in name else "warning", what, fix=fix)]
    return disk_findings(name, place, shutil.disk_usage(there).free)


def disk_findings(name: str, place: Path, free: int) -> list[Finding]:
    if free >= LITTLE:
        return []
    what = f"{free / GIB:.2f} GiB are free at {name} {place}"
    fix = "Make room, or choose another folder"
    return [Finding("environment", "folders", "error" if free < NOTHING else "warning", what, fix=fix)]


def hub_finding(*, endpoint: str, offline: bool, token: bool, pushes: bool) -> Finding:
    """Whether the Hub can be read, and pushed to if that is wanted; it is not contacted."""
    evidence = [f"endpoint {endpoint}; a token is {'there' if token else 'not there'}; offline: {offline}"]
    if pushes and offline:
        what, fix = "--push_to_hub with HF_HUB_OFFLINE: nothing can be pushed", "Unset HF_HUB_OFFLINE"
        return Finding("environment", "hub", "error", what, evidence, fix)
    if pushes and not token:
        what, fix = "--push_to_hub without a token", "Run: hf auth login, or set HF_TOKEN"
        return Finding("environment", "hub", "error", what, evidence, fix)
    if offline:
        what = "HF_HUB_OFFLINE: models and datasets come from folders and the cache alone"
        return Finding("environment", "hub", "note", what, evidence)
    return Finding("environment", "hub", "ok", f"the Hub may be asked ({endpoint})", evidence)


def tracker_findings(report_to: Sequence[Any]) -> list[Finding]:
    """Whether the trackers of `--report_to` could start."""
    names = [name for name in report_to if isinstance(name, str) and name != "none"]
    found = [
        Finding("environment", "trackers", "error", f"--report_to {name}: {fault.rule}", fix=fault.fix)
        for name in names
        if (fault := find_tracker_fault(name))
    ]
    if names and not found:
        found.append(Finding("environment", "trackers", "ok", f"logs go to {', '.join(names)}"))
    return found
