"""The committed outcome of benchmarks/architectures.py: hardly anything refused, and nothing wrong."""

import json
from pathlib import Path

import pytest

from benchmarks.architecture_tables import COUNTED, PROVEN

RESULT = Path(__file__).parents[2] / "benchmarks" / "results" / "architectures.json"


@pytest.mark.parametrize(("of_timm", "least"), [(False, 200), (True, 50)])
def test_of_what_can_be_built_at_most_5_in_100_are_refused_and_none_is_wrong(of_timm, least):
    rows = json.loads(RESULT.read_text())["rows"]
    built = [row for row in rows if row["outcome"] in COUNTED and row["name"].startswith("timm/") == of_timm]
    assert [row["name"] for row in built if row["outcome"] == "wrong"] == []
    assert len(built) >= least
    assert sum(row["outcome"] == "refused" for row in built) <= 0.05 * len(built)
    # The others are proven for the part that rows of text run.
    assert sum(row["outcome"] in PROVEN for row in built) >= 0.9 * len(built)


def test_whatever_is_not_proven_has_a_reason():
    rows = json.loads(RESULT.read_text())["rows"]
    assert all(row.get("reason") for row in rows if row["outcome"] not in (*PROVEN, "in part"))
