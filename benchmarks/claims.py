"""Orderings that the literature claims, looked up in the cells of the measured ledgers.

    python -m benchmarks.claims --data path/to/data --weights path/to/weights

Nothing is trained: `python -m benchmarks.ledgers` must have run. Writes benchmarks/results/ledgers_claims.json.

A claim of being best holds where the 95 % interval of the paired difference lies above zero, one of being no worse by
2 points where it lies above -0.02; neither holds where the interval lies below zero. Otherwise the rows cannot tell.
Every claim is judged by itself, uncorrected for there being several.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import f

from benchmarks.ledgers import LEDGERS, flags_of
from hfkit.ledger.bench import Bench
from hfkit.ledger.cells import Contender
from hfkit.ledger.compare import make_plan
from hfkit.ledger.entries import is_scratch
from hfkit.ledger.queue import Queue
from hfkit.ledger.standing import Runs, mean_validation, standalone_cost
from hfkit.ledger.statistics import compare_pair
from hfkit.runtime.machine import environment

RESULT = Path(__file__).parent / "results" / "ledgers_claims.json"
SHIFT = "LP-FT is no worse by 2 points than full fine-tuning under shift (Kumar et al. 2022)"
GRADUAL = (
    "gradual unfreezing with lower rates below is no worse by 2 points than full fine-tuning on few labels (ULMFiT)"
)
PROBE = "a linear probe is best on the fewest labels"
SPREAD = "contextual calibration lowers the spread over orders of a prompt (Zhao et al. 2021)"
AUTO = (
    "strategy auto is not below what validation prefers of linear probe and full fine-tuning by more than the interval,"
    " and costs less than the two together"
)
MARGINS = {SHIFT: 0.02, GRADUAL: 0.02, PROBE: 0.0}
LEVEL = 0.05  # of the test of two variances
BEST = None  # the strategy that validation chooses, scratch left out

# Claim, ledger, test, the contender that is said to be ahead, the other one, training rows (None: all).
PAIRS = (
    (SHIFT, "uci_sentiment_sentences", "yelp", "lp-ft", "full", None),
    (SHIFT, "uci_sentiment_sentences", "imdb", "lp-ft", "full", None),
    (SHIFT, "digits_shift", "mnist", "lp-ft", "full", None),
    (GRADUAL, "uci_sentiment_sentences", "amazon", "gradual", "full", 16),
    (GRADUAL, "uci_sentiment_sentences", "amazon", "gradual", "full", 128),
    (GRADUAL, "digits_shift", "optdigits", "gradual", "full", 20),
    (GRADUAL, "digits_shift", "optdigits", "gradual", "full", 100),
    (GRADUAL, "banking77", "banking77", "gradual", "full", None),
    (PROBE, "uci_sentiment_sentences", "amazon", "linear-probe", BEST, 16),
    (PROBE, "digits_shift", "optdigits", "linear-probe", BEST, 20),
    (PROBE, "banking77", "banking77", "linear-probe", BEST, None),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--weights", default="../shared/weights")
    asked = parser.parse_args()
    benches = {name: Bench(flags_of(name, asked.data, asked.weights)) for name in LEDGERS}
    found = [of_pair(benches[claim[1]], *claim) for claim in PAIRS]
    found += [of_auto(bench, name) for name, bench in benches.items() if "auto" in bench.own.strategies]
    found += spreads(benches["uci_sentiment_sentences"])
    facts = {
        "command": "python -m benchmarks.claims",
        "seeds": ", ".join(map(str, next(iter(benches.values())).own.seeds)),
        "correction": f"none: each of the {len(found)} is judged by itself at 95 %, so that some may hold by chance",
        "claims": found,
        "environment": environment(),
    }
    RESULT.write_text(json.dumps(facts, indent=1) + "\n")


def runs_of(bench: Bench, test: str) -> Runs:
    queue = Queue(Path(bench.own.compare_dir), bench.key)
    return Runs(bench, queue, queue.cells(make_plan(bench, bench.contenders())), test)


def of_pair(bench: Bench, claim: str, ledger: str, test: str, ahead: str, behind: str | None, rows: int | None) -> dict:
    runs, by_name = runs_of(bench, test), {contender.name: contender for contender in bench.contenders()}
    rivals = [behind] if behind else strategies_of(list(by_name.values()))
    other = best_of(runs, [by_name[name] for name in rivals], rows)
    difference = compare_pair(
        runs.evidence(by_name[ahead], rows), runs.evidence(by_name[other], rows), units=runs.units
    )
    trained = f"{rows if rows is not None else len(bench.rows['train']):,} rows"
    against = other if behind else f"{other}, which validation chose among {len(rivals)} strategies"
    return {
        "claim": claim,
        "where": f"{ledger}: {ahead} against {against}, {trained}, test rows of {test}",
        **{key: difference[key] for key in ("difference", "low", "high", "p")},
        "margin": MARGINS[claim],
        "holds": judge_margin(difference["low"], difference["high"], MARGINS[claim]),
    }


def of_auto(bench: Bench, ledger: str) -> dict[str, Any]:
    """The strategy that picks itself beside what it picks from, with all rows, on the ledger's own test."""
    test = next(iter(bench.spans))
    runs, by_name = runs_of(bench, test), {contender.name: contender for contender in bench.contenders()}
    better = best_of(runs, [by_name[name] for name in ("linear-probe", "full")])
    difference = compare_pair(runs.evidence(by_name["auto"]), runs.evidence(by_name[better]), units=runs.units)
    seconds = {
        name: np.mean(
            [standalone_cost(result)["cpu_seconds"] for result in runs.finished_cells(by_name[name]).values()]
        )
        for name in ("auto", "linear-probe", "full")
    }
    share = float(seconds["auto"] / (seconds["linear-probe"] + seconds["full"]))
    score = "does not hold: below" if difference["high"] < 0 else "holds"
    return {
        "claim": AUTO,
        "where": f"{ledger}: against {better}, {len(bench.rows['train']):,} rows; {share:.2f} of both's CPU seconds",
        **{key: difference[key] for key in ("difference", "low", "high", "p")},
        "holds": score if share < 1 else f"{score}, but for its cost",
    }


def judge_margin(low: float, high: float, margin: float) -> str:
    """Whether a difference with this interval is more than -`margin`."""
    if low > -margin:
        return "holds"
    return "does not hold" if high < 0 else "cannot tell"


def strategies_of(contenders: Sequence[Contender]) -> list[str]:
    """The strategies that start from the checkpoint."""
    return [c.name for c in contenders if c.kind == "strategy" and not is_scratch(c.name)]


def best_of(runs: Runs, contenders: Sequence[Contender], rows: int | None = None) -> str:
    """The name of the contender that validation chooses; those whose every run failed are left out."""
    finished = {c.name: list(runs.finished_cells(c, rows).values()) for c in contenders}
    validation = {name: mean_validation(results) for name, results in finished.items() if results}
    return runs.bench.task.judge.headline.best(validation, validation.__getitem__)


def spreads(bench: Bench) -> list[dict[str, Any]]:
    """The standard deviation over orders of a prompt, before and after calibration, at every number of rows."""
    runs, found = runs_of(bench, next(iter(bench.spans))), []
    by_name = {contender.name: contender for contender in bench.contenders()}
    for rows in (None, *bench.own.label_budgets):
        for cell, ended in runs.finished_cells(by_name["few-shot-prompt"], rows).items():
            raw, calibrated = (ended.facts["orders"][way]["headlines"] for way in ("raw", "calibrated"))
            found.append(
                {
                    "claim": SPREAD,
                    "where": f"uci_sentiment_sentences: {Path(bench.recipe.prompt_checkpoint).name}, seed {cell.seed},"
                    f" examples of {rows or len(bench.rows['train'])} rows",
                    **judge_spread(raw, calibrated),
                }
            )
    return found


def judge_spread(raw: Sequence[float], calibrated: Sequence[float]) -> dict[str, str]:
    """Whether scores over the same orders vary less once calibrated: by the F test of two variances, on both sides.

    The test takes the two for independent. Scores that are alike in every order come of a model that says the same to
    everything, whose spread has no meaning.
    """
    sds = [float(np.std(scores, ddof=1)) for scores in (raw, calibrated)]
    value = f"sd {sds[0]:.3f} before, {sds[1]:.3f} after, {len(raw)} orders"
    constant = [way for way, scores in (("before", raw), ("after", calibrated)) if np.ptp(scores) == 0]
    if constant:
        return {"value": f"{value}: every order scores alike {' and '.join(constant)}", "holds": "no meaning"}
    ratio = (sds[0] / sds[1]) ** 2
    freedom = (len(raw) - 1, len(calibrated) - 1)
    p = float(2 * min(f.sf(ratio, *freedom), f.cdf(ratio, *freedom)))
    if p >= LEVEL:
        holds = "cannot tell"
    else:
        holds = "holds" if ratio > 1 else "does not hold"
    return {"value": f"{value}, F {ratio:.1f}, p {p:.2f}", "holds": holds}


if __name__ == "__main__":
    main()
