"""One file is enough: what is missing is drawn from it, the same rows every time, and written down."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from hfkit.contract.rows import Only
from hfkit.contract.target import Labels
from hfkit.data.split_names import split_of
from hfkit.data.split_record import FILE, SplitRecord, digest_rows, load_record
from hfkit.errors import DataError, UserError
from hfkit.tasks import NER, TextClassification

NAMED = Labels(("bad", "good"))


def rows(count: int, first: int = 0) -> list[dict]:
    return [{"text": f"visit {first + n}", "label": ("good", "bad")[n % 4 == 0]} for n in range(count)]


def write(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def texts(loaded, split: str) -> set[str]:
    return set(loaded[split]["text"])


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("Training", "train"),
        ("reviews-train", "train"),
        ("train_reviews", "train"),
        ("val", "validation"),
        ("dev", "validation"),
        ("eval", "validation"),
        ("reviews.valid", "validation"),
        ("testing", "test"),
        ("test-00000-of-00002", "test"),
        ("contest", None),
        ("latest", None),
        ("trainer", None),
        ("train-test", None),
        ("reviews", None),
    ],
)
def test_a_split_is_known_by_the_names_that_people_give_it(name, split):
    assert split_of(name) == split


def test_a_file_is_divided_by_class_and_told(tmp_path, capsys):
    loaded = TextClassification(dataset=str(write(tmp_path / "reviews.jsonl", rows(200)))).load()
    assert {split: Counter(of["label"]) for split, of in loaded.splits.items()} == {
        "train": {"good": 105, "bad": 35},
        "validation": {"good": 15, "bad": 5},
        "test": {"good": 30, "bad": 10},
    }
    line = "split by hfkit: train 140, validation 20, test 40 rows"
    assert line in capsys.readouterr().out and line in loaded.notes
    assert loaded.draw.facts == {
        "drawn_by": "hfkit", "drawn": "test, validation", "seed": 0, "test_share": 0.2, "validation_share": 0.1,
    }  # fmt: skip


def test_a_folder_of_files_with_any_names_is_one_dataset(tmp_path, capsys):
    write(tmp_path / "may.jsonl", rows(100))
    write(tmp_path / "june.jsonl", rows(100, 100))
    (tmp_path / ".DS_Store").write_bytes(b"x")
    loaded = TextClassification(dataset=str(tmp_path)).load()
    assert sum(map(len, loaded.splits.values())) == 200
    assert "2 files are read as one dataset (june.jsonl, may.jsonl)" in capsys.readouterr().out


def test_splits_that_are_there_are_taken_and_only_others_drawn(tmp_path, capsys):
    write(tmp_path / "reviews-train.jsonl", rows(100))
    write(tmp_path / "reviews-dev.jsonl", rows(30, 100))
    write(tmp_path / "notes.jsonl", rows(10, 500))
    loaded = TextClassification(dataset=str(tmp_path)).load()
    assert {split: len(of) for split, of in loaded.splits.items()} == {"train": 80, "validation": 30, "test": 20}
    said = capsys.readouterr().out
    assert "validation 30 (given)" in said and "not read, beside the files of the splits: notes.jsonl" in said


def test_two_files_for_one_split_are_asked_about(tmp_path):
    write(tmp_path / "train.jsonl", rows(20))
    for name in ("a-dev", "b-dev"):
        write(tmp_path / f"{name}.jsonl", rows(10, 50))
    with pytest.raises(UserError, match="a-dev and b-dev may each be the split 'validation'"):
        TextClassification(dataset=str(tmp_path)).load()


def test_a_test_split_without_labels_is_left_for_predictions(tmp_path, capsys):
    write(tmp_path / "train.jsonl", rows(100))
    for unlabelled in ([{"text": "a"}] * 5, [{"text": "a", "label": None}] * 5, [{"text": "a", "label": "-1"}] * 5):
        write(tmp_path / "test.jsonl", unlabelled)
        loaded = TextClassification(dataset=str(tmp_path)).load()
        assert {split: len(of) for split, of in loaded.splits.items()} == {"train": 70, "validation": 10, "test": 20}
        assert "test: its 5 rows have no labels, and are left for `hfkit predict`" in capsys.readouterr().out


def test_rows_are_named_by_their_place_in_the_file_and_a_skipped_one_takes_no_class_away(tmp_path):
    broken = [*rows(30), {"text": "", "label": "good"}, *rows(9, 30), {"text": "", "label": "rare"}]
    broken += [{"text": "one more", "label": "rare"}]
    path = str(write(tmp_path / "reviews.jsonl", broken))
    with pytest.raises(DataError, match="split 'train', row 30, column 'text'"):
        TextClassification(dataset=path).load()
    loaded = TextClassification(dataset=path, on_bad_row="skip").load()
    assert "rare" in loaded["train"]["label"][:]
    came = loaded.draw.origins["test"].rows
    assert [broken[row]["text"] for row in came] == loaded["test"]["text"][:]


def test_a_later_run_and_a_longer_file_keep_the_test_rows(tmp_path, capsys):
    path = write(tmp_path / "reviews.jsonl", rows(100))
    first = TextClassification(dataset=str(path)).load()
    assert texts(TextClassification(dataset=str(path)).load(), "test") == texts(first, "test")
    first.draw.record.save(tmp_path)
    write(path, list(reversed(rows(150))))
    again = TextClassification(dataset=str(path), split_file=str(tmp_path)).load()
    assert texts(again, "test") == texts(first, "test") and texts(again, "validation") == texts(first, "validation")
    assert "50 rows that the split file does not know are added to train" in capsys.readouterr().out
    assert again.draw.facts["drawn_by"] == "the split file"


def test_a_finished_model_is_judged_on_the_rows_that_its_run_kept_from_it(tmp_path, capsys):
    path = write(tmp_path / "reviews.jsonl", rows(100))
    trained = TextClassification(dataset=str(path)).load()
    judged = TextClassification(dataset=str(path)).rows_to_evaluate(NAMED, Only(), trained.draw.record)
    assert texts(judged, "test") == texts(trained, "test")
    assert "of its 100 rows, the 20 that its run drew as test are taken" in capsys.readouterr().out
    other = write(tmp_path / "new.jsonl", [*rows(3), *rows(50, 1000)])
    judged = TextClassification(dataset=str(other)).rows_to_evaluate(NAMED, Only(), trained.draw.record)
    assert (
        len(judged["test"]) == 53 and "of these 53 rows are among those that the model was" in capsys.readouterr().out
    )


def test_a_split_file_of_other_rows_or_none_at_all_is_refused(tmp_path):
    path = str(write(tmp_path / "reviews.jsonl", rows(50)))
    SplitRecord({split: digest_rows(["elsewhere"]) for split in ("train", "validation", "test")}).save(tmp_path)
    with pytest.raises(UserError, match="none of its test rows is among these"):
        TextClassification(dataset=path, split_file=str(tmp_path)).load()
    (tmp_path / FILE).write_text("{}")
    for place, rule in ((tmp_path, "cannot be read as one"), (tmp_path / "nowhere", "there is no such file")):
        with pytest.raises(UserError, match=rule):
            load_record(place)


def test_shares_that_leave_no_training_rows_are_refused(tmp_path):
    path = str(write(tmp_path / "reviews.jsonl", rows(50)))
    with pytest.raises(UserError, match="together they leave rows for train"):
        TextClassification(dataset=path, test_share=0.5, validation_share=0.5).load()


def test_sentences_are_divided_by_the_types_of_their_entities(tmp_path):
    sentences = [{"tokens": ["in", f"w{n}"], "tags": ["O", "B-RARE" if n < 2 else "B-LOC"]} for n in range(60)]
    loaded = NER(dataset=str(write(tmp_path / "sentences.jsonl", sentences))).load()
    assert {split: len(of) for split, of in loaded.splits.items()} == {"train": 42, "validation": 6, "test": 12}
    assert np.any([["O", "B-RARE"] == tags for tags in loaded["train"]["tags"]])
