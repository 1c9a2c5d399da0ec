"""A comparison: every cell once, whoever runs it and however often it is stopped; the same for one worker and two."""

import errno
import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset, DatasetDict
from typer.testing import CliRunner

from hfkit.cli import app
from hfkit.errors import UserError
from hfkit.ledger.bench import Bench, draw_rows, join_tests
from hfkit.ledger.cells import Cell, Contender, Result, choose_cell, plan_cells
from hfkit.ledger.compare import compare, last_error, make_plan
from hfkit.ledger.facts import crossover_of, is_certain, ledger_of, mean_cost, rows_worth_all
from hfkit.ledger.queue import MOST_STARTS, Queue
from hfkit.ledger.runner import Runner, is_fault_of_machine
from hfkit.ledger.schema import validate_ledger
from hfkit.runtime.energy import measure_energy
from hfkit.runtime.processes import LAUNCHERS, Rank, take_rank
from hfkit.tasks import NER, TextClassification
from tests.tiny import text as tiny

ROOT = Path(__file__).parents[2]
RECIPE = str(ROOT / "recipes" / "bert_sentiment.py")


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> str:
    """A tiny corpus of two classes that a word tells apart."""
    folder = tmp_path_factory.mktemp("texts")
    for seed, (split, count) in enumerate({"train": 24, "validation": 12, "test": 16}.items()):
        rows = [{"text": " ".join(row["tokens"]), "label": kind_of(row)} for row in tiny.ner_rows(count, seed)]
        rows[0]["label"], rows[1]["label"] = "with", "without"  # each split has both
        Dataset.from_list(rows).to_parquet(str(folder / f"{split}.parquet"))
    return str(folder)


def kind_of(row: dict) -> str:
    return "with" if "B-LOC" in row["tags"] else "without"


@pytest.fixture
def flags(checkpoint, texts, tmp_path) -> list[str]:
    argv = ["--recipe", RECIPE, "--checkpoint", checkpoint, "--dataset", texts, "--num_train_epochs", "1"]
    argv += ["--strategies", "feature-extraction", "full", "--seeds", "0", "1", "--baseline", "majority", "tf-idf"]
    return [*argv, "--compare_dir", str(tmp_path / "compare"), "--jobs", "1", "--use_cpu"]


def worked(argv: list[str]) -> dict:
    """The ledger of cells that this process runs, as any worker would: it has paid for its imports."""
    bench = Bench(argv)
    contenders = bench.contenders()
    queue, plan = Queue(Path(bench.own.compare_dir), bench.key), make_plan(bench, contenders)
    queue.work(plan, Runner(bench).run)
    return ledger_of(bench, contenders, queue, plan, next(iter(bench.spans)))


def ledger_in(folder: Path, name: str = "ledger") -> dict:
    found = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    validate_ledger(found)
    return found


def scores_of(ledger: dict) -> dict[str, list]:
    return {c["name"]: [seed["scores"] for seed in c["seeds"]] for c in ledger["contenders"]}


def stamps(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (folder / "cells").glob("*.json")}


@pytest.fixture(scope="module")
def compared(checkpoint, texts, tmp_path_factory) -> Path:
    """One comparison by the command line, as a user runs it."""
    folder, others = tmp_path_factory.mktemp("compared"), str(tmp_path_factory.mktemp("far") / "others")
    splits = {split: Dataset.from_parquet(f"{texts}/{split}.parquet") for split in ("train", "validation", "test")}
    DatasetDict({**splits, "test": splits["test"].select(range(10))}).save_to_disk(others)
    argv = ["--recipe", RECIPE, "--checkpoint", checkpoint, "--dataset", texts, "--num_train_epochs", "1"]
    argv += ["--strategies", "scratch", "full", "--seeds", "0", "1", "--tune", "0.5", "1"]
    argv += ["--baseline", "majority", "tf-idf", "knn", "lexicon", "--label_budgets", "8", "--other_tests", others]
    argv += ["--compare_dir", str(folder), "--jobs", "2", "--use_cpu"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        ended = CliRunner().invoke(app, ["compare", *argv])
    assert ended.exit_code == 0, ended.output
    (folder / "stdout.txt").write_text(ended.stdout)
    return folder


@pytest.mark.slow
def test_every_contender_is_in_the_ledger_or_its_reason_is(compared):
    ledger = ledger_in(compared)
    assert {c["name"] for c in ledger["contenders"]} == {
        *("scratch", "full", "majority", "TF-IDF", "kNN"),
    }
    assert [skipped["name"] for skipped in ledger["skipped"]] == ["lexicon"]  # its rows have no tags
    assert "tokens" in ledger["skipped"][0]["reason"]
    assert not ledger["failed"]
    for contender in ledger["contenders"]:
        assert len(contender["seeds"]) == (2 if contender["kind"] == "strategy" else 1)
        assert contender["cost"]["cpu_seconds"] > 0
    assert ledger["verdict"]["sentences"]
    assert f"Ledger: {compared / 'ledger.html'}" in (compared / "stdout.txt").read_text()


@pytest.mark.slow
def test_the_rate_is_the_one_that_validation_prefers(compared):
    for contender in ledger_in(compared)["contenders"]:
        if contender["kind"] == "strategy":
            tried = contender["tuning"]["tried"]
            assert len({trial["learning_rate"] for trial in tried}) == 2
            best = max(tried, key=lambda trial: trial["validation"])
            assert contender["tuning"]["chosen"] == best["learning_rate"]
            assert contender["seeds"][0]["validation"] == best["validation"]
            assert contender["cost"]["tuning_cpu_seconds"] > 0


@pytest.mark.slow
def test_scores_by_labels_end_at_all_rows(compared):
    for curve in ledger_in(compared)["budgets"]["curves"]:
        assert [point["rows"] for point in curve["points"]] == [8, 24]
        assert len(curve["points"][0]["seeds"]) == 2  # of a baseline too: the rows drawn are others


@pytest.mark.slow
def test_another_test_has_a_page_of_its_own(compared):
    first, other = ledger_in(compared), ledger_in(compared, "ledger-others")
    assert other["rows"]["test"] == 10 and first["rows"]["test"] == 16
    assert any("judged on the test rows of others" in note for note in other["notes"])
    # Its rows are the first ten of the other's, and so every contender answers them alike.
    assert scores_of(other) != scores_of(first)


@pytest.mark.slow
def test_what_has_ended_is_not_computed_again(flags, tmp_path, capsys):
    folder = tmp_path / "compare"
    scores, before = scores_of(worked(flags)), stamps(folder)
    capsys.readouterr()
    compare([*flags, "--json"])
    assert stamps(folder) == before
    # One document, and nothing else where a program reads.
    (told,) = json.loads(capsys.readouterr().out)["tests"]
    assert told["page"] == str(folder / "ledger.html") and told["verdict"] == ledger_in(folder)["verdict"]
    assert {one["name"] for one in told["contenders"]} == scores.keys()
    assert scores_of(ledger_in(folder)) == scores
    # More seeds add to it.
    worked([*flags, "--seeds", "0", "1", "2"])
    assert before.items() <= stamps(folder).items()
    assert len(stamps(folder)) == len(before) + 2


def other_process(folder: Path, *argv: str, **environment: str) -> subprocess.Popen:
    """One that works on the comparison in `folder`, once it has ended its first cell."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    running = subprocess.Popen([sys.executable, *argv], stdout=subprocess.PIPE, text=True, env=environment)
    until = time.monotonic() + 120
    while not list((folder / "cells").glob("*.json")) and running.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    return running


@pytest.mark.slow
def test_a_killed_comparison_goes_on_where_it_was(flags, tmp_path):
    folder = tmp_path / "compare"
    running = other_process(folder, "-m", "hfkit.ledger", "work", *flags)
    running.kill()
    running.communicate()
    before = stamps(folder)
    assert 0 < len(before) < 6, "it was to be killed in the middle"
    assert len(worked(flags)["contenders"]) == 4
    assert before.items() <= stamps(folder).items()
    assert not list((folder / "locks").glob("*.starts"))


@pytest.mark.slow
def test_two_ranks_of_a_launcher_share_the_cells_and_one_writes_the_page(flags, tmp_path, monkeypatch, capsys):
    alone = worked([*flags, "--compare_dir", str(tmp_path / "alone")])
    # As srun starts them; this process is the first rank.
    names = ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID")
    first, second = (dict(zip(names, (rank, "2", rank), strict=True)) for rank in ("0", "1"))
    recipe = str(ROOT / "recipes" / "compare_strategies.py")
    other = other_process(tmp_path / "compare", recipe, *flags, **second)
    for name, value in first.items():
        monkeypatch.setenv(name, value)
    compare(flags)
    assert "Ledger: " not in other.communicate()[0] and other.returncode == 0
    assert capsys.readouterr().out.count("Ledger: ") == 1
    assert scores_of(ledger_in(tmp_path / "compare")) == scores_of(alone)


@pytest.mark.parametrize("names", LAUNCHERS, ids=["torchrun", "srun"])
def test_a_launcher_is_known_by_its_variables(names, monkeypatch):
    for name, value in zip(names, ("5", "8", "1"), strict=True):
        monkeypatch.setenv(name, value)
    assert take_rank() == Rank(5, 8, 1)
    assert "WORLD_SIZE" not in os.environ  # a run on one process must not join a group
    for name, value in zip(names, ("0", "1", "0"), strict=True):
        monkeypatch.setenv(name, value)
    assert take_rank() is None


@pytest.mark.slow
def test_a_seed_that_breaks_leaves_the_others(flags):
    """A rate that no weights survive: the loss is not finite, and the run is stopped."""
    ledger = worked([*flags, "--strategies", "full", "full --learning_rate 1e30", "--max_grad_norm", "0"])
    assert {c["name"] for c in ledger["contenders"]} >= {"full", "majority"}
    broken = [run for run in ledger["failed"] if run["name"] == "full --learning_rate 1e30"]
    assert len(broken) == 2 and all("finite" in run["reason"] for run in broken), ledger["failed"]


def cell(name: str = "full", seed: int = 0, **more) -> Cell:
    return Cell(Contender(name, "strategy", ("--strategy", name)), seed, **more)


def test_a_cell_whose_process_died_is_given_up_after_a_few_starts(tmp_path):
    queue, ran = Queue(tmp_path, lambda cell: cell.contender.name), []

    def run(cell, scratch):
        ran.append(cell)
        return Result("ok"), {}

    (tmp_path / "locks" / "full.starts").write_text("x" * MOST_STARTS)
    queue.work(lambda results: [cell(), cell("lora")], run)
    assert [one.contender.name for one in ran] == ["lora"]
    assert queue.result(cell()).status == "failed" and "died" in queue.result(cell()).reason
    queue.forget([cell(), cell("lora")], "failed")
    queue.work(lambda results: [cell(), cell("lora")], run)
    assert [one.contender.name for one in ran] == ["lora", "full"]


@pytest.mark.parametrize("suffix", [".json", ".npz"])
@pytest.mark.parametrize("damage", ["empty", "half", "flip", "missing"])
def test_a_damaged_cell_counts_as_not_run_and_is_named(tmp_path, capsys, suffix, damage):
    def run(one, scratch):
        rng = np.random.default_rng(len(one.contender.name))
        return Result("ok", answers=["a", "b"] * 9, validation=0.5), {"probabilities_test": rng.random((18, 2))}

    both = [cell(), cell("lora")]
    Queue(tmp_path, lambda one: one.contender.name).work(lambda results: both, run)
    file = tmp_path / "cells" / f"full{suffix}"
    whole = {path.name: path.read_bytes() for path in (tmp_path / "cells").iterdir()}
    content = file.read_bytes()
    middle = len(content) // 2
    damages = {"empty": b"", "half": content[:middle], "missing": None}
    damages["flip"] = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    file.unlink() if damages[damage] is None else file.write_bytes(damages[damage])
    queue = Queue(tmp_path, lambda one: one.contender.name)
    assert queue.open_cells(lambda results: both) == [cell()]
    assert queue.open_cells(lambda results: both) == [cell()]
    # Without its result a cell has not ended, and there is nothing to say.
    assert capsys.readouterr().out.count("full.json: it cannot be read (") == ((suffix, damage) != (".json", "missing"))
    queue.work(lambda results: both, run)
    assert {path.name: path.read_bytes() for path in (tmp_path / "cells").iterdir()} == whole


def test_a_new_command_forgets_faults_of_the_machine_and_not_those_of_a_contender(tmp_path):
    results = {
        "full": Result("failed", "no room is left", machine=True),
        "lora": Result("failed", "the loss is not finite"),
        "auto": Result("ok"),
    }
    cells = [cell(name) for name in results]
    queue = Queue(tmp_path, lambda one: one.contender.name)
    queue.work(lambda _: cells, lambda one, scratch: (results[one.contender.name], {}))
    (tmp_path / "locks" / "llrd.starts").write_text("x" * MOST_STARTS)
    queue.forget_faults_of_the_machine([*cells, cell("llrd")])
    assert queue.open_cells(lambda _: [*cells, cell("llrd")]) == [cell("full"), cell("llrd")]
    assert not (tmp_path / "locks" / "llrd.starts").exists()


def test_the_error_of_a_worker_is_the_last_line_of_its_log(tmp_path):
    assert last_error(tmp_path) is None
    (tmp_path / "worker-0.txt").write_text("error: of another time\n1/2 full, seed 0: accuracy 1.000\n")
    assert last_error(tmp_path) is None
    (tmp_path / "worker-1.txt").write_text("1/2 full, seed 0\nerror: no room is left\n")
    assert last_error(tmp_path) == "no room is left"


def test_a_fault_of_the_machine_is_told_from_one_of_the_contender():
    refused, missing = OSError(errno.EIO, "Input/output error"), OSError("there is no such model")
    assert all(map(is_fault_of_machine, (refused, MemoryError())))
    assert not any(map(is_fault_of_machine, (missing, FloatingPointError(), ValueError())))


def test_other_seeds_wait_for_the_rate_and_a_refused_contender_is_asked_once():
    full, lexicon = cell().contender, Contender("lexicon", "baseline", seeded=False)
    settings = {"seeds": [0, 1], "factors": [0.5, 1.0, 2.0], "budgets": []}
    first = plan_cells([full, lexicon], {}, **settings)
    assert first == [cell(factor=0.5), cell(factor=1.0), cell(factor=2.0), Cell(lexicon, 0)]
    results = {
        cell(factor=factor): Result("ok", validation=score) for factor, score in ((0.5, 0.1), (1.0, 0.7), (2.0, None))
    }
    assert plan_cells([full], results, **settings)[-1] == cell(seed=1, factor=1.0)
    assert choose_cell(results, results).factor == 1.0 and choose_cell(results, results, sign=-1).factor == 0.5
    assert choose_cell([cell(factor=0.3), cell(factor=3.0)], {cell(factor=3.0): Result("failed")}).factor == 0.3
    refused = {cell(factor=factor): Result("skipped") for factor in (0.5, 1.0, 2.0)}
    assert plan_cells([full], refused, **settings) == [*refused]


def test_a_larger_draw_holds_the_smaller_and_classes_take_turns():
    task = TextClassification()
    labels = ["a"] * 30 + ["b"] * 8 + ["c"] * 2
    rows = Dataset.from_dict({"text": [str(i) for i in range(40)], "label": labels})
    draws = [draw_rows(task, rows, count, 3) for count in (3, 6, 12, 100)]
    held = [set(draw["text"]) for draw in draws]
    assert held[0] < held[1] < held[2] < held[3] and len(held[3]) == 40
    assert sorted(draws[1]["label"]) == ["a", "a", "b", "b", "c", "c"]
    assert set(draw_rows(task, rows, 3, 4)["text"]) != held[0]


def test_a_cell_has_another_name_as_soon_as_anything_that_decides_it_is_another(flags):
    bench = Bench(flags)
    full = next(c for c in bench.contenders() if c.name == "full")
    names = {bench.key(Cell(full, 0)), bench.key(Cell(full, 1)), bench.key(Cell(full, 0, 0.5))}
    names.add(bench.key(Cell(full, 0, rows=8)))
    others = (["--weight_decay", "0.3"], ["--max_train_rows", "20"], ["--max_length", "16"], ["--data_seed", "0"])
    for more in (*others, ["--eval_strategy", "steps", "--save_strategy", "steps", "--eval_steps", "2"]):
        names.add(Bench([*flags, *more]).key(Cell(full, 0)))
    assert len(names) == 9
    same = Bench([*flags, "--logging_steps", "7", "--jobs", "3"])
    assert same.key(Cell(full, 0)) == bench.key(Cell(full, 0))


@pytest.mark.parametrize(
    "argv, fragments",
    [
        (["--strategies", "ful"], ["strategies='ful'", "Did you mean 'full'?"]),
        (["--seeds", "1", "1"], ["seeds=[1, 1]", "once"]),
        (["--tune", "0"], ["tune=0.0", "above 0"]),
        (["--recipe", "nowhere.py"], ["recipe 'nowhere.py'", "no such file"]),
        (["--recipe", __file__], ["has a function arguments(argv)"]),
        (["--jobs", "0"], ["jobs=0"]),
        (["--label_budgets", "0"], ["label_budgets=0"]),
        (["--baseline", "knnn"], ["baseline='knnn'", "Did you mean 'knn'?"]),
        (["--strateges", "full"], ["--strateges", "no such flag"]),
        (["--baseline", "majority", "majority"], ["each is compared once"]),
        (["--strategies", "full", "full --max_length 16"], ["strategies 'full --max_length 16'", "same rows"]),
        (["--baseline", "zero-shot-prompt"], ["--prompt_checkpoint"]),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_runs(argv, fragments, flags):
    ended = CliRunner().invoke(app, ["compare", *flags, *argv])
    assert ended.exit_code == 2
    for fragment in fragments:
        assert fragment in ended.stderr


def test_a_checkpoint_that_does_not_fit_is_not_loaded(flags, tmp_path):
    """A configuration of a trillion parameters, whose weights are not even there."""
    huge = tmp_path / "huge"
    huge.mkdir()
    config = json.loads(Path(flags[3], "config.json").read_text())
    config |= {"hidden_size": 65536, "intermediate_size": 262144, "num_hidden_layers": 20}
    (huge / "config.json").write_text(json.dumps(config))
    for file in Path(flags[3]).glob("*token*"):
        (huge / file.name).write_bytes(file.read_bytes())
    ledger = worked([*flags, "--checkpoint", str(huge), "--baseline", "majority"])
    assert [c["name"] for c in ledger["contenders"]] == ["majority"]
    assert [one["name"] for one in ledger["skipped"]] == ["feature-extraction", "full"]
    assert all("GiB are there" in one["reason"] for one in ledger["skipped"])


def test_two_tests_of_one_name_are_refused(flags, texts):
    with pytest.raises(UserError, match="other_tests"):
        Bench([*flags, "--other_tests", texts])


def test_what_was_skipped_is_asked_again_and_what_failed_only_if_told(tmp_path):
    queue, ended = Queue(tmp_path, lambda cell: cell.contender.name), {"full": "skipped", "lora": "failed"}
    both = [cell(), cell("lora")]
    queue.work(lambda results: both, lambda cell, scratch: (Result(ended[cell.contender.name]), {}))
    assert queue.open_cells(lambda results: both) == []
    queue.forget(both, "skipped")
    assert queue.open_cells(lambda results: both) == [cell()]


def test_labels_of_another_test_must_be_learnt(flags, texts, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for split in ("train", "validation", "test"):
        rows = Dataset.from_parquet(f"{texts}/{split}.parquet").add_column(
            "n", list(range(len(Dataset.from_parquet(f"{texts}/{split}.parquet"))))
        )
        rows.map(lambda row: {"label": "elsewhere" if row["n"] == 0 else row["label"]}).to_parquet(
            str(other / f"{split}.parquet")
        )
    with pytest.raises(UserError, match="elsewhere"):
        Bench([*flags, "--other_tests", str(other)])


def test_energy_is_measured_where_codecarbon_is_installed(tmp_path, monkeypatch):
    """A stand-in with the interface of codecarbon 3: the package brings fifteen others that no test needs."""
    with measure_energy() as cost:
        pass
    assert cost == {} or find_spec("codecarbon")
    (tmp_path / "codecarbon.py").write_text(
        "from types import SimpleNamespace\n"
        "class OfflineEmissionsTracker:\n"
        "    def __init__(self, country_iso_code, tracking_mode, save_to_file, **settings):\n"
        "        assert save_to_file is False\n"
        "    def start(self): pass\n"
        "    def stop(self): self.final_emissions_data = SimpleNamespace(energy_consumed=0.25)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "codecarbon", None)  # so that the stand-in goes with this test
    del sys.modules["codecarbon"]
    with measure_energy() as cost:
        pass
    assert cost == {"energy_kwh": 0.25}
    # Where only some of the machines measure it, the mean would be one of other runs.
    assert mean_cost([{"cpu_seconds": 1.0, **cost}, {"cpu_seconds": 3.0}]) == {"cpu_seconds": 2.0}


def numbers_task(folder: Path, test: list[int]) -> TextClassification:
    """Grades of texts, whose train split holds 1 to 5."""
    folder.mkdir()
    for split, grades in {"train": [1, 5, 3, 2], "validation": [1, 5], "test": test}.items():
        rows = Dataset.from_dict({"text": [f"{split} text {i}" for i in range(len(grades))], "label": grades})
        rows.to_parquet(str(folder / f"{split}.parquet"))
    return TextClassification(dataset=str(folder), problem="ordinal")


def test_numbers_of_another_test_need_not_be_learnt(tmp_path):
    task, other = numbers_task(tmp_path / "a", [1, 5]), numbers_task(tmp_path / "b", [2, 3, 4])
    joined = join_tests(task, task.load(), {"b": other.load()["test"]})
    assert task.rows.references(joined) == [1, 5, 2, 3, 4]


def test_only_rows_that_show_something_can_be_got_right():
    tags, words = NER().judge, [["B-LOC", "O"], ["O", "O"], ["B-PER", "I-PER"]]
    perfect = tags.evidence(tags.perfect_predictions(words), words)
    assert rows_worth_all(perfect, np.arange(3)).tolist() == [0, 2]  # a sentence without entities shows nothing
    assert rows_worth_all(perfect, np.array([1])).tolist() == []
    numbers = TextClassification(problem="regression").judge
    assert rows_worth_all(numbers.evidence([1.0, 2.0, 5.0], [1.0, 2.0, 5.0]), np.arange(3)).tolist() == []


def test_a_crossover_is_told_only_where_the_order_at_the_end_is_certain():
    crossing = {"ahead": "full", "behind": "probe", "rows": 12.4, "low": 0.2, "high": 30.0}
    assert crossover_of(crossing)["text"] == "full is ahead of probe from about 12 rows on (0 to 30)"
    assert crossover_of(crossing | {"low": None})["text"].endswith("(fewer to 30)")
    # An open end: in too many resamples the other one is ahead with all rows.
    assert [is_certain(crossing | change) for change in ({}, {"high": None}, {"rows": None})] == [True, False, False]
