"""The verdict on a comparison, in words that its numbers support: a pure function of the facts in the ledger.

Rules, in the order of their sentences. "Different" means that the statistics say so: the interval of the paired
difference excludes zero and p is below 0.05, corrected for multiple comparisons with the best. The best is chosen on
the same rows, so that errors are more frequent than 5 in 100: of ten equal contenders one was called different 11 times
in 100. If a lower score is better, the sentences say "below" for "above" and "lowest" for "highest".

    nothing            no contender finished
    alone              one contender finished: there is nothing to compare
    clear win          the best is different from every other contender that finished
    tie                those not different from the best whose interval lies within one point (0.01) on both sides: they
                       are equal for all that matters
    cannot tell        the rest of those not different: how many more test rows or seeds would separate them, if any
    simplest           the cheapest of those not different from the best, if that is not the best itself
    positive transfer  the best pretrained strategy is different from the best one from scratch, and better
    negative transfer  the best one from scratch is different from the best pretrained strategy, and better: so better
                       than every one of them
    transfer not shown neither: the rows cannot tell that scratch is worse
    no scratch         no strategy from scratch finished
    worth its cost     the best pretrained strategy is different from the best baseline, and better; how many times the
                       cost
    not worth its cost the best baseline is within noise, or better; how many times the cost it saves
    no baseline        no baseline finished
    no strategy        no strategy that starts from the checkpoint finished
    unstable           seeds of the best strategy failed or collapsed: they give every row the same answer
    failed seeds       seeds of other contenders failed
    collapsed          seeds of other contenders collapsed; they are in the scores
    failed             contenders of which every run failed, so that nothing was compared with them
    one seed           a strategy ran once, so that its spread over seeds is not known
    skipped            contenders that could not run

The cost of a contender is its CPU seconds, including those of choosing its learning rate. The advice on what to try
next follows from the same facts (see `give_advice`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hfkit.ledger.advice import give_advice
from hfkit.ledger.entries import (
    collapsed_runs,
    failed_runs,
    finished_runs,
    headline_of,
    is_scratch,
    join_names,
    lost_contenders,
    pretrained_strategies,
    total_cost,
    turn,
)
from hfkit.report.pages import interval_text, score_text, signed_text
from hfkit.scores.score import Score, headline_score

POINT = 0.01  # a difference below this is no reason to choose

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Terms:
    """The words for a better score."""

    above: str
    highest: str
    lower: str  # for a worse one

    @classmethod
    def of(cls, score: Score) -> "Terms":
        return cls("above", "highest", "lower") if score.sign > 0 else cls("below", "lowest", "higher")


def write_verdict(ledger: Facts) -> dict[str, list]:
    """`sentences`, each with its `rule` and `text`, and `next`, texts on what to try.

    Args:
        ledger: `contenders`, `failed`, `pairs`, `skipped`, `rows`, `task` and `budgets`, as in ledger.json; the best
            contender is the one without a difference.
    """
    score = headline_score(ledger["task"])
    standing = ledger["contenders"]
    best = next((contender for contender in standing if contender["difference"] is None), None)
    near = [c for c in standing if c["difference"] and not c["difference"]["different"]]
    sentences = [
        *_first(best, standing, near, ledger, score),
        *_simplest_choice(best, near, score),
        *_transfer(standing, ledger, score),
        *_worth_of_training(standing, ledger, score),
        *_failures(standing, ledger, score),
        *_skips(ledger["skipped"]),
    ]
    return {
        "sentences": [{"rule": rule, "text": text} for rule, text in sentences],
        "next": give_advice(ledger, best, near),
    }


Sentences = list[tuple[str, str]]


def _first(
    best: Facts | None, standing: Sequence[Facts], near: Sequence[Facts], ledger: Facts, score: Score
) -> Sentences:
    """The best contender, and those that cannot be told apart from it."""
    if best is None:
        return [("nothing", "No contender finished, so nothing can be said.")]
    terms = Terms.of(score)
    reached = f"{best['name']} reaches {score.title} {score_text(best['headline'])} {interval_text(best['interval'])}"
    rows = f"{ledger['rows']['test']:,} test {plural('row', ledger['rows']['test'])}"
    finished = " that finished" if lost_contenders(ledger) or ledger["skipped"] else ""
    rank = f"the {terms.highest} of {len(standing)}{finished}"
    if len(standing) == 1:
        return [("alone", f"{reached} on {rows}. It is the only contender that finished: nothing to compare it with.")]
    if not near:
        second = score.best((c for c in standing if c is not best), headline_of)
        lead = difference_text(turn(second["difference"], -score.sign))
        return [
            (
                "clear win",
                f"{reached}, beyond noise {terms.above} every other contender{finished}: {lead} {terms.above}"
                f" {second['name']}, the next best, on {rows}.",
            )
        ]
    equal = [c for c in near if max(abs(c["difference"]["low"]), abs(c["difference"]["high"])) <= POINT]
    unclear = [c for c in near if c not in equal]
    sentences, start = [], f"{reached} on {rows}, {rank}, but it"
    if equal:
        verb = "is" if len(equal) == 1 else "are"
        text = f"{rank_names(equal, score)} {verb} equal to it for all that matters: any difference is below {POINT}."
        sentences.append(("tie", f"{reached} on {rows}, {rank}, and {text}"))
        start = best["name"]
    if unclear:
        nearest = score.best(unclear, headline_of)
        lead = difference_text(turn(nearest["difference"], -score.sign))
        text = f"cannot be told apart from {rank_names(unclear, score)}: it leads {nearest['name']} by {lead}."
        needed = needed_text(nearest["difference"], nearest, best, ledger)
        sentences.append(("cannot tell", f"{start} {text} {needed}"))
    return sentences


def _simplest_choice(best: Facts | None, near: Sequence[Facts], score: Score) -> Sentences:
    if not near or best is None:
        return []
    # After correction for many comparisons a difference may count as noise although its own interval excludes zero:
    # such a contender is no equal choice.
    equal = [c for c in near if turn(c["difference"], score.sign)["high"] >= 0]
    cheapest = min([best, *equal], key=total_cost)
    if cheapest is best:
        return []
    loss = max(0.0, -turn(cheapest["difference"], score.sign)["low"])
    return [
        (
            "simplest",
            f"The simplest choice within noise is {cheapest['name']}: {seconds_text(total_cost(cheapest))} CPU seconds,"
            f" where {best['name']} took {seconds_text(total_cost(best))}. It may score up to {score_text(loss)}"
            f" {Terms.of(score).lower}.",
        )
    ]


def _transfer(standing: Sequence[Facts], ledger: Facts, score: Score) -> Sentences:
    ours, scratch = pretrained_strategies(standing), [c for c in standing if is_scratch(c["name"])]
    pair = ledger["pairs"]["scratch"]
    if not scratch:
        tried = any(is_scratch(name) for name in lost_contenders(ledger))
        what = "Training from scratch failed" if tried else "No strategy was trained from scratch"
        return [("no scratch", f"{what}, so whether the checkpoint helped is not known.")] if ours else []
    if not ours or pair is None:
        return []
    best, rival = score.best(ours, headline_of), contender_named(standing, pair["to"])
    others = f", the best of {len(scratch)}" if len(scratch) > 1 else ""
    flagged = f" ({rival['name']}{others})" if others or rival["name"] != "scratch" else ""
    same = f"the same model trained from scratch{flagged}"
    above, gain = Terms.of(score).above, turn(pair, score.sign)
    if pair["different"] and gain["difference"] > 0:
        text = f"Transfer is positive: {best['name']} is {difference_text(gain)} {score.title} {above} {same}."
        return [("positive transfer", text)]
    if pair["different"]:
        text = (
            f"Transfer is negative: {same} is {difference_text(turn(gain, -1))} {score.title} {above} {best['name']},"
            " the best pretrained strategy. This checkpoint harms here."
        )
        return [("negative transfer", text)]
    text = (
        f"No benefit of the checkpoint is shown: {best['name']}, the best pretrained strategy, differs from {same} by"
        f" {signed_text(pair['difference'])} {interval_text(pair)} {score.title}, which is within noise."
        f" {needed_text(pair, best, rival, ledger)}"
    )
    return [("transfer not shown", text)]


def _worth_of_training(standing: Sequence[Facts], ledger: Facts, score: Score) -> Sentences:
    strategies, baselines = pretrained_strategies(standing), [c for c in standing if c["kind"] == "baseline"]
    if not standing:
        return []
    if not strategies:
        why = "no strategy that starts from the checkpoint finished"
        return [("no strategy", f"Whether fine-tuning is worth its cost is not known: {why}.")]
    if not baselines:
        return [("no baseline", "Whether fine-tuning is worth its cost is not known: no baseline finished.")]
    pair = ledger["pairs"]["baseline"]
    if pair is None:
        return []
    ours, theirs = score.best(strategies, headline_of), contender_named(standing, pair["to"])
    paid = (
        f"{seconds_text(total_cost(ours))} CPU seconds against {seconds_text(total_cost(theirs))}"
        f"{ratio_text(total_cost(ours), total_cost(theirs))}"
    )
    above, gain = Terms.of(score).above, turn(pair, score.sign)
    if pair["different"] and gain["difference"] > 0:
        if score.sign > 0:
            gained = f"gains {difference_text(gain)} {score.title} over the best baseline, {theirs['name']}"
        else:
            gained = f"is {difference_text(gain)} {score.title} below the best baseline, {theirs['name']}"
        return [("worth its cost", f"Fine-tuning {gained}. {ours['name']} took {paid}.")]
    if pair["different"]:
        text = (
            f"Fine-tuning is not worth its cost: the best baseline, {theirs['name']}, is"
            f" {difference_text(turn(gain, -1))} {score.title} {above} {ours['name']}, which took {paid}."
        )
    else:
        text = (
            f"Fine-tuning is not shown to be worth its cost: {ours['name']} took {paid}, and its lead over the best"
            f" baseline, {theirs['name']}, is within noise: {signed_text(gain['difference'])} {interval_text(gain)}."
            f" {needed_text(pair, ours, theirs, ledger)}"
        )
    return [("not worth its cost", text)]


def _failures(standing: Sequence[Facts], ledger: Facts, score: Score) -> Sentences:
    strategies = [c for c in standing if c["kind"] == "strategy"]
    best = score.best(strategies, headline_of) if strategies else None
    others = [c for c in standing if c is not best]
    sentences = []
    if best and (failed_runs(best) or collapsed_runs(best)):
        sentences.append(("unstable", _instability(best)))
    if text := count_runs(others, failed_runs):
        sentences.append(("failed seeds", f"Seeds failed, and are left out of the scores: {text}."))
    if text := count_runs(others, collapsed_runs):
        sentences.append(("collapsed", f"Seeds gave every row the same answer, and are in the scores: {text}."))
    everywhere = "every run on all training rows" if ledger["budgets"] else "every run"
    lost = lost_contenders(ledger)
    dead = [f"{name} failed in {everywhere}: {join_reasons(reasons)}." for name, reasons in lost.items()]
    if dead:
        sentences.append(("failed", " ".join(dead)))
    single = [c for c in strategies if len(finished_runs(c)) == 1]
    if single:
        runs = "ran" if len(single) == 1 else "each ran"
        text = f"{rank_names(single, score)} {runs} with one seed: how much another seed would change is not known."
        sentences.append(("one seed", text))
    return sentences


def _instability(best: Facts) -> str:
    failed, alike, count = failed_runs(best), collapsed_runs(best), len(best["seeds"])
    reasons = join_reasons([run["reason"] for run in failed])
    counts = []
    if failed:
        counts.append(f"{len(failed)} of {count} seeds failed{f' ({reasons})' if reasons else ''}")
    if alike:
        counts.append(f"{len(alike)} of {count} {plural('seed', count)} gave every row the same answer")
    state = "has collapsed" if len(alike) == len(finished_runs(best)) else "is unstable"
    left = "; its score is that of the seeds that did not fail" if failed else ""
    return f"{best['name']}, the best strategy, {state}: {' and '.join(counts)}{left}."


def _skips(skipped: Sequence[Facts]) -> Sentences:
    if not skipped:
        return []
    reasons = "; ".join(f"{row['name']} ({row['reason']})" for row in skipped)
    return [("skipped", f"{len(skipped)} {plural('contender', len(skipped))} could not run: {reasons}.")]


def needed_text(pair: Facts, a: Facts, b: Facts, ledger: Facts) -> str:
    """The test rows or seeds, beyond those there are, that would detect a difference of this size."""
    rows, seeds = pair["needed_rows"], pair["needed_seeds"]
    runs = max(len(finished_runs(c)) for c in (a, b))
    wanted = []
    # A number that is already reached comes from rounding: at that size, chance decides.
    if rows:
        wanted.append(f"about {max(rows - ledger['rows']['test'], 1):,} more test rows")
    if seeds:
        more = max(seeds - runs, 1)
        wanted.append(f"{more:,} more {plural('seed', more)}")
    if not wanted:
        return "No sensible number of test rows or seeds would tell a difference of this size."
    return f"To tell a difference of this size needs {' or '.join(wanted)}."


def difference_text(pair: Facts) -> str:
    return f"{score_text(pair['difference'])} {interval_text(pair)}"


def seconds_text(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:,.1f}"


def ratio_text(ours: float, theirs: float) -> str:
    """How many times the cost, unless either is too small to be measured well."""
    if theirs < 0.05 or ours < 0.05:
        return ""
    ratio = ours / theirs
    return f", {ratio:,.0f} times as many" if ratio >= 10 else f", {ratio:,.1f} times as many"


def contender_named(contenders: Sequence[Facts], name: str) -> Facts:
    return next(c for c in contenders if c["name"] == name)


def rank_names(contenders: Sequence[Facts], score: Score) -> str:
    """Their names in a sentence, the best first."""
    return join_names([c["name"] for c in sorted(contenders, key=lambda c: -score.sign * c["headline"])])


def count_runs(contenders: Sequence[Facts], runs_of: Callable[[Facts], list[Facts]]) -> str:
    """The contenders that have such runs, each with their number out of all of its runs."""
    return ", ".join(f"{c['name']} ({len(runs)} of {len(c['seeds'])})" for c in contenders if (runs := runs_of(c)))


def join_reasons(reasons: Sequence[str]) -> str:
    return "; ".join(dict.fromkeys(reason.rstrip(".") for reason in reasons if reason))


def plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"
