"""What a comparison shows, in words that its numbers bear: a pure function of the facts that the ledger holds.

Rules, in the order of their sentences. "Different" is what the statistics call so: the interval of the paired
difference leaves out zero and p, corrected for all comparisons where there are several, is below 5 %.

    nothing            no contender finished
    alone              one contender finished: there is nothing to compare
    clear win          the best is different from every other contender
    tie                of those not different from the best, whose interval lies within one point (0.01) on both sides:
                       they are equal for all that matters
    cannot tell        the rest of those not different: how many more test rows or seeds would tell, if any would
    simplest           the cheapest of those not different from the best, where that is another than the best
    positive transfer  the best pretrained strategy is different from scratch and above it
    negative transfer  scratch is different from the best pretrained strategy and above it, so above every one of them
    transfer not shown neither: scratch is not worse than what the rows can tell
    no scratch         no strategy was trained from scratch
    worth its cost     the best strategy is different from the best baseline and above it; how many times the cost
    not worth its cost the best baseline is within noise or above; how many times the cost it saves
    no baseline, no strategy
    unstable           seeds of the best strategy failed
    failed seeds       seeds of other contenders failed
    one seed           a strategy ran once, so that its spread over seeds is not known
    skipped            contenders that could not run

The cost of a contender is its CPU seconds, those of choosing its learning rate included. What to try next follows from
the same facts (`advice`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ..evaluation.pages import interval_text, score_text, signed_text
from ..evaluation.plots import headline_text
from .advice import advice

POINT = 0.01  # a difference below this is no reason to choose
MOST_NAMES = 4

Facts = Mapping[str, Any]


def verdict(ledger: Facts) -> dict[str, list]:
    """`sentences`, each with the `rule` it follows from and its `text`, and `next`, what to try, as texts.

    Args:
        ledger: `contenders`, `pairs`, `skipped`, `rows`, `task` and `budgets`, as ledger.json holds them. A contender
            whose seeds all failed has a headline of None; of the others the best is the one without a difference.
    """
    standing = [contender for contender in ledger["contenders"] if contender["headline"] is not None]
    best = next((contender for contender in standing if contender["difference"] is None), None)
    near = [c for c in standing if c["difference"] and not c["difference"]["different"]]
    sentences = [
        *_first(best, standing, near, ledger),
        *_simplest(best, near),
        *_transfer(standing, ledger),
        *_worth(standing, ledger),
        *_failures(ledger["contenders"], standing),
        *_skipped(ledger["skipped"]),
    ]
    return {
        "sentences": [{"rule": rule, "text": text} for rule, text in sentences],
        "next": advice(ledger, standing, best, near),
    }


Sentences = list[tuple[str, str]]


def _first(best: Facts | None, standing: Sequence[Facts], near: Sequence[Facts], ledger: Facts) -> Sentences:
    """Who is best, and who cannot be told apart from it."""
    if best is None:
        return [("nothing", "No contender finished, so nothing can be said.")]
    score = headline_text(ledger["task"]["headline"])
    reached = f"{best['name']} reaches {score} {score_text(best['headline'])} {interval_text(best['interval'])}"
    rows = f"{ledger['rows']['test']:,} test {plural('row', ledger['rows']['test'])}"
    if len(standing) == 1:
        return [("alone", f"{reached} on {rows}. It is the only contender that finished: nothing to compare it with.")]
    if not near:
        second = max((c for c in standing if c is not best), key=lambda c: c["headline"])
        return [
            (
                "clear win",
                f"{reached}, beyond noise above every other contender: {ahead(second['difference'])} above"
                f" {second['name']}, the next best, on {rows}.",
            )
        ]
    equal = [c for c in near if max(abs(c["difference"]["low"]), abs(c["difference"]["high"])) <= POINT]
    unclear = [c for c in near if c not in equal]
    found, start = [], f"{reached} on {rows}, the highest of {len(standing)}, but it"
    if equal:
        verb = "is" if len(equal) == 1 else "are"
        text = f"{named(equal)} {verb} equal to it for all that matters: any difference is below {POINT}."
        found.append(("tie", f"{reached} on {rows}, the highest of {len(standing)}, and {text}"))
        start = best["name"]
    if unclear:
        nearest = max(unclear, key=lambda c: c["headline"])
        pair = nearest["difference"]
        text = f"cannot be told apart from {named(unclear)}: it leads {nearest['name']} by {ahead(pair)}."
        found.append(("cannot tell", f"{start} {text} {needs(pair, nearest, best, ledger)}"))
    return found


def _simplest(best: Facts | None, near: Sequence[Facts]) -> Sentences:
    if not near or best is None:
        return []
    # Corrected for many comparisons a difference may not stand, which its own interval shows: that is no equal choice.
    cheapest = min([best, *(c for c in near if c["difference"]["high"] >= 0)], key=cost)
    if cheapest is best:
        return []
    given = max(0.0, -cheapest["difference"]["low"])
    return [
        (
            "simplest",
            f"The simplest choice within noise is {cheapest['name']}: {seconds(cost(cheapest))} CPU seconds, where"
            f" {best['name']} took {seconds(cost(best))}. It may score up to {score_text(given)} lower.",
        )
    ]


def _transfer(standing: Sequence[Facts], ledger: Facts) -> Sentences:
    strategies = [c for c in standing if c["kind"] == "strategy"]
    scratch = next((c for c in strategies if c["name"] == "scratch"), None)
    pretrained = [c for c in strategies if c is not scratch]
    pair = ledger["pairs"]["scratch"]
    if scratch is None:
        text = "No strategy was trained from scratch, so whether the checkpoint helped is not known."
        return [("no scratch", text)] if pretrained else []
    if not pretrained or pair is None:
        return []
    best = max(pretrained, key=lambda c: c["headline"])
    score = headline_text(ledger["task"]["headline"])
    if pair["different"] and pair["difference"] > 0:
        text = f"Transfer is positive: {best['name']} is {by(pair)} {score} above the same model trained from scratch."
        return [("positive transfer", text)]
    if pair["different"]:
        text = (
            f"Transfer is negative: the same model trained from scratch is {by(pair, -1)} {score} above {best['name']},"
            " the best pretrained strategy. This checkpoint harms here."
        )
        return [("negative transfer", text)]
    text = (
        f"No benefit of the checkpoint is shown: {best['name']}, the best pretrained strategy, differs from the same"
        f" model trained from scratch by {signed_text(pair['difference'])} {interval_text(pair)} {score}, which is"
        f" within noise. {needs(pair, best, scratch, ledger)}"
    )
    return [("transfer not shown", text)]


def _worth(standing: Sequence[Facts], ledger: Facts) -> Sentences:
    sides = {kind: [c for c in standing if c["kind"] == kind] for kind in ("strategy", "baseline")}
    for kind, missing in (("strategy", "nothing was fine-tuned"), ("baseline", "no baseline was judged")):
        if standing and not sides[kind]:
            return [(f"no {kind}", f"Whether fine-tuning is worth its cost is not known: {missing}.")]
    pair = ledger["pairs"]["baseline"]
    if not standing or pair is None:
        return []
    ours, theirs = (max(sides[kind], key=lambda c: c["headline"]) for kind in ("strategy", "baseline"))
    score = headline_text(ledger["task"]["headline"])
    paid = f"{seconds(cost(ours))} CPU seconds against {seconds(cost(theirs))}{times(cost(ours), cost(theirs))}"
    if pair["different"] and pair["difference"] > 0:
        gain = f"Fine-tuning gains {by(pair)} {score} over the best baseline, {theirs['name']}"
        text = f"{gain}. {ours['name']} took {paid}."
        return [("worth its cost", text)]
    if pair["different"]:
        text = (
            f"Fine-tuning is not worth its cost: the best baseline, {theirs['name']}, is {by(pair, -1)} {score} above"
            f" {ours['name']}, which took {paid}."
        )
    else:
        text = (
            f"Fine-tuning is not shown to be worth its cost: {ours['name']} took {paid}, and its lead over the best"
            f" baseline, {theirs['name']}, is within noise: {signed_text(pair['difference'])} {interval_text(pair)}."
            f" {needs(pair, ours, theirs, ledger)}"
        )
    return [("not worth its cost", text)]


def _failures(contenders: Sequence[Facts], standing: Sequence[Facts]) -> Sentences:
    strategies = [c for c in standing if c["kind"] == "strategy"]
    best = max(strategies, key=lambda c: c["headline"], default=None)
    found = []
    others = []
    for contender in contenders:
        failed = failures(contender)
        if failed and contender is best:
            reasons = sorted({run["reason"] for run in failed if run["reason"]})
            text = (
                f"{best['name']}, the best strategy, is unstable: {len(failed)} of {len(best['seeds'])} seeds failed"
                f"{' (' + '; '.join(reasons) + ')' if reasons else ''}, and its score is that of the others."
            )
            found.append(("unstable", text))
        elif failed:
            others.append(f"{contender['name']} ({len(failed)} of {len(contender['seeds'])})")
    if others:
        found.append(("failed seeds", f"Seeds failed, and are left out of the scores: {', '.join(others)}."))
    single = [c for c in strategies if len(c["seeds"]) - len(failures(c)) == 1]
    if single:
        ran = "ran" if len(single) == 1 else "each ran"
        found.append(
            ("one seed", f"{named(single)} {ran} with one seed: how much another seed would change is not known.")
        )
    return found


def _skipped(skipped: Sequence[Facts]) -> Sentences:
    if not skipped:
        return []
    listed = "; ".join(f"{row['name']} ({row['reason']})" for row in skipped)
    return [("skipped", f"{len(skipped)} {plural('contender', len(skipped))} could not run: {listed}.")]


def needs(pair: Facts, a: Facts, b: Facts, ledger: Facts) -> str:
    """What would tell a difference of this size, counted from what there is."""
    rows, seeds = pair["needed_rows"], pair["needed_seeds"]
    runs = max(len(c["seeds"]) - len(failures(c)) for c in (a, b))
    # A number that is there already comes of rounding: chance decides at that size.
    wanted = [f"about {max(rows - ledger['rows']['test'], 1):,} more test rows"] if rows else []
    wanted += [f"{max(seeds - runs, 1):,} more {plural('seed', max(seeds - runs, 1))}"] if seeds else []
    if not wanted:
        return "No sensible number of test rows or seeds would tell a difference of this size."
    return f"To tell a difference of this size needs {' or '.join(wanted)}."


def failures(contender: Facts) -> list[Facts]:
    return [run for run in contender["seeds"] if run["status"] == "failed"]


def cost(contender: Facts) -> float:
    return contender["cost"]["cpu_seconds"] + (contender["cost"].get("tuning_cpu_seconds") or 0.0)


def ahead(pair: Facts) -> str:
    """A difference from the best, turned round: the best's lead."""
    return by(pair, -1)


def by(pair: Facts, sign: int = 1) -> str:
    low, high = sorted((sign * pair["low"], sign * pair["high"]))
    return f"{score_text(sign * pair['difference'])} {interval_text({'low': low, 'high': high})}"


def seconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:,.1f}"


def times(ours: float, theirs: float) -> str:
    """How many times the cost, where that is a number that says something."""
    if theirs < 0.05 or ours < 0.05:
        return ""
    ratio = ours / theirs
    return f", {ratio:,.0f} times as many" if ratio >= 10 else f", {ratio:,.1f} times as many"


def named(contenders: Sequence[Facts]) -> str:
    names = [c["name"] for c in sorted(contenders, key=lambda c: -c["headline"])]
    rest = len(names) - MOST_NAMES
    names = [*names[:MOST_NAMES], f"{rest} more"] if rest > 0 else names
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"
