"""Facts about single contenders of ledger.json, shared by the verdict, the advice and the tables."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

MOST_NAMES = 4
NEARLY_NONE = 0.02  # of the rows there are
RISING = 0.005  # mean gain on validation in the last epoch that says training ended too early

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


def last_gain(contender: Facts, sign: int) -> float | None:
    """By how much validation improved in the last epoch on the best before it, on average over seeds.

    Of a training shorter than two epochs it is the last half. None if no run was evaluated on both sides.

    Args:
        sign: 1, or -1 if a lower score is better.
    """
    gains = []
    for run in finished_runs(contender):
        last = max((point["epoch"] for point in run["curve"]), default=0.0)
        start = last - min(1.0, last / 2) + 1e-6  # epochs are rounded
        before, after = (
            [sign * point["validation"] for point in run["curve"] if (point["epoch"] <= start) is early]
            for early in (True, False)
        )
        if before and after:
            gains.append(max(after) - max(before))
    return float(np.mean(gains)) if gains else None


def is_rising(contender: Facts, sign: int) -> bool:
    """Whether validation was still rising when training ended, so that its score is not what it can reach."""
    gain = last_gain(contender, sign)
    return gain is not None and gain >= RISING


def is_unfinished(contender: Facts, sign: int) -> bool:
    """Whether its score is not what it can reach: validation was still rising, or seeds collapsed."""
    return is_rising(contender, sign) or (contender["kind"] == "strategy" and bool(collapsed_runs(contender)))


def twice_the_epochs(contenders: Sequence[Facts]) -> int | None:
    """Twice the most epochs that any of them trained for; None without a curve."""
    epochs = [point["epoch"] for c in contenders for run in finished_runs(c) for point in run["curve"]]
    return 2 * int(np.ceil(max(epochs))) if epochs else None


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


def more_rows_text(needed: Sequence[int | None] | None, present: int) -> str | None:
    """How many more rows are needed, as "about 200 to 1,500"; None if no sensible number would do.

    Args:
        needed: all rows that would do, from and to; no end if it is beyond all sense.
        present: the rows there are.
    """
    if needed is None:
        return None
    low, high = (None if count is None else max(count - present, 1) for count in needed)
    if high is None:
        return f"at least {low:,}"
    if low == high:
        return f"about {low:,}"
    # Chance decides already at the rows there are, if a few more could do.
    return f"up to {high:,}" if low <= NEARLY_NONE * present else f"about {low:,} to {high:,}"


def join_counts(contenders: Sequence[Facts], runs_of: Callable[[Facts], list[Facts]]) -> str:
    """Contenders in a sentence, each with how many of its runs are such: "full (2 of 3 seeds)"."""
    counts = [(c["name"], len(runs_of(c)), len(c["seeds"]), noun_of(c)) for c in contenders]
    return join_names([f"{name} ({some} of {every} {plural(noun, every)})" for name, some, every, noun in counts])


def noun_of(contender: Facts) -> str:
    """The word for what tells the runs of a contender apart: seeds, or the folds of a cross-validation."""
    return "fold" if any(run["fold"] is not None for run in contender["seeds"]) else "seed"


def plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"


def join_names(names: Sequence[str]) -> str:
    """Names in a sentence; of many, the first few."""
    rest = len(names) - MOST_NAMES
    names = [*names[:MOST_NAMES], f"{rest} more"] if rest > 0 else names
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
