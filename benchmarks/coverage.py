r"""How often the 95 % intervals of scores and differences hold the truth, in simulations where it is known.

    nice python -m benchmarks.coverage             # 20 minutes on one core; continues where it was
    python -m benchmarks.coverage --fresh          # forgets the cells that there are

A cell is one kind of score, one truth and one number of test rows. Each replicate draws answers, asks hfkit for the
interval and notes whether the truth is in it; beside it stands the expanded percentile interval of the same resamples.
An accuracy needs no draws: every possible number of right answers counts with its probability. The cells are written
under runs/bench/coverage and collected in benchmarks/results/coverage.json.
"""

import argparse
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import binom

from hfkit.runtime.machine import environment
from hfkit.scores.evidence import CORRELATION, Evidence, Paired, Sums
from hfkit.scores.limits import expanded_limits
from hfkit.scores.statistics import RESAMPLES, draw_scores, limits_of_difference, limits_of_score
from hfkit.tasks.classification.judges import f1_of_counts, pearson, quotient

CELLS, RESULT = Path("runs/bench/coverage"), Path(__file__).parent / "results" / "coverage.json"
ROWS = (10, 20, 50, 100, 300)
REPLICATES, DRAWS = 2000, 500  # cells have fewer resamples than reports, 2,000: the limits are noisier, not wider
SETS = 50  # of resamples, which the replicates of a cell take in turn
LEVEL = 0.95
Draw = np.random.Generator


@dataclass(frozen=True)
class Case:
    """One line of the table."""

    kind: str
    parameter: str
    truth: float
    make: Callable[[Draw, int], Sequence[Evidence]]  # one side, or two to compare


class Spearman:
    """Evidence of a rank correlation: a weighting draws the ranks anew."""

    ends = CORRELATION

    def __init__(self, ours: np.ndarray, gold: np.ndarray) -> None:
        self.rows, self.orders = len(gold), [(np.argsort(side), np.argsort(np.argsort(side))) for side in (ours, gold)]

    def headline(self, weights: np.ndarray) -> np.ndarray:
        ranks = []
        for order, place in self.orders:
            sorted_weights = weights[:, order]
            ranks.append((np.cumsum(sorted_weights, axis=1) - sorted_weights / 2)[:, place])
        shares = weights / weights.sum(axis=1, keepdims=True)
        ours, gold = (side - (shares * side).sum(axis=1, keepdims=True) for side in ranks)
        spreads = np.sqrt((shares * ours**2).sum(axis=1) * (shares * gold**2).sum(axis=1))
        return np.where(spreads > 0, (shares * ours * gold).sum(axis=1) / np.where(spreads > 0, spreads, 1), 0.0)

    def hits(self) -> None:
        return None

    def matters(self) -> np.ndarray:
        return np.ones(self.rows, dtype=bool)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--fresh", action="store_true", help="measure every cell again")
    if parser.parse_args().fresh:
        shutil.rmtree(CELLS, ignore_errors=True)
    CELLS.mkdir(parents=True, exist_ok=True)
    cells = []
    for number, case in enumerate(cases()):
        for rows in ROWS:
            path = CELLS / f"{case.kind}-{case.parameter}-{rows}.json".replace(" ", "_").replace("/", "_")
            if not path.is_file():
                begun = time.process_time()
                found = measure_accuracy(case.truth, rows) if case.kind == "accuracy" else measure(case, rows, number)
                facts = {"kind": case.kind, "parameter": case.parameter, "truth": case.truth, "rows": rows, **found}
                path.write_text(json.dumps(facts | {"cpu_seconds": round(time.process_time() - begun, 1)}))
            cells.append(json.loads(path.read_text()))
            print(*cells[-1].values(), flush=True)
    facts = {
        "schema": "hfkit.coverage/1",
        "command": "python -m benchmarks.coverage",
        "environment": environment(),
        "level": LEVEL,
        "replicates": REPLICATES,
        "resamples": DRAWS,
        "cells": cells,
    }
    RESULT.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def cases() -> list[Case]:
    found = [Case("accuracy", f"{p:g}", p, of_accuracy(p)) for p in (0.5, 0.7, 0.8, 0.9, 0.95, 0.99)]
    for rate in (0.1, 0.3, 1, 3):
        found.append(of_entities(rate, 0.5, 0.7))
    for rate in (0.1, 0.3, 1, 3):
        found.append(of_entities(rate, 0.9, 0.95))
    found += [of_units((5, 60)), of_units((1, 8))]
    found.append(of_classes((0.5, 0.3, 0.15, 0.05), 0.8))
    found.append(of_classes((0.4, 0.3, 0.2, 0.1), 0.9))
    found.append(of_classes((0.8, 0.1, 0.05, 0.03, 0.02), 0.8))
    found.append(of_classes((0.4, 0.2, 0.1, 0.1, 0.05, 0.05, 0.04, 0.03, 0.02, 0.01), 0.7))
    found += [of_numbers("Pearson", rho) for rho in (0, 0.5, 0.8, 0.95)]
    found += [of_numbers("Spearman", rho) for rho in (0, 0.5, 0.8, 0.95)]
    for only_first, only_second in ((0.01, 0.01), (0.02, 0.02), (0.1, 0.1), (0.06, 0.02), (0.1, 0), (0.2, 0.05)):
        found.append(of_two_accuracies(only_first, only_second))
    few, many = (0.6, 0.03, 0.03, 0.1), (0.4, 0.2, 0.1, 0.15)
    for rate in (0.3, 1, 3):
        found += [of_two_taggers(rate, "few", *few), of_two_taggers(rate, "many", *many)]
    for rhos in ((0.5, 0.5, 0.5), (0.8, 0.6, 0.5), (0.95, 0.9, 0.5), (0.8, 0.8, 0.9)):
        found.append(of_two_correlations(*rhos))
    found += [of_two_classifiers((0.5, 0.3, 0.15, 0.05), 0.8, alike) for alike in (0.3, 0.8)]
    return found


def measure(case: Case, rows: int, seed: int) -> dict[str, float | int]:
    """How often the interval and the percentile interval hold the truth, and how wide they are on average."""
    draw = np.random.default_rng([seed, rows])
    limits, percentiles = np.empty((2, REPLICATES, 2))
    for i in range(REPLICATES):
        drawn = draw_scores(case.make(draw, rows), resamples=DRAWS, seed=i % SETS)
        single = len(drawn) == 1
        limits[i] = limits_of_score(*drawn, LEVEL) if single else limits_of_difference(*drawn, LEVEL)
        percentiles[i] = expanded_limits(drawn[0].draws if single else drawn[0].draws - drawn[1].draws, rows, LEVEL)
    coverage = held(limits, case.truth).mean()
    return {
        "coverage": float(coverage),
        "standard_error": float(np.sqrt(coverage * (1 - coverage) / REPLICATES)),
        "width": float(np.ptp(limits, axis=1).mean()),
        "percentile": float(held(percentiles, case.truth).mean()),
        "percentile_width": float(np.ptp(percentiles, axis=1).mean()),
    }


def measure_accuracy(truth: float, rows: int) -> dict[str, float | int]:
    """The same without chance, and `near`: the mean over truths up to one answer away.

    The number of right answers is whole, so coverage jumps as the truth moves, and at some truths no interval is near
    its level. The mean over the neighbourhood has no such jumps.
    """
    answers = [of_share(np.arange(rows) < right) for right in range(rows + 1)]
    drawn = [draw_scores([one], resamples=RESAMPLES, seed=i)[0] for i, one in enumerate(answers)]
    limits = np.array([limits_of_score(one, LEVEL) for one in drawn])
    percentiles = np.array([expanded_limits(one.draws, rows, LEVEL) for one in drawn])
    chances = binom.pmf(np.arange(rows + 1), rows, truth)
    step = min(1 / rows, 1 - truth)
    near = np.linspace(truth - step, truth + step, 202)[1:-1]
    return {
        "coverage": float(chances @ held(limits, truth)),
        "standard_error": 0.0,
        "near": float(np.mean([binom.pmf(np.arange(rows + 1), rows, p) @ held(limits, p) for p in near])),
        "width": float(chances @ np.ptp(limits, axis=1)),
        "percentile": float(chances @ held(percentiles, truth)),
        "percentile_width": float(chances @ np.ptp(percentiles, axis=1)),
    }


def held(limits: np.ndarray, truth: float) -> np.ndarray:
    """Whether each interval holds the truth, (intervals, 2) -> (intervals,); one that ends there does."""
    return (limits[:, 0] - 1e-9 <= truth) & (truth <= limits[:, 1] + 1e-9)


def of_share(right: np.ndarray) -> Sums:
    return Sums(np.stack([right, np.ones(len(right))], axis=1), lambda sums: quotient(sums, 0, 1))


def of_accuracy(truth: float) -> Callable[[Draw, int], Sequence[Evidence]]:
    return lambda draw, rows: [of_share(draw.random(rows) < truth)]


def of_entities(rate: float, recall: float, precision: float) -> Case:
    """A tagger of sentences with so many entities on average."""
    invented = rate * recall * (1 - precision) / precision

    def make(draw: Draw, rows: int) -> Sequence[Evidence]:
        gold = draw.poisson(rate, rows)
        right = draw.binomial(gold, recall)
        return [Sums(np.stack([right, right + draw.poisson(invented, rows), gold], axis=1), f1_of_counts)]

    truth = 2 * rate * recall / (rate * recall / precision + rate)
    return Case("micro F1", f"{rate:g} entities a sentence, F1 {truth:.2f}", truth, make)


def of_units(sizes: tuple[int, int]) -> Case:
    """Accuracy over rows of patients, who differ in how hard they are: the rows of the table are patients."""

    def hardness(draw: Draw, units: int) -> np.ndarray:
        return np.clip(draw.normal(0.75, 0.15, units), 0, 1)

    def make(draw: Draw, rows: int) -> Sequence[Evidence]:
        of_each = draw.integers(*sizes, rows)
        units = np.repeat(np.arange(rows), of_each)
        return [of_share(draw.random(len(units)) < hardness(draw, rows)[units]).by_unit(units)]

    truth = float(hardness(np.random.default_rng(0), 1_000_000).mean())
    return Case("accuracy by unit", f"units of {sizes[0]} to {sizes[1] - 1} rows", truth, make)


def of_classes(shares: Sequence[float], accuracy: float) -> Case:
    """A classifier that says the next class where it is wrong; macro F1 is over the classes of either side."""

    def make(draw: Draw, rows: int) -> Sequence[Evidence]:
        gold = draw.choice(len(shares), rows, p=shares)
        return [of_answers(gold, draw.random(rows) < accuracy, len(shares))]

    of_each = np.array(shares)
    truth = 2 * accuracy * of_each / (of_each + accuracy * of_each + (1 - accuracy) * np.roll(of_each, 1))
    return Case("macro F1", f"{len(shares)} classes, the rarest {100 * min(shares):g} %", float(truth.mean()), make)


def of_two_classifiers(shares: Sequence[float], accuracy: float, alike: float) -> Case:
    """Two such classifiers, equally good, that are right on the same rows in this share of cases, else apart."""

    def make(draw: Draw, rows: int) -> Sequence[Evidence]:
        gold = draw.choice(len(shares), rows, p=shares)
        first, other = draw.random((2, rows))
        second = np.where(draw.random(rows) < alike, first, other)
        return [of_answers(gold, side < accuracy, len(shares)) for side in (first, second)]

    name = f"{len(shares)} classes, the rarest {100 * min(shares):g} %, {100 * alike:g} % alike"
    return Case("difference of macro F1", name, 0.0, make)


def of_answers(gold: np.ndarray, right: np.ndarray, kinds: int) -> Sums:
    said = np.where(right, gold, (gold + 1) % kinds)
    of_gold, of_said = np.eye(kinds)[gold], np.eye(kinds)[said]
    return Sums(np.stack([of_gold * of_said, of_said, of_gold], axis=2).reshape(len(gold), -1), macro_f1)


def macro_f1(sums: np.ndarray) -> np.ndarray:
    """The mean F1 of the classes that occur, (..., classes x [right, predicted, gold]) -> (...)."""
    right, predicted, gold = np.moveaxis(sums.reshape(*sums.shape[:-1], -1, 3), -1, 0)
    there = predicted + gold > 0
    f1 = 2 * right / np.where(there, predicted + gold, 1)
    return f1.sum(axis=-1) / np.maximum(there.sum(axis=-1), 1)


def of_numbers(kind: str, rho: float) -> Case:
    def make(draw: Draw, rows: int) -> Sequence[Evidence]:
        gold = draw.normal(size=rows)
        ours = rho * gold + np.sqrt(1 - rho**2) * draw.normal(size=rows)
        return [Paired(ours, gold, pearson) if kind == "Pearson" else Spearman(ours, gold)]

    truth = rho if kind == "Pearson" else float(6 / np.pi * np.arcsin(rho / 2))
    return Case(kind, f"{truth:.2g}", truth, make)


def of_two_accuracies(only_first: float, only_second: float) -> Case:
    both = 0.8 * (1 - only_first - only_second)

    def make(draw: Draw, rows: int) -> Sequence[Evidence]:
        kind = draw.choice(4, rows, p=[both, only_first, only_second, 1 - both - only_first - only_second])
        return [of_share((kind == 0) | (kind == side)) for side in (1, 2)]

    name = f"{100 * only_first:g} % and {100 * only_second:g} % of the rows differ"
    return Case("difference of accuracies", name, only_first - only_second, make)


def of_two_taggers(rate: float, name: str, both: float, first: float, second: float, invented: float) -> Case:
    """Two taggers that find `both` of the entities together and some alone, and invent as many each."""

    def make(draw: Draw, rows: int) -> Sequence[Evidence]:
        gold = draw.poisson(rate, rows)
        kinds = draw.multinomial(gold, [both, first, second, 1 - both - first - second])
        together = draw.poisson(rate * invented / 2, rows)
        sides = []
        for own in (1, 2):
            right = kinds[:, 0] + kinds[:, own]
            wrong = together + draw.poisson(rate * invented / 2, rows)
            sides.append(Sums(np.stack([right, right + wrong, gold], axis=1), f1_of_counts))
        return sides

    f1 = [2 * (both + own) / (both + own + invented + 1) for own in (first, second)]
    return Case("difference of micro F1", f"{rate:g} entities a sentence, {name} differ", f1[0] - f1[1], make)


def of_two_correlations(first: float, second: float, alike: float) -> Case:
    """Two predictions whose errors correlate by `alike`."""

    def make(draw: Draw, rows: int) -> Sequence[Evidence]:
        gold, error, other = draw.normal(size=(3, rows))
        errors = (error, alike * error + np.sqrt(1 - alike**2) * other)
        pairs = zip((first, second), errors, strict=True)
        return [Paired(rho * gold + np.sqrt(1 - rho**2) * own, gold, pearson) for rho, own in pairs]

    name = f"{first:g} and {second:g}, errors alike by {alike:g}"
    return Case("difference of Pearson", name, first - second, make)


if __name__ == "__main__":
    main()
