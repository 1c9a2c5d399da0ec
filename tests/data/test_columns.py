"""Columns by their usual names, whatever their case, and by what they hold."""

import pytest
from datasets import Dataset, DatasetDict

from hfkit.data.columns import find_column, find_usual_column, is_id_column
from hfkit.data.text.texts import text_columns
from hfkit.errors import UserError
from hfkit.tasks.classification.label_columns import ANSWER_COLUMNS, find_answer_columns, join_columns

TEXTS = [f"this is text {n} of eight" for n in range(8)]


def table(**columns: list) -> DatasetDict:
    rows = Dataset.from_dict(columns)
    return DatasetDict(train=rows, test=rows)


def find_answers(splits: DatasetDict, problem: str = "single-label", texts: str = "text") -> list[str]:
    return find_answer_columns(splits, None, (), [texts], None, problem)


@pytest.mark.parametrize("name", ["Text", " text ", "TEXT", "Review Text", "reviewText", "comment_text", "Utterance"])
def test_case_and_blanks_of_a_name_do_not_matter(name, capsys):
    assert text_columns(table(**{name: TEXTS, "n": [1] * 8}), None, None) == [name]
    assert capsys.readouterr().out == f"text: column '{name}'\n"


def test_an_exact_name_is_not_worth_a_word(capsys):
    assert text_columns(table(text=TEXTS, label=[1] * 8), None, None) == ["text"]
    assert find_column(table(tokens=TEXTS), None, ("tokens", "words"), "--tokens_column") == "tokens"
    assert capsys.readouterr().out == ""


def test_a_flag_may_be_written_in_another_case_unless_two_fit():
    assert find_column(table(Label=TEXTS), "label", (), "--label_column") == "Label"
    with pytest.raises(UserError, match="'LABEL'"):
        find_column(table(Label=TEXTS, label=TEXTS), "LABEL", (), "--label_column")


def test_pairs_are_known_in_any_case():
    assert text_columns(table(Premise=TEXTS, Hypothesis=TEXTS), None, None) == ["Premise", "Hypothesis"]


@pytest.mark.parametrize("names", [("text", "Text"), ("review", "comment")])
def test_where_two_fit_it_is_asked(names):
    with pytest.raises(UserError, match=f"2 are .{', '.join(names)}.*--text_column"):
        text_columns(table(**dict.fromkeys(names, TEXTS)), None, None)
    with pytest.raises(UserError, match="2 are .stars, topic.*--label_column"):
        find_usual_column(table(stars=TEXTS, topic=TEXTS), None, ANSWER_COLUMNS, "--label_column")


@pytest.mark.parametrize("name", ["", "Unnamed: 0", "id", "ID", "index", "review_id", "tweetId", "Row ID", "uuid"])
def test_numbers_and_keys_of_rows_are_known(name):
    assert is_id_column(name)


@pytest.mark.parametrize("name", ["paid", "valid", "covid", "idea", "grid", "label", "Kommentar"])
def test_other_names_are_no_keys(name):
    assert not is_id_column(name)


def test_two_columns_are_told_apart_by_what_they_hold(capsys):
    splits = table(**{"Unnamed: 0": list(range(8)), "Wertung": list("abababab"), "Kommentar": TEXTS})
    assert text_columns(splits, None, None) == ["Kommentar"]
    assert find_answers(splits, texts="Kommentar") == ["Wertung"]
    assert capsys.readouterr().out.splitlines() == [
        "text: column 'Kommentar', the only one that holds texts",
        "label: column 'Wertung', the only one of few values that repeat",
    ]


@pytest.mark.parametrize(
    "columns",
    [
        {"Kommentar": TEXTS, "Antwort": TEXTS[::-1]},  # two of texts
        {"Name": [f"w{n}" for n in range(8)], "Wertung": list("abababab")},  # single words
    ],
)
def test_texts_that_may_be_another_column_are_asked_for(columns):
    with pytest.raises(UserError, match="--text_column"):
        text_columns(table(**columns), None, None)


@pytest.mark.parametrize("more", [{"wann": TEXTS}, {"wer": list("xyxyxyxy")}])
def test_labels_that_may_be_another_column_are_asked_for(more):
    with pytest.raises(UserError, match="--label_column"):
        find_answers(table(text=TEXTS, Wertung=list("abcdabcd"), **more))


BITS = {"toxic": [0, 1] * 4, "mild": ["1", "0"] * 4, "rude": [True, False] * 4}


def test_columns_of_0_and_1_are_the_labels(capsys):
    splits = table(id=list(range(8)), text=TEXTS, **BITS)
    assert find_answers(splits, "multi-label") == list(BITS)
    assert capsys.readouterr().out == "labels: the columns toxic, mild, rude of 0 and 1\n"
    joined, column = join_columns(splits, list(BITS))
    assert joined["test"].column_names == ["id", "text", "toxic, mild, rude"]
    assert joined["test"][column][0] == {"toxic": 0, "mild": "1", "rude": True}
    assert join_columns(table(**{name: [0] for name in "abcd"}), list("abcd"))[1] == "a, b, c … (4 columns)"


def test_columns_of_0_and_1_are_one_label_where_each_row_has_one(capsys):
    two = {name: BITS[name] for name in ("toxic", "mild")}
    assert find_answers(table(text=TEXTS, **two)) == ["toxic", "mild"]
    with pytest.raises(UserError, match="do not have exactly one.*--problem multi-label"):
        find_answers(table(text=TEXTS, **two, odd=[1] * 8))


def test_columns_of_0_and_1_that_stand_apart_are_asked_for():
    with pytest.raises(UserError, match="toxic, mild: .* stand apart.*--label_columns"):
        find_answers(table(toxic=BITS["toxic"], text=TEXTS, mild=BITS["mild"]), "multi-label")


def test_a_column_of_labels_wins_over_columns_of_0_and_1(capsys):
    splits = table(text=TEXTS, label=TEXTS, **BITS)
    assert find_answer_columns(splits, "label", ("toxic", "mild"), ["text"], None, "multi-label") == ["label"]
    assert (
        capsys.readouterr().out == "labels: column 'label' by --label_column, and not toxic, mild by --label_columns\n"
    )
    assert find_answer_columns(splits, None, ("Toxic", "mild"), ["text"], None, "multi-label") == ["toxic", "mild"]
