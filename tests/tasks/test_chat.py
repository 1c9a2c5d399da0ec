"""An assistant: its own tokens are learnt, long conversations too, and it writes answers."""

import json
import subprocess
import sys

import numpy as np
import pytest
from datasets import Dataset
from transformers import set_seed

from hfkit import TransferArguments, TransferTrainer
from hfkit.contract.view import Example, Text
from hfkit.data.bad_rows import count_skipped
from hfkit.errors import DataError, UserError
from hfkit.inference.conversation import load_conversation
from hfkit.inference.saved import load_saved
from hfkit.tasks import Chat
from tests.fixtures.commands import hfkit
from tests.tasks.language.test_templates import STRICT
from tests.tiny.language import KNOWN, causal, conversations, write_rows

QUESTION = "anna left oslo. who left?"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return causal("GPT-2", tmp_path_factory.mktemp("gpt2"))


@pytest.fixture(scope="module")
def finished(checkpoint, tmp_path_factory):
    """A run that learnt to answer with one name, whatever is asked."""
    folder = tmp_path_factory.mktemp("chat")

    def turns(rows, seed):
        answer = {"role": "assistant", "content": "anna."}
        found = conversations(rows, seed)
        return [[answer if turn["role"] == "assistant" else turn for turn in messages] for messages in found]

    task = Chat(dataset=write_rows(folder / "rows", "messages", turns), exact_match_tokens=8, max_new_tokens=8)
    args = TransferArguments(
        output_dir=str(folder / "run"),
        num_train_epochs=12,
        per_device_train_batch_size=4,
        learning_rate=2e-2,
        strategy="full",
        eval_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
    )
    set_seed(0)
    rows = task.load()
    codec = task.codec(checkpoint, rows.target)
    run = TransferTrainer(model=codec.model(), args=args, task=task, codec=codec, rows=rows)
    run.train()
    run.save_model()
    return run, str(folder / "run")


def encode(checkpoint, rows, split="test", **flags):
    task = Chat(**flags)
    codec = task.codec(checkpoint, task.guess_target(0))
    return codec, codec.encode(Dataset.from_dict({"messages": rows}), split=split, answers=True)


def test_the_supervised_share_is_told(checkpoint, capsys):
    codec, encoded = encode(checkpoint, conversations(12, 0), split="train")
    share = codec.facts(encoded)["supervised_share"]
    assert 0.05 < share < 0.5 and "tokens are the assistant's, and learnt" in capsys.readouterr().out


@pytest.mark.parametrize("longest", [64, 24])
def test_every_token_of_the_assistant_is_learnt_once_however_long_a_conversation_is(checkpoint, longest):
    rows = conversations(6, 0)
    codec, encoded = encode(checkpoint, rows, max_length=longest)
    learnt = [label for row in encoded["labels"] for label in row if label != -100]
    spoken = [[m["content"] for m in messages if m["role"] == "assistant"] for messages in rows]
    text = codec.processor.decode(learnt).replace(codec.processor.eos_token, "|")
    assert text == "".join(f" {answer}|" for answers in spoken for answer in answers)


def test_it_learns_to_answer_and_is_judged_by_what_it_writes(finished):
    run, _ = finished
    scores = run.evaluate(run.encoded["test"])
    assert scores["eval_exact_match"] == 1 and scores["eval_bits_per_byte"] < 0.5


def test_a_saved_model_scores_and_answers_as_in_training(finished):
    run, place = finished
    own = run.predictions("test")
    saved = load_saved(place, exact_match_tokens=8)
    again = saved.predictions(run.rows["test"], batch_size=8)
    assert [one["answer"] for one in again] == [one["answer"] for one in own]
    assert [round(one["nats"], 3) for one in again] == [round(one["nats"], 3) for one in own]
    (predicted,) = saved.predict_table(Dataset.from_dict({"prompt": [QUESTION]}))
    assert predicted.record == "anna."


def test_it_is_talked_to_turn_by_turn(finished):
    talk = load_conversation(finished[1], system="be short.")
    assert "".join(talk.answer(QUESTION)) == "anna."
    assert [turn["role"] for turn in talk.turns] == ["system", "user", "assistant"]
    for _ in range(4):  # more than the model reads: the first turns are left out
        assert "".join(talk.answer(QUESTION)) == "anna."
    talk.begin_anew()
    assert talk.turns == [{"role": "system", "content": "be short."}]


@pytest.mark.slow
def test_the_demo_is_a_conversation_that_goes_on(finished):
    pytest.importorskip("gradio")
    from hfkit.inference.demo import load_demo
    from hfkit.inference.demo.page import answer_turn

    result = hfkit("demo", finished[1], "--check")
    assert result.exit_code == 0 and json.loads(result.stdout)["prediction"] == "anna."
    model = load_demo(finished[1])
    asked, answered = {"role": "user", "content": [{"type": "text", "text": QUESTION}]}, {"content": "anna."}
    assert list(answer_turn(model, QUESTION, [asked, {"role": "assistant", **answered}]))[-1] == "anna."


def test_a_template_that_refuses_the_system_is_quoted_with_the_fix(checkpoint, tmp_path):
    tokenizer = KNOWN["GPT-2"].processor()
    folder = causal("GPT-2", tmp_path)
    tokenizer.chat_template = STRICT
    tokenizer.save_pretrained(folder)
    turns = conversations(1, 1)[0][-2:]
    rows = [turns, [{"role": "system", "content": "be short."}, *turns]]
    with pytest.raises(DataError, match="row 1.*System role not supported.*--system_message merge"):
        encode(folder, rows)
    assert set(encode(folder, rows, system_message="merge")[1]["row"]) == {0, 1}


def test_conversations_that_a_template_refuses_are_left_out_on_demand(tmp_path):
    """Only the checkpoint knows which; what was drawn of the others still says which row of the file it was."""
    tokenizer = KNOWN["GPT-2"].processor()
    folder = causal("GPT-2", tmp_path / "gpt2")
    tokenizer.chat_template = STRICT
    tokenizer.save_pretrained(folder)

    folder_of_rows = write_rows(tmp_path / "rows", "messages", conversations)  # some begin with the system
    task = Chat(dataset=folder_of_rows, on_bad_row="skip")
    kept, whole = task.load(folder), task.load()
    rule = "the checkpoint's chat template takes them, and here it says: System role not supported"
    codec = task.codec(folder, kept.target)
    judged = task.rows_to_evaluate(kept.target, codec=codec)
    for split in ("train", "validation", "test"):
        begins = np.array([messages[0]["role"] for messages in whole[split]["messages"][:]])
        rest, refused = np.flatnonzero(begins == "user"), np.flatnonzero(begins == "system")
        assert len(rest) and len(refused)
        assert [fault.row for fault in codec.find_unreadable(whole[split])] == refused.tolist()
        assert kept[split]["messages"][:] == whole[split].select(rest)["messages"][:]
        assert count_skipped(kept[split]) == {rule: len(refused)}
        assert kept.draw.origins[split].rows.tolist() == judged.draw.origins[split].rows.tolist() == rest.tolist()
    with pytest.raises(DataError, match="--system_message merge .* or leave such rows out with --on_bad_row skip"):
        codec.encode(whole["train"], split="train", answers=True)


def test_a_template_that_writes_no_answer_leaves_nothing_to_learn(tmp_path):
    tokenizer = KNOWN["GPT-2"].processor()
    folder = causal("GPT-2", tmp_path)
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m['role'] == 'user' %}{{ m['content'] }}{% endif %}{% endfor %}"
    )
    tokenizer.save_pretrained(folder)
    with pytest.raises(DataError, match="none of them the assistant's"):
        encode(folder, conversations(2, 0))


@pytest.mark.slow
def test_the_snippet_answers(finished):
    code = Chat().view.snippet(finished[1], Chat().guess_target(0), [Example(Text(QUESTION))], {})
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip().startswith("anna.")


@pytest.mark.slow
def test_virtual_tokens_are_refused_because_they_would_join_documents(checkpoint, tmp_path):
    task = Chat(dataset=write_rows(tmp_path / "rows", "messages", conversations))
    args = TransferArguments(
        output_dir=str(tmp_path / "run"), adapter="prefix", max_steps=1, use_cpu=True, report_to="none"
    )
    rows = task.load()
    codec = task.codec(checkpoint, rows.target)
    run = TransferTrainer(model=codec.model(), args=args, task=task, codec=codec, rows=rows)
    with pytest.raises(UserError, match="virtual tokens stand once before a row"):
        run.train()
