"""Names of labels that only look alike, and rows without labels."""

import pytest
from datasets import Dataset

from hfkit.data.labels import has_labels, normalise_label


@pytest.mark.parametrize(
    "name", ["café", "cafe\u0301", " café", "café\u00a0", "\ufeffcafé", "café\u200b\n", "\u200ecafé"], ids=ascii
)
def test_what_looks_the_same_is_one_name(name):
    assert normalise_label(name) == "café"


@pytest.mark.parametrize("name", ["Good", "very  good", "a-b", "1st", "🙂", "x²"])
def test_what_differs_for_a_reader_stays(name):
    assert normalise_label(name) == name


@pytest.mark.parametrize(
    ("test", "labelled"),
    [
        ([None, None], False),
        (["", None], False),
        ([[], []], False),
        ([-1, -1], False),
        ([-1, 1], True),
        (["", "a"], True),
        ([["a"], []], True),
    ],
)
def test_labels_of_none_and_ids_below_zero_are_none(test, labelled):
    rows = Dataset.from_dict({"label": test})
    assert has_labels(rows, "label", Dataset.from_dict({"label": [0, 1]})) is labelled
    assert not has_labels(rows, "class", rows)


def test_a_label_of_minus_one_is_one_where_train_has_it():
    rows = Dataset.from_dict({"label": [-1, -1]})
    assert has_labels(rows, "label", Dataset.from_dict({"label": [-1, 1]}))
