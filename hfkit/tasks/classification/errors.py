"""Errors of a classifier for the report: scores of every class, confusions, and instructive mistakes."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hfkit.contract.view import Choice, Mistake, Shown, Text

MOST_CONFUSED = 20  # classes in the table of confusions
OF_A_KIND = 2  # mistakes to show
OTHERS = "(others)"


def class_breakdown(
    predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]], *, single: bool
) -> dict[str, Any]:
    """Precision, recall and F1 of every class, and with one label per row the confusions of the worst classes."""
    right, said, gold = Counter(), Counter(), Counter()
    for ours, theirs in zip(predictions, references, strict=True):
        right.update(set(ours) & set(theirs))
        said.update(ours)
        gold.update(theirs)
    per_class = {
        name: {
            "precision": right[name] / max(said[name], 1),
            "recall": right[name] / max(gold[name], 1),
            "f1": 2 * right[name] / max(said[name] + gold[name], 1),
            "support": gold[name],
        }
        for name in sorted({*said, *gold})
    }
    if not single:
        return {"per_class": per_class, "confusion": None, "note": "A row may have several classes."}
    return {"per_class": per_class, **confusion([row[0] for row in predictions], [row[0] for row in references])}


def confusion(predictions: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
    """Counts of gold classes taken for predicted ones; with many classes only for the most confused."""
    counts = Counter(zip(references, predictions, strict=True))
    wrong = Counter()
    for (gold, predicted), count in counts.items():
        if gold != predicted:
            wrong.update({gold: count, predicted: count})
    names = sorted({*predictions, *references})
    note = ""
    if len(names) > MOST_CONFUSED:
        names = sorted(name for name, _ in wrong.most_common(MOST_CONFUSED))
        note = f"The {len(names)} classes that are most often confused, of {len({*predictions, *references})}."
        if not names:
            return {"confusion": None, "note": "No class was taken for another."}
    totals = Counter(references)
    table = [[counts[gold, predicted] for predicted in names] for gold in names]
    predicted = list(names)
    if note:
        predicted.append(OTHERS)
        table = [[*row, totals[gold] - sum(row)] for gold, row in zip(names, table, strict=True)]
    return {"confusion": {"gold": names, "predicted": predicted, "counts": table}, "note": note}


def number_mistakes(predictions: list, references: list, show_row: Callable[[int], Shown], limit: int) -> list[Mistake]:
    """At most `limit` rows, those with the largest errors."""
    misses = np.abs(np.array(predictions, dtype=float) - np.array(references, dtype=float))
    worst = [int(row) for row in np.argsort(-misses, kind="stable")[:limit] if misses[row] > 0]
    return [
        Mistake(
            row,
            "far off",
            f"off by {misses[row]:.2f}",
            show_row(row),
            Text(f"{references[row]:g}"),
            Text(f"{predictions[row]:.3g}"),
        )
        for row in worst
    ]


def choice_mistakes(
    pairs: Sequence[tuple[tuple[str, ...], tuple[str, ...]]],
    show_row: Callable[[int], Shown],
    limit: int,
    *,
    several: bool,
) -> list[Mistake]:
    """At most `limit` rows with wrong labels: the most frequent confusions, at most `OF_A_KIND` of each.

    Args:
        pairs: gold and predicted labels of every row.
        several: a row may have any number of them.
    """
    wrong = [row for row, (gold, ours) in enumerate(pairs) if set(gold) != set(ours)]
    kinds = Counter(pairs[row] for row in wrong)
    shown: Counter = Counter()
    chosen = []
    for row in sorted(wrong, key=lambda row: -kinds[pairs[row]]):
        if shown[pairs[row]] < OF_A_KIND and len(chosen) < limit:
            shown[pairs[row]] += 1
            chosen.append(row)
    return [
        Mistake(
            row,
            "set of labels" if several else "confusion",
            explain(pairs[row], kinds[pairs[row]], several=several),
            show_row(row),
            *(Choice(labels, several) for labels in pairs[row]),
        )
        for row in chosen
    ]


def explain(pair: tuple[tuple[str, ...], tuple[str, ...]], count: int, *, several: bool) -> str:
    """A mistake in words, and how often it was made."""
    gold, ours = pair
    times = f"{count} times in test" if count > 1 else "once in test"
    if not several:
        return f"{gold[0]} taken for {ours[0]}, {times}"
    missed, invented = sorted({*gold} - {*ours}), sorted({*ours} - {*gold})
    parts = [f"missed {', '.join(missed)}"] if missed else []
    parts += [f"invented {', '.join(invented)}"] if invented else []
    return f"{', '.join(parts)}, {times}"
