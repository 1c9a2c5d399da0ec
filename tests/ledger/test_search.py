"""Searches: the same trials again from the same results, none lost, the best one run with every seed."""

import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from datasets import Dataset

from hfkit.errors import UserError
from hfkit.ledger.bench import Bench
from hfkit.ledger.cells import Cell, Contender, Result, plan_cells
from hfkit.ledger.compare import make_plan
from hfkit.ledger.facts import ledger_of
from hfkit.ledger.pages import render_ledger
from hfkit.ledger.pruning import Pruning
from hfkit.ledger.queue import Queue
from hfkit.ledger.runner import Runner
from hfkit.ledger.search import OptunaSearch, RandomSearch, prune_by_median
from hfkit.ledger.space import Choice, Span, apply_factors, changes_text, default_space, flags_of, read_space
from tests.fixtures.comparing import review_flags
from tests.tiny import text as tiny

FULL = Contender("full", "strategy", ("--strategy", "full"))
SPACE = {"rates": Span(0.1, 10.0, log=True), "weight_decay": Span(0.0, 0.5), "optim": Choice(("adamw_torch", "sgd"))}


def space_of(contender: Contender) -> tuple:
    return SPACE, SimpleNamespace(weight_decay=0.01, optim="adamw_torch")


def scored(cell: Cell) -> Result:
    """A valley: rates are best at three times the strategy's own."""
    rates = dict(cell.changes).get("rates", 1.0)
    return Result("ok", validation=0.9 - abs(math.log(rates / 3)) / 10, curve=[{"epoch": 1.0, "validation": 0.5}])


def searched(search, count: int, results: dict | None = None) -> list[Cell]:
    """The trials of a search that one worker runs in turn, from the results that there are."""
    results = {} if results is None else results
    for _ in range(count + 1):
        cells, complete = search.trials(FULL, results)
        if complete:
            return cells
        for cell in cells:
            results.setdefault(cell, scored(cell))
    raise AssertionError("it does not end")


@pytest.mark.parametrize("kind", [RandomSearch, OptunaSearch])
def test_trials_are_a_function_of_the_seed_and_the_first_is_the_strategy_as_it_is(kind):
    cells = searched(kind(space_of, 8, 3), 8)
    assert len(set(cells)) == 8 and cells[0] == Cell(FULL, 3, changes=())
    assert searched(kind(space_of, 8, 3), 8) == cells != searched(kind(space_of, 8, 4), 8)
    for cell in cells[1:]:
        drawn = dict(cell.changes)
        assert 0.1 <= drawn["rates"] <= 10 and 0 <= drawn["weight_decay"] <= 0.5
        assert drawn["optim"] in ("adamw_torch", "sgd")


def test_a_search_that_was_stopped_asks_the_same_again_and_more_trials_add_to_it():
    cells = searched(OptunaSearch(space_of, 8, 0), 8)
    results = {cell: scored(cell) for cell in cells[:5]}
    again, complete = OptunaSearch(space_of, 8, 0).trials(FULL, results)
    assert again == cells[:6] and not complete
    assert searched(OptunaSearch(space_of, 10, 0), 10)[:8] == cells
    # Another result at the fifth trial, and all that follow are others.
    living = OptunaSearch(space_of, 8, 0)
    assert searched(living, 8) == cells
    changed = results | {cells[4]: Result("failed")}
    assert living.trials(FULL, changed)[0][:5] == cells[:5] and living.trials(FULL, changed)[0][5:] != cells[5:6]


def test_optuna_goes_where_scores_are_better():
    later = searched(OptunaSearch(space_of, 24, 0), 24)[12:]
    distances = [abs(math.log(dict(cell.changes)["rates"] / 3)) for cell in later]
    assert np.median(distances) < 0.7  # of rates drawn evenly it is 1.2


def test_the_best_trial_runs_with_every_seed_once_all_have_ended():
    settings = {"seeds": [0, 1], "factors": [1.0], "budgets": [8], "search": RandomSearch(space_of, 3, 0)}
    trials = plan_cells([FULL], {}, **settings)
    assert len(trials) == 3
    results = {cell: scored(cell) for cell in trials}
    best = max(trials, key=lambda cell: results[cell].validation)
    every = plan_cells([FULL], results, **settings)
    assert every[3:] == [
        Cell(FULL, seed, rows=rows, changes=best.changes) for rows, seed in ((None, 1), (8, 0), (8, 1))
    ]
    assert plan_cells([FULL], {trials[0]: Result("skipped")}, **settings) == trials[:1]
    # A pruned trial has no score, and is never chosen.
    pruned = results | {best: Result("pruned", curve=[{"epoch": 1.0, "validation": 0.99}])}
    assert plan_cells([FULL], pruned, **settings)[3].changes != best.changes


def test_a_run_behind_the_median_is_ended_and_not_before_its_second_evaluation():
    curves = [[0.5, 0.6, 0.7], [0.6, 0.7, 0.8], [0.4, 0.7, 0.9], [0.5, 0.8, 0.9]]
    earlier = [
        Result("ok", validation=max(curve), curve=[{"epoch": i + 1.0, "validation": v} for i, v in enumerate(curve)])
        for curve in curves
    ]
    control, state = SimpleNamespace(should_training_stop=False), SimpleNamespace(global_step=5, max_steps=9)
    pruning = Pruning(prune_by_median(earlier, 1), "eval_accuracy", 1)
    for score, stopped in ((0.1, False), (0.71, False), (0.72, True)):
        pruning.on_evaluate(None, state, control, metrics={"eval_accuracy": score})
        assert control.should_training_stop is stopped
    assert pruning.ended_at == 3
    few = prune_by_median(earlier[:3], 1)
    assert not any(few(number, 0.0) for number in (1, 2, 3))
    lower = prune_by_median(earlier, -1)  # of a score that is better if lower, 0.71 is behind
    assert not lower(1, -0.9) and lower(2, -0.9) and not prune_by_median(earlier, -1)(2, -0.1)


def test_settings_are_flags_of_training_and_factors_on_its_rates(tmp_path):
    changes = (("rates", 2.0), ("head_rate", 3.0), ("weight_decay", 0.1))
    assert flags_of(changes) == ["--weight_decay", "0.1"]
    assert changes_text(changes) == "rates x 2, head_rate x 3, weight_decay 0.1"
    args = apply_factors(SimpleNamespace(learning_rate=1e-4, head_learning_rate=None), changes)
    assert (args.learning_rate, args.head_learning_rate) == (2e-4, pytest.approx(6e-4))
    frozen = SimpleNamespace(unfreeze_stages=0, adapted=False)
    assert default_space(frozen, [0.3, 3.0]).keys() == {"rates", "weight_decay"}
    assert default_space(frozen, [0.3, 3.0])["rates"] == Span(0.3, 3.0, log=True)
    file = tmp_path / "space.yaml"
    file.write_text("rates: {low: 0.5, high: 2, log: true}\nema: [0.9, 0.99]\n")
    assert read_space(str(file)) == {"rates": Span(0.5, 2.0, log=True), "ema": Choice((0.9, 0.99))}


@pytest.mark.parametrize(
    "text",
    ["rates: 3", "rates: {low: 2, high: 1}", "[1]", "{}", "rates: {low: 0, high: 1, log: true}", "a: [1, 1]", "{"],
)
def test_a_space_that_is_none_is_refused(text, tmp_path):
    file = tmp_path / "space.yaml"
    file.write_text(text)
    with pytest.raises(UserError, match="tune_space"):
        read_space(str(file))


@pytest.fixture
def flags(checkpoint, tmp_path) -> list[str]:
    for seed, (split, count) in enumerate({"train": 24, "validation": 12, "test": 16}.items()):
        rows = [
            {"text": " ".join(row["tokens"]), "label": "ab"[i % 2]} for i, row in enumerate(tiny.ner_rows(count, seed))
        ]
        Dataset.from_list(rows).to_parquet(str(tmp_path / f"{split}.parquet"))
    argv = review_flags(checkpoint, tmp_path)
    argv += ["--num_train_epochs", "3", "--strategies", "feature-extraction", "--seeds", "0", "--baseline", "majority"]
    return [*argv, "--tuner", "optuna", "--compare_dir", str(tmp_path / "compare"), "--jobs", "1", "--use_cpu"]


@pytest.mark.slow
def test_a_comparison_searches_tells_what_it_pruned_and_shares_what_is_frozen(flags, monkeypatch, tmp_path):
    monkeypatch.setattr("hfkit.ledger.search.STARTUP", 2)
    bench = Bench([*flags, "--trials", "4"])
    contenders = bench.contenders()
    queue, plan = Queue(Path(bench.own.compare_dir), bench.key), make_plan(bench, contenders)
    queue.work(plan, Runner(bench).run)
    cells = [cell for cell in queue.cells(plan) if cell.changes is not None]
    results = queue.results(cells)
    assert len(cells) == 4 and {result.status for result in results.values()} <= {"ok", "pruned"}
    assert list((tmp_path / "compare" / "activations").rglob("*"))
    # A later command reads the same trials from their cells, whether or not they ended early.
    assert [cell for cell in make_plan(Bench(bench.argv), contenders)(queue.results(queue.cells(plan)))] == [
        *cells,
        *(cell for cell in queue.cells(plan) if cell.changes is None),
    ]
    ledger = ledger_of(bench, contenders, queue, plan, next(iter(bench.spans)))
    pages, (tuned,) = render_ledger(ledger), [c for c in ledger["contenders"] if c["tuning"]]
    known = [trial for trial in tuned["tuning"]["tried"] if not trial["pruned"]]
    best = max(known, key=lambda trial: trial["validation"])
    assert len(tuned["tuning"]["tried"]) == 4 and not ledger["failed"]
    assert (tuned["tuning"]["chosen"], tuned["tuning"]["changes"]) == (best["learning_rate"], best["changes"])
    assert tuned["validation"] == best["validation"] and tuned["cost"]["tuning_cpu_seconds"] > 0
    assert "best on validation of 4 trials with seed 0" in pages["ledger.html"]


@pytest.mark.parametrize(
    ("more", "fragment"),
    [
        (["--tuner", "bayes"], "tuner='bayes'"),
        (["--tuner", "grid", "--trials", "4"], "trials=4"),
        (["--folds", "2"], "folds=2, tuner=optuna"),
        (["--trials", "1"], "trials=1"),
    ],
)
def test_a_search_that_cannot_be_is_refused(flags, more, fragment):
    with pytest.raises(UserError, match=fragment):
        Bench([*flags, *more])


def test_a_space_of_other_flags_than_those_of_training_is_refused(flags, tmp_path):
    file = tmp_path / "space.json"
    file.write_text('{"max_length": [16, 32]}')
    with pytest.raises(UserError, match="tune_space max_length"):
        Bench([*flags, "--tune_space", str(file)]).contenders()
