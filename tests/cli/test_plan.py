"""`hfkit …` answers at once, prints the plan that training would follow, and refuses like a recipe."""

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hfkit.arguments.strategies import STRATEGIES
from hfkit.arguments.training import KEEP_BEST
from hfkit.training.plan import print_plan
from tests.fixtures import runs
from tests.fixtures.commands import hfkit
from tests.fixtures.examples import examples_of

CONFIGS = sorted((Path(__file__).parents[2] / "recipes" / "configs").glob("*.yaml"))


def first_cells(output: str) -> list[list[str]]:
    """The rows of the printed plan, cell by cell."""
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in output.splitlines() if line.startswith("│")]


def test_gradual_is_planned_stage_by_stage(checkpoint):
    argv = ["plan", "--checkpoint", checkpoint, "--strategy", "gradual", "--rows", "100"]
    ended = hfkit(*argv)
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.startswith("Plan: gradual")
    rows = first_cells(ended.stdout)
    assert [row[0] for row in rows] == [str(stage) for stage in range(len(rows))]
    assert len(rows) > 3
    assert rows[0][3] == "5: head, fitted in closed form" and rows[0][5] == "–"
    assert [row[3] for row in rows[1:3]] == ["5: head", "3-5: encoder.layer.2 … head"]
    assert rows[-1][3] == "0-5: embeddings … head" and rows[-1][4].endswith("(100.0%)")
    frozen = first_cells(hfkit(*argv, "--freeze_embeddings", "true").stdout)
    assert [row[3] for row in frozen[2:4]] == ["4-5: encoder.layer.3 … head", "2-5: encoder.layer.1 … head"]
    assert frozen[-1][3] == "1-5: encoder.layer.0 … head" and not frozen[-1][4].endswith("(100.0%)")
    starts = [int(row[1]) for row in rows]
    assert starts[:2] == [0, 0] and starts[1:] == sorted(set(starts))


def test_where_the_head_is_not_fitted_it_has_steps_of_its_own(checkpoint):
    start = ["--checkpoint", checkpoint, "--rows", "100", "--fit_head", "start"]
    fitted = hfkit("plan", *start)
    assert [row[:4] for row in first_cells(fitted.stdout)[:2]] == [
        ["0", "0", "0.00", "5: head, fitted in closed form"],
        ["1", "0", "0.00", "3-5: encoder.layer.2 … head"],
    ]
    anew = hfkit("plan", *start, "--reinit_blocks", "1")
    assert " ".join(anew.stdout.split()).startswith(
        "Plan: gradual, the top 1 blocks from random weights, the head not fitted in closed form (blocks below it are"
    )
    assert first_cells(anew.stdout)[0][:4] == ["1", "0", "0.00", "5: head"]


@pytest.mark.parametrize(
    "strategy",
    [pytest.param(name, marks=() if name in ("gradual", "lora", "auto") else pytest.mark.slow) for name in STRATEGIES],
)
def test_the_plan_is_the_one_that_training_prints(strategy, checkpoint, corpus, tmp_path, capsys):
    judged = KEEP_BEST if STRATEGIES[strategy].fit_head == "judge" else {}  # as recipes do
    trainer = runs.trainer(checkpoint, corpus, tmp_path, strategy=strategy, num_train_epochs=1, **judged)
    capsys.readouterr()
    trainer.train()
    printed = capsys.readouterr().out
    argv = ["--rows", "22", "--labels", str(len(trainer.rows.labels)), "--num_train_epochs", "1"]
    argv += ["--per_device_train_batch_size", "4", "--use_cpu"]
    planned = hfkit("plan", "--checkpoint", checkpoint, "--strategy", strategy, *argv)
    assert planned.exit_code == 0, planned.output
    assert first_cells(planned.stdout)
    assert first_cells(planned.stdout) == first_cells(printed)


@pytest.mark.parametrize(
    "argv, fragments",
    [
        (["--strateg", "full"], ["--strateg: no such flag", "Did you mean --strategy?"]),
        (["--row", "3"], ["--row: no such flag", "Did you mean --rows?"]),
        (["--label=3"], ["Did you mean --labels?"]),
        (["--datase", "x"], ["Did you mean --dataset?"]),
        (["--strategy", "fulll"], ["strategy='fulll'", "Did you mean 'full'?"]),
        (["--checkpoint", "./nowhere"], ["checkpoint './nowhere'", "folder with config.json", "Check the path"]),
        (
            ["--checkpoint", "nobody/nothing"],
            ["checkpoint 'nobody/nothing'", "config.json could not be read", "network"],
        ),
        (["--config", "nowhere.yaml"], ["nowhere.yaml", "no such file"]),
        (["--unfreeze_stages", "99"], ["unfreeze_stages=99", "5 depths below the head"]),
        (["--rows", "0"], ["--rows"]),
        (["--labels", "many"], ["--labels"]),
        (["--extend"], ["extend", "as it begins"]),
    ],
)
def test_mistakes_end_with_exit_code_2_and_without_a_traceback(argv, fragments, checkpoint):
    ended = hfkit("plan", "--checkpoint", checkpoint, *argv)
    assert ended.exit_code == 2
    assert isinstance(ended.exception, SystemExit)
    for fragment in fragments:
        assert fragment in ended.stderr
    assert ended.stdout == ""


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_the_config_of_a_recipe_is_planned(config, checkpoint):
    argv = ["--config", str(config), "--checkpoint", checkpoint, "--rows", "3394", "--num_train_epochs", "2"]
    ended = hfkit("plan", *argv, "--per_device_train_batch_size", "16", "--use_cpu")
    assert ended.exit_code == 0, ended.output
    title = " ".join(ended.stdout.partition("┏")[0].split())
    assert "3394 rows (--rows), 2 epochs (--num_train_epochs), 16 rows a step (--per_device_train_" in title
    rate = yaml.safe_load(config.read_text())["learning_rate"]
    assert f"{float(rate) * STRATEGIES['gradual'].layer_decay:.1e}" in ended.stdout


def test_no_number_is_cut_in_a_pipe():
    stage = {
        "stage": 1,
        "from_step": 0,
        "from_epoch": 0.0,
        "depths": "0-13",
        "names": f"embeddings … {'a.very.long.path.' * 8}layer.11",
        "trainable": 10**9,
        "share": 1.0,
        "lowest_learning_rate": 9.5e-05,
        "highest_learning_rate": 1e-3,
    }
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        print_plan([stage], "full")
    cells = first_cells(printed.getvalue())[0]
    assert cells == ["1", "0", "0.00", f"0-13: {stage['names']}", "1,000,000,000 (100.0%)", "9.5e-05 … 1.0e-03"]


@pytest.mark.parametrize("argv", examples_of("plan"), ids=" ".join)
def test_an_example_of_the_help_is_a_command_that_works(argv, finished_runs):
    ended = hfkit(*argv)
    assert ended.exit_code == 0, ended.output
    assert json.loads(ended.stdout) if "--json" in argv else first_cells(ended.stdout)


def test_the_document_holds_the_rows_of_the_table(checkpoint):
    argv = ["plan", "--checkpoint", checkpoint, "--strategy", "gradual", "--rows", "100", "--use_cpu"]
    document, rows = json.loads(hfkit(*argv, "--json").stdout), first_cells(hfkit(*argv).stdout)
    assert document["plan"] == "gradual"
    assert document["assumed"] == {"rows": 100, "labels": 9, "epochs": 20.0, "step_rows": 8, "steps": 260}
    assert [[stage["stage"], stage["from_step"]] for stage in document["stages"]] == [
        [int(row[0]), int(row[1])] for row in rows
    ]
    assert [f"{stage['depths']}: {stage['names']}" for stage in document["stages"]] == [row[3] for row in rows]
    assert document["stages"][-1]["until_step"] == 260
    assert document["blocks"].startswith("4 blocks found in bert.encoder.layer.* and proven")
    assert f"{document['blocks']}.\n" in hfkit(*argv).stdout


def test_help_says_that_the_flags_of_a_recipe_are_taken():
    printed = " ".join(hfkit("plan", "--help").stdout.split())
    assert "Every flag of a recipe is accepted" in printed
    assert "--config" in printed and "bert_ner.py --help" in printed


def test_nothing_is_written(checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert hfkit("plan", "--checkpoint", checkpoint, "--strategy", "lora").exit_code == 0
    assert list(tmp_path.iterdir()) == []


def test_help_waits_for_nothing_heavy():
    code = "import sys; from hfkit.cli import app; app(['--help'], standalone_mode=False); print(*sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "plan" in printed
    assert not {"torch", "transformers", "datasets", "numpy"} & set(printed.splitlines()[-1].split())
