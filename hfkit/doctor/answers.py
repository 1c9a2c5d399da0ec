"""Answers: sizes of the splits, rare classes, and names that look like one class twice."""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from datasets import ClassLabel, LargeList, List

from hfkit.contract.abilities import list_choices
from hfkit.contract.view import Choice
from hfkit.doctor.findings import Finding, quote
from hfkit.doctor.repeats import normalise
from hfkit.doctor.rows import Rows
from hfkit.scores.evidence import SHARE

FEW = 10  # training rows of a class
SMALL = 200  # rows of a split that is judged on
LOPSIDED = 0.8  # share of the largest class
LISTED = 8  # names
UNSEEN = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")


def examine_answers(rows: Rows) -> list[Finding]:
    """Sizes, label map and balance."""
    return [*size_findings(rows), *label_findings(rows), *balance_findings(rows)]


def size_findings(rows: Rows) -> list[Finding]:
    """Splits too small to tell contenders apart."""
    found = []
    for split in ("validation", "test"):
        count = rows.sampled.get(split, len(rows.splits[split]))
        if count < SMALL:
            what = f"{split} has {count} rows: {limit_of_score(rows, count)}"
            fix = "Move rows here from train" if len(rows.splits["train"]) > 5 * count else "Collect more rows"
            found.append(Finding("data", "sizes", "note", what, fix=fix))
    return found


def limit_of_score(rows: Rows, count: int) -> str:
    """How well a score on so many rows is known."""
    judge, some = rows.task.judge, rows.splits["train"].select(range(1))
    gold = rows.task.rows.references(some)
    if judge.evidence(judge.perfect_predictions(gold), gold).ends != SHARE:
        return "few to know a score by"
    # The widest that an interval of a share can be.
    wide = 100 * 1.96 * (0.25 / max(count, 1)) ** 0.5
    return f"a score on them is known to about ±{wide:.0f} points"


def label_findings(rows: Rows) -> list[Finding]:
    """The labels, names that differ in spelling only, and named classes without any row."""
    labels = rows.loaded.labels
    if not labels:
        return []
    more = f" and {len(labels) - LISTED} more" if len(labels) > LISTED else ""
    what = f"{len(labels)} labels: {', '.join(labels[:LISTED])}{more}" if len(labels) > 1 else f"answers: {labels[0]}"
    found = [Finding("data", "labels", "ok", what)]
    alike = defaultdict(list)
    for label in labels:
        alike[fold_label(label)].append(label)
    twins = [names for names in alike.values() if len(names) > 1]
    if twins and rows.task.view.answers is Choice:
        pairs = [" and ".join(map(quote, names)) for names in twins]
        what = f"{len(twins)} labels are written in more than one way, and each way is a class of its own"
        found.append(Finding("data", "labels-alike", "warning", what, pairs, "Write each label in one way"))
    names = column_classes(rows) if rows.task.view.answers is Choice and not rows.sampled else []
    if empty := [name for name in names if name not in labels]:
        what = f"{len(empty):,} of {len(names):,} classes that the column names have no row"
        listed = [", ".join(empty[:LISTED])]
        found.append(Finding("data", "labels-empty", "note", what, listed, "No model will answer them"))
    return found


def fold_label(label: str) -> str:
    """A label without case, blanks, dashes, zeros in front and characters that nobody sees."""
    words = normalise(UNSEEN.sub("", label).replace("_", " ").replace("-", " "))
    return words.lstrip("0") or words


def column_classes(rows: Rows) -> list[str]:
    """The classes that a column of answers names, whether or not a row has them; [] if none does."""
    features = rows.raw.splits["train"].features
    for name, column in rows.raw.columns.items():
        feature = features[column]
        inner = feature.feature if isinstance(feature, List | LargeList) else feature
        if name != "unit" and isinstance(inner, ClassLabel):
            return inner.names
    return []


def balance_findings(rows: Rows) -> list[Finding]:
    """Rare classes, one that outnumbers all others, and classes that no row judges."""
    counts = {split: counts_of(rows.facts[split]) for split in rows.splits}
    learnt, facts = counts["train"], rows.facts["train"]
    if not learnt and "lowest" not in facts:
        return []
    if not learnt:
        what = f"answers of train from {facts['lowest']:g} to {facts['highest']:g}, {facts['mean']:.3g} on average"
        return [Finding("data", "balance", "ok", what)]
    kind = "types of entities" if "entities" in facts else "classes"
    unit = "times" if "entities" in facts else "rows"
    ranked = sorted(learnt.items(), key=lambda item: -item[1])
    spread = [f"train: {list_counts(ranked, unit)}"]
    if len(ranked) > LISTED:
        spread = [f"train: most {list_counts(ranked[:3], unit)}; least {list_counts(ranked[-3:], unit)}"]
    found = []
    rare = [item for item in ranked if item[1] < FEW]
    if rare:
        what = f"{len(rare):,} of {len(ranked):,} {kind} are in train fewer than {FEW} times"
        fix = "Collect more of them, merge them, or score them separately; a model will hardly learn them"
        found.append(Finding("data", "rare", "warning", what, [list_counts(rare[::-1][:LISTED], unit)], fix))
    largest = ranked[0][1] / max(len(rows.splits["train"]), 1)
    view = rows.task.view
    single = view.answers is Choice and not list_choices(view, rows.loaded.target).several
    if single and largest > LOPSIDED:
        what = f"{100 * largest:.0f} % of train is {quote(ranked[0][0])}: always answering it scores that well"
        fix = "Read macro F1 beside the accuracy; try --class_weights balanced"
        found.append(Finding("data", "lopsided", "warning", what, spread, fix))
    for split in ("validation", "test"):
        missing = [name for name in learnt if name not in counts[split]]
        if missing:
            what = f"{len(missing):,} of {len(learnt):,} {kind} are not in {split}"
            more = ", …" if len(missing) > LISTED else ""
            fix = "Draw the splits by class, or no score will cover them"
            listed = ", ".join(missing[:LISTED]) + more
            found.append(Finding("data", "unjudged", "note", what, [listed], fix))
    return found or [Finding("data", "balance", "ok", f"{len(learnt)} {kind}, none rare", spread)]


def counts_of(facts: Mapping[str, Any]) -> dict[str, int]:
    """How often each class, or type of entity, occurs in a split; {} for numbers."""
    return facts.get("classes") or facts.get("entities") or {}


def list_counts(counts: list[tuple[str, int]], unit: str) -> str:
    return ", ".join(f"{name} ({count:,} {unit})" for name, count in counts)
