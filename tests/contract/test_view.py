"""Values as a report has them, and the text that a snippet may quote."""

import pytest

from hfkit.contract.snippets import SHORT, literal, plain_text
from hfkit.contract.view import Choice, Example, Mistake, Number, Picture, Span, Spans, Text, to_columns, to_text
from hfkit.report.schema import REPORT, find_fault

SPANS = Spans(("Ann", "saw", "New", "York"), (Span(0, 1, "PER"), Span(2, 4, "LOC")), offset=3, total=9)


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (Text("a day"), "a day"),
        (SPANS, "PER: Ann; LOC: New York"),
        (Spans(("a",), ()), "none"),
        (Choice(("good",)), "good"),
        (Choice(("a", "b"), several=True), "a, b"),
        (Choice((), several=True), "none"),
        (Number(2.50), "2.5"),
        (Number(4, whole=True), "4"),
        (Picture("data:,"), "a picture"),
    ],
)
def test_every_value_has_words(shown, text):
    assert to_text(shown) == text


def test_a_value_is_a_text_or_a_picture_in_a_record():
    assert to_columns(Text("a")) == {"text": "a", "picture": ""}
    assert to_columns(Picture("data:,x")) == {"text": "", "picture": "data:,x"}


def test_a_mistake_among_words_keeps_both_sides_spans():
    predicted = Spans(SPANS.tokens, (), offset=3, total=9)
    assert Mistake(5, "missed", "PER missed", SPANS, SPANS, predicted).to_json() == {
        **{"row": 5, "kind": "missed", "why": "PER missed", "offset": 3, "words": 9},
        "tokens": ["Ann", "saw", "New", "York"],
        "gold": [{"start": 0, "end": 1, "label": "PER"}, {"start": 2, "end": 4, "label": "LOC"}],
        "predicted": [],
    }


def test_a_mistake_among_words_keeps_the_text_of_its_row():
    found = Mistake(5, "missed", "PER missed", Text("Who? / Ann saw New York"), SPANS, SPANS).to_json()
    assert found["text"] == "Who? / Ann saw New York" and found["tokens"] == list(SPANS.tokens)
    assert find_fault([found], REPORT["errors"], "errors") is None


def test_a_mistake_about_a_whole_row_has_both_answers_in_words():
    found = Mistake(1, "confusion", "a taken for b", Text("row"), Choice(("a",)), Choice(("b",))).to_json()
    assert (found["text"], found["gold"], found["predicted"]) == ("row", "a", "b")


def test_the_text_of_a_snippet_is_short_whole_and_plain():
    examples = [
        *(Example(Text(text)) for text in ("", "x" * (SHORT + 1), "café", "a\ttab")),
        Example(Text("Ann"), "Here", "waits."),
        Example(Text("too late")),
    ]
    assert plain_text(examples) == "Here Ann waits." and plain_text(examples[:4]) == ""


@pytest.mark.parametrize("text", ["plain", "it's", 'a "quoted" word', "``` and \\", "é\n", "both ' and \""])
def test_a_literal_is_the_text_again_and_plain_ascii(text):
    written = literal(text)
    assert eval(written) == text and written.isascii() and "\n" not in written
    assert written.startswith('"') or "'" in text or '"' in text


def test_a_value_of_no_known_kind_is_refused_by_its_class():
    with pytest.raises(TypeError, match="a bytes is none of the values that can be shown"):
        to_text(b"RIFF")  # type: ignore[arg-type]
