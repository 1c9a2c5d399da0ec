"""Tables of text: cells of any length, without a change that the rest of the process would see."""

import csv

import pytest

from hfkit.data.csv_files import iterate_rows, read_csv
from hfkit.errors import DataError


@pytest.fixture
def small_limit():
    before = csv.field_size_limit(100)
    yield
    csv.field_size_limit(before)


def test_long_cells_are_read_and_the_limit_of_other_readers_stays(tmp_path, small_limit):
    path = tmp_path / "train.csv"
    path.write_text(f"text,label\n{'x' * 500},a\n{'y' * 500},b\n")
    rows = iterate_rows(path, "utf-8")
    assert next(rows) == ["text", "label"] and csv.field_size_limit() == 100  # also while it is being read
    assert [len(text) for text, _ in rows] == [500, 500] and csv.field_size_limit() == 100
    assert read_csv("train", [path], "utf-8")["label"][:] == ["a", "b"]
    path.write_text('text,label\n"x"y,a\n')
    with pytest.raises(DataError, match="line 2"):
        read_csv("train", [path], "utf-8")
    assert csv.field_size_limit() == 100
