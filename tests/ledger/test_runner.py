"""The arrays that a cell keeps beside its answers."""

import pytest

from hfkit.ledger.runner import class_ids


@pytest.mark.parametrize(
    ("references", "expected"),
    [
        (["b", "a", "b"], [1, 0, 1]),
        (["a", "a sentence"], None),
        ([["a"], ["b"]], None),
        ([0.5], None),
    ],
)
def test_rows_have_a_class_only_if_every_reference_is_a_label(references, expected):
    found = class_ids(references, ["a", "b"])
    assert found is None if expected is None else found.tolist() == expected
