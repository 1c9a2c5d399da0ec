"""Orderings that the literature claims, looked up in the cells of the measured ledgers.

    python -m benchmarks.claims --data path/to/data --weights path/to/weights

Nothing is trained: `python -m benchmarks.ledgers` must have run. Writes benchmarks/results/ledgers_claims.json.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ledgers import flags_of
from hfkit.evaluation.machine import environment
from hfkit.ledger.bench import Bench
from hfkit.ledger.compare import planned
from hfkit.ledger.facts import Runs
from hfkit.ledger.queue import Queue
from hfkit.ledger.statistics import pair

RESULT = Path(__file__).parent / "results" / "ledgers_claims.json"
SHIFT = "LP-FT is no worse than full fine-tuning under shift (Kumar et al. 2022)"
GRADUAL = "gradual unfreezing with lower rates below is no worse than full fine-tuning on few labels (ULMFiT)"
PROBE = "a linear probe is best on the fewest labels"
SPREAD = "contextual calibration lowers the spread over orders of a prompt (Zhao et al. 2021)"

# Claim, ledger, test, the contender that is said to be ahead, the other one, training rows (None: all).
PAIRS = (
    (SHIFT, "uci_sentiment_sentences", "yelp", "lp-ft", "full", None),
    (SHIFT, "uci_sentiment_sentences", "imdb", "lp-ft", "full", None),
    (SHIFT, "digits_shift", "mnist", "lp-ft", "full", None),
    (GRADUAL, "uci_sentiment_sentences", "amazon", "gradual", "full", 16),
    (GRADUAL, "uci_sentiment_sentences", "amazon", "gradual", "full", 128),
    (GRADUAL, "digits_shift", "optdigits", "gradual", "full", 20),
    (GRADUAL, "digits_shift", "optdigits", "gradual", "full", 100),
    (GRADUAL, "banking77", "banking77", "gradual", "full", 770),
    (PROBE, "uci_sentiment_sentences", "amazon", "linear-probe", "full", 16),
    (PROBE, "digits_shift", "optdigits", "linear-probe", "full", 20),
    (PROBE, "banking77", "banking77", "linear-probe", "full", 770),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default="../shared/data")
    parser.add_argument("--weights", default="../shared/weights")
    asked = parser.parse_args()
    benches = {name: Bench(flags_of(name, asked.data, asked.weights)) for name in dict.fromkeys(c[1] for c in PAIRS)}
    found = [of_pair(benches[claim[1]], *claim) for claim in PAIRS]
    found += spreads(benches["uci_sentiment_sentences"])
    seeds = ", ".join(map(str, next(iter(benches.values())).own.seeds))
    facts = {"command": "python -m benchmarks.claims", "seeds": seeds, "claims": found, "environment": environment()}
    RESULT.write_text(json.dumps(facts, indent=1) + "\n")


def runs_of(bench: Bench, test: str) -> Runs:
    queue = Queue(Path(bench.own.compare_dir), bench.key)
    return Runs(bench, queue, queue.known(planned(bench, bench.contenders())), test)


def of_pair(bench: Bench, claim: str, ledger: str, test: str, ahead: str, behind: str, rows: int | None) -> dict:
    runs = runs_of(bench, test)
    by_name = {contender.name: contender for contender in bench.contenders()}
    sides = [runs.tallies(by_name[name], rows) for name in (ahead, behind)]
    difference = pair(*sides, bench.task.headline_of)
    if difference["low"] > 0:
        holds = "holds"
    elif difference["high"] < 0:
        holds = "does not hold"
    else:
        holds = "cannot tell"
    trained = f"{rows if rows is not None else len(bench.raw['train']):,} rows"
    return {
        "claim": claim,
        "where": f"{ledger}: {ahead} against {behind}, {trained}, test rows of {test}",
        **{key: difference[key] for key in ("difference", "low", "high", "p")},
        "holds": holds,
    }


def spreads(bench: Bench) -> list[dict[str, Any]]:
    """The standard deviation over orders of a prompt, before and after calibration, at every number of rows."""
    runs, found = runs_of(bench, next(iter(bench.spans))), []
    by_name = {contender.name: contender for contender in bench.contenders()}
    for rows in (None, *bench.own.label_budgets):
        for cell, ended in runs.ended_well(by_name["few-shot-prompt"], rows).items():
            raw, calibrated = (np.std(ended["facts"]["orders"][way]["headlines"]) for way in ("raw", "calibrated"))
            found.append(
                {
                    "claim": SPREAD,
                    "where": f"uci_sentiment_sentences: {Path(bench.recipe.prompt_checkpoint).name}, seed {cell.seed},"
                    f" examples of {rows or len(bench.raw['train'])} rows",
                    "value": f"sd {raw:.3f} before, {calibrated:.3f} after",
                    "holds": "holds" if calibrated < raw else "does not hold",
                }
            )
    return found


if __name__ == "__main__":
    main()
