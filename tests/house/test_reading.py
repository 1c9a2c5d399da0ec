"""The reading benchmark compares like with like: contenders give the same rows, and the table says what was found."""

import json

import pytest

from benchmarks.input_tables import reading_table
from benchmarks.reading import LIMIT, LIMITS, NAMES, READERS, make_rows, summarize, write
from benchmarks.render import RESULTS


@pytest.mark.parametrize(
    ("kind", "others"), [("csv", ["pandas"]), ("jsonl", ["datasets"]), ("json", ["json and a loop"])]
)
def test_contenders_give_the_same_rows(kind, others, tmp_path):
    write(kind, file := tmp_path / f"rows.{kind}", make_rows(20))
    for name in ["hfkit", *others]:
        _, rows = READERS[name](file)
        assert list(zip(rows["text"], rows["label"], strict=True)) == make_rows(20)


def test_100_000_rows_were_read_within_the_limits():
    measured = json.loads((RESULTS / "reading.json").read_text())
    assert measured["rows"] == 100_000 and list(measured["files"]) == list(NAMES.values())
    for title, found in measured["files"].items():
        assert found["contenders"]["hfkit"]["process"]["median"] < LIMITS.get(title, LIMIT), title


def test_a_ratio_is_of_one_round_and_of_whole_processes():
    own = [{"read": 1.0, "process": 2.0}, {"read": 1.0, "process": 3.0}, {"read": 1.0, "process": 4.0}]
    other = [{"read": 2.0, "process": 4.0}, {"read": 2.0, "process": 4.0}, {"read": 2.0, "process": 4.0}]
    found = summarize(("hfkit", "other"), {"hfkit": own, "other": other}, 14_000_000)
    assert found["ratio"]["rounds"] == [0.5, 0.75, 1.0]
    result = {"rows": 100_000, "files": {"CSV": found}, "command": "measure", "environment": {"cpu": "one"}}
    table = reading_table(result)
    assert "| CSV (14 MB) | other | 2.00 [2.00, 2.00] | 4.00 | **0.75** [0.50, 1.00] |" in table
