"""Answers: how many rows judge them, which classes are rare, and names that look like one class twice."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from datasets import ClassLabel, LargeList, List

from hfkit.doctor.findings import Finding, shown
from hfkit.doctor.repeats import normal
from hfkit.doctor.rows import Rows

FEW = 10  # training rows of a class
SMALL = 200  # rows of a split that is judged on
LOPSIDED = 0.8  # share of the largest class
LISTED = 8  # names


def examine_answers(rows: Rows) -> list[Finding]:
    """Sizes, label map and balance."""
    return [*size_findings(rows), *label_findings(rows), *balance_findings(rows)]


def size_findings(rows: Rows) -> list[Finding]:
    """Splits too small to tell contenders apart."""
    found = []
    for split in ("validation", "test"):
        count = rows.sampled.get(split, len(rows.loaded[split]))
        if count < SMALL:
            # The widest that an interval of a share can be.
            wide = 100 * 1.96 * (0.25 / max(count, 1)) ** 0.5
            what = f"{split} has {count} rows: a score on them is known to about ±{wide:.0f} points"
            fix = "Move rows here from train" if len(rows.loaded["train"]) > 5 * count else "Collect more rows"
            found.append(Finding("data", "sizes", "note", what, fix=fix))
    return found


def label_findings(rows: Rows) -> list[Finding]:
    """The label map, names that differ in writing only, and named classes that no row has."""
    labels = rows.task.labels(rows.loaded)
    more = f" and {len(labels) - LISTED} more" if len(labels) > LISTED else ""
    what = f"{len(labels)} labels: {', '.join(labels[:LISTED])}{more}" if len(labels) > 1 else f"answers: {labels[0]}"
    found = [Finding("data", "labels", "ok", what)]
    alike = defaultdict(list)
    for label in labels:
        alike[normal(label).replace("_", " ").replace("-", " ")].append(label)
    twins = [names for names in alike.values() if len(names) > 1 and "token" not in rows.task.name]
    if twins:
        told = [" and ".join(map(shown, names)) for names in twins]
        what = f"{len(twins)} labels are written in more than one way, and each way is a class of its own"
        found.append(Finding("data", "labels-alike", "warning", what, told, "Write each label in one way"))
    inner = feature.feature if isinstance(feature := answer_feature(rows), List | LargeList) else feature
    if isinstance(inner, ClassLabel) and "label" in rows.found.columns and not rows.sampled:
        empty = [name for name in inner.names if name not in labels]
        if empty:
            what = f"{len(empty):,} of {len(inner.names):,} classes that the column names have no row"
            told = [", ".join(empty[:LISTED])]
            found.append(Finding("data", "labels-empty", "note", what, told, "No model will answer them"))
    return found


def answer_feature(rows: Rows) -> Any:
    column = rows.found.columns.get("label") or rows.found.columns.get("tags")
    return column and rows.found.raw["train"].features[column]


def balance_findings(rows: Rows) -> list[Finding]:
    """Rare classes, one that outnumbers all others, and classes that nothing is judged on."""
    counts = {split: counts_of(rows.facts[split]) for split in rows.loaded}
    learnt = counts["train"]
    if not learnt:
        facts = rows.facts["train"]
        what = f"answers of train from {facts['lowest']:g} to {facts['highest']:g}, {facts['mean']:.3g} on average"
        return [Finding("data", "balance", "ok", what)]
    kind = "types of entities" if "entities" in rows.facts["train"] else "classes"
    unit = "times" if "entities" in rows.facts["train"] else "rows"
    ranked = sorted(learnt.items(), key=lambda item: -item[1])
    told = [f"train: {named(ranked, unit)}"]
    if len(ranked) > LISTED:
        told = [f"train: most {named(ranked[:3], unit)}; least {named(ranked[-3:], unit)}"]
    found = []
    rare = [item for item in ranked if item[1] < FEW]
    if rare:
        what = f"{len(rare):,} of {len(ranked):,} {kind} are in train fewer than {FEW} times"
        fix = "Collect more of them, merge them, or judge them apart: they will hardly be learnt"
        found.append(Finding("data", "rare", "warning", what, [named(rare[::-1][:LISTED], unit)], fix))
    largest = ranked[0][1] / max(len(rows.loaded["train"]), 1)
    single = getattr(rows.task, "problem", "") == "single-label"
    if single and largest > LOPSIDED:
        what = f"{100 * largest:.0f} % of train are {shown(ranked[0][0])}: answering it always scores that well"
        fix = "Read macro F1 beside the accuracy; try --class_weights balanced"
        found.append(Finding("data", "lopsided", "warning", what, told, fix))
    for split in ("validation", "test"):
        missing = [name for name in learnt if name not in counts[split]]
        if missing:
            what = f"{len(missing):,} of {len(learnt):,} {kind} are not in {split}"
            more = ", …" if len(missing) > LISTED else ""
            fix = "Draw the splits by class, or no score will tell of them"
            listed = ", ".join(missing[:LISTED]) + more
            found.append(Finding("data", "unjudged", "note", what, [listed], fix))
    return found or [Finding("data", "balance", "ok", f"{len(learnt)} {kind}, none rare", told)]


def counts_of(facts: Mapping[str, Any]) -> dict[str, int]:
    """How often each class, or type of entity, is in a split; {} for numbers."""
    return facts.get("classes") or facts.get("entities") or {}


def named(counts: list[tuple[str, int]], unit: str) -> str:
    return ", ".join(f"{name} ({count:,} {unit})" for name, count in counts)
