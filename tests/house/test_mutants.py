"""The list of guards that `make mutants` switches off stays true to the code, and its result is that of the list."""

import ast
import json
from pathlib import Path

import pytest

from benchmarks.mutants import MUTANTS, RESULT, switch_off

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.guard)
def test_a_guard_is_where_the_list_says_and_off_it_is_python_still(mutant):
    source = (ROOT / mutant.file).read_text(encoding="utf-8")
    assert ast.dump(ast.parse(switch_off(source, mutant))) != ast.dump(ast.parse(source))
    for test in mutant.tests:
        file, _, name = test.partition("::")
        name, _, _ = name.partition("[")
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8")


def test_every_guard_was_missed_by_its_tests():
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    assert [row["guard"] for row in result["guards"]] == [mutant.guard for mutant in MUTANTS]
    assert result["missed"] == result["of"] == len(MUTANTS) >= 20
