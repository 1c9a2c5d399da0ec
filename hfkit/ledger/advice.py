"""Advice on what to try next, by rules from the facts of a ledger: the most useful first, one line for each.

a probe is enough   a probe of frozen features is cheaper than the best, and the interval of their difference includes
                    zero: keep it
unstable            seeds failed or collapsed: a lower rate or a longer warm-up
one seed            run more
edge of the grid    the rate that validation chose is the lowest or highest tried: widen the grid
still rising        validation gained half a point or more in the last epoch: train longer
more labels         the last budget gained beyond noise over the one before: label more
more test rows      the estimated number that would separate contenders that are within noise
not known           no scratch, no baseline
miscalibrated       an expected calibration error above 0.05 that the fitted temperature lowers by 0.01 or more: use it
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from hfkit.ledger.entries import (
    collapsed_runs,
    failed_runs,
    finished_runs,
    headline_of,
    is_scratch,
    join_names,
    total_cost,
)
from hfkit.report.pages import score_text
from hfkit.scores.score import Score, headline_score

MOST_ADVICE = 5  # nobody reads more lines
RISING = 0.005  # gain in the last epoch that is worth another
MISCALIBRATED = 0.05
SCALING_GAIN = 0.01  # of the expected calibration error; less is noise of its bins
PROBES = ("feature-extraction", "probe")

Facts = Mapping[str, Any]


def give_advice(ledger: Facts, best: Facts | None, near: Sequence[Facts]) -> list[str]:
    """At most five texts about the best contender, the best strategy, and those not different from the best.

    Args:
        best: the contender with the best score; None if none finished.
        near: those not different from the best.
    """
    if best is None:
        return ["Read the reasons why every contender failed or was skipped, and mend the first."]
    score = headline_score(ledger["task"])
    strategies = [c for c in ledger["contenders"] if c["kind"] == "strategy"]
    leaders = [best, *near]
    first = score.best(strategies, headline_of) if strategies else None
    shown = leaders if first is None or first in leaders else [*leaders, first]
    shown = [c for c in shown if c["kind"] == "strategy"]
    texts = [
        *_keep_probe(best, near),
        *_instability(shown),
        *_more_seeds(strategies),
        *_edges(shown),
        *_more_epochs(shown, score),
        *_more_labels(ledger["budgets"], best, score),
        *_more_rows(ledger, near),
        *_missing(ledger, strategies),
        *_temperatures(leaders),
    ]
    return texts[:MOST_ADVICE]


def _keep_probe(best: Facts, near: Sequence[Facts]) -> list[str]:
    # After correction for many comparisons a difference may count as noise although its own interval excludes zero.
    even = [c for c in near if _is_probe(c) and c["difference"]["low"] <= 0 <= c["difference"]["high"]]
    probe = next((c for c in even if total_cost(c) < total_cost(best)), None)
    if probe is None or _is_probe(best):
        return []
    return [f"Keep {probe['name']}: it reads frozen features, is cheap to fit again, and is within noise of the best."]


def _is_probe(contender: Facts) -> bool:
    return any(word in contender["name"] for word in PROBES)


def _instability(shown: Sequence[Facts]) -> list[str]:
    shaky = [c for c in shown if failed_runs(c) or collapsed_runs(c)]
    if not shaky:
        return []
    counts = [f"{c['name']} ({len(failed_runs(c)) + len(collapsed_runs(c))} of {len(c['seeds'])} seeds)" for c in shaky]
    return [f"Try a lower learning rate or a longer warm-up where seeds failed or collapsed: {join_names(counts)}."]


def _more_seeds(strategies: Sequence[Facts]) -> list[str]:
    if not strategies or any(len(finished_runs(c)) > 1 for c in strategies):
        return []
    return ["Run three or more seeds: a single run cannot say how much of a difference is luck."]


def _edges(shown: Sequence[Facts]) -> list[str]:
    texts = []
    for end, further, edge in (("lowest", "lower", min), ("highest", "higher", max)):
        rates = {c["name"]: c["tuning"]["chosen"] for c in shown if _is_at_edge(c, edge)}
        if rates:
            names = join_names([f"{name} ({rate:g})" for name, rate in rates.items()])
            texts.append(f"Try {further} learning rates for {names}: validation chose the {end} tried.")
    return texts


def _is_at_edge(contender: Facts, edge: Callable[[set[float]], float]) -> bool:
    """Whether validation chose the rate at this end of several."""
    tuning = contender["tuning"]
    rates = {trial["learning_rate"] for trial in tuning["tried"]} if tuning else set()
    return len(rates) > 1 and tuning["chosen"] == edge(rates)


def _more_epochs(shown: Sequence[Facts], score: Score) -> list[str]:
    gains = {
        c["name"]: [gain for run in finished_runs(c) for gain in _last_gains(run["curve"], score.sign)] for c in shown
    }
    means = {name: float(np.mean(of_one)) for name, of_one in gains.items() if of_one}
    rising = {name: gain for name, gain in means.items() if gain >= RISING}
    if not rising:
        return []
    more = " or more" if len(rising) > 1 else ""
    gained = f"{score_text(min(rising.values()))}{more}"
    return [f"Train {join_names(list(rising))} for more epochs: validation still gained {gained} in the last."]


def _last_gains(curve: Sequence[Facts], sign: int) -> list[float]:
    """The gain of the last epoch over the best before it; [] if it is the only one."""
    scores = [sign * point["validation"] for point in sorted(curve, key=lambda point: point["epoch"])]
    return [scores[-1] - max(scores[:-1])] if len(scores) > 1 else []


def _more_labels(budgets: Facts | None, best: Facts, score: Score) -> list[str]:
    curve = next((c for c in budgets["curves"] if c["name"] == best["name"]), None) if budgets else None
    if curve is None or len(curve["points"]) < 2:
        return []
    before, last = sorted(curve["points"], key=lambda point: point["rows"])[-2:]
    if (last["low"] <= before["headline"]) if score.sign > 0 else (last["high"] >= before["headline"]):
        return []
    gain = score_text(score.sign * (last["headline"] - before["headline"]))
    span = f"from {before['rows']:,} to {last['rows']:,}"
    return [f"Label more rows: {best['name']} still gained {gain} {span} training rows."]


def _more_rows(ledger: Facts, near: Sequence[Facts]) -> list[str]:
    rows = [c["difference"]["needed_rows"] for c in near if c["difference"]["needed_rows"]]
    if not rows or min(rows) <= ledger["rows"]["test"]:
        return []
    more = min(rows) - ledger["rows"]["test"]
    return [f"Add about {more:,} test rows before choosing between those that cannot be told apart."]


def _missing(ledger: Facts, strategies: Sequence[Facts]) -> list[str]:
    texts = []
    tried = [one["name"] for part in ("contenders", "failed", "skipped") for one in ledger[part]]
    if strategies and not any(map(is_scratch, tried)):
        texts.append("Add the strategy 'scratch', to see what the checkpoint is worth.")
    if len(strategies) == len(ledger["contenders"]):
        texts.append("Add a baseline, to see what fine-tuning is worth.")
    return texts


def _temperatures(leaders: Sequence[Facts]) -> list[str]:
    divisors = []
    for contender in leaders:
        facts = contender["calibration"]
        if facts and facts["ece"] > MISCALIBRATED and facts["ece"] - facts["ece_scaled"] >= SCALING_GAIN:
            errors = f"{score_text(facts['ece'])} to {score_text(facts['ece_scaled'])}"
            divisors.append(f"{contender['name']} by {facts['temperature']:.2f} (from {errors})")
    if not divisors:
        return []
    return [
        "To lower the expected calibration error, divide logits before reading them as probabilities:"
        f" of {join_names(divisors)}."
    ]
