"""Rows of one unit (a patient, a document) are resampled as one, and a row without a unit is refused."""

import json
from pathlib import Path

import pytest

from hfkit.errors import DataError
from hfkit.report.report import Report
from hfkit.tasks import NER, ImageClassification, TextClassification
from tests.tiny import images as tiny_images

COST = {"wall_seconds": 1.0, "cpu_seconds": 1.0, "peak_memory_mib": 1.0}
SPLITS = ("train", "validation", "test")


def written(folder: Path, rows: list[dict]) -> str:
    folder.mkdir(exist_ok=True)
    for split in SPLITS:
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(folder)


def texts(times: int) -> list[dict]:
    rows = [{"text": f"day {i}", "label": "good" if i % 3 else "bad", "patient": f"p{i:02}"} for i in range(30)]
    return [row for row in rows for _ in range(times)]


def contenders_of(task: TextClassification) -> list[dict]:
    """One answers 'good' throughout, the other is wrong on every fifth text."""
    loaded = task.load()
    report = Report(task, loaded, encoded_facts={}, settings={})
    said = [
        (label, int(text.split()[1]))
        for text, label in zip(*(loaded["test"][c] for c in ("text", "label")), strict=True)
    ]
    other = {"good": "bad", "bad": "good"}
    report.add("constant", [["good", "bad"]] * len(said), cost=COST)
    report.add("fifth", [[label, other[label]] if i % 5 else [other[label], label] for label, i in said], cost=COST)
    return report.facts()["contenders"]


def test_rows_repeated_within_a_unit_change_no_interval(tmp_path):
    once = contenders_of(TextClassification(dataset=written(tmp_path / "once", texts(1))))
    often = written(tmp_path / "often", texts(10))
    together = contenders_of(TextClassification(dataset=often, unit_column="patient"))
    apart = contenders_of(TextClassification(dataset=often))

    def width(contender: dict) -> float:
        return contender["interval"]["high"] - contender["interval"]["low"]

    for ours, unrepeated, naive in zip(together, once, apart, strict=True):
        assert ours["interval"] == unrepeated["interval"]
        assert width(naive) < 0.5 * width(ours)
    assert together[1]["difference"] == once[1]["difference"]
    assert together[1]["difference"]["p"] > 2 * apart[1]["difference"]["p"]


def test_the_report_says_what_was_resampled(tmp_path):
    task = TextClassification(dataset=written(tmp_path / "rows", texts(4)), unit_column="patient")
    loaded = task.load()
    report = Report(task, loaded, encoded_facts={}, settings={})
    report.add("a", [["good", "bad"]] * 120, cost=COST)
    report.add("b", [["bad", "good"]] * 120, cost=COST)
    facts = report.facts()
    assert facts["task"]["unit"] == "patient" and facts["rows"] == 120
    assert list(task.units(loaded["test"])[:5]) == ["p00", "p00", "p00", "p00", "p01"]


def test_every_task_of_files_keeps_the_unit(tmp_path):
    words = [{"tokens": ["Ann", "ran"], "tags": ["B-PER", "O"], "document": f"d{i // 2}"} for i in range(6)]
    ner = NER(dataset=written(tmp_path / "words", words), unit_column="document")
    assert list(ner.units(ner.load()["test"])) == ["d0", "d0", "d1", "d1", "d2", "d2"]
    folder = tiny_images.image_folder(tmp_path / "images", train=4, validation=4, test=4)
    with pytest.raises(DataError, match="needs the column 'slide'"):
        ImageClassification(dataset=folder, unit_column="slide").load()
    # Any column will do, and here is only one more.
    images = ImageClassification(dataset=folder, unit_column="label")
    rows = images.load()["test"]
    assert list(images.units(rows)) == list(rows["label"])


def test_without_the_flag_every_row_stands_for_itself(tmp_path):
    task = TextClassification(dataset=written(tmp_path / "rows", texts(1)))
    assert task.units(task.load()["test"]) is None


@pytest.mark.parametrize("task", [TextClassification, NER])
def test_a_column_that_is_not_there_is_named(task):
    with pytest.raises(DataError, match="needs the column 'ward'") as refused:
        task(unit_column="ward").load()
    assert "--unit_column" in str(refused.value)


@pytest.mark.parametrize("unit", [None, "", 1.5, ["a"]])
def test_a_row_without_a_unit_is_refused_or_skipped(tmp_path, unit):
    good = [
        {"text": f"day {i}", "label": "good" if i % 2 else "bad", "patient": ["a"] if unit == ["a"] else "a"}
        for i in range(4)
    ]
    bad = {"text": "no one's", "label": "good", "patient": unit}
    rows = [*good, bad] if not isinstance(unit, float) else [{**row, "patient": 0.5} for row in good] + [bad]
    folder = written(tmp_path / "rows", rows)
    with pytest.raises(DataError, match="a row belongs to one unit") as refused:
        TextClassification(dataset=folder, unit_column="patient").load()
    assert "column 'patient'" in str(refused.value) and "train" in str(refused.value)
    if unit in (None, ""):
        kept = TextClassification(dataset=folder, unit_column="patient", on_bad_row="skip").load()
        assert list(kept["test"]["unit"]) == ["a"] * 4


def test_words_without_a_unit_are_refused(tmp_path):
    words = [{"tokens": ["Ann"], "tags": ["B-PER"], "document": document} for document in ("a", None)]
    with pytest.raises(DataError, match="a row belongs to one unit"):
        NER(dataset=written(tmp_path / "words", words), unit_column="document").load()
