"""Windows are those of the stock tokenizer, whatever a family puts around its pairs, and answers are in them."""

import numpy as np
import pytest
from datasets import Dataset, Features, List, Value

from hfkit.errors import UserError
from hfkit.tasks import QuestionAnswering
from hfkit.tasks.spans.target import Stretches
from hfkit.tasks.spans.windows import choose_windows, read_frame, windows
from tests.tiny import families
from tests.tiny import text as tiny

TOKENIZERS = {
    "bert": families.wordpiece,
    "distilbert": families.wordpiece_alone,
    "roberta": families.bytes_framed,
    "deberta": families.pieces_classed,
    "xlnet": families.pieces_xlnet,
    "without special tokens": families.bytes_padded,
}


def material(rows: int = 25) -> dict[str, list]:
    """Questions and passages, some of them shared, of one to several windows."""
    asked = tiny.questions(rows, 5, unanswerable=1.0, sentences=8)
    contexts = [row["context"] for row in asked]
    contexts[3] = contexts[4] = contexts[2]
    texts = [[context.split()[-3]] if number % 5 else [] for number, context in enumerate(contexts)]
    starts = [[context.rindex(one) for one in of_row] for context, of_row in zip(contexts, texts, strict=True)]
    questions = [" ".join(row["context"].split()[:2]) for row in asked]
    return {"question": questions, "context": contexts, "texts": texts, "starts": starts}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_windows_are_those_of_the_stock_tokenizer(name):
    tokenizer, batch = TOKENIZERS[name](), material()
    frame = read_frame(tokenizer, name)
    found = windows(batch, list(range(25)), tokenizer, frame, 40, 10, True).to_pydict()
    stock = tokenizer(
        batch["question"],
        batch["context"],
        truncation="only_second",
        max_length=40,
        stride=10,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    assert found["input_ids"] == stock["input_ids"] and found["row"] == stock["overflow_to_sample_mapping"]
    assert len(found["row"]) > 25
    for inputs in set(tokenizer.model_input_names):
        assert found[inputs] == stock[inputs]
    answered = set()
    for window, (row, offsets) in enumerate(zip(found["row"], stock["offset_mapping"], strict=True)):
        sides = stock.sequence_ids(window)
        inside = [place for place, side in enumerate(sides) if side == 1]
        assert found["first"][window] == inside[0]
        assert list(zip(found["begins"][window], found["ends"][window], strict=True)) == [offsets[i] for i in inside]
        first, last = found["start_positions"][window], found["end_positions"][window]
        if first == found["null"][window]:
            assert last == first
            continue
        assert first in inside and last in inside
        text = batch["context"][row][offsets[first][0] : offsets[last][1]]
        assert text.strip() == batch["texts"][row][0]
        answered.add(row)
    assert answered == {row for row in range(25) if row % 5}
    contexts = dict(reversed(list(zip(found["row"], found["context"], strict=True))))
    assert [contexts[row] for row in range(25)] == batch["context"]  # in the first window of each


def test_a_token_for_the_whole_row_stands_for_no_answer():
    found = {name: read_frame(build(), name).null for name, build in TOKENIZERS.items()}
    assert found == {
        **dict.fromkeys(("bert", "distilbert", "roberta", "deberta", "without special tokens"), 0),
        "xlnet": -1,
    }


def test_of_windows_without_the_answer_some_are_learnt_from():
    row = np.repeat([0, 1, 2], [10, 3, 2])
    holds = np.zeros(15, bool)
    holds[[4, 5, 10]] = True
    kept = choose_windows(row, holds, 2)
    assert kept[holds].all() and np.bincount(row[kept & ~holds]).tolist() == [2, 2, 2]
    assert np.flatnonzero(kept & (row == 0)).tolist() == [3, 4, 5, 9]
    assert np.bincount(row[choose_windows(row, holds, 0)]).tolist() == [2, 1, 1]  # no row without a window
    assert choose_windows(row, holds, 99).all()


def test_long_questions_leave_room_for_the_passage(checkpoint):
    task = QuestionAnswering(max_length=20, stride=15)
    codec = task.codec(checkpoint, Stretches())
    rows = {
        "question": ["in " * 40, "in ?"],
        "context": ["anna saw rain . " * 9, ""],
        "texts": [[], []],
        "starts": [[], []],
    }
    kinds = {"question": Value("string"), "context": Value("string")}
    kinds |= {"texts": List(Value("string")), "starts": List(Value("int32"))}
    encoded = codec.encode(Dataset.from_dict(rows, features=Features(kinds)), split="test", answers=True)
    assert max(map(len, encoded["input_ids"])) == 20 and codec.facts(encoded)["questions_cut"] == 1
    assert encoded["row"][-1] == 1 and encoded["begins"][-1] == []  # a passage of nothing has one window
    covered = {token for window in encoded["begins"][:-1] for token in window}
    assert len(covered) == 36


@pytest.mark.parametrize(
    ("flags", "named"), [({"max_length": 5}, "max_length 5"), ({"max_length": 65}, "65"), ({"stride": 61}, "stride 61")]
)
def test_lengths_that_do_not_fit_are_refused(checkpoint, flags, named):
    with pytest.raises(UserError, match=named):
        QuestionAnswering(**flags).codec(checkpoint, Stretches()).window()
