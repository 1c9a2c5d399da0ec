"""The mistakes that are explained: the most confident ones, and never a right answer."""

import numpy as np
import pytest
from datasets import Dataset

from hfkit.contract.view import Choice
from hfkit.report.explained import MOST, choose_mistakes, confidence_in
from hfkit.tasks import ImageClassification, TextClassification


def test_the_most_confident_mistakes_come_first():
    labels, count = ["a", "b"], 40
    shares = np.linspace(0.51, 0.99, count)
    rows = Dataset.from_dict({"label": ["a" if row % 2 else "b" for row in range(count)]})
    likelihoods = np.stack([1 - shares, shares], 1)  # every answer is b
    chosen = choose_mistakes(ImageClassification(), [["b", "a"]] * count, rows, labels, likelihoods)
    assert [row for row, _ in chosen] == list(range(39, 0, -2))[:MOST]
    assert [sure for _, sure in chosen] == pytest.approx(shares[39:0:-2][:MOST])


def test_of_several_labels_the_clearest_wrong_decision_counts():
    known = {"a": 0.9, "b": 0.6, "c": 0.02}
    assert confidence_in(Choice(("a", "b"), True), Choice(("a",), True), known) == 0.6
    assert confidence_in(Choice(("a", "b"), True), Choice(("a", "c"), True), known) == pytest.approx(0.98)


def test_of_numbers_those_furthest_off_are_chosen():
    rows = Dataset.from_dict({"text": ["x", "y", "z"], "label": [0.0, 1.0, 2.0]})
    task = TextClassification(problem="regression")
    assert choose_mistakes(task, [0.5, 1.0, 9.0], rows, ["score"], None) == [(2, None), (0, None)]
