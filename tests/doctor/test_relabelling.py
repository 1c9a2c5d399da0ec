"""What the doctor writes for a label tool reads back with the labels that the rows have."""

import json
from pathlib import Path

import pytest
from PIL import Image

from hfkit.data.files import TABLES, read_one_split
from hfkit.data.source import Source
from hfkit.doctor.relabelling import export_rows
from hfkit.doctor.rows import read_rows
from hfkit.errors import UserError
from hfkit.tasks import NER, ImageClassification, TextClassification


def write_lines(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def export(task, file: Path) -> list[dict]:
    finding = export_rows(read_rows(task, None)[1], file)
    assert finding.severity == "ok"
    return json.loads(file.read_text(encoding="utf-8"))


def accept(tasks: list[dict], file: Path) -> None:
    """What Label Studio exports once a person has accepted every prediction."""
    for number, task in enumerate(tasks):
        results = task.pop("predictions", [{"result": []}])[0]["result"]
        task |= {"id": number, "annotations": [{"id": number, "completed_by": 1, "result": results}]}
    file.write_text(json.dumps(tasks), encoding="utf-8")


def texts() -> list[dict]:
    days = [{"text": f"day {day} was {label}", "label": label} for day in range(20) for label in ("good", "bad")]
    return [
        *days,
        {"text": "So so 😀", "label": "good"},
        {"text": "so so 😀", "label": "bad"},
        {"text": "x", "label": None},
    ]


def test_rows_at_fault_and_in_conflict_come_back_with_their_labels(tmp_path):
    data = write_lines(tmp_path / "data.jsonl", texts())
    file = tmp_path / "made" / "tasks.json"
    tasks = export(TextClassification(dataset=str(data)), file)
    assert [(task["meta"]["split"], task["meta"]["row"]) for task in tasks] == [
        ("train", 40),
        ("train", 41),
        ("train", 42),
    ]
    assert "'bad'" in tasks[0]["meta"]["reason"] and "every row has a label" in tasks[2]["meta"]["reason"]
    assert "predictions" not in tasks[2]
    with pytest.raises(UserError, match="written over"):
        export(TextClassification(dataset=str(data)), file)
    accept(tasks, file)
    rows = read_one_split(Source(str(file)), None, kinds=TABLES)["test"]
    assert rows["text"][:] == ["So so 😀", "so so 😀", "x"] and rows["label"][:] == ["good", "bad", None]


def test_spans_come_back_in_characters(tmp_path):
    rows = [{"text": f"Ann met Bob on day {day}", "spans": [[0, 3, "PER"], [8, 11, "PER"]]} for day in range(20)]
    rows += [
        {"text": "😀 Ann is in Oslo", "spans": [[2, 5, "PER"], [12, 16, "LOC"]]},
        {"text": "😀 Ann is in Oslo", "spans": [[2, 5, "PER"]]},
        {"text": "Bob slept", "spans": [[0, 3, "PER"], [4, 99, "LOC"]]},
    ]
    data = write_lines(tmp_path / "data.jsonl", rows)
    tasks = export(NER(dataset=str(data)), tmp_path / "tasks.json")
    assert (tmp_path / "tasks.xml").read_text().count("<Label ") == 2
    accept(tasks, tmp_path / "tasks.json")
    back = read_one_split(Source(str(tmp_path / "tasks.json")), None)["test"]
    given = [[(one["start"], one["end"], one["label"]) for one in of_row] for of_row in back["spans"]]
    assert given == [[(2, 5, "PER"), (12, 16, "LOC")], [(2, 5, "PER")], [(0, 3, "PER")]]
    assert back["text"][:] == [row["text"] for row in rows[20:]]


def test_several_labels_numbers_and_names_of_classes(tmp_path):
    rows = [{"text": f"day {day}", "label": ["a", "b"][: day % 3]} for day in range(20)]
    rows += [{"text": "same", "label": ["a", "b"]}, {"text": "same", "label": []}]
    data = write_lines(tmp_path / "sets.jsonl", rows)
    tasks = export(TextClassification(dataset=str(data), problem="multi-label"), tmp_path / "a" / "sets.json")
    accept(tasks, tmp_path / "a" / "sets.json")
    back = read_one_split(Source(str(tmp_path / "a" / "sets.json")), None, kinds=TABLES)["test"]
    assert back["label"][:] == [["a", "b"], []]
    rows = [{"text": f"day {day}", "label": day / 4} for day in range(20)] + [{"text": "day 3", "label": 9.5}]
    data = write_lines(tmp_path / "numbers.jsonl", rows)
    tasks = export(TextClassification(dataset=str(data), problem="regression"), tmp_path / "b" / "numbers.json")
    accept(tasks, tmp_path / "b" / "numbers.json")
    back = read_one_split(Source(str(tmp_path / "b" / "numbers.json")), None, kinds=TABLES)["test"]
    assert back["label"][:] == [0.75, 9.5]


def test_pictures_have_the_address_of_a_local_server(tmp_path):
    for name, shade in {"good": 0, "bad": 100}.items():
        (tmp_path / name).mkdir()
        for number in range(12):
            Image.new("L", (8, 8), shade + number).save(tmp_path / name / f"{number} x.png")
    for name in ("good", "bad"):
        Image.new("L", (8, 8), 255).save(tmp_path / name / "same.png")
    (tmp_path / "bad" / "broken.png").write_bytes(b"\x89PNG broken")
    tasks = export(ImageClassification(dataset=str(tmp_path)), tmp_path.with_name("pictures.json"))
    paths = {task["data"]["image"]: task["predictions"][0]["result"][0]["value"]["choices"] for task in tasks}
    assert paths == {
        "/data/local-files/?d=bad/same.png": ["bad"],
        "/data/local-files/?d=good/same.png": ["good"],
        "/data/local-files/?d=bad/broken.png": ["bad"],
    }
    accept(tasks, tmp_path / "tasks.json")
    back = read_one_split(Source(str(tmp_path / "tasks.json")), None, kinds=TABLES)["test"]
    assert dict(zip(back["image"], back["label"], strict=True)) == {
        address.removeprefix("/data/local-files/?d="): labels[0] for address, labels in paths.items()
    }


def test_nothing_is_written_where_nothing_is_wrong(tmp_path):
    data = write_lines(tmp_path / "data.jsonl", texts()[:40])
    finding = export_rows(read_rows(TextClassification(dataset=str(data)), None)[1], tmp_path / "tasks.json")
    assert "none was written" in finding.what and sorted(tmp_path.iterdir()) == [data]
