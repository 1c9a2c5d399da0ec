"""What a command ends with: 0 done, 1 failed, 2 bad input, 75 interrupted, and what is said of the same command."""

import io
import os
import re
import runpy
import signal
import subprocess
import sys
import time
from functools import partial
from importlib import import_module
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

import hfkit
from hfkit.cli import app
from hfkit.errors import Failure, UserError
from hfkit.ledger.arguments import load_recipe, split_flags
from hfkit.ledger.engines import local as workers
from hfkit.runtime.commands import BAD_INPUT, FAILED, INTERRUPTED, SIGNALS, run
from hfkit.training.sealed import find_fault
from tests.fixtures import runs
from tests.fixtures.examples import examples_of

ROOT = Path(__file__).parents[2]
RECIPE = str(ROOT / "recipes" / "bert_ner.py")
BOTH = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl+C"])
ALL = pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)


def ends_with(act) -> int | str | None:
    with pytest.raises(SystemExit) as ended:
        run(act)
    return ended.value.code


def raising(error: BaseException):
    def act() -> None:
        raise error

    return act


def test_an_error_quotes_no_secret(monkeypatch, capsys):
    monkeypatch.setenv("TRACKER_PASSWORD", "correct horse battery")
    token = "hf_" + "Ab1" * 11
    assert (
        ends_with(raising(UserError(f"row 3: '{token}'", "correct horse battery is no label", "Mend it"))) == BAD_INPUT
    )
    assert capsys.readouterr().err == "error: row 3: '(withheld)': (withheld) is no label. Mend it.\n"


def test_an_error_moves_nothing_in_a_terminal(capsys):
    assert ends_with(raising(UserError("'\x1b[2J\u202e\x9b31m'", "it is no label", "Mend it"))) == BAD_INPUT
    assert capsys.readouterr().err == "error: '\\u001b[2J\\u202e\\u009b31m': it is no label. Mend it.\n"


def interrupting(number: int):
    """Sends this process a signal, as Ctrl+C or a scheduler does, and goes on until it arrives."""

    def act(*args, **kwargs) -> None:
        os.kill(os.getpid(), number)
        time.sleep(5)

    return act


def test_the_codes_are_those_that_are_documented():
    assert (FAILED, BAD_INPUT, INTERRUPTED) == (1, 2, 75)
    said = " ".join(CliRunner().invoke(app, ["--help"]).stdout.split())
    for words in ("0 done", "1 it failed", "2 something given cannot work", "75 it was interrupted"):
        assert words in said


def test_an_error_ends_with_its_code(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["recipe.py"])
    assert ends_with(raising(UserError("x=3", "it is below 2", "Set 1"))) == BAD_INPUT
    assert capsys.readouterr().err == "error: x=3: it is below 2. Set 1.\n"
    assert ends_with(raising(Failure("The upload broke off", "Run it again"))) == FAILED
    assert capsys.readouterr().err == "error: The upload broke off. Run it again.\n"
    # Anything else keeps its traceback, with which Python ends with 1.
    with pytest.raises(ZeroDivisionError):
        run(lambda: 1 / 0)
    assert run(lambda: None) is None


@ALL
def test_a_signal_ends_a_command_with_75_and_a_line(number, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["recipe.py"])
    assert ends_with(interrupting(number)) == INTERRUPTED
    said = capsys.readouterr().err
    assert said.startswith("interrupted: ") and "--resume_from_checkpoint auto" in said and said.count("\n") == 1
    os.kill(os.getpid(), number)  # while the process ends: its exit code stays


def test_signals_are_given_back_by_a_command_that_ends(monkeypatch):
    monkeypatch.setattr("sys.argv", ["recipe.py"])
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # as a library of the user's own may do, or nohup
    before, during = handlers(), []
    run(lambda: during.extend(handlers()))
    with pytest.raises(ZeroDivisionError):
        run(lambda: 1 / 0)
    assert handlers() == before and during[:3] != before[:3] and during[3] is signal.SIG_IGN


def handlers() -> list:
    return [signal.getsignal(number) for number in SIGNALS]


@pytest.mark.parametrize(
    ("argv", "asked", "again"),
    [
        (["compare"], "ledger.compare.compare", "the same command goes on"),
        (["push", "out", "me/out"], "hub.push.push", "the same command goes on"),
        (["card", "lint", "out"], "hub.lint.examine", "the same command begins anew"),
        (["predict", "out", "--text", "x"], "cli.predict.write", "the same command begins anew"),
        (["predict", "out", "-", "-o", "a"], "cli.predict.write", "the same command begins anew"),
        (["predict", "out", "b", "-o", "a"], "cli.predict.write", "the same command goes on behind what a.part holds"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_who_interrupts_a_command_is_told_what_the_same_one_does(argv, asked, again, monkeypatch):
    place, _, name = f"hfkit.{asked}".rpartition(".")
    monkeypatch.setattr(import_module(place), name, interrupting(signal.SIGINT))
    ended = CliRunner().invoke(app, argv)
    assert ended.exit_code == INTERRUPTED and ended.stderr.splitlines()[-1] == f"interrupted: {again}"


@pytest.mark.parametrize(
    "argv",
    [
        ["nothing"],
        ["--nothing"],
        ["plan", "--nothing"],
        ["plan", "--rows", "few"],
        ["doctor", "--nothing"],
        ["compare", "--nothing"],
        ["compare", "--seeds", "few"],
    ],
    ids=" ".join,
)
def test_what_is_unknown_ends_with_2(argv):
    assert CliRunner().invoke(app, argv).exit_code == BAD_INPUT


def test_another_exception_ends_a_process_with_1():
    code = "from hfkit import run; run(lambda: 1 / 0)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert ended.returncode == FAILED and "ZeroDivisionError" in ended.stderr


# Training


def recipe(*argv: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", [RECIPE, *argv])
        runpy.run_path(RECIPE, run_name="__main__")


def recipe_watched(*argv: str, signalled: tuple[int, int] | None = None) -> list[int]:
    """Runs the recipe; the steps that it trained.

    Args:
        signalled: after which step the process is sent which signal.
    """
    steps: list[int] = []

    class Watched(hfkit.TransferTrainer):
        def __init__(self, **kwargs) -> None:
            super().__init__(**kwargs)
            self.add_callback(runs.at("on_step_end", self.note))

        def note(self, args, state, control, **kwargs) -> None:
            steps.append(state.global_step)
            if signalled and state.global_step == signalled[0]:
                os.kill(os.getpid(), signalled[1])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hfkit, "TransferTrainer", Watched)
        patch.setattr("sys.argv", [RECIPE, *argv])
        if signalled is None:
            runpy.run_path(RECIPE, run_name="__main__")
        else:
            with pytest.raises(SystemExit) as ended:
                runpy.run_path(RECIPE, run_name="__main__")
            assert ended.value.code == INTERRUPTED
    return steps


def test_an_interrupted_training_goes_on_by_the_same_command(checkpoint, corpus, tmp_path, capsys):
    flags = ["--checkpoint", checkpoint, "--dataset", corpus, "--per_device_train_batch_size", "4", "--use_cpu"]
    flags += ["--baseline", "lexicon", "--disable_tqdm", "true", "--resume_from_checkpoint", "auto"]
    flags += ["--num_train_epochs", "2"]
    argv = [*flags, "--output_dir", str(tmp_path / "run")]
    # In the middle of the second epoch of six steps each; the step that begins then is still taken.
    assert recipe_watched(*argv, signalled=(8, signal.SIGTERM))[-1] == 9
    assert capsys.readouterr().err.splitlines() == [
        "SIGTERM: the optimizer step ends, and a checkpoint is written.",
        "interrupted: the same command goes on from checkpoint-9",
    ]
    assert not (tmp_path / "run" / "report.json").exists()
    assert recipe_watched(*argv) == [10, 11, 12]
    assert (tmp_path / "run" / "report.json").exists()
    whole = recipe_watched(*flags, "--output_dir", str(tmp_path / "whole"))
    assert whole == [*range(1, 13)]
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("run", "whole")]
    assert weights[0] == weights[1]


# Comparing


def sleeping(code: str = "") -> subprocess.Popen:
    """A process that says 'ready' and then sleeps for a minute."""
    code = f"import signal, time; {code}print('ready', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def test_no_worker_outlives_a_comparison_that_is_left(monkeypatch):
    monkeypatch.setattr(workers, "PATIENCE", 1)
    started: list[subprocess.Popen] = []

    def start(code: str) -> subprocess.Popen:
        started.append(sleeping(code))
        return started[-1]

    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    watched = workers.watch_workers([partial(start, ""), partial(start, deaf)], every=0.01)
    next(watched)
    with pytest.raises(KeyboardInterrupt):
        watched.throw(KeyboardInterrupt)
    assert [worker.returncode for worker in started] == [-signal.SIGTERM, -signal.SIGKILL]


def test_a_worker_that_cannot_be_started_leaves_none_behind():
    first = sleeping()

    def broken() -> subprocess.Popen:
        raise OSError("no more processes")

    with pytest.raises(OSError, match="no more"):
        next(workers.watch_workers([lambda: first, broken], every=0.01))
    assert first.returncode == -signal.SIGTERM


EXAMPLES = examples_of("compare")


@pytest.mark.parametrize("argv", EXAMPLES, ids=" ".join)
def test_an_example_of_compare_can_be_read(argv, monkeypatch):
    monkeypatch.chdir(ROOT)
    own, rest = split_flags(argv[1:])
    _, task, _ = load_recipe(own.recipe)(rest)
    assert task.dataset in ("sample", "reviews", "entities")


@pytest.mark.slow
@pytest.mark.parametrize("argv", EXAMPLES, ids=" ".join)
def test_an_example_of_compare_works(argv, finished_runs):
    (finished_runs / "recipes").symlink_to(ROOT / "recipes")
    ended = CliRunner().invoke(app, [*argv, "--use_cpu"])
    assert ended.exit_code == 0, ended.output


@pytest.mark.slow
@BOTH
def test_an_interrupted_comparison_leaves_no_process_and_goes_on(number, finished_runs):
    (finished_runs / "recipes").symlink_to(ROOT / "recipes")
    command = [sys.executable, "-m", "hfkit.cli", "compare", "--recipe", "recipes/bert_sentiment.py"]
    command += ["--dataset", "reviews", "--checkpoint", "runs/bert-sentiment", "--strategies", "full", "--jobs", "2"]
    command += ["--num_train_epochs", "1", "--use_cpu", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    cells, until = finished_runs / "runs/compare/cells", time.monotonic() + 200
    while not list(cells.glob("*.json")) and time.monotonic() < until:
        time.sleep(0.05)
    below = psutil.Process(running.pid).children(recursive=True)
    assert len(below) >= 2
    running.send_signal(number)
    out, said = running.communicate(timeout=120)
    assert running.returncode == INTERRUPTED and out == ""
    assert said.splitlines()[-1].startswith("interrupted: ")
    assert not [process for process in below if process.is_running()]
    done = {path: path.stat().st_mtime_ns for path in cells.glob("*.json")}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert ended.returncode == 0, ended.stderr
    assert done.items() <= {path: path.stat().st_mtime_ns for path in cells.glob("*.json")}.items()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1], ids=lambda number: number.name)
def test_all_processes_of_a_launcher_end_when_they_are_told(number, checkpoint, corpus, tmp_path):
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    launcher += ["--signals-to-handle", "SIGTERM,SIGINT,SIGUSR1"]
    flags = ["--checkpoint", checkpoint, "--dataset", corpus, "--output_dir", str(tmp_path / "run"), "--use_cpu"]
    flags += ["--num_train_epochs", "500", "--disable_tqdm", "true"]
    running = subprocess.Popen(
        [*launcher, RECIPE, *flags], stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    until = time.monotonic() + 200
    while not list((tmp_path / "run").glob("checkpoint-*")) and time.monotonic() < until:
        time.sleep(0.05)
    below = psutil.Process(running.pid).children(recursive=True)
    running.send_signal(number)
    _, said = running.communicate(timeout=60)
    (step,) = set(re.findall(r"interrupted: .* goes on from checkpoint-(\d+)\n", said))
    assert said.count("interrupted: ") == 2
    assert find_fault(tmp_path / "run" / f"checkpoint-{step}") is None
    assert not [process for process in below if process.is_running()]


def test_a_terminal_that_lacks_characters_gets_a_sign_in_their_place(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr("sys.argv", ["recipe.py"])
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, encoding="ascii", errors="strict"))
    run(lambda: print("na\u00efve \udcff"))
    sys.stdout.flush()
    assert written.getvalue() == b"na?ve ?\n"


def test_a_library_that_gives_up_ends_with_2_and_one_line():
    code = """
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from hfkit import run
tokenizer = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("(a|a)*$"), "isolated")
run(lambda: tokenizer.encode("a" * 40 + "!"))
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = ended.stderr.splitlines()[-1]
    assert ended.returncode == 2 and last.startswith("error: a library: it gave up") and "retry-limit" in last
    assert "Traceback" not in ended.stderr
