"""Gold answers of a column: sorted by value and then by letter."""

from hfkit.tasks.classification.answers import label_sort_key


def test_labels_are_sorted_by_value_and_then_by_letter():
    names = ["b", "10", "9", "nan", "inf", "-1", "2.5", "a"]
    assert sorted(names, key=label_sort_key) == ["-1", "2.5", "9", "10", "a", "b", "inf", "nan"]
