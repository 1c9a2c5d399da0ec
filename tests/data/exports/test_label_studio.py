"""Exports of Label Studio in general columns: JSON, its short form, and tables."""

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from hfkit.data.exports import find_export
from hfkit.data.notes import collect_notes
from hfkit.errors import DataError


def answer(kind: str, value: Any, name: str = "question", about: str = "text", **more: Any) -> dict:
    return {"type": kind, "value": value, "from_name": name, "to_name": about, "id": "r1", **more}


def choose(*names: str, name: str = "question", **more: Any) -> dict:
    return answer("choices", {"choices": list(names)}, name, **more)


def mark(start: int, end: int, label: str, text: str | None = None) -> dict:
    said = {} if text is None else {"text": text}
    return answer("labels", {"start": start, "end": end, "labels": [label], **said}, "ner")


def annotate(*results: dict, by: Any = 1, **more: Any) -> dict:
    return {"id": 5, "completed_by": by, "result": list(results), "was_cancelled": False, **more}


def make_task(*annotations: dict, **data: Any) -> dict:
    return {"id": 7, "data": data or {"text": "Good."}, "annotations": list(annotations)}


def read(tmp_path: Path, content: Any, name: str = "train.json") -> tuple[Dataset, str]:
    """The rows of a file, and what was told about it."""
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with collect_notes() as notes:
        rows = find_export([path]).read("train", [path])
    return rows, "\n".join(notes)


def test_one_choice_is_a_label_and_the_data_keep_their_names(tmp_path):
    tasks = [
        make_task(annotate(choose("good")), review="Fine.", stars=3),
        make_task(annotate(choose("bad")), review="No!", stars=1),
    ]
    rows, told = read(tmp_path, tasks)
    assert rows[:] == {"id": [7, 7], "text": ["Fine.", "No!"], "stars": [3, 1], "label": ["good", "bad"]}
    assert told == "train.json: Label Studio JSON, 2 tasks; 'question' is the column label; 'review' is the text"


def test_several_choices_are_a_list_and_none_of_them_an_empty_one(tmp_path):
    tasks = [make_task(annotate(choose("food", "price"))), make_task(annotate(choose("food"))), make_task(annotate())]
    assert read(tmp_path, tasks)[0]["label"] == [["food", "price"], ["food"], []]


def test_the_configuration_beside_it_says_that_several_may_be_chosen_and_where_the_text_is(tmp_path):
    (tmp_path / "config.xml").write_text(
        '<View><Text name="t" value="$body"/><Text name="o" value="$title"/>'
        '<Choices name="question" toName="t" choice="multiple"><Choice value="a"/></Choices></View>'
    )
    rows, _ = read(tmp_path, [make_task(annotate(choose("a", about="t")), title="T", body="B")])
    assert rows[0] == {"id": 7, "title": "T", "text": "B", "label": ["a"]}


def test_a_text_that_cannot_be_told_apart_keeps_its_name(tmp_path):
    rows, _ = read(tmp_path, [make_task(annotate(choose("a", about="t")), title="T", body="B")])
    assert rows.column_names == ["id", "title", "body", "label"]


def test_places_in_a_taxonomy(tmp_path):
    def place(*paths: list[str]) -> dict:
        return make_task(annotate(answer("taxonomy", {"taxonomy": list(paths)})))

    rows, told = read(tmp_path, [place(["Animals", "Cat"]), place(["Plants", "Oak"])])
    assert rows["label"] == ["Cat", "Oak"] and "the last level is the label" in told
    rows, told = read(tmp_path, [place(["A", "other"], ["B"]), place(["B", "other"])])
    assert rows["label"] == [["A/other", "B"], ["B/other"]] and "for some end alike" in told


def test_ratings_and_numbers(tmp_path):
    rating = read(tmp_path, [make_task(annotate(answer("rating", {"rating": 4})))])[0]
    number = read(tmp_path, [make_task(annotate(answer("number", {"number": 2.5})))])[0]
    assert rating["label"] == [4] and number["label"] == [2.5]


def test_two_questions_keep_their_names_and_answers_of_two_kinds_do_not_collide(tmp_path):
    both = [choose("good", name="mood"), choose("price", name="topic"), mark(0, 4, "X", "Good")]
    rows, told = read(tmp_path, [make_task(annotate(*both))])
    assert rows[0] == {
        "id": 7,
        "text": "Good.",
        "mood": "good",
        "topic": "price",
        "spans": [{"start": 0, "end": 4, "label": "X"}],
    }
    assert "'ner' is the column spans" in told
    rows, _ = read(tmp_path, [make_task(annotate(choose("good")), text="Hm.", label="guess")])
    assert rows[0] == {"id": 7, "text": "Hm.", "data.label": "guess", "label": "good"}


def test_spans_counted_by_a_browser_become_characters(tmp_path):
    text = "😀😀 Ida in\nKiel"
    spans = [mark(5, 8, "PER", "Ida"), mark(12, 16, "LOC", "Kiel"), mark(0, 2, "X", "Ulm")]
    rows, told = read(tmp_path, [make_task(annotate(*spans), text=text)])
    (ida, kiel, other) = rows["spans"][0]
    assert text[ida["start"] : ida["end"]] == "Ida" and text[kiel["start"] : kiel["end"]] == "Kiel"
    # What cannot be found keeps what the tool wrote, by which it is named as a fault.
    assert (ida["text"], other["text"]) == (None, "Ulm")
    assert "2 spans counted in units of UTF-16 became characters" in told


def test_spans_with_line_breaks_that_are_spelt_out_are_not_moved(tmp_path):
    rows, _ = read(tmp_path, [make_task(annotate(mark(0, 4, "X", "a\\nbc")), text="a\nbc d")])
    assert rows["spans"] == [[{"start": 0, "end": 4, "label": "X"}]]


def test_spans_of_html_are_places_in_its_text(tmp_path):
    value = {"start": "/p[1]/text()[1]", "startOffset": 4, "end": "/p[1]/text()[1]", "endOffset": 7, "text": "M&M"}
    found = answer("hypertextlabels", value | {"globalOffsets": {"start": 4, "end": 7}, "hypertextlabels": ["X"]})
    lost = answer("hypertextlabels", value | {"hypertextlabels": ["X"]})
    rows, told = read(tmp_path, [make_task(annotate(found, lost), html="<p>At <b>\nM&amp;M<br>now</b></p>")])
    assert rows[0]["text"] == "At \nM&M\nnow" and "the text is that of its HTML" in told
    assert rows[0]["spans"] == [
        {"start": 4, "end": 7, "label": "X", "text": None},
        {"start": None, "end": None, "label": "X", "text": "M&M"},
    ]


def test_regions_of_pictures_are_in_pixels(tmp_path):
    size = {"original_width": 200, "original_height": 100}
    box = {"x": 10, "y": 20, "width": 30, "height": 40}
    marks = [
        answer("rectanglelabels", box | {"rotation": 0, "rectanglelabels": ["Car"]}, about="i", **size),
        answer("rectanglelabels", box | {"rotation": 90, "rectanglelabels": ["Bus"]}, about="i", **size),
        answer("polygonlabels", {"points": [[0, 0], [50, 0], [50, 100]], "polygonlabels": ["Sky"]}, about="i", **size),
        answer("brushlabels", {"rle": [0, 0, 1], "format": "rle", "brushlabels": ["Sea"]}, about="i", **size),
    ]
    rows, told = read(tmp_path, [make_task(annotate(*marks), picture="/data/upload/1/a.png")])
    row = rows[0]
    assert row["boxes"] == [
        {"left": 20, "top": 20, "right": 80, "bottom": 60, "label": "Car"},
        {"left": -20, "top": 20, "right": 20, "bottom": 80, "label": "Bus"},
    ]
    assert row["polygons"] == [{"points": [[0, 0], [100, 0], [100, 100]], "label": "Sky"}]
    assert row["mask"] == [{"rle": [0, 0, 1], "width": 200, "height": 100, "label": "Sea"}]
    assert row["image"] == "/data/upload/1/a.png" and "1 turned boxes became" in told


def test_pictures_are_found_by_the_end_of_their_address(tmp_path):
    for place in ("images/a.png", "images/b/c.png", "other/b/c.png"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(b"")
    addresses = ["/data/upload/3/0123abcd-a.png", "/data/local-files/?d=x/other/b%2Fc.png", "s3://b/images/b/c.png"]
    tasks = [make_task(annotate(choose("x", about="img")), img=one) for one in [*addresses, "/data/upload/3/d.png"]]
    rows, told = read(tmp_path, tasks)
    assert rows["image"] == ["images/a.png", "other/b/c.png", "images/b/c.png", "/data/upload/3/d.png"]
    assert "3 of 4 addresses" in told


def test_what_is_no_answer_is_left_out_and_counted(tmp_path):
    task = make_task(
        annotate(choose("good"), {"type": "relation", "from_id": "a", "to_id": "b"}),
        annotate(choose("bad"), by=2, was_cancelled=True),
    )
    others = {"predictions": [{"result": [choose("bad")]}], "drafts": [{"result": []}]}
    rows, told = read(tmp_path, [task | others, make_task() | others])
    assert rows["label"] == ["good", None]
    assert "1 without an annotation" in told
    for what in ("1 cancelled annotations", "2 predictions", "2 drafts", "1 answers of type relation"):
        assert what in told


def test_several_people_are_kept_apart_and_the_newest_of_each_counts(tmp_path):
    ann = {"id": 3, "email": "ann@example.org"}
    task = make_task(
        annotate(choose("good"), by=ann, updated_at="2024-01-02"),
        annotate(choose("bad"), by=ann, updated_at="2024-01-01"),
        annotate(choose("fair"), by=4, ground_truth=True),
    )
    rows, told = read(tmp_path, [task, make_task(annotate(choose("good"), by=4))])
    assert rows["label"] == [None, "good"]
    assert rows["annotations"][0] == [
        {"annotator": "ann@example.org", "final": False, "label": "good"},
        {"annotator": "4", "final": True, "label": "fair"},
    ]
    assert "1 earlier annotations of the same person" in told


def test_versions_before_1_0_are_read(tmp_path):
    task = {"id": 1, "data": {"text": "Hi."}, "completions": [{"id": 1, "result": [choose("good")]}], "predictions": []}
    skipped = {"id": 2, "data": {"text": "No."}, "completions": [{"id": 2, "result": [], "skipped": True}]}
    assert read(tmp_path, [task, skipped])[0]["label"] == ["good", None]


def test_the_short_form_and_the_table_hold_the_same(tmp_path):
    when = {"created_at": "2024", "updated_at": "2024", "lead_time": 1.5}
    span = [{"start": 0, "end": 3, "text": "Ida", "labels": ["PER"]}]
    records = [
        {"body": "Ida!", "id": 4, "ner": span, "mood": "good", "annotator": 1, "annotation_id": 8} | when,
        {"body": "Ida!", "id": 4, "mood": {"choices": ["good", "odd"]}, "annotator": 2, "annotation_id": 9} | when,
        {"body": "No.", "id": 5, "mood": "bad", "annotator": 2, "annotation_id": 10} | when,
    ]
    names = list(records[0])
    lines = ["\t".join(names)]
    for record in records:
        cells = [record.get(name, "") for name in names]
        texts = [cell if isinstance(cell, str) else json.dumps(cell) for cell in cells]
        lines.append("\t".join('"' + text.replace('"', '""') + '"' for text in texts))
    short, told = read(tmp_path, records)
    table, _ = read(tmp_path, "\n".join(lines) + "\n", "train.tsv")
    for rows in (short, table):
        assert rows["text"] == ["Ida!", "No."]
        assert rows["label"] == [None, ["bad"]] and rows["spans"] == [None, []]
        assert rows["annotations"][0] == [
            {"annotator": "1", "spans": [{"start": 0, "end": 3, "label": "PER"}], "label": ["good"]},
            {"annotator": "2", "spans": [], "label": ["good", "odd"]},
        ]
    assert "3 annotations of 2 tasks; a row is a task" in told


def test_a_broken_record_is_named_by_its_row(tmp_path):
    good = make_task(annotate(choose("good")))
    broken = annotate(answer("rectanglelabels", {"x": 1, "y": 2, "width": 3, "height": 4}, about="i"))
    with pytest.raises(DataError, match=r"annotation 5.*its results cannot be read \(KeyError") as error:
        read(tmp_path, [good, make_task(broken)])
    assert error.value.row == 1


def test_plain_json_is_no_export(tmp_path):
    for records in (
        [{"text": "a", "label": "b"}],
        [{"data": "a", "annotations": []}],
        [{"text": "a", "annotations": [{"result": 1}]}],
    ):
        (tmp_path / "x.json").write_text(json.dumps(records))
        assert find_export([tmp_path / "x.json"]) is None
