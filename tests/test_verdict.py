"""The verdict says what the facts bear and nothing else; each rule on a case made for it."""

import copy

import pytest

from hfkit.ledger.verdict import verdict


def pair(difference: float, half: float, *, rows: int | None = None, seeds: int | None = None) -> dict:
    different = abs(difference) > half
    return {
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
    }


def contender(name: str, headline: float | None, difference: dict | None = None, *, kind: str = "strategy", **more):
    seeds = 1 if kind == "baseline" else 3
    return {
        "name": name,
        "kind": kind,
        "description": "",
        "tuning": None,
        "seeds": [
            {"seed": i, "status": "ok", "reason": "", "validation": headline, "headline": headline, "curve": []}
            for i in range(seeds)
        ],
        "headline": headline,
        "spread": None if seeds == 1 else 0.01,
        "interval": {"low": (headline or 0) - 0.03, "high": (headline or 0) + 0.03, "level": 0.95, "note": ""},
        "difference": difference and {"to": "best", **difference},
        "cost": {"cpu_seconds": 5.0 if kind == "baseline" else 100.0, "tuning_cpu_seconds": 0.0},
        "calibration": None,
        "facts": {},
    } | more


def ledger(*contenders: dict, scratch: dict | None = None, baseline: dict | None = None, **more) -> dict:
    return {
        "contenders": list(contenders),
        "pairs": {"scratch": scratch, "baseline": baseline},
        "skipped": [],
        "rows": {"train": 500, "validation": 100, "test": 400},
        "task": {"name": "text-classification", "headline": "accuracy", "unit": "text"},
        "budgets": None,
    } | more


def said(facts: dict) -> dict[str, str]:
    return {sentence["rule"]: sentence["text"] for sentence in verdict(facts)["sentences"]}


def usual(**more) -> dict:
    """Fine-tuning clearly ahead of scratch and of the baseline."""
    return ledger(
        contender("full", 0.9),
        contender("scratch", 0.7, pair(-0.2, 0.05)),
        contender("tfidf", 0.8, pair(-0.1, 0.05), kind="baseline"),
        scratch=pair(0.2, 0.05),
        baseline=pair(0.1, 0.05),
        **more,
    )


def test_a_clear_win():
    rules = said(usual())
    assert list(rules) == ["clear win", "positive transfer", "worth its cost"]
    assert "0.900 [0.870, 0.930]" in rules["clear win"] and "0.100 [0.050, 0.150] above tfidf" in rules["clear win"]
    assert "0.200 [0.150, 0.250]" in rules["positive transfer"]
    assert "100 CPU seconds against 5.0, 20 times as many" in rules["worth its cost"]
    assert verdict(usual())["next"] == []


def test_a_tie_is_called_one_only_where_the_interval_is_narrow():
    facts = ledger(contender("full", 0.9), contender("lp-ft", 0.898, pair(-0.002, 0.006, rows=90_000)))
    rules = said(facts)
    assert "equal to it for all that matters" in rules["tie"] and "cannot tell" not in rules
    wide = ledger(contender("full", 0.9), contender("lp-ft", 0.898, pair(-0.002, 0.05)))
    assert "tie" not in said(wide) and "No sensible number" in said(wide)["cannot tell"]


def test_underpowered_says_how_many_rows_or_seeds_are_missing():
    facts = ledger(contender("full", 0.9), contender("lp-ft", 0.87, pair(-0.03, 0.04, rows=1_650, seeds=8)))
    text = said(facts)["cannot tell"]
    assert "leads lp-ft by 0.030 [−0.010, 0.070]" in text  # noqa: RUF001
    assert "about 1,250 more test rows or 5 more seeds" in text
    assert any("about 1,250 test rows" in text for text in verdict(facts)["next"])


def test_tie_and_underpowered_together():
    facts = ledger(
        contender("full", 0.9),
        contender("lp-ft", 0.899, pair(-0.001, 0.005)),
        contender("lora", 0.88, pair(-0.02, 0.03, rows=900)),
    )
    rules = said(facts)
    assert list(rules)[:2] == ["tie", "cannot tell"]
    assert "lp-ft is equal" in rules["tie"] and "apart from lora" in rules["cannot tell"]


@pytest.mark.parametrize(
    ("scratch", "rule", "words"),
    [
        (pair(-0.05, 0.02), "negative transfer", "from scratch is 0.050 [0.030, 0.070] accuracy above full"),
        (pair(-0.01, 0.02, rows=5_000), "transfer not shown", "about 4,600 more test rows"),
        (pair(0.01, 0.02), "transfer not shown", "within noise"),
        (pair(0.05, 0.02), "positive transfer", "full is 0.050 [0.030, 0.070] accuracy above"),
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
        (pair(0.01, 0.03, rows=2_000), "not worth its cost", "lead over the best baseline, tfidf, is within noise"),
        (pair(-0.06, 0.03), "not worth its cost", "tfidf, is 0.060 [0.030, 0.090] accuracy above full"),
        (pair(0.06, 0.03), "worth its cost", "gains 0.060 [0.030, 0.090] accuracy"),
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
    assert {"worth its cost", "not worth its cost"} & set(rules) == {rule}


def test_the_simplest_within_noise_is_the_cheapest_and_what_it_may_cost_in_score_is_said():
    facts = ledger(
        contender("full", 0.9, cost={"cpu_seconds": 500.0, "tuning_cpu_seconds": None}),
        contender("feature-extraction", 0.89, pair(-0.01, 0.03), cost={"cpu_seconds": 40.0}),
        contender("majority", 0.2, pair(-0.7, 0.03), kind="baseline", cost={"cpu_seconds": 0.1}),
    )
    text = said(facts)["simplest"]
    assert "feature-extraction: 40 CPU seconds, where full took 500" in text and "0.040 lower" in text
    assert any("Keep feature-extraction" in line for line in verdict(facts)["next"])
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
    assert "full, the best strategy, is unstable: 2 of 3 seeds failed (the loss is not a number)" in rules["unstable"]
    assert rules["failed seeds"].endswith("scratch (1 of 3).")
    assert "full ran with one seed" in rules["one seed"]
    assert any("longer warm-up for full" in text for text in verdict(facts)["next"])


def test_a_contender_whose_seeds_all_failed_takes_no_part():
    dead = contender("lora", None)
    for run in dead["seeds"]:
        run |= {"status": "failed", "reason": "out of memory"}
    facts = usual()
    facts["contenders"].append(dead)
    rules = said(facts)
    assert rules["failed seeds"].endswith("lora (3 of 3).") and "lora" not in rules["clear win"]
    assert "nothing" in said(ledger(dead))


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
        ({"tuning": {"tried": [{"learning_rate": r} for r in (1e-5, 3e-5)], "chosen": 3e-5}}, "Try higher learning"),
        ({"tuning": {"tried": [{"learning_rate": r} for r in (1e-5, 3e-5)], "chosen": 1e-5}}, "Try lower learning"),
        ({"tuning": {"tried": [{"learning_rate": r} for r in (1e-5, 3e-5, 1e-4)], "chosen": 3e-5}}, None),
        ({"curve": curved(0.6, 0.7, 0.75)}, "more epochs: validation still gained 0.050"),
        ({"curve": curved(0.6, 0.7, 0.7)}, None),
        ({"curve": curved(0.6)}, None),
        (
            {"calibration": {"ece": 0.12, "temperature": 2.5, "tempered": {"ece": 0.02}}},
            "Divide the logits of full by 2.50",
        ),
        ({"calibration": {"ece": 0.04, "temperature": 2.5, "tempered": {"ece": 0.02}}}, None),
        ({"calibration": {"ece": 0.12, "temperature": 2.5, "tempered": {"ece": 0.2}}}, None),
        ({"calibration": {"ece": 0.12, "temperature": None, "tempered": None}}, None),
    ],
)
def test_what_to_try_next_follows_from_the_facts(change, words):
    facts = usual()
    full = facts["contenders"][0]
    for run in full["seeds"]:
        run["curve"] = change.get("curve", [])
    full |= {key: value for key, value in change.items() if key != "curve"}
    texts = verdict(facts)["next"]
    assert texts == [] if words is None else len(texts) == 1 and words in texts[0]


@pytest.mark.parametrize(("low", "more"), [(0.85, True), (0.78, False)])
def test_more_labels_are_advised_only_where_the_last_budget_gained_beyond_noise(low, more):
    points = [{"rows": 32, "headline": 0.8, "low": 0.7, "high": 0.85}, {"rows": 128, "headline": 0.9, "low": low}]
    facts = usual(budgets={"curves": [{"name": "full", "points": points}], "crossovers": []})
    assert any("Label more rows: full still gained 0.100 from 32 to 128" in t for t in verdict(facts)["next"]) is more


def test_the_facts_are_read_and_not_changed():
    facts = usual()
    kept = copy.deepcopy(facts)
    assert verdict(facts) == verdict(facts) and facts == kept
