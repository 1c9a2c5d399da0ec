"""What a comparison shows, in words that its numbers bear: a pure function of the facts that the ledger holds.

Rules, in the order of their sentences. "Different" is what the statistics call so: the interval of the paired
difference leaves out zero and p is below 0.05, corrected for all comparisons with the best where there are several. The
best is chosen on the same rows, so that errors are more than 5 in 100: of ten equal contenders one was called different
11 times in 100.

    nothing            no contender finished
    alone              one contender finished: there is nothing to compare
    clear win          the best is different from every other contender that finished
    tie                of those not different from the best, whose interval lies within one point (0.01) on both sides:
                       they are equal for all that matters
    cannot tell        the rest of those not different: how many more test rows or seeds would tell, if any would
    simplest           the cheapest of those not different from the best, where that is another than the best
    positive transfer  the best pretrained strategy is different from the best one from scratch and above it
    negative transfer  the best one from scratch is different from the best pretrained strategy and above it, so above
                       every one of them
    transfer not shown neither: scratch is not worse than what the rows can tell
    no scratch         no strategy from scratch finished
    worth its cost     the best pretrained strategy is different from the best baseline and above it; how many times the
                       cost
    not worth its cost the best baseline is within noise or above; how many times the cost it saves
    no baseline, no strategy
    unstable           seeds of the best strategy failed or collapsed: they say the same of every row
    failed seeds       seeds of other contenders failed
    collapsed          seeds of other contenders collapsed; they are in the scores
    failed             contenders of which every run failed, so that nobody was compared with them
    one seed           a strategy ran once, so that its spread over seeds is not known
    skipped            contenders that could not run

The cost of a contender is its CPU seconds, those of choosing its learning rate included. What to try next follows from
the same facts (`advice`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hfkit.ledger.advice import advice
from hfkit.ledger.entries import collapsed, cost, failures, from_scratch, listed, lost, pretrained, ran
from hfkit.report.pages import interval_text, score_text, signed_text
from hfkit.scores.score import headline_text

POINT = 0.01  # a difference below this is no reason to choose

Facts = Mapping[str, Any]


def verdict(ledger: Facts) -> dict[str, list]:
    """`sentences`, each with the `rule` it follows from and its `text`, and `next`, what to try, as texts.

    Args:
        ledger: `contenders`, `failed`, `pairs`, `skipped`, `rows`, `task` and `budgets`, as ledger.json holds them; the
            best contender is the one without a difference.
    """
    standing = ledger["contenders"]
    best = next((contender for contender in standing if contender["difference"] is None), None)
    near = [c for c in standing if c["difference"] and not c["difference"]["different"]]
    sentences = [
        *_first(best, standing, near, ledger),
        *_simplest(best, near),
        *_transfer(standing, ledger),
        *_worth(standing, ledger),
        *_failures(standing, ledger),
        *_skipped(ledger["skipped"]),
    ]
    return {
        "sentences": [{"rule": rule, "text": text} for rule, text in sentences],
        "next": advice(ledger, best, near),
    }


Sentences = list[tuple[str, str]]


def _first(best: Facts | None, standing: Sequence[Facts], near: Sequence[Facts], ledger: Facts) -> Sentences:
    """Who is best, and who cannot be told apart from it."""
    if best is None:
        return [("nothing", "No contender finished, so nothing can be said.")]
    score = headline_text(ledger["task"]["headline"])
    reached = f"{best['name']} reaches {score} {score_text(best['headline'])} {interval_text(best['interval'])}"
    rows = f"{ledger['rows']['test']:,} test {plural('row', ledger['rows']['test'])}"
    finished = " that finished" if lost(ledger) or ledger["skipped"] else ""
    highest = f"the highest of {len(standing)}{finished}"
    if len(standing) == 1:
        return [("alone", f"{reached} on {rows}. It is the only contender that finished: nothing to compare it with.")]
    if not near:
        second = max((c for c in standing if c is not best), key=lambda c: c["headline"])
        return [
            (
                "clear win",
                f"{reached}, beyond noise above every other contender{finished}: {ahead(second['difference'])} above"
                f" {second['name']}, the next best, on {rows}.",
            )
        ]
    equal = [c for c in near if max(abs(c["difference"]["low"]), abs(c["difference"]["high"])) <= POINT]
    unclear = [c for c in near if c not in equal]
    found, start = [], f"{reached} on {rows}, {highest}, but it"
    if equal:
        verb = "is" if len(equal) == 1 else "are"
        text = f"{ranked(equal)} {verb} equal to it for all that matters: any difference is below {POINT}."
        found.append(("tie", f"{reached} on {rows}, {highest}, and {text}"))
        start = best["name"]
    if unclear:
        nearest = max(unclear, key=lambda c: c["headline"])
        pair = nearest["difference"]
        text = f"cannot be told apart from {ranked(unclear)}: it leads {nearest['name']} by {ahead(pair)}."
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
    ours, scratch = pretrained(standing), [c for c in standing if from_scratch(c["name"])]
    pair = ledger["pairs"]["scratch"]
    if not scratch:
        tried = any(from_scratch(name) for name in lost(ledger))
        what = "Training from scratch failed" if tried else "No strategy was trained from scratch"
        return [("no scratch", f"{what}, so whether the checkpoint helped is not known.")] if ours else []
    if not ours or pair is None:
        return []
    best, rival = top(ours), named(standing, pair["to"])
    others = f", the best of {len(scratch)}" if len(scratch) > 1 else ""
    flagged = f" ({rival['name']}{others})" if others or rival["name"] != "scratch" else ""
    same = f"the same model trained from scratch{flagged}"
    score = headline_text(ledger["task"]["headline"])
    if pair["different"] and pair["difference"] > 0:
        return [("positive transfer", f"Transfer is positive: {best['name']} is {by(pair)} {score} above {same}.")]
    if pair["different"]:
        text = (
            f"Transfer is negative: {same} is {by(pair, -1)} {score} above {best['name']}, the best pretrained"
            " strategy. This checkpoint harms here."
        )
        return [("negative transfer", text)]
    text = (
        f"No benefit of the checkpoint is shown: {best['name']}, the best pretrained strategy, differs from {same} by"
        f" {signed_text(pair['difference'])} {interval_text(pair)} {score}, which is within noise."
        f" {needs(pair, best, rival, ledger)}"
    )
    return [("transfer not shown", text)]


def _worth(standing: Sequence[Facts], ledger: Facts) -> Sentences:
    strategies, baselines = pretrained(standing), [c for c in standing if c["kind"] == "baseline"]
    missing = {
        "strategy": not strategies and "no strategy that starts from the checkpoint finished",
        "baseline": not baselines and "no baseline finished",
    }
    for kind, why in missing.items():
        if standing and why:
            return [(f"no {kind}", f"Whether fine-tuning is worth its cost is not known: {why}.")]
    pair = ledger["pairs"]["baseline"]
    if not standing or pair is None:
        return []
    ours, theirs = top(strategies), named(standing, pair["to"])
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


def _failures(standing: Sequence[Facts], ledger: Facts) -> Sentences:
    strategies = [c for c in standing if c["kind"] == "strategy"]
    best = top(strategies) if strategies else None
    others = [c for c in standing if c is not best]
    found = [("unstable", _unstable(best))] if best and (failures(best) or collapsed(best)) else []
    if text := counted(others, failures):
        found.append(("failed seeds", f"Seeds failed, and are left out of the scores: {text}."))
    if text := counted(others, collapsed):
        found.append(("collapsed", f"Seeds gave every row the same answer, and are in the scores: {text}."))
    everywhere = "every run on all training rows" if ledger["budgets"] else "every run"
    dead = [f"{name} failed in {everywhere}: {because(reasons)}." for name, reasons in lost(ledger).items()]
    if dead:
        found.append(("failed", " ".join(dead)))
    single = [c for c in strategies if len(ran(c)) == 1]
    if single:
        runs = "ran" if len(single) == 1 else "each ran"
        text = f"{ranked(single)} {runs} with one seed: how much another seed would change is not known."
        found.append(("one seed", text))
    return found


def _unstable(best: Facts) -> str:
    failed, alike, count = failures(best), collapsed(best), len(best["seeds"])
    reasons = because([run["reason"] for run in failed])
    told = [f"{len(failed)} of {count} seeds failed{f' ({reasons})' if reasons else ''}"] * bool(failed)
    told += [f"{len(alike)} of {count} {plural('seed', count)} gave every row the same answer"] * bool(alike)
    state = "has collapsed" if len(alike) == len(ran(best)) else "is unstable"
    left = "; its score is that of the seeds that did not fail" if failed else ""
    return f"{best['name']}, the best strategy, {state}: {' and '.join(told)}{left}."


def _skipped(skipped: Sequence[Facts]) -> Sentences:
    if not skipped:
        return []
    listed = "; ".join(f"{row['name']} ({row['reason']})" for row in skipped)
    return [("skipped", f"{len(skipped)} {plural('contender', len(skipped))} could not run: {listed}.")]


def needs(pair: Facts, a: Facts, b: Facts, ledger: Facts) -> str:
    """What would tell a difference of this size, counted from what there is."""
    rows, seeds = pair["needed_rows"], pair["needed_seeds"]
    runs = max(len(ran(c)) for c in (a, b))
    # A number that is there already comes of rounding: chance decides at that size.
    wanted = [f"about {max(rows - ledger['rows']['test'], 1):,} more test rows"] if rows else []
    wanted += [f"{max(seeds - runs, 1):,} more {plural('seed', max(seeds - runs, 1))}"] if seeds else []
    if not wanted:
        return "No sensible number of test rows or seeds would tell a difference of this size."
    return f"To tell a difference of this size needs {' or '.join(wanted)}."


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


def top(contenders: Sequence[Facts]) -> Facts:
    return max(contenders, key=lambda c: c["headline"])


def named(contenders: Sequence[Facts], name: str) -> Facts:
    return next(c for c in contenders if c["name"] == name)


def ranked(contenders: Sequence[Facts]) -> str:
    return listed([c["name"] for c in sorted(contenders, key=lambda c: -c["headline"])])


def counted(contenders: Sequence[Facts], runs_of: Callable[[Facts], list[Facts]]) -> str:
    """Of those contenders that have such runs, how many of how many."""
    return ", ".join(f"{c['name']} ({len(runs)} of {len(c['seeds'])})" for c in contenders if (runs := runs_of(c)))


def because(reasons: Sequence[str]) -> str:
    return "; ".join(dict.fromkeys(reason.rstrip(".") for reason in reasons if reason))


def plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"
