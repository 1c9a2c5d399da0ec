"""Reasons to doubt a model that its report gives: from the scores, the confusions and the data."""

from typing import Any

from hfkit.report.pages import score_text, words
from hfkit.scores.score import headline_score

FEW = 30  # rows of a class in test, below which its score says little
MOST = 3  # classes, confusions or kinds of error that are named


def find_limits(report: dict[str, Any]) -> list[str]:
    """One sentence each, the most telling first."""
    limits = [*class_limits(report["breakdown"]), *error_limits(report), *row_limits(report["data"])]
    subject, *others = report["contenders"]
    score = headline_score(report["task"])
    rival = score.best(others, lambda contender: contender["headline"]) if others else None
    if rival and score.sign * rival["headline"] >= score.sign * subject["headline"]:
        limits.insert(0, f"It does not score {'above' if score.better == 'higher' else 'below'} {rival['name']}.")
    if subject["interval"]["note"]:
        limits.append(f"Of its interval: {subject['interval']['note']}.")
    if report["training"]:
        limits.append("One training run was measured: the interval does not show how much another seed would change.")
    return limits


def class_limits(breakdown: dict[str, Any] | None) -> list[str]:
    """The weakest classes, and how many are too rare in test to say much about."""
    per_class = (breakdown or {"per_class": {}})["per_class"]
    classes = {name: scores for name, scores in per_class.items() if scores["support"]}
    if len(classes) < 2:
        return []
    ranked = sorted(classes.items(), key=lambda item: (item[1]["f1"], -item[1]["support"]))
    weakest = ranked[: min(MOST, len(ranked) // 2)]
    named = ", ".join(f"{name} (F1 {score_text(s['f1'])} on {s['support']:,} in test)" for name, s in weakest)
    rare = sum(scores["support"] < FEW for scores in classes.values())
    return [f"It is weakest on {named}."] + (
        [f"{rare:,} of {len(classes):,} classes have fewer than {FEW} in test: their scores say little."]
        if rare
        else []
    )


def error_limits(report: dict[str, Any]) -> list[str]:
    """The most frequent confusions; without a table of them, the kinds of the errors that the report shows."""
    breakdown = report["breakdown"]
    if not breakdown or not breakdown["confusion"]:
        kinds = list(dict.fromkeys(error["why"] for error in report["errors"]))[:MOST]
        return [f"Among its errors: {'; '.join(kinds)}."] if kinds else []
    gold, predicted, counts = (breakdown["confusion"][key] for key in ("gold", "predicted", "counts"))
    pairs = [
        (count, sum(row), name, other)
        for name, row in zip(gold, counts, strict=True)
        for other, count in zip(predicted, row, strict=True)
        if count and name != other and other != "(others)"
    ]
    worst = sorted(pairs, key=lambda pair: (-pair[0], pair[2:]))[:MOST]
    named = "; ".join(f"{name} → {other} {count:,} of {total:,}" for count, total, name, other in worst)
    return [f"Its most frequent errors on test, gold → predicted: {named}."] if worst else []


def row_limits(data: dict[str, Any]) -> list[str]:
    """Test rows that were cut off, left out or seen in training."""
    test, limits = data.get("test", {}), []
    if test.get("rows_shared_with_train"):
        shared = f"{test['rows_shared_with_train']:,} test rows occur unchanged in train"
        limits.append(f"{shared}; they may flatter every contender.")
    if test.get("truncated"):
        limits.append(f"It read only the beginning of {test['truncated']:,} test rows, which were too long for it.")
    if test.get("skipped"):
        kinds = ", ".join(f"{words(rule)}: {count:,}" for rule, count in test["skipped"].items())
        limits.append(f"Bad rows were left out of test ({kinds}).")
    return limits
