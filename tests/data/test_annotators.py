"""Several people who answered the same rows: what is decided, what is a tie, and how far they agree."""

from typing import Any

import pytest
from datasets import Dataset

from hfkit.data.annotators import decide_rows, find_ties, hold_out, measure_agreement
from hfkit.data.notes import collect_notes
from hfkit.errors import UserError


def make_rows(*answers: list[Any], column: str = "label", **others: list) -> Dataset:
    """Rows with the answers of people who are called a, b, c, …"""
    names = "abcdefgh"
    annotations = [
        [{"annotator": name, column: value} for name, value in zip(names, of_row, strict=False)] for of_row in answers
    ]
    return Dataset.from_dict({"annotations": annotations, **others})


def span(start: int, end: int, label: str = "PER") -> dict:
    return {"start": start, "end": end, "label": label}


@pytest.mark.parametrize(
    ("votes", "decided"),
    [
        (["good", "bad", "good"], "good"),
        (["good", "bad", "good", "fair"], "good"),
        ([3, 4, 4], 4),
        ([3, 4], 3.5),
        ([1.0, 2.5, 9.0], 2.5),
        ([["a", "b"], ["a"], ["b", "a"]], ["a", "b"]),
        ([["a", "b"], [], []], []),
        ([[span(0, 3)], [span(5, 8), span(0, 3)], [span(5, 9)]], [span(0, 3)]),
    ],
)
def test_what_most_people_say_is_taken(votes, decided):
    rows = make_rows(votes)
    column = decide_rows(rows)["label"]
    assert column == [decided] and not find_ties(rows, ["label"])


@pytest.mark.parametrize(
    ("votes", "shown"),
    [
        (["good", "bad"], "'good' (1) against 'bad' (1)"),
        (["x", "y", "y", "x", "z"], "'x' (2) against 'y' (2) against 'z' (1)"),
        ([["a", "b"], ["a"]], "'b' by 1 of 2"),
        ([[span(0, 3)], [span(0, 3), span(5, 8, "LOC")]], "LOC at 5 to 8 by 1 of 2"),
    ],
)
def test_a_tie_is_a_fault_of_the_row(votes, shown):
    rows = make_rows([votes[0]], votes, text=["one", "two"])
    (fault,) = find_ties(decide_rows(rows), ["label"])
    assert (fault.row, fault.value, fault.rule) == (1, shown, "the annotators disagree")
    assert not find_ties(rows, ["another column"])


def test_one_person_is_taken_by_name_and_rows_of_others_are_faults():
    rows = make_rows(["good", "bad"], ["bad"], ["bad", "fair", "bad"])
    taken = decide_rows(rows, "b")
    assert taken["label"] == ["bad", None, "fair"]
    (fault,) = find_ties(taken, ["label"], "b")
    assert (fault.row, fault.value) == (1, "answered by a")
    with pytest.raises(UserError, match=r"annotator 'z': the rows were answered by a \(3 rows\), b \(2 rows\), c"):
        decide_rows(rows, "z")
    with pytest.raises(UserError, match="do not say that several people answered"):
        decide_rows(Dataset.from_dict({"label": ["good"]}), "a")


def test_an_answer_that_is_marked_as_final_decides_alone():
    given = [("a", False, "bad"), ("b", True, "good"), ("c", False, "bad")]
    rows = Dataset.from_list(
        [{"annotations": [dict(zip(("annotator", "final", "label"), one, strict=True)) for one in given]}]
    )
    assert decide_rows(rows)["label"] == ["good"] and not find_ties(rows, ["label"])


def test_rows_that_nobody_answered_keep_what_they_have():
    rows = make_rows([], ["good", "good"], [None, "bad"], label=["own", None, None])
    with collect_notes() as notes:
        assert decide_rows(rows)["label"] == ["own", "good", "bad"]
    assert notes == ["2 annotators; 2 rows have several answers, and what most say is taken"]
    plain = Dataset.from_dict({"label": ["x"], "annotations": ["some text"]})
    assert decide_rows(plain) is plain


def test_labels_that_a_tool_wrote_as_lists_of_one_are_names():
    rows = make_rows([["good"], ["good"]], [["bad"], ["good"], ["bad"]], label=["x", "y"])
    assert decide_rows(rows)["label"] == ["good", "bad"]
    rows = make_rows([["good"], ["good", "bad"], ["good"]])
    assert decide_rows(rows)["label"] == [["good"]]


def test_agreement_on_names_numbers_and_lists():
    names = measure_agreement(make_rows(["x", "x"], ["y", "x"], ["y"], ["y", "y"]), "label")
    # By hand: o = 2 unequal ordered pairs; 3 x and 3 y give 2 * 3 * 3 = 18; alpha = 1 - 5 * 2 / 18.
    assert names["alpha"] == pytest.approx(1 - 5 * 2 / 18) and names["share"] == pytest.approx(2 / 3)
    assert (names["rows"], names["annotators"], names["answers"], names["scale"]) == (3, 2, 6, "nominal")
    assert measure_agreement(make_rows([1, 2], [4, 4]), "label")["scale"] == "ordinal"
    assert measure_agreement(make_rows([1.5, 2.0]), "label")["scale"] == "interval"
    assert measure_agreement(make_rows([["a", "b"], ["b", "a"]], [["a"], ["a"]]), "label")["alpha"] == 1
    assert measure_agreement(make_rows(["x"], ["y"]), "label") is None
    assert measure_agreement(make_rows(["x", "x"]), "label")["alpha"] is None


def test_agreement_on_spans_is_over_words():
    # Ida and Kiel: both see Ida, one sees Kiel as LOC and one as ORG.
    rows = make_rows(
        [[span(0, 3), span(7, 11, "LOC")], [span(0, 3), span(7, 11, "ORG")]], column="spans", text=["Ida in Kiel"]
    )
    found = measure_agreement(rows, "spans", "text")
    # Values of the three words: PER PER, - -, LOC ORG; unequal pairs 2 of 6 * 6 - (4 + 4 + 1 + 1) = 26.
    assert found["alpha"] == pytest.approx(1 - 5 * 2 / 26) and found["share"] == 0 and found["scale"] == "words"


def test_each_answer_is_held_against_those_of_the_others():
    rows = make_rows(["x", "x", "y"], ["x"], ["x", "y"])
    found, undecided = hold_out(rows, "label")
    held = [(one.row, one.annotator, one.own, one.others) for one in found]
    # In the first row x is held against x and y, which are tied, and y against two x.
    assert (held, undecided) == ([(0, "c", "y", "x"), (2, "a", "x", "y"), (2, "b", "y", "x")], 2)


def test_what_decides_alone_is_held_against_nothing():
    rows = make_rows(["x", "y", "y"], ["x", "x"])
    found, undecided = hold_out(rows, "label", annotator="a")
    assert [(one.row, one.annotator, one.own, one.others) for one in found] == [
        (0, "b", "y", "x"),
        (0, "c", "y", "x"),
        (1, "b", "x", "x"),
    ]
    answers = [
        {"annotator": name, "label": label, "final": name == "b"} for name, label in zip("abc", "xyx", strict=True)
    ]
    found, _ = hold_out(Dataset.from_dict({"annotations": [answers]}), "label")
    assert [(one.annotator, one.own, one.others) for one in found] == [("a", "x", "y"), ("c", "x", "y")]
