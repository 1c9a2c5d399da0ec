"""Bars: one look on a terminal, which they leave clean; a log gets none of it."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import datasets
import pytest
from datasets import Dataset, Features, Value
from transformers import BertConfig, BertModel

from hfkit import progress as bars
from hfkit.data.mapping import map_rows
from hfkit.progress import progress, silence_other_bars, track
from tests.fixtures.runs import trainer
from tests.fixtures.terminal import Terminal, stderr_on_terminal

ROOT = Path(__file__).parents[2]
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")  # of a log: not even a carriage return

WORK = """
import logging, os, sys, time
logging.basicConfig()
from hfkit import progress as bars
from hfkit.progress import progress, switch, track
bars.BRIEF = 0.2
{before}
for i in track(range(12), "Tokenizing train"):
    time.sleep(0.03)
    if i == 2:
        print("printed")
        logging.warning("warned")
with progress("Training", 40, done=30) as advance:
    for step in range(10):
        time.sleep(0.04)
        advance(note=f"stage 1/4, loss {{step / 10}}")
    for _ in track(range(3), "Evaluation"):
        time.sleep(0.1)
with progress("Baseline tf-idf"):
    time.sleep(0.4)
for _ in track(range(3), "Brief"):
    pass
print("ended")
"""


def start(code: str, terminal: Terminal, **environment: str) -> subprocess.Popen:
    ends = dict.fromkeys(("stdin", "stdout", "stderr"), terminal.slave)
    names = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm"} | environment
    return subprocess.Popen([sys.executable, "-c", code], env=names, **ends)


def on_terminal(code: str, **environment: str) -> tuple[int, Terminal]:
    terminal = Terminal()
    code = start(code, terminal, **environment).wait(60)
    terminal.close()
    return code, terminal


@pytest.fixture(scope="module")
def worked() -> Terminal:
    code, terminal = on_terminal(WORK.format(before=""))
    assert code == 0, terminal.sent
    return terminal


def test_what_took_a_while_leaves_one_line_and_the_rest_none(worked):
    assert [re.sub(r" ━+", " ━", re.sub(r"\d+:\d\d:\d\d", "time", line)) for line in worked.screen] == [
        "printed",
        "WARNING:root:warned",
        "Tokenizing train ━ 12/12 time",
        "Training ━ 40/40 time stage 1/4, loss 0.9",
        "Baseline tf-idf ━  time",
        "ended",
    ]


def test_a_bar_within_a_bar_was_there_and_went(worked):
    assert "Evaluation" in worked.sent and "0/3" in worked.sent


def test_the_terminal_is_left_as_it_was(worked):
    assert worked.sent.count("\x1b[?25l") == worked.sent.count("\x1b[?25h") == 4
    assert not worked.cursor_is_hidden


def test_a_resumed_count_goes_on(worked):
    assert "30/40" in worked.sent and "29/40" not in worked.sent


def test_a_pipe_gets_what_is_printed_and_nothing_else():
    ended = subprocess.run(
        [sys.executable, "-c", WORK.format(before="")],
        env=os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm", "FORCE_COLOR": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (ended.stdout, ended.stderr) == ("printed\nended\n", "WARNING:root:warned\n")


@pytest.mark.parametrize(
    ("environment", "before"),
    [
        ({"TQDM_DISABLE": "1"}, ""),
        ({"RANK": "1", "LOCAL_RANK": "0"}, ""),
        ({"TERM": "dumb"}, ""),
        ({}, "switch(False)"),
    ],
)
def test_it_can_be_switched_off_on_a_terminal(environment, before):
    _, terminal = on_terminal(WORK.format(before=before), **environment)
    assert CONTROL.findall(terminal.sent.replace("\r\n", "\n")) == []
    assert terminal.screen == ["printed", "WARNING:root:warned", "ended"]


def test_of_several_processes_on_a_terminal_one_draws():
    code = 'import os, time\nfrom hfkit.progress import track\nfor _ in track(range(12), "Rank " + os.environ["RANK"]):'
    terminal = Terminal()
    ranks = [start(code + " time.sleep(0.1)", terminal, RANK=rank, LOCAL_RANK=rank) for rank in "01"]
    assert [rank.wait(60) for rank in ranks] == [0, 0]
    terminal.close()
    assert [line.split(" ━")[0] for line in terminal.screen] == ["Rank 0"]


def test_stdout_in_a_file_keeps_its_lines(tmp_path):
    terminal = Terminal()
    with (tmp_path / "out").open("w") as out:
        command = [sys.executable, "-c", WORK.format(before="")]
        names = os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm"}
        subprocess.run(command, env=names, stdout=out, stderr=terminal.slave, check=True)
    terminal.close()
    assert (tmp_path / "out").read_text() == "printed\nended\n"
    assert [line.split(" ━")[0] for line in terminal.screen] == [
        "WARNING:root:warned",
        "Tokenizing train",
        "Training",
        "Baseline tf-idf",
    ]


def test_an_interrupted_bar_leaves_a_terminal_to_work_on():
    terminal = Terminal()
    code = 'import time\nfrom hfkit.progress import track\nfor _ in track(range(600), "Long"): time.sleep(0.1)'
    running = start(code, terminal)
    while "4/600" not in terminal.sent:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    assert running.wait(30) == -signal.SIGINT
    terminal.close()
    assert not terminal.cursor_is_hidden
    assert terminal.screen[-1] == "KeyboardInterrupt"


def test_a_forked_process_writes_as_ever_and_draws_nothing():
    code = """
import os, sys
from hfkit.progress import progress, track
with progress("Parent", 4) as advance:
    advance(4)
    child = os.fork()
    if child == 0:
        list(track(range(9), "Child"))
        print("from the child", flush=True)
        os._exit(7)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    _, terminal = on_terminal(code)
    assert "from the child" in terminal.sent and "Child" not in terminal.sent
    assert terminal.screen[-1] == "7"


def test_it_costs_nothing_to_import():
    code = "import sys, hfkit.progress; print({'rich', 'tqdm', 'datasets', 'transformers'} & sys.modules.keys())"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout == "set()\n"


def test_a_long_silence_in_a_log_is_broken_by_a_line(monkeypatch, capsys):
    monkeypatch.setattr(bars, "HEARTBEAT", 0.0)
    bars.switch(True)
    assert list(track(iter("ab"), "Reading", 2000)) == ["a", "b"]
    assert capsys.readouterr().err == "Reading: 1 of 2,000 after 0 min\nReading: 2 of 2,000 after 0 min\n"
    with progress("Counting") as advance:
        advance(1500)
        advance(total=9000)
    assert capsys.readouterr().err == "Counting: 1,500 after 0 min\nCounting: 1,501 of 9,000 after 0 min\n"


# Of the libraries


def test_what_libraries_draw_stays_out_of_logs(capfd, tmp_path):
    model = BertModel(BertConfig(vocab_size=9, hidden_size=4, num_hidden_layers=1, num_attention_heads=1))
    rows = Dataset.from_dict({"text": ["a", "b", "c"]})

    def work() -> str:
        model.save_pretrained(tmp_path)
        rows.map(lambda row: row, load_from_cache_file=False)
        return capfd.readouterr().err

    for _ in range(2):
        with silence_other_bars(), silence_other_bars():
            assert work() == ""
        assert {"Map", "Writing model shards"} <= set(re.findall(r"Map|Writing model shards", work()))


def test_rows_are_mapped_with_a_bar_of_their_own(monkeypatch):
    monkeypatch.setattr(bars, "BRIEF", 0.0)
    bars.switch(True)
    rows = Dataset.from_dict({"text": list("abc") * 1000})

    def doubled(batch, numbers, times):
        return {"number": [number for number in numbers for _ in range(times)]}

    with stderr_on_terminal() as terminal:
        made = map_rows(
            rows, doubled, "Doubling", features=Features({"number": Value("int32")}), numbered=True, times=2
        )
    assert made["number"][:] == [number for number in range(3000) for _ in range(2)]
    assert len(terminal.screen) == 1 and re.match(r"Doubling ━+ 3,000/3,000 ", terminal.screen[0])
    assert datasets.is_progress_bar_enabled()


# Of a training


def test_a_training_shows_stage_loss_and_rate_and_goes_on_counting_when_resumed(
    checkpoint, corpus, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(bars, "BRIEF", 0.0)
    flags = dict(strategy="full", disable_tqdm=False, save_strategy="steps", save_steps=5, eval_strategy="epoch")
    texts = {}
    for name, cut in (("whole", None), ("resumed", str(tmp_path / "whole" / "checkpoint-5"))):
        run = trainer(checkpoint, corpus, tmp_path / name, **flags)
        with stderr_on_terminal() as terminal:
            run.train(resume_from_checkpoint=cut)
        texts[name] = terminal.sent
        assert not terminal.cursor_is_hidden
    assert re.search(r"Training .*12/12.* epoch 2.00, stage 1/1, loss \d\.\d+, rate \d\.\de-\d\d", texts["whole"])
    assert "0/12" in texts["whole"] and "5/12" in texts["resumed"]
    assert not re.search(r"\b[0-4]/12", texts["resumed"])
    for text in texts.values():
        assert "Evaluation" in text and "Writing model shards" not in text and "Map" not in text
    assert CONTROL.findall(capsys.readouterr().out) == []


def test_a_training_that_breaks_off_gives_the_terminal_back(checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path, strategy="full", disable_tqdm=False)
    run.codec.loss_of_logits = lambda logits, labels, items: logits.sum() * float("nan")
    with stderr_on_terminal() as terminal, pytest.raises(RuntimeError, match="step 1: loss nan"):
        run.train()
    assert "Training" in terminal.sent and not terminal.cursor_is_hidden
    assert bars._Screen.live is None
