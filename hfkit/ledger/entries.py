"""Facts about single contenders of ledger.json, shared by the verdict, the advice and the tables."""

from collections.abc import Mapping, Sequence
from typing import Any

MOST_NAMES = 4

Facts = Mapping[str, Any]


def is_scratch(name: str) -> bool:
    """Whether the contender of this name starts from random weights: the strategy `scratch`, with any flags."""
    return name.split()[:1] == ["scratch"]


def pretrained_strategies(contenders: Sequence[Facts]) -> list[Facts]:
    """The strategies that start from the checkpoint."""
    return [c for c in contenders if c["kind"] == "strategy" and not is_scratch(c["name"])]


def failed_runs(contender: Facts) -> list[Facts]:
    return [run for run in contender["seeds"] if run["status"] == "failed"]


def finished_runs(contender: Facts) -> list[Facts]:
    return [run for run in contender["seeds"] if run["status"] == "ok"]


def collapsed_runs(contender: Facts) -> list[Facts]:
    """The finished runs that give every row the same answer; the majority baseline does so by design."""
    return [] if contender["name"] == "majority" else [run for run in finished_runs(contender) if run["reason"]]


def lost_contenders(ledger: Facts) -> dict[str, list[str]]:
    """The contenders without a finished run, and the reasons of their failures."""
    standing = {contender["name"] for contender in ledger["contenders"]}
    lost: dict[str, list[str]] = {}
    for run in ledger["failed"]:
        if run["name"] not in standing:
            reasons = lost.setdefault(run["name"], [])
            if run["reason"] not in reasons:
                reasons.append(run["reason"])
    return lost


def total_cost(contender: Facts) -> float:
    """CPU seconds of one run and of choosing its learning rate."""
    return contender["cost"]["cpu_seconds"] + (contender["cost"].get("tuning_cpu_seconds") or 0.0)


def headline_of(contender: Facts) -> float:
    return contender["headline"]


def turn(difference: Facts, sign: int) -> dict[str, float]:
    """`difference`, `low` and `high` times 1 or -1: the same difference seen from the other side."""
    low, high = sorted((sign * difference["low"], sign * difference["high"]))
    return {"difference": sign * difference["difference"], "low": low, "high": high}


def join_names(names: Sequence[str]) -> str:
    """Names in a sentence; of many, the first few."""
    rest = len(names) - MOST_NAMES
    names = [*names[:MOST_NAMES], f"{rest} more"] if rest > 0 else names
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
