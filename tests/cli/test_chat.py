"""`hfkit chat`: a line in is an answer out, the turns before it are read, and /new begins anew."""

from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from hfkit.tasks import Chat, LanguageModelling
from tests.fixtures.commands import hfkit
from tests.fixtures.examples import examples_of
from tests.tiny.language import causal

LIMIT = ("--max_new_tokens", "6")


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """The output folders of two runs that learnt nothing: an assistant and a language model."""
    folder = tmp_path_factory.mktemp("talk")
    checkpoint = causal("GPT-2", folder / "gpt2")
    for kind, name in ((Chat, "chat-assistant"), (LanguageModelling, "language-model")):
        task = kind()
        codec = task.codec(checkpoint, task.guess_target(0))
        codec.model().save_pretrained(folder / "runs" / name)
        codec.processor.save_pretrained(folder / "runs" / name)
    return folder


@pytest.mark.parametrize("argv", examples_of("chat"), ids=" ".join)
def test_the_examples_of_the_help_answer_every_line(argv, place, monkeypatch):
    monkeypatch.chdir(place)
    ended = hfkit(*argv, *LIMIT, given="who left?\n\nand where?\n")
    assert ended.exit_code == 0, ended.output
    assert len(ended.stdout.splitlines()) == 2


def test_its_answer_is_what_the_stock_model_writes_behind_the_template(place):
    folder = place / "runs" / "chat-assistant"
    said = hfkit("chat", str(folder), *LIMIT, given="who left?\n").stdout
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    turns = [{"role": "user", "content": "who left?"}]
    inputs = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=True, return_tensors="pt")
    written = model.generate(**inputs, max_new_tokens=6, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    assert said.split() == tokenizer.decode(written, skip_special_tokens=True).replace("\n", " ").split()


def test_a_new_conversation_forgets_the_one_before(place):
    folder = str(place / "runs" / "chat-assistant")
    first, second = hfkit("chat", folder, *LIMIT, given="who left?\n/new\nwho left?\n").stdout.splitlines()
    assert first == second


def test_what_is_drawn_goes_by_the_seed(place):
    folder = str(place / "runs" / "chat-assistant")
    said = [
        hfkit("chat", folder, *LIMIT, "--temperature", "2", "--seed", seed, given="who left?\n").stdout
        for seed in ("0", "0", "1")
    ]
    assert said[0] == said[1] != said[2]


def test_a_model_of_another_kind_is_not_talked_to(place):
    ended = hfkit("chat", str(place / "runs" / "language-model"), given="who left?\n")
    assert ended.exit_code == 2 and "cannot be talked to" in ended.stderr.splitlines()[-1]
