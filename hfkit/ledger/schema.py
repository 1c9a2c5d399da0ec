"""The keys of ledger.json, and the check that a ledger has exactly these.

    schema         name and version of this layout; a change of keys changes the version
    created        when the record was made, UTC, ISO 8601
    command        the command line, as a shell takes it
    title          what was compared, in a line
    settings       every flag with its resolved value
    seed           of the resampling
    task           key (the task's own name), name (its tag on the Hub), headline (the key of the score that decides),
                   unit (what is resampled), dataset, scores (of each its key, its title, whether higher or lower is
                   better, and the metric's name on the Hub, null where that is the key)
    checkpoint     the one that the strategies start from
    rows           of each split, and how many training rows there were to draw from; with folds those of the first
                   one, and as test all that are held out
    folds          null without cross-validation; else how many there are, with how many seeds each, and how many test
                   rows of the dataset were left alone
    notes          sentences that a reader must know
    contenders     those with at least one run that did not fail: what each is, the rates and other settings
                   tried for it on validation (null in the place of a score where a trial failed or was pruned),
                   the result and learning curve of every seed and fold, their mean (`headline`) with its standard
                   deviation (`spread`) and interval over test rows, the mean on validation rows (null if none), its
                   difference from the chosen contender (null for that one itself) with the limits at the `level` at
                   which its p is tested, needed_rows from and to (null where no sensible number would do),
                   cost of one run, size, latency of one row, calibration before and after a temperature, other facts
    failed         every run that failed, with its reason
    skipped        contenders that could not be run here, with the reason
    chosen         the contender that did best on validation, with which the others are compared; null if none finished
    pairs          the two differences that decide: of the strategy that validation chose from training from scratch,
                   and from the baselines
    verdict        sentences, each with its rule, and what to try next
    budgets        null without them; else the score by number of training rows, and where curves cross
    classes        null if the task has none; else one score by class and contender
    disagreements  test rows that one contender alone gets right
    environment    machine and versions

Seconds are seconds, memory is MiB, latency is milliseconds, energy is kWh, shares are fractions of one.
"""

from collections.abc import Iterator
from typing import Any

from hfkit.report.schema import ANY, INTERVAL, PICTURE, REPORT, find_fault, raise_if

SCHEMA = "hfkit.ledger/4"
COSTS = ("cpu_seconds", "wall_seconds", "peak_memory_mib", "tuning_cpu_seconds")  # others where they were measured

BINS = [{"confidence": float, "accuracy": float, "rows": int}]
DIFFERENCE = {
    "to": str,
    "difference": float,
    "low": float,
    "high": float,
    "p": float,
    "p_holm": float,
    "level": float,
    "different": bool,
    "needed_rows": (None, [(None, int)]),
    "needed_seeds": (None, int),
}
DECIDING = {"of": str, **DIFFERENCE}
CONTENDER = {
    "name": str,
    "kind": ("strategy", "baseline"),
    "description": str,
    "tuning": (
        None,
        {
            "tried": [
                {"learning_rate": float, "validation": (None, float), "pruned": bool, "changes": {...: ANY}},
            ],
            "chosen": float,
            "changes": {...: ANY},
        },
    ),
    "seeds": [
        {
            "seed": (None, int),
            "fold": (None, int),
            "status": ("ok", "failed"),
            "reason": str,
            "validation": (None, float),
            "headline": (None, float),
            "scores": {...: float},
            "curve": [{"epoch": (int, float), "validation": float}],
        }
    ],
    "failed": int,
    "validation": (None, float),
    "headline": float,
    "spread": (None, float),
    "interval": INTERVAL,
    "difference": (None, DIFFERENCE),
    "cost": {...: float},
    "parameters": (None, int),
    "trained_parameters": (None, int),
    "latency_ms": (None, float),
    "calibration": (None, {"ece": float, "ece_scaled": float, "temperature": float, "bins": BINS, "bins_scaled": BINS}),
    "facts": {...: ANY},
}
LEDGER = {
    "schema": SCHEMA,
    "created": str,
    "command": str,
    "title": str,
    "settings": {...: ANY},
    "seed": int,
    "task": REPORT["task"],
    "checkpoint": str,
    "rows": {"train": int, "train_available": int, "validation": int, "test": int},
    "folds": (None, {"count": int, "repeats": int, "held_out_test": int}),
    "notes": [str],
    "contenders": [CONTENDER],
    "failed": [{"name": str, "seed": (None, int), "reason": str}],
    "skipped": [{"name": str, "reason": str}],
    "chosen": (None, str),
    "pairs": {"scratch": (None, DECIDING), "baseline": (None, DECIDING)},
    "verdict": {"sentences": [{"rule": str, "text": str}], "next": [str]},
    "budgets": (
        None,
        {
            "curves": [
                {
                    "name": str,
                    "points": [{"rows": int, "headline": float, "low": float, "high": float, "seeds": [float]}],
                }
            ],
            "crossovers": [
                {
                    "a": str,
                    "b": str,
                    "rows": (int, float),
                    "low": (None, int, float),
                    "high": (None, int, float),
                    "text": str,
                }
            ],
        },
    ),
    "classes": (None, {"labels": [str], "scores": {...: [(None, float)]}, "metric": str}),
    "disagreements": [
        {"row": int, "shown": str, "picture": (None, PICTURE), "gold": str, "right": str, "answers": {...: str}}
    ],
    "environment": REPORT["environment"],
}


def validate_ledger(ledger: dict[str, Any]) -> None:
    """Refuse a ledger whose keys or values are not those of `LEDGER`, naming the first place that is wrong.

    Raises:
        ValueError: a key missing or unknown, a value of another type (numpy's scalars included), nan or infinity, a
            picture that is not a data URI, a cost that is missing or below zero, or parts that contradict each other.
    """
    raise_if(find_fault(ledger, LEDGER, "ledger") or next(_contradictions(ledger), None))


def _contradictions(ledger: dict[str, Any]) -> Iterator[str]:
    """Places where values contradict each other, though each is as described."""
    if ledger["task"]["headline"] not in [score["key"] for score in ledger["task"]["scores"]]:
        yield "ledger.task.headline: it is the key of none of the scores"
    names = [contender["name"] for contender in ledger["contenders"]]
    yield from (f"ledger.contenders: {name!r} is there twice" for name in sorted(set(names)) if names.count(name) > 1)
    for i, contender in enumerate(ledger["contenders"]):
        place = f"ledger.contenders[{i}]"
        yield from (f"{place}.cost: {key} is missing" for key in COSTS if key not in contender["cost"])
        yield from (f"{place}.cost.{key}: {cost} is below zero" for key, cost in contender["cost"].items() if cost < 0)
        if contender["failed"] != sum(seed["status"] == "failed" for seed in contender["seeds"]):
            yield f"{place}.failed: it is not the number of seeds that failed"
        if (contender["difference"] is None) != (contender["name"] == ledger["chosen"]):
            yield f"{place}.difference: the chosen contender has none, and every other has one"
        if contender["difference"] and contender["difference"]["to"] != ledger["chosen"]:
            yield f"{place}.difference.to: {contender['difference']['to']!r} is not the chosen contender"
        for j, seed in enumerate(contender["seeds"]):
            if (seed["status"] == "ok") != (seed["headline"] is not None):
                yield f"{place}.seeds[{j}].headline: a run has a score exactly if it did not fail"
    for i, curve in enumerate((ledger["budgets"] or {"curves": []})["curves"]):
        if any(point["rows"] < 1 for point in curve["points"]):
            yield f"ledger.budgets.curves[{i}]: a budget below one row"
    classes = ledger["classes"] or {"labels": [], "scores": {}}
    for name, scores in classes["scores"].items():
        if name not in names:
            yield f"ledger.classes.scores: {name!r} is not a contender"
        if len(scores) != len(classes["labels"]):
            yield f"ledger.classes.scores[{name!r}]: not one score for every label"
    for i, row in enumerate(ledger["disagreements"]):
        yield from (
            f"ledger.disagreements[{i}]: {name!r} is not a contender"
            for name in (row["right"], *row["answers"])
            if name not in names
        )
