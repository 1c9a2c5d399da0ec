"""Cells as people write them: several labels, one label in several spellings, and numbers."""

from typing import Any

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List

from hfkit.data.notes import collect_notes
from hfkit.errors import UserError
from hfkit.tasks import TextClassification
from hfkit.tasks.classification.answers import check_answers
from hfkit.tasks.classification.kinds import KINDS
from hfkit.tasks.classification.writing import CellFlags, find_writing

SETS, ONE, NUMBER, GRADE = "multi-label", "single-label", "regression", "ordinal"


def read(values: list, problem: str, labels: set[str] | None = None, **flags: Any) -> tuple[list, list[str], list[str]]:
    """The answers of a column, the rules that rows break, and what is told.

    Args:
        labels: those of a finished model.
    """
    rows = Dataset.from_dict({"label": values})
    with collect_notes() as notes:
        writing = find_writing(DatasetDict(train=rows), "label", problem, CellFlags(**flags))
    answers, faults = check_answers(rows, "label", KINDS[problem], labels, writing=writing, by_model=labels is not None)
    return answers, [fault.rule for fault in faults], notes


@pytest.mark.parametrize(
    ("values", "note"),
    [
        (["a|b", "b", "c"], "separated by '|'"),
        (["a | b", " b ", "c|"], "separated by '|'"),
        (["b\na", "b", "c"], "separated by '\\n'"),
        (["a; b", "b", "c"], "separated by ';'"),
        (["a, b", "b", "c"], "separated by ','"),
        (["['a', 'b']", '["b"]', "['c']"], "printed lists"),
        (["['b' 'a']", "['b',]", "('c',)"], "printed lists"),
        (["{'a', 'b'}", "['b']", "{'c'}"], "printed lists"),
        (["[a, b]", "[b]", "{c}"], "printed lists"),
        (['{"a": 1, "b": true, "c": 0}', '{"b": "yes"}', "{'c': 1.0}"], "printed lists or mappings"),
        ([["b", "a"], ["b"], ["c"]], ""),
        ([{"a": 1.0, "b": 1.0, "c": 0.0}, {"b": 1.0}, {"c": 1.0}], ""),
        (["['a', 'b']", "b", "a|c"], "separated by '|'"),
    ],
)
def test_several_labels_are_read_as_they_are_written(values, note):
    answers, rules, notes = read(values, SETS)
    assert answers == [["a", "b"], ["b"], ["a", "c"] if values[2] == "a|c" else ["c"]] and not rules
    assert note in " ".join(notes) and bool(note) == bool(notes)


@pytest.mark.parametrize(
    "values",
    [
        ["food, drink", "price", "food, drink"],  # nowhere apart
        ["arts, crafts", "sports, games"],  # nothing is there by itself
        ["a;b", "a,c"],
        ["a|b", "a\nc"],
        ["a|b", "c, d", "c|d"],
    ],
)
def test_separators_with_two_readings_are_asked_for(values):
    with pytest.raises(UserError, match="may stand between labels or belong to a name.*--label_separator"):
        read(values, SETS)


@pytest.mark.parametrize("rare", [["x, y"], ["x, y, a"]])
def test_rare_labels_that_are_together_once_are_no_name(rare):
    assert read(["a, b", "a", "b, c", "c", *rare], SETS)[0][4] == sorted(rare[0].split(", "))


def test_the_separator_may_be_named():
    assert read(["a;b, c", "d"], SETS, separator=";")[0] == [["a", "b, c"], ["d"]]
    assert read(["a\tb", "b"], SETS, separator="\\t")[0] == [["a", "b"], ["b"]]
    assert read(["a|b", "c"], ONE, separator="none")[0] == ["a|b", "c"]


@pytest.mark.parametrize("values", [[[1, 0], [0, 1]], ["[1, 0]", "[0, 1]"], ["[1. 0.]", "[0. 0.]"], ["1|0", "0|1"]])
def test_zeros_and_ones_are_no_names_of_labels(values):
    with pytest.raises(UserError, match="Write names of labels.*--label_columns"):
        read(values, SETS)


def test_ids_with_names_are_labels_though_they_are_0_and_1():
    features = Features({"label": List(ClassLabel(names=["no", "yes"]))})
    splits = DatasetDict(train=Dataset.from_dict({"label": [[0, 1], [1, 0]]}, features=features))
    find_writing(splits, "label", SETS, CellFlags())


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        (["a|b", ""], "every row has a list of labels"),
        (["a|b", None], "every row has a list of labels"),
        (["['a', 'b']", "['a', 'b"], "can be read to its end"),
        (["['a', 'b']", "['a', ['b']]"], "can be read to its end"),
        (["a|b", "a|a"], "each of its labels once"),
        ([{"a": 1}, {"a": 2}], "0 or 1"),
        (["{'a': 1}", "{'a': 'maybe'}"], "0 or 1"),
    ],
)
def test_a_cell_that_is_no_set_of_labels_is_a_row_at_fault(values, rule):
    answers, rules, _ = read(values, SETS)
    assert answers[1] == [] and len(rules) == 1 and rule in rules[0]


def test_a_column_of_0_and_1_has_a_value_in_every_row():
    values = [{"a": 1, "b": 0}, {"a": None, "b": 1}]
    assert read(values, SETS)[:2] == ([["a"], ["b"]], [])
    assert "0 or 1" in read(values, SETS, columns=("a", "b"))[1][0]


@pytest.mark.parametrize("values", [[{"a": 0.7, "b": 0.2}, {"a": 0.0, "b": 1.0}], ["{'a': 0.7}", "{'b': 1}"]])
def test_scores_need_a_threshold(values):
    with pytest.raises(UserError, match="scores between 0 and 1, such as a: 0.7.*--label_threshold 0.5"):
        read(values, SETS)
    assert read(values, SETS, threshold=0.7)[0] == [["a"], ["b"]]
    assert read(values, ONE, threshold=0.7)[0] == ["a", "b"]


@pytest.mark.parametrize(
    "values",
    [
        ["['a']", "['a', 'b']"],
        ["[1, 0]", "[0, 1]"],
        ["a|b", "c|d"],
        ["a; b", "c"],
        ["a, b", "a", "b"],
        [["a"], ["b"]],
    ],
)
def test_cells_of_several_labels_never_become_classes(values):
    with pytest.raises(UserError, match="problem=single-label with column 'label'.*--problem multi-label"):
        read(values, ONE)


def test_a_sign_within_a_few_names_is_part_of_them():
    names = ["no", "yes", "a|b", "c", "d", "two\nlines", "e", "f"]
    assert read(names, ONE)[0] == names
    with pytest.raises(UserError, match="seem to hold several labels, such as 'a|b'"):
        read([*names, "c|x"], ONE)


def test_a_few_such_cells_are_rows_at_fault():
    answers, rules, _ = read(["a", "b", "b", "['a', 'b']", "{'a': 1, 'b': 1}", "['a'"], ONE)
    assert (
        answers == ["a", "b", "b", "", "", ""]
        and [rule.split(",")[0] for rule in rules[:2]] == ["a row has one label"] * 2
    )


@pytest.mark.parametrize("values", [["loans, credits", "cards"], ["[deleted]", "kept"], ["(a)", "b"]])
def test_names_may_hold_commas_and_brackets(values):
    assert read(values, ONE)[:2] == (values, [])


def test_a_mapping_with_one_label_is_a_label():
    assert read([{"good": 1.0, "bad": 0.0}, {"good": 0.0, "bad": 1.0}], ONE)[:2] == (["good", "bad"], [])


@pytest.mark.parametrize("values", [["4,2", "3"], ["4.5", "3"], [4.5, 3.0]])
def test_numbers_with_fractions_are_no_classes(values):
    with pytest.raises(UserError, match="numbers with fractions.*--problem regression"):
        read(values, ONE)


@pytest.mark.parametrize(
    ("values", "answers", "notes"),
    [
        (
            ["1", "1.0", " 1", "2"],
            list("1112"),
            ["1 label written with a decimal point", "1 label written with blanks"],
        ),
        (["caf\u00e9", "cafe\u0301"], ["café"] * 2, ["1 label written with another form of Unicode"]),
        (["a", "a\u200b", "\ufeffa"], ["a"] * 3, ["2 labels written with invisible characters"]),
        (["good", "good\u00a0", "bad"], ["good", "good", "bad"], ["1 label written with blanks at an end"]),
        (["True", "TRUE", "false", "1", "0"], ["true", "true", "false", "true", "false"], ["'True' (1), 'TRUE' (1)"]),
        (["True", "False"], ["True", "False"], []),
        (["1st", "2nd"], ["1st", "2nd"], []),
        (["250", "V27"], ["250", "V27"], []),
        (["007", "null"], ["007", "null"], []),
        ([1.0, None, 2.0], ["1", "", "2"], []),
    ],
)
def test_one_label_in_several_spellings_is_one_and_told_with_counts(values, answers, notes):
    found, _, told = read(values, ONE)
    assert found == answers and len(told) == len(notes)
    assert all(f"column 'label': {note}" in line for note, line in zip(notes, told, strict=True))
    assert read([[value] for value in values if value], SETS)[0] == [[answer] for answer in answers if answer]


def test_a_name_among_numbers_is_at_fault_and_a_number_among_names():
    assert read(["1", "2", "good", "1"], ONE)[0] == ["1", "2", "", "1"]
    assert read(["good", "bad", "1"], ONE)[:2][1] == [
        "a label is a name or a number, and most rows of the column have the other kind"
    ]


def test_a_finished_model_knows_its_labels_in_any_spelling():
    assert read(["cafe\u0301", "1.0", "TRUE"], ONE, {"café ", "1", "True"})[:2] == (["café ", "1", "True"], [])
    assert read(["True", "TRUE", "false"], ONE, {"True", "False"})[0] == ["True", "True", "False"]


@pytest.mark.parametrize(
    ("values", "flags", "answers"),
    [
        (["4,2", "3", "-1,5"], {}, [4.2, 3, -1.5]),
        (["4,2", "3.5"], {}, [4.2, 3.5]),
        (["0,125", "2"], {}, [0.125, 2]),
        (["1,234.5", "2"], {"number_format": "1,234.5"}, [1234.5, 2]),
        (["1.234,5", "1.234"], {"number_format": "1.234,5"}, [1234.5, 1234]),
        (["1\u202f234,5", "1 234"], {"number_format": "1 234,5"}, [1234.5, 1234]),
        (["\u22124", "1e3"], {}, [-4, 1000]),
    ],
)
def test_numbers_are_read_as_they_are_written(values, flags, answers):
    found, rules, notes = read(values, NUMBER, **flags)
    assert found == answers and not rules
    assert len(notes) == any("," in value for value in values) - bool(flags and "," in values[0])


@pytest.mark.parametrize("values", [["1,234", "2"], ["1,234", "4,2"], ["4,2", "1.234"], ["1,234.5", "2"]])
def test_thousands_or_decimals_are_asked_for(values):
    with pytest.raises(UserError, match="--number_format"):
        read(values, NUMBER)


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("4.5/5", "alone"),
        ("80 %", "alone"),
        ("★★★☆☆", "alone"),
        ("4 stars", "alone"),
        ("1 234", "the same way"),
        ("1_000", "alone"),
        ("two", "a finite number"),
    ],
)
def test_what_is_more_than_a_number_is_a_row_at_fault(value, rule):
    for problem in (NUMBER, GRADE):
        answers, rules, _ = read(["3", value], problem)
        assert answers == [3, 0] and rule in rules[0]


@pytest.mark.parametrize(
    ("flags", "value"),
    [
        ({"label_separator": ","}, "label_separator with problem=single-label"),
        ({"problem": NUMBER, "label_columns": ["a", "b"]}, "label_columns with problem=regression"),
        ({"label_columns": ["a"]}, "label_columns=a"),
        ({"problem": SETS, "label_threshold": 0.0}, "label_threshold=0.0"),
        ({"problem": SETS, "number_format": "1,234.5"}, "number_format with problem=multi-label"),
    ],
)
def test_flags_that_do_not_fit_are_refused(flags, value):
    with pytest.raises(UserError, match=f"^{value}: "):
        TextClassification(**flags)
