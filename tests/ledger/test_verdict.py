"""The verdict says what the facts bear and nothing else; each rule on a case made for it."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import claims
from benchmarks.ledger_tables import claims_table, ledgers_table, worth
from hfkit.ledger.cells import Contender
from hfkit.ledger.entries import last_gain
from hfkit.ledger.pages import render_ledger
from hfkit.ledger.schema import CONTENDER
from hfkit.ledger.verdict import write_verdict
from hfkit.scores.score import Score
from tests.fixtures import ledgers

ACCURACY = Score("accuracy", "accuracy")
ERRORS = Score("wer", "word error rate", better="lower")


def pair(
    difference: float,
    half: float,
    to: str = "",
    of: str = "full",
    *,
    rows: tuple[int, int | None] | None = None,
    seeds: int | None = None,
    **changes: Any,
) -> dict:
    different = abs(difference) > half
    return {
        "of": of,
        "to": to,
        "difference": difference,
        "low": difference - half,
        "high": difference + half,
        "level": 0.95,
        "p": 0.001 if different else 0.4,
        "p_holm": 0.002 if different else 0.6,
        "different": different,
        "needed_rows": rows,
        "needed_seeds": seeds,
        "note": "",
        **changes,
    }


def contender(name: str, headline: float, difference: dict | None = None, *, kind: str = "strategy", **more):
    seeds = 1 if kind == "baseline" else 3
    return {
        "name": name,
        "kind": kind,
        "description": "",
        "tuning": None,
        "seeds": [
            {
                "seed": i,
                "fold": None,
                "status": "ok",
                "reason": "",
                "validation": headline,
                "headline": headline,
                "curve": [],
            }
            for i in range(seeds)
        ],
        "validation": headline,
        "headline": headline,
        "spread": None if seeds == 1 else 0.01,
        "interval": {"low": headline - 0.03, "high": headline + 0.03, "level": 0.95, "note": ""},
        "difference": difference,
        "cost": {"cpu_seconds": 5.0 if kind == "baseline" else 100.0, "tuning_cpu_seconds": 0.0},
        "calibration": None,
        "facts": {},
    } | more


def ledger(*contenders: dict, scratch: dict | None = None, baseline: dict | None = None, **more) -> dict:
    return {
        "contenders": list(contenders),
        "chosen": next((c["name"] for c in contenders if c["difference"] is None), None),
        "pairs": {"scratch": scratch, "baseline": baseline},
        "failed": [],
        "skipped": [],
        "rows": {"train": 500, "validation": 100, "test": 400},
        "folds": None,
        "task": {"headline": "accuracy", "scores": [ACCURACY.to_json()]},
        "budgets": None,
    } | more


def said(facts: dict) -> dict[str, str]:
    return {sentence["rule"]: sentence["text"] for sentence in write_verdict(facts)["sentences"]}


def usual(**more) -> dict:
    """Fine-tuning clearly ahead of scratch and of the baseline."""
    return ledger(
        contender("full", 0.9),
        contender("scratch", 0.7, pair(-0.2, 0.05)),
        contender("tfidf", 0.8, pair(-0.1, 0.05), kind="baseline"),
        scratch=pair(0.2, 0.05, "scratch"),
        baseline=pair(0.1, 0.05, "tfidf"),
        **more,
    )


def test_a_clear_win():
    rules = said(usual())
    assert list(rules) == ["clear win", "positive transfer", "worth its cost"]
    assert "0.900 [0.870, 0.930]" in rules["clear win"] and "0.100 [0.050, 0.150] above tfidf" in rules["clear win"]
    assert "0.200 [0.150, 0.250]" in rules["positive transfer"]
    assert "100 CPU seconds against 5.0, 20 times as many" in rules["worth its cost"]
    assert write_verdict(usual())["next"] == []


def test_a_tie_is_called_one_only_where_the_interval_is_narrow():
    facts = ledger(contender("full", 0.9), contender("lp-ft", 0.898, pair(-0.002, 0.006, rows=(80_000, None))))
    rules = said(facts)
    assert "equal to it for all that matters" in rules["tie"] and "cannot tell" not in rules
    wide = ledger(contender("full", 0.9), contender("lp-ft", 0.898, pair(-0.002, 0.05)))
    assert "tie" not in said(wide) and "No sensible number" in said(wide)["cannot tell"]


def test_underpowered_says_how_many_rows_or_seeds_are_missing():
    facts = ledger(contender("full", 0.9), contender("lp-ft", 0.87, pair(-0.03, 0.04, rows=(610, 1_900), seeds=8)))
    text = said(facts)["cannot tell"]
    assert text.startswith("full, chosen on validation, reaches accuracy 0.900 [0.870, 0.930] on 400 test rows")
    assert "the highest of 2" in text and "lp-ft differs by −0.030 [−0.070, 0.010]" in text  # noqa: RUF001
    assert "about 210 to 1,500 more test rows or 5 more seeds" in text
    assert any("about 210 to 1,500 test rows" in text for text in write_verdict(facts)["next"])
    for needed, words in (
        ((610, None), "at least 210 more"),
        ((380, 2_800), "up to 2,400 more"),
        ((900, 900), "about 500"),
    ):
        facts["contenders"][1]["difference"]["needed_rows"] = needed
        assert words in said(facts)["cannot tell"]


def test_tie_and_underpowered_together():
    facts = ledger(
        contender("full", 0.9),
        contender("lp-ft", 0.899, pair(-0.001, 0.005)),
        contender("lora", 0.88, pair(-0.02, 0.03, rows=(600, 900))),
    )
    rules = said(facts)
    assert list(rules)[:2] == ["tie", "cannot tell"]
    assert "lp-ft is equal" in rules["tie"] and "full cannot be told apart from lora" in rules["cannot tell"]


@pytest.mark.parametrize(
    ("scratch", "rule", "words"),
    [
        (pair(-0.05, 0.02, "scratch"), "negative transfer", "from scratch is 0.050 [0.030, 0.070] accuracy above full"),
        (pair(-0.01, 0.02, "scratch", rows=(5_000, 5_000)), "transfer not shown", "about 4,600 more test rows"),
        (pair(0.01, 0.02, "scratch"), "transfer not shown", "within noise"),
        (pair(0.05, 0.02, "scratch"), "positive transfer", "full is 0.050 [0.030, 0.070] accuracy above"),
    ],
)
def test_transfer_is_judged_against_scratch(scratch, rule, words):
    facts = ledger(contender("scratch", 0.85), contender("full", 0.8, pair(-0.05, 0.02)), scratch=scratch)
    rules = said(facts)
    assert words in rules[rule]
    assert {"positive transfer", "negative transfer", "transfer not shown", "no scratch"} & set(rules) == {rule}


@pytest.mark.parametrize(
    ("against", "rule", "words"),
    [
        (
            pair(0.01, 0.03, "tfidf", rows=(2_000, 3_000)),
            "worth not shown",
            "difference from the baseline tfidf is within noise: +0.010",
        ),
        (
            pair(-0.06, 0.03, "tfidf"),
            "not worth its cost",
            "the baseline tfidf is 0.060 [0.030, 0.090] accuracy above full",
        ),
        (pair(0.06, 0.03, "tfidf"), "worth its cost", "gains 0.060 [0.030, 0.090] accuracy"),
    ],
)
def test_fine_tuning_is_judged_against_the_best_baseline_with_its_cost(against, rule, words):
    weak = contender("majority", 0.3, pair(-0.5, 0.05), kind="baseline")
    facts = ledger(
        contender("full", 0.81, cost={"cpu_seconds": 60.0, "tuning_cpu_seconds": 240.0}),
        contender("tfidf", 0.8, pair(-0.01, 0.03), kind="baseline", cost={"cpu_seconds": 4.0}),
        weak,
        baseline=against,
    )
    rules = said(facts)
    assert words in rules[rule] and "300 CPU seconds against 4.0, 75 times as many" in rules[rule]
    assert {"worth its cost", "not worth its cost", "worth not shown"} & set(rules) == {rule}


def test_the_simplest_within_noise_is_the_cheapest_and_what_it_may_cost_in_score_is_said():
    facts = ledger(
        contender("full", 0.9, cost={"cpu_seconds": 500.0, "tuning_cpu_seconds": None}),
        contender("feature-extraction", 0.89, pair(-0.01, 0.03), cost={"cpu_seconds": 40.0}),
        contender("majority", 0.2, pair(-0.7, 0.03), kind="baseline", cost={"cpu_seconds": 0.1}),
        baseline=pair(0.7, 0.03, "majority"),
    )
    text = said(facts)["simplest"]
    assert "feature-extraction: 40 CPU seconds, where full took 500" in text and "0.040 lower" in text
    assert any("Keep feature-extraction" in line for line in write_verdict(facts)["next"])
    assert "simplest" not in said(usual())


def test_the_cheapest_being_the_best_needs_no_sentence():
    facts = ledger(contender("lp-ft", 0.9, cost={"cpu_seconds": 1.0}), contender("full", 0.89, pair(-0.01, 0.03)))
    assert "simplest" not in said(facts)


def test_failed_seeds_of_the_best_strategy_are_instability_and_of_others_a_count():
    facts = usual()
    for which, count in ((0, 2), (1, 1)):
        for run in facts["contenders"][which]["seeds"][:count]:
            run |= {"status": "failed", "reason": "the loss is not a number", "headline": None}
    rules = said(facts)
    assert (
        "full, chosen on validation, is unstable: 2 of 3 seeds failed (the loss is not a number)" in rules["unstable"]
    )
    assert rules["failed seeds"].endswith("scratch (1 of 3).")
    assert "full has one seed that finished" in rules["one seed"]
    assert any(
        "why seeds failed, and run them again with --retry_failed true: full (2 of 3 seeds)" in t
        for t in write_verdict(facts)["next"]
    )


def test_a_contender_whose_runs_all_failed_is_named_and_nobody_was_compared_with_it():
    failed = [{"name": "lora", "seed": seed, "reason": "out of memory."} for seed in range(3)]
    of_standing = {"name": "full", "seed": 0, "reason": "at a rate that was not chosen"}
    rules = said(usual(failed=[*failed, of_standing]))
    assert rules["failed"] == "lora failed in every run: out of memory."
    assert "above every other contender that finished" in rules["clear win"]
    assert "every other contender:" in said(usual(failed=[of_standing]))["clear win"]
    assert "failed" not in said(usual(failed=[of_standing]))
    rules = said(ledger(failed=failed))
    assert list(rules) == ["nothing", "failed"]
    unclear = ledger(contender("full", 0.9), contender("lp-ft", 0.89, pair(-0.01, 0.05)), failed=failed)
    assert "the highest of 2 that finished" in said(unclear)["cannot tell"]
    gone = [{"name": "scratch", "seed": 0, "reason": "out of memory"}]
    assert "Training from scratch failed" in said(ledger(contender("full", 0.9), failed=gone))["no scratch"]
    assert not any("'scratch'" in text for text in write_verdict(ledger(contender("full", 0.9), failed=gone))["next"])


def collapse(entry: dict, count: int) -> None:
    for run in entry["seeds"][:count]:
        run["reason"] = "it gives every row the same answer"


def test_seeds_that_say_the_same_of_every_row_are_counted():
    facts = usual()
    facts["contenders"].append(contender("majority", 0.3, pair(-0.6, 0.05), kind="baseline"))
    for entry, count in zip(facts["contenders"], (1, 2, 1, 1), strict=True):
        collapse(entry, count)
    rules = said(facts)
    assert "full, chosen on validation, is unstable: 1 of 3 seeds gave every row the same answer." in rules["unstable"]
    assert rules["collapsed seeds"].endswith("in the scores: scratch (2 of 3), tfidf (1 of 1).")
    assert any("collapsed: full (1 of 3 seeds) and scratch (2 of 3" in text for text in write_verdict(facts)["next"])
    facts["contenders"][0]["seeds"][1] |= {"status": "failed", "reason": "the loss is not a number", "headline": None}
    both = "1 of 3 seeds failed (the loss is not a number) and 1 of 3 seeds gave every row the same answer"
    assert both in said(facts)["unstable"]
    facts = usual()
    collapse(facts["contenders"][0], 3)
    assert "full, chosen on validation, has collapsed: 3 of 3" in said(facts)["unstable"]


def test_a_collapsed_scratch_shows_nothing_about_transfer():
    """As on banking77, where three seeds from scratch said one thing to every row, and transfer was called positive."""
    facts = usual()
    collapse(facts["contenders"][1], 3)
    facts["contenders"][1]["seeds"][0]["curve"] = curved(0.01, 0.01, 0.01)
    rules = said(facts)
    assert list(rules)[:3] == ["clear win", "worth its cost", "collapsed"]
    assert "positive transfer" not in rules
    assert rules["collapsed"].startswith(
        "Whether the checkpoint helped cannot be told yet: scratch (3 of 3 seeds) gave"
    )
    assert (
        "--tune 0.1 0.3 1 --num_train_epochs 6. So far, in accuracy, full differs from scratch by" in rules["collapsed"]
    )


@pytest.mark.parametrize(
    ("rising", "replaced", "kept"),
    [
        (0, {"positive transfer", "worth its cost"}, set()),
        (1, {"positive transfer"}, {"worth its cost"}),
    ],
)
def test_a_contender_that_was_still_rising_is_no_result(rising, replaced, kept):
    facts = usual()
    for run in facts["contenders"][rising]["seeds"]:
        run["curve"] = curved(0.5, 0.7, 0.75)
    rules = said(facts)
    assert not replaced & set(rules) and kept <= set(rules)
    name = facts["contenders"][rising]["name"]
    assert f"in the last epoch validation still improved by 0.050 for {name}." in rules["undertrained"]
    assert "run this comparison again with --num_train_epochs 6." in rules["undertrained"]
    assert rules["undertrained"].count("whether") == len(replaced) - 1
    assert "undertrained" in worth({"verdict": write_verdict(facts)}) or kept


def test_the_last_epoch_is_looked_at_however_often_it_was_evaluated():
    often = [{"epoch": step / 25, "validation": 0.5 + 0.004 * step} for step in range(1, 51)]
    short = [{"epoch": step / 10, "validation": 0.5 + 0.01 * step} for step in range(1, 11)]
    flat = [{"epoch": step / 25, "validation": 0.5 + 0.01 * min(step, 24)} for step in range(1, 51)]
    for curve, gain in ((often, 0.1), (short, 0.05), (flat, 0.0), ([], None), (often[:1], None)):
        one = contender("full", 0.9)
        for run in one["seeds"]:
            run["curve"] = curve
        assert last_gain(one, 1) == (gain if gain is None else pytest.approx(gain))


def test_every_scratch_is_looked_at_and_the_one_that_decides_need_not_be_the_best():
    facts = ledger(
        contender("full", 0.9),
        contender("scratch", 0.84, pair(-0.06, 0.05)),
        contender("scratch --x 1", 0.8, pair(-0.1, 0.2)),
        scratch=pair(0.1, 0.2, "scratch --x 1"),
    )
    assert "(scratch --x 1, one of 2)" in said(facts)["transfer not shown"]
    for run in facts["contenders"][1]["seeds"]:
        run["curve"] = curved(0.1, 0.69)
    assert "by 0.590 for scratch." in said(facts)["undertrained"]


def test_who_is_beaten_on_the_test_rows_is_still_the_chosen_one():
    facts = ledger(
        contender("full", 0.9),
        contender("lora", 0.97, pair(0.07, 0.02)),
        contender("lp-ft", 0.93, pair(0.03, 0.05)),
        chosen="full",
    )
    rules = said(facts)
    assert list(rules)[:2] == ["beaten", "cannot tell"]
    assert "but lora is better beyond noise: lora is 0.070 [0.050, 0.090] above it." in rules["beaten"]
    assert "the highest" not in rules["beaten"] and "lp-ft differs by +0.030" in rules["cannot tell"]


def test_advice_looks_at_every_contender():
    facts = usual()
    for run in facts["contenders"][1]["seeds"]:
        run["curve"] = curved(0.3, 0.7)
    facts["contenders"][1]["tuning"] = {
        "tried": [{"learning_rate": r, "changes": {}} for r in (1e-5, 3e-5)],
        "chosen": 3e-5,
    }
    texts = write_verdict(facts)["next"]
    assert any(text.startswith("Train scratch longer") for text in texts)
    assert any("higher learning rates for scratch (3e-05)" in text for text in texts)


def test_every_variant_of_scratch_is_one_and_the_pair_says_which():
    variant = "scratch --learning_rate 1e-3"
    facts = ledger(
        contender(variant, 0.95, cost={"cpu_seconds": 7.0}),
        contender("full", 0.9, pair(-0.05, 0.02), cost={"cpu_seconds": 50.0}),
        contender("tfidf", 0.6, pair(-0.35, 0.02), kind="baseline"),
        contender("scratch", 0.5, pair(-0.45, 0.02)),
        scratch=pair(-0.05, 0.02, variant),
        baseline=pair(0.3, 0.02, "tfidf"),
    )
    rules = said(facts)
    assert f"from scratch ({variant}, the best of 2) is 0.050" in rules["negative transfer"]
    assert "full took 50 CPU seconds against 5.0" in rules["worth its cost"]
    assert not any("'scratch'" in text for text in write_verdict(facts)["next"])


def test_scratch_alone_says_nothing_of_fine_tuning():
    facts = ledger(
        contender("scratch --seed 3", 0.9), contender("tfidf", 0.5, pair(-0.4, 0.1), kind="baseline"), baseline=None
    )
    rules = said(facts)
    assert list(rules) == ["clear win", "no strategy"] and "not known" in rules["no strategy"]


def test_one_contender_alone_is_compared_with_nothing():
    rules = said(ledger(contender("full", 0.9)))
    assert list(rules) == ["alone", "no scratch", "no baseline"]
    assert list(said(ledger(contender("majority", 0.9, kind="baseline")))) == ["alone", "no strategy"]
    assert list(said(ledger())) == ["nothing"]


def test_skipped_contenders_are_counted_with_their_reasons():
    facts = usual(skipped=[{"name": "knn", "reason": "no features"}, {"name": "nli", "reason": "not downloaded"}])
    assert said(facts)["skipped"] == "2 contenders could not run: knn (no features); nli (not downloaded)."


def curved(*validation: float) -> list[dict]:
    return [{"epoch": epoch + 1, "validation": value} for epoch, value in enumerate(validation)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"tuning": {"tried": [{"learning_rate": r, "changes": {}} for r in (1e-5, 3e-5)], "chosen": 3e-5}},
            "Try higher learning",
        ),
        (
            {"tuning": {"tried": [{"learning_rate": r, "changes": {}} for r in (1e-5, 3e-5)], "chosen": 1e-5}},
            "Try lower learning",
        ),
        (
            {"tuning": {"tried": [{"learning_rate": r, "changes": {}} for r in (1e-5, 3e-5, 1e-4)], "chosen": 3e-5}},
            None,
        ),
        ({"curve": curved(0.6, 0.7, 0.75)}, "longer, such as with --num_train_epochs 6: validation still gained 0.050"),
        ({"curve": curved(0.6, 0.7, 0.7)}, None),
        ({"curve": curved(0.6)}, None),
        (
            {"calibration": {"ece": 0.12, "ece_scaled": 0.02, "temperature": 2.5}},
            "of full by 2.50 (from 0.120 to 0.020)",
        ),
        ({"calibration": {"ece": 0.04, "ece_scaled": 0.02, "temperature": 2.5}}, None),
        ({"calibration": {"ece": 0.12, "ece_scaled": 0.115, "temperature": 2.5}}, None),
        ({"calibration": {"ece": 0.12, "ece_scaled": 0.2, "temperature": 2.5}}, None),
    ],
)
def test_what_to_try_next_follows_from_the_facts(change, words):
    facts = usual()
    full = facts["contenders"][0]
    for run in full["seeds"]:
        run["curve"] = change.get("curve", [])
    full |= {key: value for key, value in change.items() if key != "curve"}
    texts = write_verdict(facts)["next"]
    assert texts == [] if words is None else len(texts) == 1 and words in texts[0]


def test_calibration_has_the_keys_that_advice_reads():
    assert {"ece", "ece_scaled", "temperature"} <= set(CONTENDER["calibration"][1])


def test_advice_is_five_lines_at_most_and_one_for_all_that_it_is_true_of():
    several = [contender(name, 0.9 - i / 100, pair(-i / 100, 0.05, rows=(700, 900))) for i, name in enumerate("abcdef")]
    several[0]["difference"] = None
    for one, chosen in zip(several, (1e-5, 1e-5, 1e-5, 1e-4, 3e-5, 3e-5), strict=True):
        one["tuning"] = {
            "tried": [{"learning_rate": rate, "changes": {}} for rate in (1e-5, 3e-5, 1e-4)],
            "chosen": chosen,
        }
        one["calibration"] = {"ece": 0.12, "ece_scaled": 0.02, "temperature": 2.5}
        for run in one["seeds"]:
            run["curve"] = curved(0.6, 0.7)
    collapse(several[1], 1)
    texts = write_verdict(ledger(*several))["next"]
    assert len(texts) == 5 and texts[0].endswith("collapsed: b (1 of 3 seeds).")
    assert texts[1].startswith("Try lower learning rates for a (1e-05) and c (1e-05): ")  # of b it is said already
    assert texts[2].startswith("Try higher learning rates for d (0.0001): ")
    assert texts[3].startswith("Train a, b, c, d and 2 more longer, such as with --num_train_epochs 4: validation")


@pytest.mark.parametrize(("half", "seconds", "kept"), [(0.04, 5.0, True), (0.02, 5.0, False), (0.04, 500.0, False)])
def test_a_probe_is_kept_only_where_it_is_cheaper_and_within_noise(half, seconds, kept):
    probe = contender("linear probe", 0.87, pair(-0.03, half), kind="baseline", cost={"cpu_seconds": seconds})
    facts = ledger(contender("full", 0.9), probe, baseline=pair(0.03, half, "linear probe"))
    texts = write_verdict(facts)["next"]
    assert any("Keep linear probe" in text for text in texts) is kept


def test_the_pages_say_what_the_correction_leaves_and_what_cpu_seconds_are():
    for text in render_ledger(ledgers.full()).values():
        if text.startswith("{"):
            continue
        assert "claims any difference at most 5 times in 100" in text and "fitting and answering the test rows" in text


@pytest.mark.parametrize(
    ("low", "high", "margin", "holds"),
    [
        (0.01, 0.05, 0.0, "holds"),
        (-0.01, 0.05, 0.0, "cannot tell"),
        (-0.01, 0.05, 0.02, "holds"),
        (-0.03, 0.05, 0.02, "cannot tell"),
        (-0.03, -0.01, 0.02, "does not hold"),
    ],
)
def test_claims_of_the_literature_are_judged_by_their_margin(low, high, margin, holds):
    assert claims.judge_margin(low, high, margin) == holds


def test_the_rivals_of_a_probe_are_the_strategies_that_are_not_from_scratch():
    names = ("full", "lora", "scratch --seed 3", "knn")
    kinds = ("strategy", "strategy", "strategy", "baseline")
    rivals = claims.strategies_of([Contender(name, kind) for name, kind in zip(names, kinds, strict=True)])
    assert rivals == ["full", "lora"]


@pytest.mark.parametrize(
    ("raw", "calibrated", "holds"),
    [
        ([0.5] * 5, [0.5, 0.6, 0.5, 0.6, 0.5], "no meaning"),
        ([0.5, 0.6, 0.5, 0.6, 0.5], [0.5, 0.55, 0.5, 0.56, 0.5], "cannot tell"),
        ([0.5, 0.9, 0.5, 0.9, 0.5], [0.5, 0.51, 0.5, 0.51, 0.5], "holds"),
        ([0.5, 0.51, 0.5, 0.51, 0.5], [0.5, 0.9, 0.5, 0.9, 0.5], "does not hold"),
    ],
)
def test_a_spread_is_lowered_only_where_the_variances_differ_beyond_noise(raw, calibrated, holds):
    found = claims.judge_spread(raw, calibrated)
    assert found["holds"] == holds and f"sd {np.std(raw, ddof=1):.3f} before" in found["value"]


def test_the_table_of_claims_says_that_they_are_not_corrected():
    found = {"command": "c", "seeds": "0, 1", "correction": "none: each alone", "claims": []}
    assert claims_table(found).endswith("Correction for there being several claims: none: each alone.")


@pytest.mark.parametrize(("low", "more"), [(0.86, True), (0.83, False)])
def test_more_labels_are_advised_only_where_the_last_budget_gained_beyond_noise(low, more):
    points = [{"rows": 32, "headline": 0.8, "low": 0.7, "high": 0.85}, {"rows": 128, "headline": 0.9, "low": low}]
    facts = usual(budgets={"curves": [{"name": "full", "points": points}], "crossovers": []})
    texts = write_verdict(facts)["next"]
    assert any("Label more rows: full still gained 0.100 from 32 to 128" in text for text in texts) is more


def test_the_facts_are_read_and_not_changed():
    facts = usual()
    kept = copy.deepcopy(facts)
    assert write_verdict(facts) == write_verdict(facts) and facts == kept


def test_the_readme_table_shows_who_was_chosen_and_the_rivals_that_decide():
    facts = copy.deepcopy(ledgers.full())
    facts["environment"]["versions"]["transformers"] = "5.0"
    cells = ledgers_table({Path("made_up.json"): facts}).splitlines()[2].split(" | ")
    assert [cell.split(" ")[0] for cell in cells[3:6]] == ["lp-ft", "tfidf", "scratch"]


def of_errors(*contenders: dict, **more) -> dict:
    return ledger(*contenders, **more) | {"task": {"headline": "wer", "scores": [ERRORS.to_json()]}}


def test_where_lower_is_better_the_lowest_wins_and_the_words_say_below():
    rules = said(
        of_errors(
            contender("full", 0.1),
            contender("scratch", 0.3, pair(0.2, 0.05)),
            contender("tfidf", 0.2, pair(0.1, 0.05), kind="baseline"),
            scratch=pair(-0.2, 0.05, "scratch"),
            baseline=pair(-0.1, 0.05, "tfidf"),
        )
    )
    assert list(rules) == ["clear win", "positive transfer", "worth its cost"]
    assert "beyond noise below every other contender: 0.100 [0.050, 0.150] below tfidf" in rules["clear win"]
    assert "full is 0.200 [0.150, 0.250] word error rate below the same model" in rules["positive transfer"]
    assert "is 0.100 [0.050, 0.150] word error rate below the best baseline, tfidf" in rules["worth its cost"]


def test_where_lower_is_better_a_higher_score_is_what_a_cheap_choice_costs():
    points = [{"rows": 32, "headline": 0.3, "low": 0.25}, {"rows": 128, "headline": 0.1, "high": 0.2}]
    facts = of_errors(
        contender("full", 0.1, cost={"cpu_seconds": 500.0, "tuning_cpu_seconds": None}),
        contender("feature-extraction", 0.11, pair(0.01, 0.03), cost={"cpu_seconds": 40.0}),
        budgets={"curves": [{"name": "full", "points": points}], "crossovers": []},
    )
    rules = said(facts)
    for run in facts["contenders"][0]["seeds"]:
        run["curve"] = curved(0.3, 0.2, 0.1)
    assert "simplest" not in said(facts)  # of a contender that was still getting better nothing is final
    assert "the lowest of 2" in rules["cannot tell"] and "feature-extraction differs by +0.010" in rules["cannot tell"]
    assert "0.040 higher" in rules["simplest"]
    texts = write_verdict(facts)["next"]
    assert any(
        "Train full longer, such as with --num_train_epochs 6: validation still gained 0.100" in text for text in texts
    )
    assert any("Label more rows: full still gained 0.200" in text for text in texts)


def test_where_lower_is_better_a_lower_score_from_scratch_is_negative_transfer():
    against = pair(0.05, 0.01, "scratch")
    facts = of_errors(contender("scratch", 0.05), contender("full", 0.1, against), scratch=against)
    assert "from scratch is 0.050 [0.040, 0.060] word error rate below full" in said(facts)["negative transfer"]
