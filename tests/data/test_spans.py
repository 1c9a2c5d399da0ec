"""Spans of characters as tools write them become words and tags, by rules that are counted."""

import pytest

from hfkit.data.text.spans import (
    BESIDE,
    BLANKS,
    OVERLAP,
    TWICE,
    WITHIN,
    Counting,
    align,
    find_counting,
    looks_like_spans,
    read_spans,
)
from hfkit.data.text.words import split_words
from hfkit.errors import UserError

TEXT = "Anna Lee left São Paulo."
PER, LOC = ["B-PER", "I-PER"], ["B-LOC", "I-LOC"]
WHOLE = [*PER, "O", *LOC, "O"]


def tags(text: str, *spans: object, level: str = "words") -> tuple[list[str], list[str]]:
    found = align(text, read_spans(list(spans)), Counting(), level)
    return found.tags, found.mended


@pytest.mark.parametrize(
    "spans",
    [
        [[0, 8, "PER"], [14, 23, "LOC"]],
        [{"start": 14, "end": 23, "label": "LOC"}, {"start": 0, "end": 8, "label": "PER", "text": "Anna Lee"}],
        [{"start_offset": 0, "end_offset": 8, "label": "PER"}, {"start_offset": 14, "end_offset": 23, "label": "LOC"}],
        [{"start": 0, "end": 8, "entity_group": "PER"}, {"start": 14, "end": 23, "type": "LOC", "tag": None}],
        {"start": [0, 14], "end": [8, 23], "label": ["PER", "LOC"]},
    ],
)
def test_spans_of_every_tool_become_the_same_tags(spans):
    assert looks_like_spans(spans)
    found = align(TEXT, read_spans(spans), Counting())
    assert (found.tags, found.mended) == (WHOLE, [])
    assert [TEXT[start:].startswith(word) for word, start in zip(found.words, found.starts, strict=True)] == [True] * 6


# What is wrong with a span of TEXT -> (spans, tags, what was mended)
MENDED = {
    "blanks at its ends": ([[0, 9, "PER"], [13, 23, "LOC"]], WHOLE, [BLANKS, BLANKS]),
    "it ends within a word": ([[0, 7, "PER"], [14, 23, "LOC"]], WHOLE, [WITHIN]),
    "given twice": ([[0, 8, "PER"], [0, 8, "PER"], [14, 23, "LOC"]], WHOLE, [TWICE]),
    "one within another": ([[0, 4, "X"], [0, 8, "PER"], [14, 23, "LOC"]], WHOLE, [OVERLAP]),
    "two labels for one": ([[0, 8, "PER"], [14, 23, "LOC"], [14, 23, "ORG"]], WHOLE, [OVERLAP]),
    # Both have eight characters: the first stays.
    "two that cross": ([[0, 8, "PER"], [5, 13, "X"], [14, 23, "LOC"]], [*PER, "O", *LOC, "O"], [OVERLAP]),
    "beside its text": (
        [{"start": 2, "end": 10, "label": "PER", "text": "Anna Lee"}, [14, 23, "LOC"]], WHOLE, [BESIDE]
    ),
    "its text has a new line": (
        [[0, 8, "PER"], {"start": 14, "end": 23, "label": "LOC", "text": "São\nPaulo"}], WHOLE, []
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MENDED)
def test_a_span_is_mended_by_a_rule_and_counted(name):
    spans, expected, mended = MENDED[name]
    assert tags(TEXT, *spans) == (expected, mended)


FAULTS = {
    "outside the text": ([[20, 40, "LOC"]], "span 20 to 40 .LOC. of a text of 24 characters: a span lies within"),
    "nothing": ([[4, 4, "PER"]], "a span begins before it ends"),
    "backwards": ([[8, 0, "PER"]], "a span begins before it ends"),
    "a blank": ([[4, 5, "PER"]], "a span holds more than blanks"),
    "another text": ([{"start": 0, "end": 4, "label": "PER", "text": "Eva"}], "stands where its text stands"),
    "a number for a label": ([[0, 4, 3]], "label 3 of span .*without the names of the classes"),
    "no label": ([{"start": 0, "end": 4}], "a span has one label"),
    "a hyphen": ([[0, 4, "PER-"]], "neither begins nor ends with a hyphen"),
    "a place that is no number": ([["0", 4, "PER"]], "whole numbers of characters"),
    "no span": (["PER"], "a span is a list of start, end and label"),
    "two in one word": ([[0, 2, "A"], [2, 4, "B"]], "'na' in 'Anna': two spans lie within one word.*--split_words"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_cannot_be_mended_is_named(name):
    spans, message = FAULTS[name]
    with pytest.raises(UserError, match=message):
        tags(TEXT, *spans)


# How a tool counted -> spans of the two names in each text
COUNTED = {
    "characters": (["Anna met Eva", "😀 Anna met Eva"], [[0, 4, 9, 12], [2, 6, 11, 14]]),
    "UTF-16 units": (["Anna met Eva", "😀 Anna met Eva"], [[0, 4, 9, 12], [3, 7, 12, 15]]),
    "bytes of UTF-8": (["é Anna met Eva"], [[3, 7, 12, 15]]),
    "characters after a byte-order mark that is gone": (["Anna met Eva"], [[1, 5, 10, 13]]),
    "characters without the byte-order mark": (["\ufeffAnna met Eva"], [[0, 4, 9, 12]]),
    "characters, the end included": (["Anna met Eva"], [[0, 3, 9, 11]]),
}


@pytest.mark.parametrize("title", COUNTED)
def test_the_way_a_tool_counts_is_recognised_by_where_words_end(title):
    texts, places = COUNTED[title]
    spans = [read_spans([[a, b, "PER"], [c, d, "PER"]]) for a, b, c, d in places]
    counting = find_counting(texts, spans)
    assert counting.title == title
    for text, some in zip(texts, spans, strict=True):
        found = align(text, some, counting)
        names = [word for word, tag in zip(found.words, found.tags, strict=True) if tag == "B-PER"]
        assert names == ["Anna", "Eva"] and not found.mended


def test_a_few_spans_within_words_are_no_other_way_of_counting():
    texts = ["Anna met Eva"] * 3
    spans = [read_spans(some) for some in ([[0, 4, "A"]], [[1, 5, "A"], [9, 12, "A"]], [[9, 12, "A"]])]
    assert find_counting(texts, spans) == Counting()


def test_a_byte_order_mark_within_the_text_is_no_word():
    found = align("\ufeffAnna met Eva", read_spans([[1, 5, "PER"]]), Counting())
    assert (found.text, found.tags) == ("Anna met Eva", ["B-PER", "O", "O"])


def test_words_are_split_further_where_that_is_asked():
    text, spans = "a London-based 50kg", [[2, 8, "LOC"], [15, 17, "N"], [17, 19, "UNIT"]]
    assert tags(text, *spans, level="marks") == (["O", "B-LOC", "O", "O", "B-N", "B-UNIT"], [])
    assert tags("서울에서", [0, 2, "LOC"], level="characters") == (["B-LOC", "I-LOC", "O", "O"], [])


@pytest.mark.parametrize(
    "text, words",
    {
        "Anna's U.S. friend's don't": ["Anna", "'s", "U.S", ".", "friend", "'s", "don't"],
        "José’s Jose\u0301 हिन्दी": ["José", "’s", "Jose\u0301", "हिन्दी"],
        "我在 Berlin。": ["我", "在", "Berlin", "。"],
        "👩‍👩‍👧 ❤️ 3.5%": ["👩‍👩‍👧", "❤️", "3.5", "%"],
    }.items(),
)
def test_words_of_any_script(text, words):
    assert split_words(text).words == words
