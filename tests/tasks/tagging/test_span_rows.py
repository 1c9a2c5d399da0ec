"""Texts with spans of characters, from any kind of file, are rows of words and tags that keep their text."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from hfkit.errors import DataError, UserError
from hfkit.tasks import NER
from hfkit.tasks.tagging.codec import WordTagger

TEXTS = ["Anna Lee left Oslo", "Rain in Rome", "no name here"]
SPANS = [[[0, 8, "PER"], [14, 18, "LOC"]], [[8, 12, "LOC"]], []]
TAGS = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "O", "B-LOC"], ["O", "O", "O"]]


def write(folder: Path, column: str = "spans", spans: list = SPANS, **splits: list[dict]) -> NER:
    for split in ("train", "validation", "test"):
        rows = splits.get(split) or [{"text": text, column: some} for text, some in zip(TEXTS, spans, strict=True)]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return NER(dataset=str(folder))


@pytest.mark.parametrize("column", ["spans", "entities", "label", "labels", "annotations", "Spans", "marked"])
def test_a_column_of_spans_is_known_by_what_is_in_it(column, tmp_path, capsys):
    task = write(tmp_path, column)
    loaded = task.load()
    assert loaded["test"]["tags"][:] == TAGS and loaded["test"]["text"][:] == TEXTS
    assert loaded.labels == ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
    assert task.rows.classes(loaded["test"]) == [("LOC", "PER"), ("LOC",), ()]
    assert f"test: spans of characters in column '{column}' become words and tags" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["parquet with ids", "csv"])
def test_spans_come_from_other_kinds_of_files(kind, tmp_path):
    names = ["LOC", "PER"]
    whole = [[dict(zip(("start", "end", "label"), one, strict=True)) for one in some] for some in SPANS]
    for split in ("train", "validation", "test"):
        if kind == "csv":
            with (tmp_path / f"{split}.csv").open("w", newline="") as file:
                csv.writer(file).writerows([("text", "label"), *zip(TEXTS, map(str, SPANS), strict=True)])
        else:
            kinds = {"start": Value("int32"), "end": Value("int32"), "label": ClassLabel(names=names)}
            ids = [[{**one, "label": names.index(one["label"])} for one in some] for some in whole]
            features = Features({"text": Value("string"), "entities": List(kinds)})
            rows = Dataset.from_dict({"text": TEXTS, "entities": ids}, features=features)
            rows.to_parquet(str(tmp_path / f"{split}.parquet"))
    assert NER(dataset=str(tmp_path)).load()["train"]["tags"][:] == TAGS


def test_words_and_tags_may_be_lists_in_the_cells_of_a_table(tmp_path):
    with (tmp_path / "train.csv").open("w", newline="") as file:
        rows = [(str(text.split()), json.dumps(tags)) for text, tags in zip(TEXTS, TAGS, strict=True)] * 4
        csv.writer(file).writerows([("tokens", "tags"), *rows])
    task = NER(dataset=str(tmp_path / "train.csv"))
    rows, faults = task.rows.check("train", task.rows.read(task.source, None), None, finished=False)
    assert rows["tags"][:3] == TAGS and not faults


def test_a_test_of_an_export_without_answers_is_left_for_predict(tmp_path, capsys):
    rows = [{"id": i, "text": text, "label": some} for i, (text, some) in enumerate(zip(TEXTS, SPANS, strict=True))]
    task = write(
        tmp_path, train=rows * 4, validation=rows, test=[{"id": i, "text": "Sun", "label": []} for i in range(2)]
    )
    raw = task.read()
    assert list(raw.splits) == ["train", "validation"] and raw.columns == {"text": "text", "spans": "spans"}
    told = capsys.readouterr().out
    assert "doccano JSONL" in told and "test: its 2 rows have no labels" in told


def test_what_was_mended_is_told_and_is_a_fact(tmp_path, capsys):
    mended = [{"text": TEXTS[0], "spans": [[0, 9, "PER"], [14, 18, "LOC"], [0, 4, "PER"]]}]
    task = write(tmp_path, validation=mended)
    facts = task.rows.facts(task.load().splits)
    assert facts["validation"]["mended_spans"] == {"blanks at an end": 1, "overlap with a longer one": 1}
    assert facts["train"]["mended_spans"] == {}
    told = capsys.readouterr().out
    assert "mended in 3 spans: 1 blanks at an end (trimmed), 1 overlap with a longer one (left out)" in told


def test_a_row_with_a_wrong_span_is_named_or_left_out(tmp_path):
    wrong = [{"text": TEXTS[0], "spans": SPANS[0]}, {"text": "Anna", "spans": [[0, 40, "PER"]]},
             {"text": "Acme", "spans": [[0, 4, "ORG"]]}]  # fmt: skip
    task = write(tmp_path, test=wrong)
    message = r"split 'test', row 1, column 'spans': span 0 to 40 \(PER\) of a text of 4 characters: a span lies within"
    with pytest.raises(DataError, match=message):
        task.load()
    task = replace(task, on_bad_row="skip")
    facts = task.rows.facts(task.load().splits)["test"]
    assert facts["rows"] == 1
    assert facts["skipped"] == {
        "a span lies within its text": 1,
        "its type does not occur in train, which knows LOC, PER": 1,
    }


def test_many_spans_within_words_are_asked_about(tmp_path):
    rows = [{"text": "서울에서 만나요", "spans": [[0, 2, "LOC"]]}] * 3
    task = write(tmp_path, train=rows, validation=rows, test=rows)
    with pytest.raises(
        DataError, match="3 of 3 spans: they end within a word, such as '서울' here.*--split_words char"
    ):
        task.load()
    assert replace(task, split_words="characters").load()["test"]["tokens"][0][:4] == ["서", "울", "에", "서"]
    widened = replace(task, split_words="words").load()["test"]
    assert (widened["tokens"][0], widened["tags"][0]) == (["서울에서", "만나요"], ["B-LOC", "O"])
    # New texts are split in the same way.
    rows, faults = replace(task, split_words="characters").rows.to_predict(Dataset.from_dict({"text": ["에서"]}))
    assert rows["tokens"][:] == [["에", "서"]] and not faults


def test_words_and_tags_win_over_spans_and_two_columns_of_spans_are_asked_about(tmp_path):
    row = {"text": "Anna", "tokens": ["Anna"], "tags": ["B-X"], "spans": [[0, 4, "PER"]]}
    both = {"text": "Anna", "spans": [[0, 4, "PER"]], "entities": [[0, 4, "LOC"]]}
    assert write(tmp_path, train=[row], validation=[row], test=[row]).load().labels == ["O", "B-X", "I-X"]
    task = write(tmp_path, train=[both], validation=[both], test=[both])
    with pytest.raises(UserError, match="here in spans and entities. Name the right one with --tags_column"):
        task.load()
    assert replace(task, tags_column="entities").load().labels == ["O", "B-LOC", "I-LOC"]


def test_a_mistake_quotes_the_text_as_it_was_written(tmp_path):
    text = "Anna  Lee left\tOslo"
    rows = [{"text": text, "spans": [[0, 9, "PER"], [15, 19, "LOC"]]}]
    task = write(tmp_path, test=rows)
    test = task.load()["test"]
    (mistake,) = task.view.mistakes([["B-PER", "I-PER", "O", "O"]], test["tags"][:], test, 5)
    shown = mistake.to_json()
    assert shown["text"] == text and shown["tokens"] == ["Anna", "Lee", "left", "Oslo"]
    assert task.view.row(test[0]).text == text


def test_rows_with_a_text_are_encoded_like_words(tmp_path, checkpoint):
    loaded = write(tmp_path).load()
    codec: WordTagger = NER().codec(checkpoint, loaded.target)
    encoded = codec.encode(loaded["test"], split="test", answers=True)
    plain = codec.encode(loaded["test"].select_columns(["tokens", "tags"]), split="test", answers=True)
    assert encoded["input_ids"][:] == plain["input_ids"][:] and encoded["labels"][:] == plain["labels"][:]
