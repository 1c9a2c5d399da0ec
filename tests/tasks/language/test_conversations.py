"""Conversations from every layout in which people keep them, and a fault for each that is none."""

import json

import pytest
from datasets import Dataset

from hfkit.errors import DataError, UserError
from hfkit.tasks import Chat

ASKED = [{"role": "user", "content": "who left?"}]
TURNS = [*ASKED, {"role": "assistant", "content": "anna."}]
LAYOUTS = {
    "messages": {"messages": TURNS},
    "ShareGPT": {"conversations": [{"from": "human", "value": "who left?"}, {"from": "gpt", "value": "anna."}]},
    "prompt": {"prompt": "who left?", "completion": "anna."},
    "lists": {"prompt": ASKED, "completion": TURNS[1:]},
    "Alpaca": {"instruction": "who left?", "input": "", "output": "anna."},
    "columns": {"question": "who left?", "answer": "anna."},
    "text": {"messages": json.dumps(TURNS)},
}


def task_of(folder, rows, **flags):
    for split in ("train", "validation", "test"):
        lines = rows if split == "train" else rows[-1:]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))
    return Chat(dataset=str(folder), **flags)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_becomes_messages(layout, tmp_path):
    rows = task_of(tmp_path, [LAYOUTS[layout]] * 2).load()
    assert rows["train"]["messages"][:] == [TURNS, TURNS]


def test_alpacas_input_belongs_to_the_instruction_and_a_system_comes_first(tmp_path):
    row = {"system": "be short.", "instruction": "who left?", "input": "anna left oslo.", "output": "anna."}
    (messages,) = task_of(tmp_path, [row]).load()["test"]["messages"][:]
    assert [message["role"] for message in messages] == ["system", "user", "assistant"]
    assert messages[1]["content"] == "who left?\n\nanna left oslo."


def test_a_question_that_nobody_answers_is_left_out(tmp_path):
    rows = task_of(tmp_path, [{"messages": [*TURNS, *ASKED]}]).load()
    assert rows["test"]["messages"][0] == TURNS


BAD = {
    "an empty list": ([], "a conversation is a list of messages"),
    "assistant first": (TURNS[::-1], "begins with the user"),
    "two users": ([*ASKED, *ASKED, *TURNS[1:]], "take turns"),
    "late system": ([*TURNS, {"role": "system", "content": "be short."}], "comes first"),
    "empty turn": ([*ASKED, {"role": "assistant", "content": " "}], "every turn has a text"),
    "no answer": (ASKED, "has a turn of the assistant"),
    "a tool": ([*ASKED, {"role": "tool", "content": "42"}], "the system's, the user's or the assistant's"),
    "no text": ([*ASKED, {"role": "assistant", "content": None}], "a turn is a text"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_conversation_at_fault_is_named_or_skipped_and_counted(kind, tmp_path):
    bad, rule = BAD[kind]
    rows = [{"messages": TURNS}, {"messages": bad}, {"messages": TURNS}]
    with pytest.raises(DataError, match=rf"train.*row 1.*'messages'.*{rule}"):
        task_of(tmp_path, rows).load()
    task = task_of(tmp_path, rows, on_bad_row="skip")
    loaded = task.load()
    assert len(loaded["train"]) == 2 and sum(task.rows.facts(loaded.splits)["train"]["skipped"].values()) == 1


@pytest.mark.parametrize("cell", ["", "  ", None])
def test_an_empty_cell_is_a_fault_of_its_column(cell, tmp_path):
    rows = [{"prompt": "who left?", "completion": "anna."}, {"prompt": "who?", "completion": cell}]
    with pytest.raises(DataError, match="row 0.*'completion'.*every row has a text"):
        task_of(tmp_path, [rows[1], rows[0]]).load()


def test_other_columns_are_refused_by_their_names(tmp_path):
    with pytest.raises(UserError, match="a prompt and a response"):
        task_of(tmp_path, [{"left": "a", "right": "b"}]).load()


def test_rows_to_predict_end_with_the_question():
    rows = Chat().rows
    found, faults = rows.to_predict(Dataset.from_list([{"messages": TURNS}, {"messages": [*TURNS, *ASKED]}]))
    assert found["messages"][:] == [ASKED, [*TURNS, *ASKED]] and not faults
    found, faults = rows.to_predict(Dataset.from_list([{"prompt": "who left?"}, {"prompt": ""}]))
    assert found["messages"][0] == ASKED and [fault.row for fault in faults] == [1]
