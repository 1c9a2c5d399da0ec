"""What to try next, by rules from the facts of a ledger: the most useful first, one line for all that it is true of.

no probe near       a probe of frozen features is cheaper than the best, and the interval of their difference includes
                    zero: keep it
unstable            seeds failed or collapsed: a lower rate or a longer warm-up
one seed            run more
edge of the grid    the rate that validation chose is the lowest or highest tried: widen the grid
still rising        validation gained half a point or more in the last epoch: train longer
more labels         the last budget gained beyond noise over the one before: label more
more test rows      so many would tell those apart that cannot be told apart
not known           no scratch, no baseline
miscalibrated       an expected calibration error above 0.05 that the fitted temperature lowers by 0.01 or more: use it
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hfkit.ledger.entries import collapsed, cost, failures, from_scratch, listed, ran
from hfkit.report.pages import score_text

MOST_ADVICE = 5  # more lines are read by nobody
RISING = 0.005  # gain in the last epoch that is worth another
MISCALIBRATED = 0.05
SCALING_GAIN = 0.01  # of the expected calibration error; less is noise of its bins
PROBES = ("feature-extraction", "probe")

Facts = Mapping[str, Any]


def advice(ledger: Facts, best: Facts | None, near: Sequence[Facts]) -> list[str]:
    """At most five texts; about the best contender, the best strategy, and those not different from the best.

    Args:
        best: the contender with the highest score; None where none finished.
        near: those not different from the best.
    """
    if best is None:
        return ["Read the reasons why every contender failed or was skipped, and mend the first."]
    strategies = [c for c in ledger["contenders"] if c["kind"] == "strategy"]
    leaders = [best, *near]
    first = max(strategies, key=lambda c: c["headline"], default=None)
    shown = leaders if first is None or first in leaders else [*leaders, first]
    shown = [c for c in shown if c["kind"] == "strategy"]
    found = [
        *_keep_probe(best, near),
        *_unstable(shown),
        *_more_seeds(strategies),
        *_edges(shown),
        *_rising(shown),
        *_more_labels(ledger["budgets"], best),
        *_more_rows(ledger, near),
        *_not_known(ledger, strategies),
        *_temperatures(leaders),
    ]
    return found[:MOST_ADVICE]


def _keep_probe(best: Facts, near: Sequence[Facts]) -> list[str]:
    # Corrected for many comparisons a difference may not stand, which its own interval shows.
    even = [c for c in near if _is_probe(c) and c["difference"]["low"] <= 0 <= c["difference"]["high"]]
    probe = next((c for c in even if cost(c) < cost(best)), None)
    if probe is None or _is_probe(best):
        return []
    return [f"Keep {probe['name']}: it reads frozen features, is cheap to fit again, and is within noise of the best."]


def _is_probe(contender: Facts) -> bool:
    return any(word in contender["name"] for word in PROBES)


def _unstable(shown: Sequence[Facts]) -> list[str]:
    shaky = [c for c in shown if failures(c) or collapsed(c)]
    if not shaky:
        return []
    counts = [f"{c['name']} ({len(failures(c)) + len(collapsed(c))} of {len(c['seeds'])} seeds)" for c in shaky]
    return [f"Try a lower learning rate or a longer warm-up where seeds failed or collapsed: {listed(counts)}."]


def _more_seeds(strategies: Sequence[Facts]) -> list[str]:
    if not strategies or any(len(ran(c)) > 1 for c in strategies):
        return []
    return ["Run three or more seeds: a single run cannot say how much of a difference is luck."]


def _edges(shown: Sequence[Facts]) -> list[str]:
    found = []
    for end, further, edge in (("lowest", "lower", min), ("highest", "higher", max)):
        rates = {c["name"]: c["tuning"]["chosen"] for c in shown if _chose(c, edge)}
        if rates:
            names = listed([f"{name} ({rate:g})" for name, rate in rates.items()])
            found.append(f"Try {further} learning rates for {names}: validation chose the {end} tried.")
    return found


def _chose(contender: Facts, edge: Any) -> bool:
    """Whether validation chose the rate at this end of several."""
    tuning = contender["tuning"]
    rates = {trial["learning_rate"] for trial in tuning["tried"]} if tuning else set()
    return len(rates) > 1 and tuning["chosen"] == edge(rates)


def _rising(shown: Sequence[Facts]) -> list[str]:
    gains = {c["name"]: [gain for run in ran(c) for gain in _last_gain(run["curve"])] for c in shown}
    means = {name: float(np.mean(of_one)) for name, of_one in gains.items() if of_one}
    rising = {name: gain for name, gain in means.items() if gain >= RISING}
    if not rising:
        return []
    more = " or more" if len(rising) > 1 else ""
    gained = f"{score_text(min(rising.values()))}{more}"
    return [f"Train {listed(list(rising))} for more epochs: validation still gained {gained} in the last."]


def _last_gain(curve: Sequence[Facts]) -> list[float]:
    """By how much the last epoch beat the best before it; nothing where there is no epoch before."""
    scores = [point["validation"] for point in sorted(curve, key=lambda point: point["epoch"])]
    return [scores[-1] - max(scores[:-1])] if len(scores) > 1 else []


def _more_labels(budgets: Facts | None, best: Facts) -> list[str]:
    curve = next((c for c in budgets["curves"] if c["name"] == best["name"]), None) if budgets else None
    if curve is None or len(curve["points"]) < 2:
        return []
    before, last = sorted(curve["points"], key=lambda point: point["rows"])[-2:]
    if last["low"] <= before["headline"]:
        return []
    gain, span = score_text(last["headline"] - before["headline"]), f"from {before['rows']:,} to {last['rows']:,}"
    return [f"Label more rows: {best['name']} still gained {gain} {span} training rows."]


def _more_rows(ledger: Facts, near: Sequence[Facts]) -> list[str]:
    rows = [c["difference"]["needed_rows"] for c in near if c["difference"]["needed_rows"]]
    if not rows or min(rows) <= ledger["rows"]["test"]:
        return []
    more = min(rows) - ledger["rows"]["test"]
    return [f"Add about {more:,} test rows before choosing between those that cannot be told apart."]


def _not_known(ledger: Facts, strategies: Sequence[Facts]) -> list[str]:
    found = []
    tried = [one["name"] for part in ("contenders", "failed", "skipped") for one in ledger[part]]
    if strategies and not any(map(from_scratch, tried)):
        found.append("Add the strategy 'scratch', to see what the checkpoint is worth.")
    if len(strategies) == len(ledger["contenders"]):
        found.append("Add a baseline, to see what fine-tuning is worth.")
    return found


def _temperatures(leaders: Sequence[Facts]) -> list[str]:
    found = []
    for contender in leaders:
        measured = contender["calibration"]
        if measured and measured["ece"] > MISCALIBRATED and measured["ece"] - measured["ece_scaled"] >= SCALING_GAIN:
            errors = f"{score_text(measured['ece'])} to {score_text(measured['ece_scaled'])}"
            found.append(f"{contender['name']} by {measured['temperature']:.2f} (from {errors})")
    if not found:
        return []
    return [
        "To lower the expected calibration error, divide logits before reading them as probabilities:"
        f" of {listed(found)}."
    ]
