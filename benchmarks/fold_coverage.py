"""How often the 95 % intervals of a cross-validation hold the truth, where the expected score of a learner is known.

    nice python -m benchmarks.fold_coverage            # 4 minutes on one core; continues where it was
    python -m benchmarks.fold_coverage --fresh         # forgets the cells that there are

Two classes of normal numbers. A learner's expected score, over training sets of the size that a fold trains on, is the
mean over 20,000 of them (2,000 for the nearest neighbour), with the accuracy of each computed, not sampled, where there
is a formula. Each replicate draws rows, puts them in folds with as many of each class, and asks `FoldComparison` for
the interval; beside it stands the usual one, without the correction. Cells lie in runs/bench/fold_coverage, the result
in benchmarks/results/fold_coverage.json.
"""

import argparse
import json
import shutil
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import ndtr, stdtrit

from hfkit.ledger.fold_comparison import Fold, FoldComparison
from hfkit.runtime.machine import environment

CELLS, RESULT = Path("runs/bench/fold_coverage"), Path(__file__).parent / "results" / "fold_coverage.json"
REPLICATES, TRUTHS, FEW_TRUTHS = 1000, 20_000, 2_000
SETTINGS = [(5, 1), (10, 1), (5, 3), (10, 3)]  # folds, seeds
ROWS = (100, 300)
VALIDATION = 0.1  # share of the rows that a fold does not hold out, as hfkit draws by default
WIDTH, DISTANCE = 12, 0.35  # numbers in a row, and how far the mean of each is from zero
RIVALS, SHARE_OF_RIVAL = 10, 4  # equal contenders, and the numbers that each of them looks at

Draw = np.random.Generator
Learner = Callable[[np.ndarray, np.ndarray, Draw], Callable[[np.ndarray], np.ndarray]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--fresh", action="store_true", help="measure every cell again")
    parser.add_argument("--replicates", type=int, default=REPLICATES)
    args = parser.parse_args()
    if args.fresh:
        shutil.rmtree(CELLS, ignore_errors=True)
    CELLS.mkdir(parents=True, exist_ok=True)
    cells = []
    for kind, measure in {**dict.fromkeys(LEARNERS, cover), "equal contenders": claim}.items():
        for rows in ROWS if measure is cover else ROWS[:1]:
            for folds, seeds in SETTINGS if measure is cover else SETTINGS[:3]:
                path = CELLS / f"{kind}-{rows}-{folds}-{seeds}-{args.replicates}.json".replace(" ", "_")
                if not path.is_file():
                    begun = time.process_time()
                    found = measure(kind, rows, folds, seeds, args.replicates)
                    facts = {"kind": kind, "rows": rows, "folds": folds, "seeds": seeds, **found}
                    facts["cpu_seconds"] = round(time.process_time() - begun, 1)
                    path.write_text(json.dumps(facts))
                    print(facts, flush=True)
                cells.append(json.loads(path.read_text()))
    result = {"command": "python -m benchmarks.fold_coverage", "replicates": args.replicates, "cells": cells}
    RESULT.write_text(json.dumps({**result, "environment": environment()}, indent=1) + "\n")


def rows_of(draw: Draw, count: int, width: int = WIDTH) -> tuple[np.ndarray, np.ndarray]:
    """Rows of two classes, (count, width), and the class of each, half of them 1."""
    classes = np.arange(count) % 2
    return draw.normal(size=(count, width)) + DISTANCE * (2 * classes[:, None] - 1), classes


def nearest_mean(columns: slice, part: float = 1.0) -> Learner:
    """A learner that looks at some columns, and fits the two means on a part of the rows that it draws anew."""

    def fit(rows: np.ndarray, classes: np.ndarray, draw: Draw) -> Callable[[np.ndarray], np.ndarray]:
        if part < 1:
            of_each = [draw.permutation(np.flatnonzero(classes == one)) for one in (0, 1)]
            kept = np.concatenate([numbers[: round(part * len(numbers))] for numbers in of_each])
            rows, classes = rows[kept], classes[kept]
        means = [rows[classes == one][:, columns].mean(axis=0) for one in (0, 1)]
        weights = means[1] - means[0]
        return Answer(columns, weights, weights @ (means[0] + means[1]) / 2)

    return fit


class Answer:
    """A linear rule, whose accuracy on rows without end has a formula."""

    def __init__(self, columns: slice, weights: np.ndarray, bias: float) -> None:
        self.columns, self.weights, self.bias = columns, weights, bias

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        return (rows[:, self.columns] @ self.weights > self.bias).astype(int)

    def accuracy(self) -> float:
        centre, length = DISTANCE * self.weights.sum(), np.linalg.norm(self.weights)
        return float(ndtr((centre - self.bias) / length) + ndtr((centre + self.bias) / length)) / 2


def nearest_neighbour(rows: np.ndarray, classes: np.ndarray, draw: Draw) -> Callable[[np.ndarray], np.ndarray]:
    """A learner that takes the class of the nearest training row."""
    lengths = (rows**2).sum(axis=1)
    return lambda asked: classes[np.argmin(lengths - 2 * asked @ rows.T, axis=1)]


ALL, FEW, OTHER = slice(0, WIDTH), slice(0, 6), slice(6, 12)
LEARNERS: dict[str, tuple[Learner, Learner | None]] = {  # one, or two to compare
    "score: nearest mean": (nearest_mean(ALL), None),
    "score: nearest mean of a random fifth": (nearest_mean(ALL, 0.2), None),
    "score: nearest neighbour": (nearest_neighbour, None),
    "difference: all numbers against half of them": (nearest_mean(ALL), nearest_mean(FEW)),
    "difference: two equal halves": (nearest_mean(FEW), nearest_mean(OTHER)),
    "difference: two random fifths": (nearest_mean(ALL, 0.2), nearest_mean(ALL, 0.2)),
    "difference: nearest mean and neighbour": (nearest_mean(ALL), nearest_neighbour),
}


@cache
def truth_of(learner: Learner, trained: int) -> float:
    """The mean accuracy over training sets of so many rows."""
    draw, found = np.random.default_rng(trained), []
    computed = learner is not nearest_neighbour
    for _ in range(TRUTHS if computed else FEW_TRUTHS):
        answer = learner(*rows_of(draw, trained), draw)
        if computed:
            found.append(answer.accuracy())
        else:
            asked, classes = rows_of(draw, 500)
            found.append(float((answer(asked) == classes).mean()))
    return float(np.mean(found))


def splits_of(classes: np.ndarray, folds: int, draw: Draw) -> list[dict[str, np.ndarray]]:
    """The numbers of the rows of every fold, by split: as `draw_folds` shares out two classes of one size."""
    held, found = np.empty(len(classes), dtype=int), []
    for one in (0, 1):
        numbers = draw.permutation(np.flatnonzero(classes == one))
        held[numbers] = np.arange(len(numbers)) % folds
    for fold in range(folds):
        left = draw.permutation(np.flatnonzero(held != fold))
        count = round(VALIDATION * len(left))
        found.append({"test": np.flatnonzero(held == fold), "validation": left[:count], "train": left[count:]})
    return found


def cover(kind: str, rows: int, folds: int, seeds: int, replicates: int) -> dict[str, Any]:
    """How often the interval of the score of a learner, or of the difference of two, holds the truth."""
    learners = [learner for learner in LEARNERS[kind] if learner is not None]
    trained = rows - rows // folds
    trained -= round(VALIDATION * trained)
    truths = [truth_of(learner, trained) for learner in learners]
    if kind in ("difference: two random fifths", "difference: two equal halves"):
        truths[1] = truths[0]  # by symmetry
    truth = truths[0] - sum(truths[1:])
    draw = np.random.default_rng(rows + folds + seeds)
    held = {"corrected": 0, "usual": 0}
    widths = {"corrected": 0.0, "usual": 0.0}
    for _ in range(replicates):
        inputs, classes = rows_of(draw, rows)
        scores: list[dict] = [{} for _ in learners]
        for seed in range(seeds):
            for fold, split in enumerate(splits_of(classes, folds, draw)):
                for of_one, learner in zip(scores, learners, strict=True):
                    answer = learner(inputs[split["train"]], classes[split["train"]], draw)
                    right = (answer(inputs[split["test"]]) == classes[split["test"]]).mean()
                    of_one[seed, fold] = Fold(float(right), len(split["test"]), len(split["train"]))
        for name, (low, high) in {"corrected": corrected(scores, rows), "usual": usual(scores)}.items():
            held[name] += int(low <= truth <= high)
            widths[name] += float(high - low)
    return {
        "truth": truth,
        **{name: held[name] / replicates for name in held},
        **{f"{name}_width": widths[name] / replicates for name in widths},
    }


def corrected(scores: list[dict], rows: int) -> tuple[float, float]:
    comparison = FoldComparison(dict(enumerate(scores)), rows=rows)
    if len(scores) == 1:
        interval = comparison.scores()[0]["interval"]
        return interval["low"], interval["high"]
    facts = comparison.differences([(0, 1)])[0, 1]
    # The page makes the interval reach to zero where the difference is not told; what is counted is whether it holds.
    return facts["low"], facts["high"]


def usual(scores: list[dict]) -> tuple[float, float]:
    """Student's t of so many scores, as if they were independent."""
    values = np.array([fold.score for fold in scores[0].values()])
    if len(scores) == 2:
        values = values - np.array([fold.score for fold in scores[1].values()])
    half = stdtrit(len(values) - 1, 0.975) * values.std(ddof=1) / np.sqrt(len(values))
    return values.mean() - half, values.mean() + half


def claim(kind: str, rows: int, folds: int, seeds: int, replicates: int) -> dict[str, Any]:
    """How often any of ten equal contenders is called different from the one that validation picks."""
    names = [str(number) for number in range(RIVALS)]
    learners = {
        name: nearest_mean(slice(SHARE_OF_RIVAL * number, SHARE_OF_RIVAL * (number + 1)))
        for number, name in enumerate(names)
    }
    draw, claimed = np.random.default_rng(rows + folds + seeds), {"allowed": 0, "plain": 0}
    for _ in range(replicates):
        inputs, classes = rows_of(draw, rows, RIVALS * SHARE_OF_RIVAL)
        scores: dict[str, dict] = {name: {} for name in names}
        validation = dict.fromkeys(names, 0.0)
        for seed in range(seeds):
            for fold, split in enumerate(splits_of(classes, folds, draw)):
                for name, learner in learners.items():
                    answer = learner(inputs[split["train"]], classes[split["train"]], draw)
                    right = {part: (answer(inputs[split[part]]) == classes[split[part]]).mean() for part in split}
                    scores[name][seed, fold] = Fold(float(right["test"]), len(split["test"]), len(split["train"]))
                    validation[name] += right["validation"]
        chosen = max(names, key=validation.__getitem__)
        comparison, pairs = FoldComparison(scores, rows=rows), [(name, chosen) for name in names if name != chosen]
        for way, picked in {"allowed": {chosen}, "plain": set()}.items():
            claimed[way] += any(facts["different"] for facts in comparison.differences(pairs, picked).values())
    return {f"claims_{way}": count / replicates for way, count in claimed.items()}


if __name__ == "__main__":
    main()
