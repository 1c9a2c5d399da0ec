"""Gold answers in the ways that people write them, and places that are off by blanks, or by more."""

import pytest

from hfkit.tasks.spans.cells import Marked, NoAnswer, Place, find_place, read_marked

PASSAGE = "Ada wrote to Charles.  Then she left London, and London was dark."


@pytest.mark.parametrize(
    ("cell", "starts", "found"),
    [
        ({"text": ["Ada", "Charles"], "answer_start": [0, 13]}, None, [Marked("Ada", 0), Marked("Charles", 13)]),
        ({"text": [], "answer_start": []}, None, []),
        ([], None, []),
        ({"text": "Ada", "answer_start": 0}, None, [Marked("Ada", 0)]),
        ([{"text": "Ada", "answer_start": 0}], None, [Marked("Ada", 0)]),
        ([{"start": 0, "end": 3, "label": "who"}], None, [Marked(None, 0, 3)]),
        ([[0, 3, "who"]], None, [Marked(None, 0, 3)]),
        (["Ada", "Charles"], [0, 13], [Marked("Ada", 0), Marked("Charles", 13)]),
        ("Ada", 0, [Marked("Ada", 0)]),
        ("Ada", 0.0, [Marked("Ada", 0)]),
        ("Ada", None, [Marked("Ada", None)]),
        ('{"text": ["Ada"], "answer_start": [0]}', None, [Marked("Ada", 0)]),
        ("[sic] is in brackets", None, [Marked("[sic] is in brackets", None)]),
    ],
)
def test_a_cell_may_be_written_in_many_ways(cell, starts, found):
    assert read_marked(cell, starts) == found


@pytest.mark.parametrize(
    ("cell", "starts", "rule"),
    [
        (None, None, "by \\[\\], or by is_impossible"),
        ("", None, "by \\[\\], or by is_impossible"),
        (7, None, "by \\[\\], or by is_impossible"),
        ({"text": ["Ada"], "answer_start": []}, None, "a text and a start"),
        (["Ada", "Charles"], [0], "every answer has one start"),
        (["Ada", " "], None, "an answer has a text"),
        ([{"label": "who"}], None, "a start and an end"),
        ("Ada", "first", "a whole number of characters"),
        ("Ada", 0.5, "a whole number of characters"),
    ],
)
def test_what_holds_no_answer_is_named(cell, starts, rule):
    with pytest.raises(NoAnswer, match=rule):
        read_marked(cell, starts)


@pytest.mark.parametrize(
    ("marked", "passage", "place"),
    [
        (Marked("Ada", 0), PASSAGE, Place("Ada", 0, False)),
        (Marked("Then", None), PASSAGE, Place("Then", 23, False)),
        (Marked(None, 13, 20), PASSAGE, Place("Charles", 13, False)),
        (Marked("London", 49), PASSAGE, Place("London", 49, False)),
        (Marked("Then", 21), PASSAGE, Place("Then", 23, True)),  # the blanks before it were stripped
        (Marked("  Then ", 21), PASSAGE, Place("Then", 23, True)),
        (Marked("Ada", 0), "  " + PASSAGE, Place("Ada", 2, True)),  # the passage was stripped when it was marked
        (Marked("two", 9), "one\nmore\ntwo", Place("two", 9, False)),
        (Marked("two", 11), "one\nmore\ntwo", Place("two", 9, True)),  # CRLF was two characters
    ],
)
def test_places_that_are_off_by_blanks_are_mended(marked, passage, place):
    assert find_place(marked, passage) == place


@pytest.mark.parametrize(
    ("marked", "value", "rule"),
    [
        (Marked("Ada", 1), "'Ada' at 1 (it begins at 0)", "no further away than the blanks"),
        (Marked("London", 30), "'London' at 30 (it begins at 37)", "no further away than the blanks"),
        (Marked("Paris", 3), "'Paris'", "letter by letter"),
        (Marked("ada", 0), "'ada'", "letter by letter"),
        (Marked("London", None), "'London'", "several times"),
        (Marked(None, 21, 23), "21 to 23", "some of its text"),
        (Marked(None, 5, 500), "5 to 500", "some of its text"),
    ],
)
def test_places_that_are_off_by_more_are_named_with_the_nearest(marked, value, rule):
    with pytest.raises(NoAnswer, match=rule) as refused:
        find_place(marked, PASSAGE)
    assert refused.value.value == value
