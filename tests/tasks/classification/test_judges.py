"""The four judges of classification: a headline under any weighting of the rows, and the scores beside it."""

import numpy as np
import pytest

from hfkit.errors import UserError
from hfkit.scores.evidence import total
from hfkit.scores.statistics import bootstrap_interval
from hfkit.tasks import TextClassification
from hfkit.tasks.classification.judges import ClassJudge, LabelSetJudge, NumberJudge, ScaleJudge

JUDGES = {"single-label": ClassJudge, "multi-label": LabelSetJudge, "regression": NumberJudge, "ordinal": ScaleJudge}
ANSWERS = {
    "single-label": ([["a", "b"], ["b", "a"], ["b", "a"], ["a", "b"]], ["a", "b", "a", "a"]),
    "multi-label": ([["a"], [], ["a", "b"], ["b"]], [["a", "b"], [], ["a"], ["b"]]),
    "regression": ([1.0, 2.5, 2.0, 1e6], [0.9, 3.0, 2.0, 1e6 + 4]),
    "ordinal": ([1, 2, 5, 4], [1, 3, 5, 5]),
}


@pytest.mark.parametrize("problem", JUDGES)
def test_the_headline_follows_the_weights_of_the_rows(problem):
    judge, (predictions, references) = JUDGES[problem](), ANSWERS[problem]
    evidence, headline = judge.evidence(predictions, references), judge.headline.key
    assert evidence.rows == 4
    scores = judge.score(predictions, references)
    assert next(iter(scores)) == headline
    assert scores[headline] == pytest.approx(total(evidence))
    assert all(type(value) is float for value in scores.values())
    # Resampled rows are scored as if they were the split.
    chosen = [0, 1, 1, 3]
    again = judge.score([predictions[i] for i in chosen], [references[i] for i in chosen])[headline]
    assert float(evidence.headline(np.array([[1, 2, 0, 1]]))[0]) == pytest.approx(again, abs=1e-9)
    interval = bootstrap_interval(evidence)
    assert interval.low <= scores[headline] <= interval.high


@pytest.mark.parametrize("problem", JUDGES)
def test_no_answer_is_better_than_the_right_one(problem):
    judge, (predictions, references) = JUDGES[problem](), ANSWERS[problem]
    best = judge.score(judge.perfect_predictions(references), references)[judge.headline.key]
    assert best == pytest.approx(1.0) and judge.score(predictions, references)[judge.headline.key] <= best


@pytest.mark.parametrize("problem", JUDGES)
def test_every_named_score_is_one_that_the_judge_gives(problem):
    judge = JUDGES[problem]()
    given = judge.score(*ANSWERS[problem])
    # Top-5 accuracy is left out where there are no six classes.
    assert {score.key for score in judge.scores} - set(given) <= {"top5_accuracy"}
    assert judge.headline is judge.scores[0] and judge.headline.better == "higher"


def test_errors_of_numbers_are_better_where_they_are_lower():
    lower = {score.key for score in NumberJudge.scores if score.better == "lower"}
    assert lower == {score.key for score in ScaleJudge.scores if score.better == "lower"} == {"rmse", "mae"}


def test_the_right_class_may_stand_among_the_first_five():
    scores = ClassJudge().score([list("bcfed"), list("abfec")], ["e", "d"])
    assert (scores["accuracy"], scores["top5_accuracy"]) == (0.0, 0.5)


@pytest.mark.parametrize(("judge", "expected"), [(ClassJudge(), "a ranking of labels"), (LabelSetJudge(), "a list of")])
def test_a_bare_label_is_no_prediction(judge, expected):
    """Its first letter was taken for the best label, and accuracy was 0 without a word."""
    references = judge.perfect_predictions(["b"])
    for ask in (judge.score, judge.evidence):
        with pytest.raises(UserError, match=rf"prediction 'bad': it is {expected}.* Write it as \['bad'\]"):
            ask([["a"], "bad"], [*references, *references])


def test_headlines_agree_with_other_libraries():
    from scipy.stats import pearsonr
    from sklearn.metrics import cohen_kappa_score, f1_score

    draw = np.random.default_rng(0)
    gold, ours = draw.integers(1, 6, 200), draw.integers(1, 6, 200)
    ordinal = ScaleJudge().score(ours.tolist(), gold.tolist())
    assert ordinal["quadratic_kappa"] == pytest.approx(cohen_kappa_score(gold, ours, weights="quadratic"))
    numbers = NumberJudge().score((ours + 1e4).tolist(), (gold * 3.0).tolist())
    assert numbers["pearson"] == pytest.approx(pearsonr(ours, gold).statistic)
    sets = draw.integers(0, 2, (2, 100, 5)).astype(bool)
    sides = [[[str(i) for i in np.flatnonzero(row)] for row in side] for side in sets]
    assert LabelSetJudge().score(*sides)["f1"] == pytest.approx(f1_score(sets[1], sets[0], average="micro"))


@pytest.mark.filterwarnings("error")
def test_rows_of_one_class_are_scored_without_a_warning():
    scores = ClassJudge().score([["a", "b"], ["a", "b"]], ["a", "a"])
    assert scores["accuracy"] == 1 and scores["mcc"] == 0


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_correlation_knows_no_unit(unit):
    scores = NumberJudge().score([unit, 3 * unit, 2 * unit], [0.0, 2 * unit, unit])
    assert scores["pearson"] == pytest.approx(1.0)


def test_correlation_is_that_of_scipy_however_far_the_numbers_lie_from_zero():
    from scipy.stats import pearsonr

    draw = np.random.default_rng(1)
    gold = 1e8 + draw.normal(size=50)
    for ours in (gold + draw.normal(size=50), 3 + 1e-6 * draw.normal(size=50)):
        found = NumberJudge().score(ours.tolist(), gold.tolist())["pearson"]
        assert found == pytest.approx(pearsonr(ours, gold).statistic, rel=1e-9)


@pytest.mark.parametrize("judge", [NumberJudge(), ScaleJudge()])
def test_constant_answers_correlate_with_nothing(judge):
    assert judge.score([3, 3, 3], [1, 2, 3])[judge.headline.key] == 0


def test_scores_of_rows_out_of_scope_stand_beside_the_others():
    judge = TextClassification(out_of_scope="oos").judge
    scores = judge.score([["a"], ["oos"], ["b"], ["oos"]], ["a", "a", "oos", "oos"])
    assert (scores["in_scope_accuracy"], scores["out_of_scope_recall"], scores["accuracy"]) == (0.5, 0.5, 0.5)


def test_the_breakdown_has_scores_of_every_class_and_confusions_where_a_row_has_one():
    predictions, references = [["a"], ["b"], ["b"], ["b"]], ["a", "a", "a", "b"]
    found = ClassJudge().breakdown(predictions, references)
    assert found["per_class"]["a"] == {"precision": 1.0, "recall": 1 / 3, "f1": 0.5, "support": 3}
    assert found["confusion"] == {"gold": ["a", "b"], "predicted": ["a", "b"], "counts": [[1, 2], [0, 1]]}
    several = LabelSetJudge().breakdown([["a", "b"]], [["b"]])
    assert several["confusion"] is None and several["per_class"]["b"]["f1"] == 1.0
    assert NumberJudge().breakdown([1.0], [2.0]) == ScaleJudge().breakdown([1], [2]) == {}
