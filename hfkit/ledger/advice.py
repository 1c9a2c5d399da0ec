"""Advice on what to try next, by rules from the facts of a ledger: the most useful first, one line for each.

a probe is enough   a probe of frozen features is cheaper than the chosen contender and not different from it: keep it
unstable            seeds collapsed: a lower rate or a longer warm-up; seeds failed: why
one seed            run more
edge of the grid    the rate that validation chose is the lowest or highest tried: widen the grid
still rising        validation gained half a point or more in the last epoch: train longer
more labels         the last budget gained beyond noise over the one before: label more
more test rows      the estimated number that would separate contenders that are within noise
not known           no scratch, no baseline
miscalibrated       an expected calibration error above 0.05 that the fitted temperature lowers by 0.01 or more: use it

Every contender is looked at, and not the leaders alone: one that was trained badly may be behind for that.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hfkit.ledger.entries import (
    collapsed_runs,
    failed_runs,
    finished_runs,
    headline_of,
    is_rising,
    is_scratch,
    is_unfinished,
    join_counts,
    join_names,
    last_gain,
    more_rows_text,
    noun_of,
    total_cost,
    twice_the_epochs,
)
from hfkit.report.pages import score_text
from hfkit.scores.score import Score, headline_score

MOST_ADVICE = 5  # nobody reads more lines
MISCALIBRATED = 0.05
SCALING_GAIN = 0.01  # of the expected calibration error; less is noise of its bins
PROBES = ("feature-extraction", "probe")

Facts = Mapping[str, Any]


def give_advice(ledger: Facts, chosen: Facts | None, near: Sequence[Facts]) -> list[str]:
    """At most five texts.

    Args:
        chosen: the contender that validation chose; None if none finished.
        near: those not different from it.
    """
    if chosen is None:
        return ["Read the reasons why every contender failed or was skipped, and mend the first."]
    score = headline_score(ledger["task"])
    contenders = sorted(ledger["contenders"], key=lambda c: -score.sign * headline_of(c))
    strategies = [c for c in contenders if c["kind"] == "strategy"]
    texts = [
        *_keep_probe(chosen, near, score),
        *_instability(strategies),
        *_more_seeds(strategies),
        *_edges(strategies),
        *_more_epochs(strategies, score),
        *_more_labels(ledger["budgets"], chosen, score),
        *_more_rows(ledger, near),
        *_missing(ledger, strategies),
        *_temperatures(contenders),
    ]
    return texts[:MOST_ADVICE]


def _keep_probe(chosen: Facts, near: Sequence[Facts], score: Score) -> list[str]:
    probe = next((c for c in near if _is_probe(c) and total_cost(c) < total_cost(chosen)), None)
    if probe is None or _is_probe(chosen) or any(is_unfinished(c, score.sign) for c in (probe, chosen)):
        return []
    return [
        f"Keep {probe['name']}: it reads frozen features, is cheap to fit again, and is within noise of"
        f" {chosen['name']}."
    ]


def _is_probe(contender: Facts) -> bool:
    return any(word in contender["name"] for word in PROBES)


def _instability(strategies: Sequence[Facts]) -> list[str]:
    texts = []
    if alike := [c for c in strategies if collapsed_runs(c)]:
        counts = join_counts(alike, collapsed_runs)
        texts.append(f"Try a lower learning rate or a longer warm-up where {noun_of(alike[0])}s collapsed: {counts}.")
    if failed := [c for c in strategies if failed_runs(c)]:
        counts = join_counts(failed, failed_runs)
        why = f"Find out why {noun_of(failed[0])}s failed, and run them again with --retry_failed true"
        texts.append(f"{why}: {counts}.")
    return texts


def _more_seeds(strategies: Sequence[Facts]) -> list[str]:
    if not strategies or any(len(finished_runs(c)) > 1 for c in strategies):
        return []
    return ["Run three or more seeds: a single run cannot say how much of a difference is luck."]


def _edges(strategies: Sequence[Facts]) -> list[str]:
    texts = []
    for end, further, edge in (("lowest", "lower", min), ("highest", "higher", max)):
        rates = {c["name"]: c["tuning"]["chosen"] for c in strategies if _is_at_edge(c, edge) and not collapsed_runs(c)}
        if rates:
            names = join_names([f"{name} ({rate:g})" for name, rate in rates.items()])
            texts.append(f"Try {further} learning rates for {names}: validation chose the {end} tried.")
    return texts


def _is_at_edge(contender: Facts, edge: Callable[[set[float]], float]) -> bool:
    """Whether validation chose the rate at this end of several."""
    tuning = contender["tuning"]
    if tuning and any(trial["changes"] for trial in tuning["tried"]):
        return False  # a search draws between the ends of its space, and never at them
    rates = {trial["learning_rate"] for trial in tuning["tried"]} if tuning else set()
    return len(rates) > 1 and tuning["chosen"] == edge(rates)


def _more_epochs(strategies: Sequence[Facts], score: Score) -> list[str]:
    rising = [c for c in strategies if is_rising(c, score.sign)]
    if not rising:
        return []
    more = " or more" if len(rising) > 1 else ""
    gained = f"{score_text(min(last_gain(c, score.sign) for c in rising))}{more}"
    return [
        f"Train {join_names([c['name'] for c in rising])} longer, such as with --num_train_epochs"
        f" {twice_the_epochs(rising)}: validation still gained {gained} in the last epoch."
    ]


def _more_labels(budgets: Facts | None, chosen: Facts, score: Score) -> list[str]:
    curve = next((c for c in budgets["curves"] if c["name"] == chosen["name"]), None) if budgets else None
    if curve is None or len(curve["points"]) < 2:
        return []
    before, last = sorted(curve["points"], key=lambda point: point["rows"])[-2:]
    if (last["low"] <= before["high"]) if score.sign > 0 else (last["high"] >= before["low"]):
        return []
    gain = score_text(score.sign * (last["headline"] - before["headline"]))
    span = f"from {before['rows']:,} to {last['rows']:,}"
    return [f"Label more rows: {chosen['name']} still gained {gain} {span} training rows."]


def _more_rows(ledger: Facts, near: Sequence[Facts]) -> list[str]:
    needed = [c["difference"]["needed_rows"] for c in near if c["difference"]["needed_rows"]]
    more = more_rows_text(min(needed, key=lambda ends: ends[0]), ledger["rows"]["test"]) if needed else None
    return [f"Add {more} test rows before choosing between those that cannot be told apart."] if more else []


def _missing(ledger: Facts, strategies: Sequence[Facts]) -> list[str]:
    texts = []
    tried = [one["name"] for part in ("contenders", "failed", "skipped") for one in ledger[part]]
    if strategies and not any(map(is_scratch, tried)):
        texts.append("Add the strategy 'scratch', to see what the checkpoint is worth.")
    if len(strategies) == len(ledger["contenders"]):
        texts.append("Add a baseline, to see what fine-tuning is worth.")
    return texts


def _temperatures(contenders: Sequence[Facts]) -> list[str]:
    divisors = []
    for contender in contenders:
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
