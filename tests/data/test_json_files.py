"""JSON as programs write it: lines, lists, columns and wrappers; what is broken is named by its line."""

import json

import pytest

from hfkit.data.json_files import read_json, split_names
from hfkit.errors import DataError

ROWS = [{"text": "a", "label": 1}, {"text": "b", "label": 2}]


def write(folder, content, name="some.json"):
    content = content if isinstance(content, str | bytes) else json.dumps(content, indent=1)
    (path := folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


SAME = {
    "a list": ROWS,
    "lines": "\n".join(map(json.dumps, ROWS)),
    "lines in UTF-16": "\n\n".join(map(json.dumps, ROWS)).encode("utf-16"),
    "a mark": "\ufeff" + "\n".join(map(json.dumps, ROWS)),
    "objects over several lines": "\n".join(json.dumps(row, indent=1) for row in ROWS),
    "a wrapper": {"version": 1, "data": ROWS, "authors": ["me"]},
    "columns": {"text": ["a", "b"], "label": [1, 2]},
    "columns of pandas": {"text": {"0": "a", "1": "b"}, "label": {"0": 1, "1": 2}},
    "rows of pandas": {"0": ROWS[0], "1": ROWS[1]},
    "split of pandas": {"columns": ["text", "label"], "index": [0, 1], "data": [["a", 1], ["b", 2]]},
}


@pytest.mark.parametrize("kind", SAME)
def test_the_same_rows_in_any_form(kind, tmp_path):
    path = write(tmp_path, SAME[kind])
    assert read_json("train", [path]).to_list() == ROWS and split_names(path) == []


def test_an_object_of_splits_says_their_names_and_gives_each(tmp_path, capsys):
    path = write(tmp_path, {"version": 2, "train": ROWS, "dev": {"text": ["c"], "label": [3]}})
    assert split_names(path) == ["train", "dev"]
    assert read_json("train", [path], key="train").to_list() == ROWS
    assert read_json("validation", [path], key="dev").to_list() == [{"text": "c", "label": 3}]
    with pytest.raises(DataError, match="holds rows under train, dev"):
        read_json("train", [path])
    read_json("train", [write(tmp_path, SAME["a wrapper"])])
    assert capsys.readouterr().out == "some.json: its rows are under 'data'\n"


@pytest.mark.parametrize(
    ("lines", "rows"),
    [
        (['{"a": 1}', '{"b": {"c": [1]}}'], [{"a": 1, "b": None}, {"a": None, "b": {"c": [1]}}]),
        (['{"a": 1}', '{"a": "x"}'], [{"a": 1}, {"a": "x"}]),
        (['{"a": "2024-01-05"}', '{"a": "2024-01-06"}'], [{"a": "2024-01-05"}, {"a": "2024-01-06"}]),
        (['{"a": "\\ud83d"}', '{"a": "b"}'], [{"a": "?"}, {"a": "b"}]),
        (['{"a": ["x"], "b": ["y"]}'], [{"a": ["x"], "b": ["y"]}]),
    ],
)
def test_values_of_lines_stay_as_they_are(lines, rows, tmp_path):
    assert read_json("train", [write(tmp_path, "\n".join(lines), "some.jsonl")]).to_list() == rows


def test_a_key_that_comes_late_is_a_column_too(tmp_path):
    lines = ['{"a": "%s"}' % ("x" * 1000)] * 11_000 + ['{"a": "y", "late": 5}']  # beyond the first piece of the builder
    rows = read_json("train", [write(tmp_path, "\n".join(lines), "some.jsonl")])
    assert rows[-1] == {"a": "y", "late": 5} and rows[0]["late"] is None


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ('{"a": 1}\n\n{"a": 2,}\n', "some.jsonl", "row 1: .* in line 3 of some.jsonl: it is no JSON"),
        ("{'a': 1}\n{'a': 2}\n", "some.jsonl", "row 0: .* in line 1"),
        ('{"a": 1, "a": 2}\n{"a": 2}\n', "some.jsonl", "line 1 .*'a' comes twice"),
        ('[{"a": 1},\n{"a": 2,}]', "some.json", "line 2 of some.json: it is no JSON"),
        ('[{"a": 1, "a": 2}]', "some.json", "'a' comes twice"),
        ('{"a": 1}\n5\n', "some.jsonl", "row 1: '5' in some.jsonl: every row is an object"),
        ('{"a": [1, 2], "b": [1]}', "some.json", "a 2, b 1"),
        ("[]", "some.json", "it holds no rows"),
        ("", "some.jsonl", "it holds no rows"),
    ],
)
def test_what_is_broken_is_named_by_its_line(content, name, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read_json("train", [write(tmp_path, content, name)])
