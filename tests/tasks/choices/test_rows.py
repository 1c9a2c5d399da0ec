"""Options in lists and in columns, and the right one by number, letter or text."""

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value

from hfkit.errors import DataError, UserError
from hfkit.tasks import MultipleChoice
from hfkit.tasks.choices.rows import NoAnswer, find_single_options, read_label
from tests.tiny import text as tiny

OPTIONS = ["in paris", "in lima", "at home"]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["ctx", "ending1", "ending0", "label"], ["ending0", "ending1"]),
        (["q", "choice_a", "choice_b", "choice_c"], ["choice_a", "choice_b", "choice_c"]),
        (["A", "B", "C", "D", "answer"], ["A", "B", "C", "D"]),
        (["Option 1", "Option 2"], ["Option 1", "Option 2"]),
        (["opa", "opb", "opc"], ["opa", "opb", "opc"]),
        (["sol1", "sol2", "label"], ["sol1", "sol2"]),
        (["A", "C"], []),
        (["ending0"], []),
        (["answer", "label"], []),
    ],
)
def test_columns_of_single_options_are_found_in_their_order(names, found):
    assert find_single_options(names) == found


@pytest.mark.parametrize(
    ("value", "first", "place"),
    [(0, 0, 0), ("2", 0, 2), (1.0, 1, 0), ("B", 0, 1), ("(c)", 0, 2), ("in lima", 0, 1), ("b.", 1, 1)],
)
def test_a_label_is_a_number_a_letter_or_the_text(value, first, place):
    assert read_label(value, OPTIONS, first) == place


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (3, "one of the row's own"),
        (-1, "one of the row's own"),
        ("D", "one of the row's own"),
        (None, "its number, its letter or its text"),
        ("in oslo", "its number, its letter or its text"),
        (0.5, "its number, its letter or its text"),
    ],
)
def test_a_label_out_of_range_is_named(value, rule):
    with pytest.raises(NoAnswer, match=rule):
        read_label(value, OPTIONS, 0)


def write(folder, rows: Dataset) -> str:
    return tiny.folder_of(DatasetDict(dict.fromkeys(("train", "validation", "test"), rows)), folder)


def wide(rows: list[dict], label) -> Dataset:
    """A column for each option; rows of fewer have empty cells at the end."""
    letters = "ABCD"
    return Dataset.from_list(
        [
            {"question": row["question"], "answer": label(row)}
            | {letter: option for letter, option in zip(letters, row["choices"] + [None] * 4, strict=False)}
            for row in rows
        ]
    )


def forms(rows: list[dict]) -> dict[str, Dataset]:
    """The same rows in several forms."""
    named = Features(
        {"question": Value("string"), "options": List(Value("string")), "label": ClassLabel(names=list("ABCD"))}
    )
    arc = [{"question": r["question"], "choices": {"text": r["choices"], "label": list("ABCD")[: len(r["choices"])]},
            "answerKey": "ABCD"[r["label"]]} for r in rows]  # fmt: skip
    return {
        "letters": wide(rows, lambda row: "ABCD"[row["label"]]),
        "texts": wide(rows, lambda row: row["choices"][row["label"]]),
        "from one": wide(rows, lambda row: row["label"] + 1),
        "classes": Dataset.from_dict(
            {
                "question": [r["question"] for r in rows],
                "options": [r["choices"] for r in rows],
                "label": [r["label"] for r in rows],
            },
            features=named,
        ),  # fmt: skip
        "as ARC has it": Dataset.from_list(arc),
    }


def test_all_forms_mean_the_same_rows(tmp_path):
    rows = tiny.choices(30, 0)
    assert max(row["label"] for row in rows) == 3 and {len(row["choices"]) for row in rows} == {2, 3, 4}
    for name, written in forms(rows).items():
        (tmp_path / name).mkdir()
        loaded = MultipleChoice(dataset=write(tmp_path / name, written)).load()
        assert loaded["train"]["options"][:] == [row["choices"] for row in rows], name
        assert loaded["train"]["label"][:] == [row["label"] for row in rows], name
        assert any("count options from 1" in note for note in loaded.notes) == (name == "from one")


FAULTS = {
    "one option": ({"choices": ["paris"]}, "1 options"),
    "an empty option": ({"choices": ["paris", " "]}, "every option is a text"),
    "no options": ({"choices": None}, "a list of texts"),
    "out of range": ({"label": 4}, "4 of 2 options"),
    "nothing before": ({"question": ""}, "a question or a context"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_bad_row_is_named_or_left_out(name, tmp_path):
    change, named = FAULTS[name]
    rows = [{"question": "anna left in", "choices": ["paris", "rain"], "label": place % 2} for place in range(6)]
    good = Dataset.from_list(rows)
    rows[3] = {**rows[3], **change}
    data = tiny.folder_of(DatasetDict(train=Dataset.from_list(rows), validation=good, test=good), tmp_path)
    with pytest.raises(DataError, match=named) as refused:
        MultipleChoice(dataset=data).load()
    assert "split 'train', row 3" in str(refused.value)
    loaded = MultipleChoice(dataset=data, on_bad_row="skip").load()
    facts = MultipleChoice().rows.facts(loaded.splits)["train"]
    assert facts["rows"] == 5 and sum(facts["skipped"].values()) == 1


def test_rows_without_options_or_all_alike_are_refused(tmp_path):
    for name, row, message in (
        ("none", {"question": "a", "label": 0}, "choices, options"),
        ("alike", {"question": "a", "choices": ["b", "c"], "label": 0}, "place 0"),
        ("bare", {"choices": ["b", "c"], "label": 0}, "stands before the options"),
    ):
        (tmp_path / name).mkdir()
        with pytest.raises(UserError, match=message):
            MultipleChoice(dataset=write(tmp_path / name, Dataset.from_list([row] * 3))).load()


def test_rows_to_predict_need_no_label():
    asked = Dataset.from_list(
        [{"question": "anna left in", "A": "paris", "B": "rain", "C": None}, {"question": "x", "A": "b"}]
    )
    rows, faults = MultipleChoice().rows.to_predict(asked)
    assert rows[0] == {"question": "anna left in", "options": ["paris", "rain"]}
    assert [(fault.row, fault.rule) for fault in faults] == [(1, "a row has two options or more")]
    facts = {"before_options": ["context", "question"], "test": {"most_options": 3}}
    assert MultipleChoice().rows.input_columns(facts) == ("context", "question", "A", "B", "C")
