"""Cross-validation: every row is held out once for each seed, no test row is touched, and the page says so."""

import json
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset, concatenate_datasets

from hfkit.errors import UserError
from hfkit.ledger.bench import Bench
from hfkit.ledger.cells import Cell, Contender, Result, plan_cells
from hfkit.ledger.compare import make_plan
from hfkit.ledger.facts import ledger_of
from hfkit.ledger.folds import Folds
from hfkit.ledger.pages import render_ledger
from hfkit.ledger.queue import Queue
from hfkit.ledger.runner import Runner
from hfkit.tasks import TextClassification
from tests.fixtures.comparing import review_flags
from tests.tiny import text as tiny

SIZES = {"train": 24, "validation": 12, "test": 16}


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> Path:
    """A tiny corpus of two classes that a word tells apart, written by few people."""
    folder = tmp_path_factory.mktemp("texts")
    for seed, (split, count) in enumerate(SIZES.items()):
        rows = [
            {
                "text": f"{split} {row['id'] if 'id' in row else number} {' '.join(row['tokens'])}",
                "label": "with" if "B-LOC" in row["tags"] else "without",
                "writer": f"{split} {number // 2}",
            }
            for number, row in enumerate(tiny.ner_rows(count, seed))
        ]
        rows[0]["label"], rows[1]["label"] = "with", "without"
        Dataset.from_list(rows).to_parquet(str(folder / f"{split}.parquet"))
    return folder


def task_of(folder: Path, **flags) -> TextClassification:
    return TextClassification(dataset=str(folder), **flags)


def test_every_row_is_held_out_once_and_a_test_split_never(texts):
    folds = Folds(task_of(texts), 4)
    assert folds.held_out == 16 and len(folds.pool) == 36
    held = []
    for fold in range(4):
        rows = folds.rows_of(0, fold)
        parts = [set(rows[split]["text"]) for split in SIZES]
        assert not parts[0] & parts[1] and not parts[2] & (parts[0] | parts[1])
        assert len(parts[0] | parts[1] | parts[2]) == 36 and len(parts[1]) >= 2
        held += rows["test"]["text"]
    assert sorted(held) == sorted(folds.pool["text"])
    assert not any(text.startswith("test") for text in held)
    assert folds.rows_of(0, 1)["test"]["text"] == Folds(task_of(texts), 4).rows_of(0, 1)["test"]["text"]
    assert folds.rows_of(0, 1)["test"]["text"] != folds.rows_of(1, 1)["test"]["text"]


def test_units_are_held_out_whole_and_rows_that_hfkit_drew_are_in_the_folds(texts, tmp_path):
    splits = [Dataset.from_parquet(str(texts / f"{split}.parquet")) for split in SIZES]
    concatenate_datasets(splits).to_parquet(str(tmp_path / "train.parquet"))
    folds = Folds(task_of(tmp_path, unit_column="writer"), 3)
    assert folds.held_out is None and len(folds.pool) == 52 and folds.independent == 26
    for fold in range(3):
        writers = [set(folds.rows_of(0, fold)[split]["unit"]) for split in SIZES]
        assert sum(map(len, writers)) == 26 == len(set.union(*writers))


@pytest.mark.parametrize(
    ("count", "flags", "fragment"),
    [
        (19, {"unit_column": "writer"}, "there are 18 units"),
        (37, {}, "there are 36 rows"),
        (4, {"validation_share": 0.0}, "validation"),
    ],
)
def test_folds_that_cannot_be_filled_are_refused(texts, count, flags, fragment):
    with pytest.raises(UserError, match=fragment):
        Folds(task_of(texts, **flags), count)


@pytest.fixture
def flags(checkpoint, texts, tmp_path) -> list[str]:
    argv = review_flags(checkpoint, texts)
    argv += ["--num_train_epochs", "1", "--strategies", "feature-extraction", "--seeds", "5", "--folds", "2"]
    argv += ["--baseline", "majority", "tf-idf", "--validation_share", "0.2"]
    return [*argv, "--compare_dir", str(tmp_path / "compare"), "--jobs", "1", "--use_cpu"]


def test_a_comparison_in_folds_scores_each_run_on_the_rows_it_held_out(flags):
    bench = Bench(flags)
    contenders = bench.contenders()
    queue, plan = Queue(Path(bench.own.compare_dir), bench.key), make_plan(bench, contenders)
    assert len(queue.cells(plan)) == 3 * 2
    queue.work(plan, Runner(bench).run)
    ledger = ledger_of(bench, contenders, queue, plan, next(iter(bench.spans)))
    pages = render_ledger(ledger)
    assert not ledger["failed"] and not ledger["skipped"]
    assert ledger["rows"] == {"train": 14, "train_available": 36, "validation": 4, "test": 36}
    assert ledger["folds"] == {"count": 2, "repeats": 1, "held_out_test": 16}
    for contender in ledger["contenders"]:
        assert [(run["seed"], run["fold"]) for run in contender["seeds"]] == [(5, 1), (5, 2)]
        assert contender["headline"] == pytest.approx(np.mean([run["headline"] for run in contender["seeds"]]))
    for cell, result in queue.results(queue.cells(plan)).items():
        held = bench.folds.rows_of(cell.seed, cell.fold)["test"]
        scores = bench.task.judge.score(result.answers, bench.task.rows.references(held))
        assert list(result.tests.values()) == [pytest.approx(scores)]
    assert "on average over 2 folds, which hold out 36 rows in all" in ledger["verdict"]["sentences"][0]["text"]
    for name in ("ledger.html", "ledger.md"):
        assert "sd over folds" in pages[name] and "folds ok / failed" in pages[name]
        assert "The 16 test rows of the dataset were not looked at" in pages[name]
    # Another number of folds has cells of its own, and so have the same rows without any.
    others = [
        Bench([*flags, "--folds", "3"]),
        Bench(flags[: flags.index("--folds")] + flags[flags.index("--folds") + 2 :]),
    ]
    full = contenders[0]
    assert len({one.key(Cell(full, 0, fold=fold)) for one, fold in ((bench, 0), (bench, 1), (others[0], 0))}) == 3
    assert json.loads(pages["ledger.json"])["schema"] == "hfkit.ledger/4"
    assert others[1].key(Cell(full, 0)) != bench.key(Cell(full, 0, fold=0))


@pytest.mark.parametrize("other", ["label_budgets", "other_tests"])
def test_what_makes_no_sense_with_folds_is_refused(flags, other):
    with pytest.raises(UserError, match=f"folds=2, {other}"):
        Bench([*flags, f"--{other}", "8"])


def test_each_fold_chooses_its_rate_and_a_refused_contender_is_asked_once():
    full = Contender("full", "strategy", ("--strategy", "full"))
    settings = {"seeds": [0, 1], "factors": [1.0, 3.0], "budgets": [], "folds": 2}
    every = [Cell(full, seed, factor, fold=fold) for seed in (0, 1) for fold in (0, 1) for factor in (1.0, 3.0)]
    assert plan_cells([full], {}, **settings) == every
    refused = {cell: Result("skipped") for cell in every[:2]}
    assert plan_cells([full], refused, **settings) == every[:2]
