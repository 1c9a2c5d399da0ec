"""What to try next, by rules from the facts of a ledger.

no probe near       a probe of frozen features is within noise of the best: keep it
edge of the grid    the rate that validation chose is the lowest or highest tried: widen the grid
still rising        validation gained half a point or more in the last epoch: train longer
unstable            seeds failed: a lower rate or a longer warm-up
more labels         the last budget gained beyond noise over the one before: label more
miscalibrated       an expected calibration error above 0.05 that the fitted temperature lowers: use it
not known           no scratch, no baseline, one seed, rows or seeds that would tell
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..evaluation.pages import score_text

RISING = 0.005  # gain in the last epoch that is worth another
MISCALIBRATED = 0.05
PROBES = ("feature-extraction", "probe")

Facts = Mapping[str, Any]


def advice(ledger: Facts, standing: Sequence[Facts], best: Facts | None, near: Sequence[Facts]) -> list[str]:
    """One text per piece of advice; about the best contender, the best strategy, and those within noise of the best.

    Args:
        standing: contenders that finished.
        best: of them; None where there are none.
        near: those not different from the best.
    """
    if best is None:
        return ["Read the reasons why every contender failed or was skipped, and mend the first."]
    strategies = [c for c in standing if c["kind"] == "strategy"]
    leaders = [best, *near]
    first = max(strategies, key=lambda c: c["headline"], default=None)
    shown = leaders if first is None or first in leaders else [*leaders, first]
    return [
        *_keep_probe(best, near),
        *(text for contender in shown for text in _training(contender)),
        *_more_labels(ledger["budgets"], best),
        *_more_evidence(ledger, strategies, near, len(standing) - len(strategies)),
        *(text for contender in leaders for text in _temperature(contender)),
    ]


def _keep_probe(best: Facts, near: Sequence[Facts]) -> list[str]:
    probe = next((c for c in near if _is_probe(c)), None)
    if probe is None or _is_probe(best):
        return []
    return [f"Keep {probe['name']}: it reads frozen features, is cheap to fit again, and is within noise of the best."]


def _is_probe(contender: Facts) -> bool:
    return any(word in contender["name"] for word in PROBES)


def _training(contender: Facts) -> list[str]:
    name, found = contender["name"], []
    tuning = contender["tuning"]
    rates = sorted({trial["learning_rate"] for trial in tuning["tried"]}) if tuning else []
    if len(rates) > 1 and tuning["chosen"] in (rates[0], rates[-1]):
        end, further = ("lowest", "lower") if tuning["chosen"] == rates[0] else ("highest", "higher")
        found.append(
            f"Try {further} learning rates for {name}: validation chose {tuning['chosen']:g}, the {end} tried."
        )
    gains = [gain for run in contender["seeds"] if run["status"] == "ok" for gain in _last_gain(run["curve"])]
    if gains and np.mean(gains) >= RISING:
        found.append(
            f"Train {name} for more epochs: validation still gained {score_text(float(np.mean(gains)))} in the last."
        )
    failed = sum(run["status"] == "failed" for run in contender["seeds"])
    if failed:
        found.append(
            f"Try a lower learning rate or a longer warm-up for {name}: {failed} of {len(contender['seeds'])} seeds"
            " failed."
        )
    return found


def _last_gain(curve: Sequence[Facts]) -> list[float]:
    """By how much the last epoch beat the best before it; nothing where there is no epoch before."""
    scores = [point["validation"] for point in sorted(curve or [], key=lambda point: point["epoch"])]
    scores = [score for score in scores if score is not None]
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


def _more_evidence(ledger: Facts, strategies: Sequence[Facts], near: Sequence[Facts], baselines: int) -> list[str]:
    found = []
    rows = [c["difference"]["needed_rows"] for c in near if c["difference"]["needed_rows"]]
    if rows and min(rows) > ledger["rows"]["test"]:
        more = min(rows) - ledger["rows"]["test"]
        found.append(f"Add about {more:,} test rows before choosing between those that cannot be told apart.")
    if strategies and all(sum(run["status"] == "ok" for run in c["seeds"]) < 2 for c in strategies):
        found.append("Run three or more seeds: a single run cannot say how much of a difference is luck.")
    if strategies and not any(c["name"] == "scratch" for c in strategies):
        found.append("Add the strategy 'scratch', to see what the checkpoint is worth.")
    if not baselines:
        found.append("Add a baseline, to see what fine-tuning is worth.")
    return found


def _temperature(contender: Facts) -> list[str]:
    measured = contender["calibration"]
    if not measured or measured["ece"] <= MISCALIBRATED or not measured.get("temperature"):
        return []
    after = (measured.get("tempered") or {}).get("ece")
    if after is not None and after >= measured["ece"]:
        return []
    direction = "confident" if measured["temperature"] > 1 else "cautious"
    lowers = f", which lowers that to {score_text(after)}" if after is not None else ""
    return [
        f"Divide the logits of {contender['name']} by {measured['temperature']:.2f} before reading its probabilities:"
        f" they are too {direction} (expected calibration error {score_text(measured['ece'])}){lowers}."
    ]
