"""How often a ledger's verdict claims a difference between contenders that are equal.

    python -m benchmarks.false_claims

Ten contenders of the same expected accuracy: six strategies that start from the checkpoint and one from scratch, with
three seeds each, and three baselines of one run. Rows differ in how hard they are, for all and for each contender;
seeds differ in skill. Validation chooses on rows of its own, as in a comparison. Every claim is false by construction,
and a page may make any at most 5 times in 100. Writes benchmarks/results/false_claims.json.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit

from hfkit.ledger.comparison import Comparison
from hfkit.ledger.contest import Contest
from hfkit.ledger.verdict import write_verdict
from hfkit.progress import track
from hfkit.runtime.machine import environment
from hfkit.scores.evidence import Sums, total
from hfkit.scores.score import Score

RESULT = Path(__file__).parent / "results" / "false_claims.json"
ACCURACY = Score("accuracy", "accuracy")
ORIGINS = {**{f"strategy {i}": "pretrained" for i in range(6)}, "scratch": "scratch"}
ORIGINS |= {f"baseline {i}": "baseline" for i in range(3)}
CLAIMS = "clear win", "beaten", "positive transfer", "negative transfer", "worth its cost", "not worth its cost"
# Test rows, validation rows, and how far seeds differ in skill, in logits: with many rows and seeds that differ much,
# the luck of the seeds decides, and validation picks the luckiest.
SETTINGS = (
    *((rows, 100, 0.15) for rows in (50, 100, 300, 1000)),
    *((300, 1000, 0.3), (1000, 2000, 0.3), (3000, 1000, 0.15), (3000, 2000, 0.3)),
)
RESAMPLES = 400


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pages", type=int, default=1000)
    pages = parser.parse_args().pages
    facts = {
        "command": f"python -m benchmarks.false_claims --pages {pages}",
        "pages": pages,
        "contenders": len(ORIGINS),
        "found": [count_claims(*setting, pages) for setting in SETTINGS],
        "environment": environment(),
    }
    RESULT.write_text(json.dumps(facts, indent=1) + "\n")


def count_claims(rows: int, validation: int, spread: float, pages: int) -> dict[str, Any]:
    """The share of pages that claim any difference, and of those with each claim."""
    draw, found = np.random.default_rng(rows + validation), Counter()
    for page in track(range(pages), f"{rows} rows"):
        claims = claims_of(draw_contest(draw, rows, validation, spread, seed=page))
        found.update(["any"] if claims else [])
        found.update(claims)
    shares = {claim: found[claim] / pages for claim in ("any", *CLAIMS, "table")}
    return {"rows": rows, "validation": validation, "sd": accuracy_spread(spread), **shares}


def accuracy_spread(spread: float) -> float:
    """The standard deviation of accuracy over seeds whose skill varies so much, all rows given."""
    draw = np.random.default_rng(0)
    hardness = np.hypot(1.6, 1.2) * draw.normal(size=20_000)
    return float(np.std([expit(1.0 + spread * skill - hardness).mean() for skill in draw.normal(size=400)]))


def draw_contest(
    draw: np.random.Generator, rows: int, validation_rows: int, spread: float, *, lift: float = 0.0, seed: int = 0
) -> Contest:
    """Contenders on the same test and validation rows, equal but for the lift.

    Args:
        spread: of the seeds' skill, in logits; a baseline has one run, whose skill is the expected one.
        lift: by how much pretrained strategies are better, in logits.
    """
    hardness = 1.6 * draw.normal(size=rows + validation_rows)
    evidence, validation = {}, {}
    for name, origin in ORIGINS.items():
        own = hardness + 1.2 * draw.normal(size=len(hardness))
        skill = 1.0 + lift * (origin == "pretrained")
        skills = skill + spread * draw.normal(size=(3, 1)) if origin != "baseline" else np.full((1, 1), skill)
        right = draw.random((len(skills), len(own))) < expit(skills - own)
        evidence[name] = [of_right(one[:rows]) for one in right]
        validation[name] = float(np.mean([total(of_right(one[rows:])) for one in right]))
    comparison = Comparison(evidence, seed=seed, resamples=RESAMPLES)
    return Contest(comparison, validation, {name: float(i) for i, name in enumerate(ORIGINS)}, ORIGINS)


def of_right(right: np.ndarray) -> Sums:
    """Evidence of an accuracy from whether each row was right, (rows,)."""
    return Sums(np.stack([right, np.ones(len(right))], axis=1), lambda sums: sums[..., 0] / sums[..., 1])


def claims_of(contest: Contest) -> list[str]:
    """The rules of the sentences that claim a difference, and `table` if a row of the table does."""
    ledger = facts_of(contest)
    rules = [sentence["rule"] for sentence in write_verdict(ledger)["sentences"]]
    claims = [rule for rule in rules if rule in CLAIMS]
    different = [c for c in ledger["contenders"] if c["difference"] and c["difference"]["different"]]
    return claims + ["table"] * bool(different)


def facts_of(contest: Contest) -> dict[str, Any]:
    """The part of a ledger that the verdict on a contest reads."""
    contenders = []
    for name, origin in contest.origins.items():
        score, seeds = contest.scores[name], contest.comparison.sides[name].seeds
        run = {"fold": None, "status": "ok", "reason": "", "curve": []}
        entry = {
            "name": name,
            "kind": "baseline" if origin == "baseline" else "strategy",
            "validation": contest.validation[name],
            **score,
            "difference": None if name == contest.chosen else contest.difference(name, contest.chosen),
            "seeds": [run] * seeds,
            "cost": {"cpu_seconds": contest.seconds[name]},
            "tuning": None,
            "calibration": None,
        }
        contenders.append(entry)
    return {
        "contenders": contenders,
        "chosen": contest.chosen,
        "pairs": {rival: contest.decide(contest.names_of(rival)) for rival in ("scratch", "baseline")},
        "failed": [],
        "skipped": [],
        "rows": {"test": contest.comparison.rows},
        "folds": None,
        "task": {"headline": ACCURACY.key, "scores": [ACCURACY.to_json()]},
        "budgets": None,
    }


if __name__ == "__main__":
    main()
