"""The verdict on a comparison, in words that its numbers support: a pure function of the facts in the ledger.

Validation chooses a contender, and the test rows judge the choice. All differences that a sentence may claim are tested
together: those of the chosen contender from every other, and those of the chosen strategy (which is the same one,
unless validation chose a baseline) from training from scratch and from every baseline. "Different" means that p,
corrected for their number (Holm), is below 0.05, and that the interval, at the level at which p is tested, excludes
zero. Where contenders are in fact equal, a page claims any difference at most 5 times in 100. If a lower score is
better, the sentences say "below" for "above" and "lowest" for "highest".

    nothing            no contender finished
    alone              one contender finished: there is nothing to compare
    clear win          the chosen contender is different from every other that finished, and better
    beaten             others are different from the chosen one, and better, which validation did not show
    tie                those not different from it whose interval lies within one point (0.01) on both sides: they are
                       equal for all that matters
    cannot tell        the rest of those not different: how many more test rows or seeds would separate them, if any
    simplest           the cheapest of those not different, if that is not the chosen one itself
    positive transfer  the chosen strategy is different from every one from scratch, and better
    negative transfer  one from scratch is different from the chosen strategy, and better
    transfer not shown neither: the rows cannot tell that scratch is worse
    no scratch         no strategy from scratch finished
    worth its cost     the chosen strategy is different from every baseline, and better; how many times the cost
    not worth its cost a baseline is different from the chosen strategy, and better; how many times the cost it saves
    worth not shown    neither: the rows cannot tell that the baselines are worse
    no baseline        no baseline finished
    no strategy        no strategy that starts from the checkpoint finished
    undertrained       in place of the sentence on transfer or on worth: validation of either side still improved by
                       half a point (0.005) or more in the last epoch: its score is not what it can reach
    collapsed          in place of the same sentences: seeds of a strategy on either side gave every row the same answer
    unstable           seeds of the chosen strategy failed or collapsed
    failed seeds       seeds of other contenders failed
    collapsed seeds    seeds of other contenders collapsed; they are in the scores
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
    is_rising,
    is_scratch,
    is_unfinished,
    join_counts,
    join_names,
    last_gain,
    lost_contenders,
    more_rows_text,
    noun_of,
    plural,
    pretrained_strategies,
    total_cost,
    turn,
    twice_the_epochs,
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


Sentences = list[tuple[str, str]]


def write_verdict(ledger: Facts) -> dict[str, list]:
    """`sentences`, each with its `rule` and `text`, and `next`, texts on what to try.

    Args:
        ledger: `contenders`, `chosen`, `failed`, `pairs`, `skipped`, `rows`, `task` and `budgets`, as in ledger.json.
    """
    score = headline_score(ledger["task"])
    standing = ledger["contenders"]
    chosen = contender_named(standing, ledger["chosen"]) if standing else None
    near = [c for c in standing if c["difference"] and not c["difference"]["different"]]
    sentences = [
        *_first(chosen, standing, near, ledger, score),
        *_simplest_choice(chosen, near, score),
        *_answer(standing, ledger, score),
        *_failures(standing, ledger, score),
        *_skips(ledger["skipped"]),
    ]
    return {
        "sentences": [{"rule": rule, "text": text} for rule, text in sentences],
        "next": give_advice(ledger, chosen, near),
    }


def _first(
    chosen: Facts | None, standing: Sequence[Facts], near: Sequence[Facts], ledger: Facts, score: Score
) -> Sentences:
    """The chosen contender, those that beat it, and those that cannot be told apart from it."""
    if chosen is None:
        return [("nothing", "No contender finished, so nothing can be said.")]
    terms = Terms.of(score)
    how = ", chosen on validation," if chosen["validation"] is not None else ""
    reached = f"reaches {score.title} {score_text(chosen['headline'])} {interval_text(chosen['interval'])}"
    reached += f" {judged_on(ledger)}"
    if len(standing) == 1:
        only = "It is the only contender that finished: nothing to compare it with."
        return [("alone", f"{chosen['name']} {reached}. {only}")]
    reached = f"{chosen['name']}{how} {reached}"
    finished = " that finished" if lost_contenders(ledger) or ledger["skipped"] else ""
    others = [c for c in standing if c is not chosen]
    better = [c for c in others if c not in near and turn(c["difference"], score.sign)["difference"] > 0]
    if not near and not better:
        second = score.best(others, headline_of)
        lead = difference_text(turn(second["difference"], -score.sign))
        text = (
            f"{reached}, beyond noise {terms.above} every other contender{finished}: {lead} {terms.above}"
            f" {second['name']}, the next best."
        )
        return [("clear win", text)]
    equal = [c for c in near if max(abs(c["difference"]["low"]), abs(c["difference"]["high"])) <= POINT]
    unclear = [c for c in near if c not in equal]
    found: Sentences = []
    if better:
        first = score.best(better, headline_of)
        lead = f"{difference_text(turn(first['difference'], score.sign))} {terms.above} it"
        text = f"but {rank_names(better, score)} {is_or_are(better)} better beyond noise: {first['name']} is {lead}."
        found.append(("beaten", text))
    if equal:
        it = "it" if not found else chosen["name"]
        text = f"{rank_names(equal, score)} {is_or_are(equal)} equal to {it} for all that matters"
        found.append(("tie", f"{'' if found else 'and '}{text}: any difference is below {POINT}."))
    if unclear:
        nearest = score.best(unclear, headline_of)
        gap = f"{signed_text(nearest['difference']['difference'])} {interval_text(nearest['difference'])}"
        who = chosen["name"] if found else "but it"
        text = f"{who} cannot be told apart from {rank_names(unclear, score)}: {nearest['name']} differs by {gap}."
        found.append(("cannot tell", f"{text} {needed_text(nearest['difference'], nearest, chosen, ledger)}"))
    rank = f", the {terms.highest} of {len(standing)}{finished}" if score.best(standing, headline_of) is chosen else ""
    (rule, text), *rest = found
    return [(rule, f"{reached}{rank}, {text}"), *rest]


def judged_on(ledger: Facts) -> str:
    """The rows that the scores are of, in words."""
    count, folds = ledger["rows"]["test"], ledger["folds"]
    if not folds:
        return f"on {count:,} test {plural('row', count)}"
    repeats = f", {folds['repeats']} times" if folds["repeats"] > 1 else ""
    return f"on average over {folds['count']} folds{repeats}, which hold out {count:,} rows in all"


def _simplest_choice(chosen: Facts | None, near: Sequence[Facts], score: Score) -> Sentences:
    if not near or chosen is None:
        return []
    cheapest = min([chosen, *near], key=total_cost)
    if cheapest is chosen or any(is_unfinished(c, score.sign) for c in (cheapest, chosen)):
        return []
    loss = max(0.0, -turn(cheapest["difference"], score.sign)["low"])
    text = (
        f"The simplest choice within noise is {cheapest['name']}: {seconds_text(total_cost(cheapest))} CPU seconds,"
        f" where {chosen['name']} took {seconds_text(total_cost(chosen))}."
    )
    if loss >= 0.0005:  # less is printed as none
        text += f" It may score up to {score_text(loss)} {Terms.of(score).lower}."
    return [("simplest", text)]


def _answer(standing: Sequence[Facts], ledger: Facts, score: Score) -> Sentences:
    """Whether transfer helped and whether fine-tuning is worth its cost, or why that cannot be told yet."""
    answers, doubts = [], {"collapsed": [], "undertrained": []}
    for kind, question, answer in (
        ("scratch", "the checkpoint helped", _transfer),
        ("baseline", "fine-tuning is worth its cost", _worth_of_training),
    ):
        pair = ledger["pairs"][kind]
        rivals = [c for c in standing if is_scratch(c["name"])] if kind == "scratch" else []
        sides = [contender_named(standing, pair["of"]), *rivals] if pair else []
        collapsed = [c for c in sides if collapsed_runs(c)]
        rising = [c for c in sides if is_rising(c, score.sign)]
        if collapsed or rising:
            doubts["collapsed" if collapsed else "undertrained"].append((question, collapsed or rising, pair))
        else:
            answers += answer(standing, ledger, score)
    texts = {"collapsed": _collapse_text, "undertrained": _rise_text}
    return [*answers, *((rule, texts[rule](found, score)) for rule, found in doubts.items() if found)]


Doubt = tuple[str, list[Facts], Facts]  # a question, the contenders that leave it open, and the difference so far


def _rise_text(doubts: Sequence[Doubt], score: Score) -> str:
    rising = list_contenders(doubts)
    gains = join_names([f"by {score_text(last_gain(c, score.sign))} for {c['name']}" for c in rising])
    return (
        f"{_open_questions(doubts)}: in the last epoch validation still improved {gains}. Train longer: run this"
        f" comparison again with --num_train_epochs {twice_the_epochs(rising)}. {_so_far(doubts, score)}"
    )


def _collapse_text(doubts: Sequence[Doubt], score: Score) -> str:
    collapsed = list_contenders(doubts)
    epochs = twice_the_epochs(collapsed)
    more = f" --num_train_epochs {epochs}" if epochs else ""
    return (
        f"{_open_questions(doubts)}: {join_counts(collapsed, collapsed_runs)} gave every row the same answer, which"
        f" says nothing about what training can reach. Run this comparison again with --tune 0.1 0.3 1{more}."
        f" {_so_far(doubts, score)}"
    )


def _open_questions(doubts: Sequence[Doubt]) -> str:
    return f"Whether {' and whether '.join(question for question, *_ in doubts)} cannot be told yet"


def _so_far(doubts: Sequence[Doubt], score: Score) -> str:
    found = []
    for *_, pair in doubts:
        noise = "" if pair["different"] else ", which is within noise"
        found.append(f"from {pair['to']} by {signed_text(pair['difference'])}{noise}")
    ours = doubts[0][-1]["of"]  # the same in both
    return f"So far, in {score.title}, {ours} differs {', and '.join(found)}."


def list_contenders(doubts: Sequence[Doubt]) -> list[Facts]:
    """The contenders behind some doubts, each once."""
    return list({c["name"]: c for _, contenders, _ in doubts for c in contenders}.values())


def _transfer(standing: Sequence[Facts], ledger: Facts, score: Score) -> Sentences:
    ours, scratch = pretrained_strategies(standing), [c for c in standing if is_scratch(c["name"])]
    pair = ledger["pairs"]["scratch"]
    if not scratch:
        tried = any(is_scratch(name) for name in lost_contenders(ledger))
        what = "Training from scratch failed" if tried else "No strategy was trained from scratch"
        return [("no scratch", f"{what}, so whether the checkpoint helped is not known.")] if ours else []
    if pair is None:
        return []
    chosen, rival = pair["of"], contender_named(standing, pair["to"])
    which = "the best" if score.best(scratch, headline_of) is rival else "one"
    others = f", {which} of {len(scratch)}" if len(scratch) > 1 else ""
    flagged = f" ({rival['name']}{others})" if others or rival["name"] != "scratch" else ""
    same = f"the same model trained from scratch{flagged}"
    above, gain = Terms.of(score).above, turn(pair, score.sign)
    if pair["different"] and gain["difference"] > 0:
        text = f"Transfer is positive: {chosen} is {difference_text(gain)} {score.title} {above} {same}."
        return [("positive transfer", text)]
    if pair["different"]:
        text = (
            f"Transfer is negative: {same} is {difference_text(turn(gain, -1))} {score.title} {above} {chosen}, the"
            " pretrained strategy that validation chose. This checkpoint harms here."
        )
        return [("negative transfer", text)]
    text = (
        f"No benefit of the checkpoint is shown: {chosen}, the pretrained strategy that validation chose, differs from"
        f" {same} by {signed_text(pair['difference'])} {interval_text(pair)} {score.title}, which is within noise."
        f" {needed_text(pair, contender_named(standing, chosen), rival, ledger)}"
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
    ours, theirs = (contender_named(standing, pair[end]) for end in ("of", "to"))
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
            f"Fine-tuning is not worth its cost: the baseline {theirs['name']} is {difference_text(turn(gain, -1))}"
            f" {score.title} {above} {ours['name']}, which took {paid}."
        )
        return [("not worth its cost", text)]
    text = (
        f"Fine-tuning is not shown to be worth its cost: {ours['name']} took {paid}, and its difference from the"
        f" baseline {theirs['name']} is within noise: {signed_text(pair['difference'])} {interval_text(pair)}."
        f" {needed_text(pair, ours, theirs, ledger)}"
    )
    return [("worth not shown", text)]


def _failures(standing: Sequence[Facts], ledger: Facts, score: Score) -> Sentences:
    strategies = [c for c in standing if c["kind"] == "strategy"]
    chosen = choose_strategy(strategies, ledger)
    others = [c for c in standing if c is not chosen]
    sentences, runs = [], "Folds" if ledger["folds"] else "Seeds"
    if chosen and (failed_runs(chosen) or collapsed_runs(chosen)):
        how = "chosen on validation" if chosen["name"] == ledger["chosen"] else "the pretrained strategy of validation"
        sentences.append(("unstable", _instability(chosen, how)))
    if text := count_runs(others, failed_runs):
        sentences.append(("failed seeds", f"{runs} failed, and are left out of the scores: {text}."))
    if text := count_runs(others, collapsed_runs):
        sentences.append(("collapsed seeds", f"{runs} gave every row the same answer, and are in the scores: {text}."))
    everywhere = "every run on all training rows" if ledger["budgets"] else "every run"
    lost = lost_contenders(ledger)
    dead = [f"{name} failed in {everywhere}: {join_reasons(reasons)}." for name, reasons in lost.items()]
    if dead:
        sentences.append(("failed", " ".join(dead)))
    single = [c for c in strategies if len(finished_runs(c)) == 1]
    if single:
        have = "has" if len(single) == 1 else "each have"
        text = f"{rank_names(single, score)} {have} one seed that finished: how much another would change is not known."
        sentences.append(("one seed", text))
    return sentences


def choose_strategy(strategies: Sequence[Facts], ledger: Facts) -> Facts | None:
    """The strategy that validation chose: the pretrained one, or the chosen contender if it is a strategy."""
    pair = next((pair for pair in ledger["pairs"].values() if pair), None)
    name = pair["of"] if pair else ledger["chosen"]
    return next((c for c in strategies if c["name"] == name), None)


def _instability(chosen: Facts, how: str) -> str:
    failed, alike, count = failed_runs(chosen), collapsed_runs(chosen), len(chosen["seeds"])
    noun = noun_of(chosen)
    reasons = join_reasons([run["reason"] for run in failed])
    counts = []
    if failed:
        counts.append(f"{len(failed)} of {count} {noun}s failed{f' ({reasons})' if reasons else ''}")
    if alike:
        counts.append(f"{len(alike)} of {count} {plural(noun, count)} gave every row the same answer")
    state = "has collapsed" if len(alike) == len(finished_runs(chosen)) else "is unstable"
    left = f"; its score is that of the {noun}s that did not fail" if failed else ""
    return f"{chosen['name']}, {how}, {state}: {' and '.join(counts)}{left}."


def _skips(skipped: Sequence[Facts]) -> Sentences:
    if not skipped:
        return []
    reasons = "; ".join(f"{row['name']} ({row['reason']})" for row in skipped)
    return [("skipped", f"{len(skipped)} {plural('contender', len(skipped))} could not run: {reasons}.")]


def needed_text(pair: Facts, a: Facts, b: Facts, ledger: Facts) -> str:
    """The test rows or seeds, beyond those there are, that would detect a difference of this size."""
    seeds = pair["needed_seeds"]
    wanted = []
    if rows := more_rows_text(pair["needed_rows"], ledger["rows"]["test"]):
        wanted.append(f"{rows} more test rows")
    if seeds:
        # A number that is already reached comes from rounding: at that size, chance decides.
        more = max(seeds - max(len(finished_runs(c)) for c in (a, b)), 1)
        wanted.append(f"{more:,} more {plural('seed', more)}")
    if not wanted and ledger["folds"]:
        return "To tell a difference of this size takes more rows: other folds of the same ones add little."
    if not wanted:
        return "No sensible number of test rows or seeds would tell a difference of this size."
    return f"To tell a difference of this size takes {' or '.join(wanted)}."


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


def is_or_are(contenders: Sequence[Facts]) -> str:
    return "is" if len(contenders) == 1 else "are"
