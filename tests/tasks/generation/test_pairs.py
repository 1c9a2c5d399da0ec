"""Pairs of texts in the forms that people have them, and what is wrong with some of them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict, Features, List, Translation, Value

from hfkit.contract.rows import Media
from hfkit.contract.target import Nothing
from hfkit.errors import DataError, UserError
from hfkit.tasks import Summarization
from hfkit.tasks import Translation as TranslationTask
from tests.tiny import text as tiny

GOOD = {"document": ["It rained all day.", "Anna left."], "summary": ["Rain.", "Gone."]}


def write(folder: Path, **splits: dict[str, list]) -> str:
    """Three splits of JSON lines, of good rows where no others are given."""
    folder.mkdir(parents=True, exist_ok=True)
    for split in ("train", "validation", "test"):
        columns = splits.get(split, splits.get("every", GOOD))
        lines = [json.dumps(dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    return str(folder)


def rename(source: str, target: str, **beside: list) -> dict[str, list]:
    return {**beside, target: GOOD["summary"], source: GOOD["document"]}


@pytest.mark.parametrize(
    "names",
    [
        ("text", "summary"),
        ("document", "summary"),
        ("article", "highlights"),
        ("dialogue", "summary"),
        ("source", "target"),
        ("Article", "Headline"),
        ("text", "title"),
        ("article", "abstract"),
        ("findings of the day", "summary"),
    ],
)
def test_columns_of_summaries_are_found_by_their_usual_names(names, tmp_path):
    extra = {"id": ["a", "b"]}
    loaded = Summarization(dataset=write(tmp_path / "data", every=rename(*names, **extra))).load()
    assert loaded["test"].to_dict() == {"source": GOOD["document"], "target": [["Rain."], ["Gone."]]}
    assert loaded.target == Nothing() and loaded.labels == []


def test_a_title_beside_a_summary_is_not_taken_for_one(tmp_path):
    place = write(tmp_path, every=rename("source", "target", title=["One", "Two"]))
    assert Summarization(dataset=place).load()["train"]["target"][:] == [["Rain."], ["Gone."]]


def test_columns_can_be_named_and_several_are_refused(tmp_path):
    place = write(tmp_path, every={**GOOD, "highlights": ["Wet.", "Off."]})
    with pytest.raises(UserError, match="--target_column"):
        Summarization(dataset=place).load()
    named = Summarization(dataset=place, source_column="summary", target_column="highlights").load()
    assert named["test"].to_dict() == {"source": ["Rain.", "Gone."], "target": [["Wet."], ["Off."]]}
    with pytest.raises(UserError, match="read and written at once"):
        Summarization(dataset=place, source_column="summary", target_column="summary").load()


@pytest.mark.parametrize("declared", [True, False])
def test_a_column_of_translations_is_read_by_the_languages(declared, tmp_path):
    feature = Translation(["en", "de"]) if declared else {"en": Value("string"), "de": Value("string")}
    rows = Dataset.from_dict(
        {"id": [1, 2], "translation": [{"en": "a dog", "de": "ein Hund"}, {"en": "rain", "de": "Regen"}]},
        features=Features({"id": Value("int64"), "translation": feature}),
    )
    place = tiny.folder_of(DatasetDict(dict.fromkeys(("train", "validation", "test"), rows)), tmp_path)
    for languages in (("en", "de"), ("en_XX", "de_DE"), ("eng_Latn", "deu_Latn")):
        task = TranslationTask(dataset=place, source_language=languages[0], target_language=languages[1])
        assert task.load()["test"].to_dict() == {"source": ["a dog", "rain"], "target": [["ein Hund"], ["Regen"]]}
    turned = TranslationTask(dataset=place, source_column="de", target_column="en").load()
    assert turned["test"]["source"][:] == ["ein Hund", "Regen"]
    asked, faults = task.rows.to_predict(rows)
    assert asked["source"][:] == ["a dog", "rain"] and not faults
    with pytest.raises(UserError, match="has a language on either side"):
        TranslationTask(source_language="en")


def test_tables_of_two_columns_are_read(tmp_path):
    for split in ("train", "validation", "test"):
        (tmp_path / f"{split}.tsv").write_text("src\ttgt\na dog\tein Hund\nrain\tRegen\n")
    assert TranslationTask(dataset=str(tmp_path)).load()["train"]["target"][:] == [["ein Hund"], ["Regen"]]


def test_lists_are_one_source_and_several_targets(tmp_path):
    sentences = List(Value("string"))
    rows = Dataset.from_dict(
        {"source": [["One.", "Two."], ["Three."]], "target": [["a", "b"], ["c"]]},
        features=Features({"source": sentences, "target": sentences}),
    )
    task = Summarization(
        dataset=tiny.folder_of(DatasetDict(dict.fromkeys(("train", "validation", "test"), rows)), tmp_path)
    )
    loaded = task.load()
    assert loaded["test"]["source"][:] == ["One. Two.", "Three."]
    assert task.rows.references(loaded["test"]) == [["a", "b"], ["c"]]
    assert task.rows.facts(loaded.splits)["test"]["rows_with_several_targets"] == 1


BAD = [
    ({"document": ["Rain.", ""], "summary": ["a", "b"]}, ["row 1, column 'document'", "''", "every row has a text"]),
    ({"document": ["Rain.", None], "summary": ["a", "b"]}, ["row 1, column 'document'", "null"]),
    ({"document": ["Rain.", "Sun."], "summary": ["a", " \u200b"]}, ["row 1, column 'summary'", "has a text"]),
    ({"document": ["Rain.", "Sun."], "summary": [None, "b"]}, ["row 0, column 'summary'", "null", "Mend"]),
    ({"document": ["Rain.", "Sun."], "summary": [["a"], []]}, ["row 1, column 'summary'", "[]"]),
]


@pytest.mark.parametrize(("columns", "fragments"), BAD)
def test_rows_without_a_text_are_refused_or_left_out_and_counted(columns, fragments, tmp_path):
    task = Summarization(dataset=write(tmp_path, test=columns))
    with pytest.raises(DataError) as refused:
        task.load()
    for fragment in ["split 'test'", *fragments]:
        assert fragment in str(refused.value)
    task = replace(task, on_bad_row="skip")
    loaded = task.load()
    assert len(loaded["test"]) == 1 and task.rows.facts(loaded.splits)["test"]["skipped"] == {"every row has a text": 1}


def test_numbers_are_no_texts(tmp_path):
    with pytest.raises(DataError, match="a text is a string"):
        Summarization(dataset=write(tmp_path, every={"document": [1, 2], "summary": ["a", "b"]})).load()


def test_rows_whose_target_is_the_source_are_counted_and_told(tmp_path):
    same = {"document": ["Rain  fell.", "Sun."], "summary": ["Rain fell.", "b"]}
    task = Summarization(dataset=write(tmp_path, train=same))
    loaded = task.load()
    assert "train: the target of 1 of 2 rows is its source, word for word" in loaded.notes
    assert task.rows.facts(loaded.splits)["train"]["targets_equal_to_source"] == 1


def test_one_target_for_all_rows_teaches_nothing(tmp_path):
    with pytest.raises(UserError, match="nothing to learn"):
        Summarization(dataset=write(tmp_path, train={"document": ["a", "b"], "summary": ["c", "c"]})).load()


def test_a_test_without_targets_is_left_for_predict(tmp_path):
    rows = {"document": [f"Rain fell on day {n}." for n in range(20)], "summary": [f"day {n}" for n in range(20)]}
    place = write(tmp_path, train=rows, test={"document": ["Sun."], "summary": [None]})
    loaded = Summarization(dataset=place).load()
    assert len(loaded["test"]) == 4 and any("left for `hfkit predict`" in note for note in loaded.notes)


def test_rows_to_predict_need_no_targets():
    rows = Summarization().rows
    asked, faults = rows.to_predict(Dataset.from_dict({"text": ["Rain.", None], "summary": ["a", "b"]}))
    assert asked["source"][:] == ["Rain.", ""] and [fault.row for fault in faults] == [1]
    assert (rows.media, rows.unit, rows.main_column) == (Media.TEXT, "text", "text")


def test_facts_tell_repeats_and_what_is_shared_with_train(tmp_path):
    task = Summarization(
        dataset=write(tmp_path, test={"document": ["Anna left.", "Anna left."], "summary": ["a", "b"]})
    )
    loaded = task.load()
    facts = task.rows.facts(loaded.splits)
    assert facts["test"]["repeated_rows"] == 1 and facts["test"]["rows_shared_with_train"] == 2
    assert facts["rouge"] == "rouge-score, F1, words: english, stemmer: no"
    assert (facts["train"]["source_words"], facts["train"]["target_words"]) == (6, 2)
