"""A score knows on which side it is better: a word error rate must not keep the worst epoch."""

import pytest

from hfkit.scores.score import Score, headline_text

HIGHER, LOWER = Score("f1", "F1"), Score("wer", "word error rate", better="lower")


def test_the_best_value_is_the_lowest_where_lower_is_better():
    assert HIGHER.best([0.2, 0.9, 0.5]) == 0.9
    assert LOWER.best([0.2, 0.9, 0.1, 0.5]) == 0.1
    assert (HIGHER.sign, LOWER.sign) == (1, -1)


@pytest.mark.parametrize("score", [HIGHER, LOWER])
def test_of_equals_the_first_one_is_best(score):
    assert score.best([("a", 1), ("b", 1)], lambda pair: pair[1])[0] == "a"


def test_a_score_without_a_title_goes_by_its_key():
    titles = [LOWER.to_json()]
    assert headline_text("wer", titles) == "word error rate"
    assert (headline_text("mcc"), headline_text("macro_f1")) == ("MCC", "macro f1")
