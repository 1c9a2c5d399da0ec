"""`hfkit …` answers at once, prints the plan that training would follow, and refuses like a recipe."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from hfkit.cli import app
from hfkit.strategies import STRATEGIES
from tests import runs


def hfkit(*argv: str):
    return CliRunner().invoke(app, [*argv])


def first_cells(output: str) -> list[list[str]]:
    """The rows of the printed plan, cell by cell."""
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in output.splitlines() if line.startswith("│")]


def test_gradual_is_planned_stage_by_stage(checkpoint):
    ended = hfkit("plan", "--checkpoint", checkpoint, "--strategy", "gradual", "--rows", "100")
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.startswith("Plan: gradual")
    rows = first_cells(ended.stdout)
    assert [row[0] for row in rows] == [str(stage) for stage in range(1, len(rows) + 1)]
    assert len(rows) > 2
    assert rows[0][3] == "5: head"
    assert rows[-1][3] == "0-5: embeddings … head"
    assert rows[-1][4].endswith("(100.0%)")
    starts = [int(row[1]) for row in rows]
    assert starts[0] == 0 and starts == sorted(set(starts))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_plan_is_the_one_that_training_prints(strategy, checkpoint, corpus, tmp_path, capsys):
    trainer = runs.trainer(checkpoint, corpus, tmp_path, strategy=strategy, num_train_epochs=1)
    capsys.readouterr()
    trainer.train()
    printed = capsys.readouterr().out
    argv = ["--rows", "22", "--labels", str(len(trainer.labels)), "--num_train_epochs", "1"]
    argv += ["--per_device_train_batch_size", "4", "--use_cpu"]
    planned = hfkit("plan", "--checkpoint", checkpoint, "--strategy", strategy, *argv)
    assert planned.exit_code == 0, planned.output
    assert first_cells(planned.stdout)
    assert first_cells(planned.stdout) == first_cells(printed)


@pytest.mark.parametrize(
    "argv, fragments",
    [
        (["--strateg", "full"], ["--strateg: no such flag", "Did you mean --strategy?"]),
        (["--strategy", "fulll"], ["invalid choice: 'fulll'"]),
        (["--checkpoint", "./nowhere"], ["checkpoint './nowhere'", "folder with config.json", "Check the path"]),
        (
            ["--checkpoint", "nobody/nothing"],
            ["checkpoint 'nobody/nothing'", "config.json could not be read", "network"],
        ),
        (["--config", "nowhere.yaml"], ["nowhere.yaml", "no such file"]),
        (["--unfreeze_stages", "99"], ["unfreeze_stages=99", "5 depths below the head"]),
        (["--rows", "0"], ["--rows"]),
        (["--labels", "many"], ["--labels"]),
    ],
)
def test_mistakes_end_with_exit_code_2_and_without_a_traceback(argv, fragments, checkpoint):
    ended = hfkit("plan", "--checkpoint", checkpoint, *argv)
    assert ended.exit_code == 2
    assert isinstance(ended.exception, SystemExit)
    for fragment in fragments:
        assert fragment in ended.stderr
    assert ended.stdout == ""


def test_nothing_is_written(checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert hfkit("plan", "--checkpoint", checkpoint, "--strategy", "lora").exit_code == 0
    assert list(tmp_path.iterdir()) == []


def test_help_waits_for_nothing_heavy():
    code = "import sys; from hfkit.cli import app; app(['--help'], standalone_mode=False); print(*sys.modules)"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "plan" in printed
    assert not {"torch", "transformers", "datasets", "numpy"} & set(printed.splitlines()[-1].split())
