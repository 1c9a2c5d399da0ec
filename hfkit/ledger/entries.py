"""What one contender of ledger.json says of itself, read alike by the verdict, the advice and the tables."""

from collections.abc import Mapping, Sequence
from typing import Any

MOST_NAMES = 4

Facts = Mapping[str, Any]


def from_scratch(name: str) -> bool:
    """Whether a contender of this name starts from random weights: the strategy `scratch`, whatever flags follow it."""
    return name.split()[:1] == ["scratch"]


def pretrained(contenders: Sequence[Facts]) -> list[Facts]:
    """The strategies that start from the checkpoint."""
    return [c for c in contenders if c["kind"] == "strategy" and not from_scratch(c["name"])]


def failures(contender: Facts) -> list[Facts]:
    return [run for run in contender["seeds"] if run["status"] == "failed"]


def ran(contender: Facts) -> list[Facts]:
    return [run for run in contender["seeds"] if run["status"] == "ok"]


def collapsed(contender: Facts) -> list[Facts]:
    """The runs that ended well and say the same of every row; the majority baseline does so by intent."""
    return [] if contender["name"] == "majority" else [run for run in ran(contender) if run["reason"]]


def lost(ledger: Facts) -> dict[str, list[str]]:
    """Of every contender without a run that ended well, why: such contenders are in the list of failed runs alone."""
    standing = {contender["name"] for contender in ledger["contenders"]}
    found: dict[str, list[str]] = {}
    for run in ledger["failed"]:
        if run["name"] not in standing:
            reasons = found.setdefault(run["name"], [])
            reasons += [run["reason"]] * (run["reason"] not in reasons)
    return found


def cost(contender: Facts) -> float:
    """CPU seconds, those of choosing its learning rate included."""
    return contender["cost"]["cpu_seconds"] + (contender["cost"].get("tuning_cpu_seconds") or 0.0)


def listed(names: Sequence[str]) -> str:
    """Names in a sentence; of many the first."""
    rest = len(names) - MOST_NAMES
    names = [*names[:MOST_NAMES], f"{rest} more"] if rest > 0 else names
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
