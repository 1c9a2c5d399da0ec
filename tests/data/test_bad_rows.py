"""Rows at fault: the first one ends the run, or all are left out and counted, or they are only collected."""

import pytest
from datasets import Dataset

from hfkit.data.bad_rows import Fault, collect_faults, count_skipped, keep_rows
from hfkit.errors import DataError

ROWS = Dataset.from_dict({"x": list(range(4))})
FAULTS = [Fault(1, "x", "1", "odd", "fix"), Fault(1, "x", "1", "small", "fix"), Fault(3, "x", "3", "odd", "fix")]


def test_faults_are_counted_once_a_row_and_not_all_rows_can_be_left_out(capsys):
    kept = keep_rows("train", ROWS, FAULTS, "skip")
    assert (kept["x"][:], count_skipped(kept), count_skipped(ROWS)) == ([0, 2], {"odd": 2}, {})
    assert "train: 2 of 4 rows skipped, first row 1 (odd)" in capsys.readouterr().out
    with pytest.raises(DataError, match="split 'train', row 1, column 'x': 1: odd; 1 more rows .* skip"):
        keep_rows("train", ROWS, FAULTS, "error")
    with pytest.raises(DataError, match="split 'train', row 0"):
        keep_rows("train", ROWS, [Fault(row, "x", "", "odd", "fix") for row in range(4)], "skip")


def test_collected_faults_end_no_run(capsys):
    with collect_faults() as found:
        assert keep_rows("train", ROWS, FAULTS, "error")["x"][:] == [0, 2]
    assert found == {"train": FAULTS} and capsys.readouterr().out == ""
    with pytest.raises(DataError):
        keep_rows("train", ROWS, FAULTS, "error")
