"""The four kinds of answers: their labels, what logits mean, and how an answer is shown and written."""

import numpy as np
import pytest
from datasets import Dataset, DatasetDict

from hfkit.contract.target import Labels
from hfkit.contract.view import Choice, Number, to_text
from hfkit.errors import UserError
from hfkit.tasks import TextClassification
from hfkit.tasks.classification.judges import ClassJudge, LabelSetJudge, NumberJudge, ScaleJudge
from hfkit.tasks.classification.kinds import KINDS

ONE, SEVERAL, NUMBER, GRADE = KINDS.values()
GOLD = {"single-label": ["b", "a"], "multi-label": [["b"], ["a", "b"]], "regression": [0.5, 2], "ordinal": [2, 5]}


def splits_of(gold: list) -> DatasetDict:
    return DatasetDict(train=Dataset.from_dict({"label": gold}))


@pytest.mark.parametrize(
    ("problem", "target", "judge"),
    [
        ("single-label", Labels(("a", "b"), "single_label_classification"), ClassJudge),
        ("multi-label", Labels(("a", "b"), "multi_label_classification"), LabelSetJudge),
        ("regression", Labels(("score",), "regression"), NumberJudge),
        ("ordinal", Labels(("2 to 5",), "regression"), ScaleJudge),
    ],
)
def test_a_kind_has_its_target_and_its_judge(problem, target, judge):
    assert KINDS[problem].target(splits_of(GOLD[problem])) == target
    assert type(KINDS[problem].judge(None)) is type(TextClassification(problem=problem).judge) is judge


def test_predictions_are_ranked_and_the_first_five_kept():
    logits = np.array([[0.1, 0.9, 0.5, 0.2, 0.3, 0.4], [3.0, 3.0, 1.0, 0.0, 2.0, 2.5]])
    assert ONE.answers(logits, list("abcdef")) == [list("bcfed"), list("abfec")]


def test_several_labels_are_those_above_zero():
    assert SEVERAL.answers(np.array([[1.0, -1.0, 0.1], [0.0, -2.0, -0.1]]), list("abc")) == [["a", "c"], []]


def test_a_scale_is_that_of_train():
    splits = DatasetDict(
        {name: Dataset.from_dict({"label": found}) for name, found in (("train", [2, 4]), ("test", [9]))}
    )
    assert GRADE.target(splits).names == ("2 to 4",)
    with pytest.raises(UserError, match="max_train_rows=0"):
        TextClassification(max_train_rows=0)


def test_grades_are_rounded_and_stay_on_the_scale():
    assert GRADE.answers(np.array([[0.2], [2.4], [2.6], [9.0]]), ["1 to 5"]) == [1, 2, 3, 5]
    assert GRADE.answers(np.array([[-3.7]]), ["-2 to 2"]) == [-2]
    assert NUMBER.answers(np.array([[9.5]]), ["score"]) == [9.5]


@pytest.mark.parametrize(
    ("kind", "prediction", "gold", "record", "shown", "text"),
    [
        (ONE, ["b", "a"], "b", "b", Choice(("b",)), "b"),
        (SEVERAL, ["a", "b"], ["a", "b"], ["a", "b"], Choice(("a", "b"), several=True), "a, b"),
        (SEVERAL, [], [], [], Choice((), several=True), "none"),
        (NUMBER, 2.5, 2.5, 2.5, Number(2.5), "2.5"),
        (GRADE, 4, 4, 4, Number(4, whole=True), "4"),
    ],
)
def test_an_answer_is_shown_alike_whether_predicted_or_gold(kind, prediction, gold, record, shown, text):
    assert kind.record(prediction) == record
    assert kind.show(prediction) == kind.show(gold) == shown
    assert isinstance(shown, kind.shown) and to_text(shown) == text


@pytest.mark.parametrize("problem", KINDS)
def test_a_head_tells_which_kind_it_was_made_for(problem):
    from transformers import BertConfig

    target = KINDS[problem].target(splits_of(GOLD[problem]))
    config = BertConfig(**target.to_config())
    assert Labels.from_config(config) == target
    assert TextClassification.target_of(config) == target
    assert TextClassification.flags_of(config) == {"problem": problem}


def test_a_plan_without_data_guesses_a_target_of_the_same_kind():
    assert TextClassification(problem="multi-label").guess_target(2) == Labels(("0", "1"), "multi_label_classification")


def test_facts_count_the_labels_or_span_the_numbers():
    assert ONE.facts(["10", "9", "10"]) == {"classes": {"9": 1, "10": 2}}
    assert SEVERAL.facts([["a", "b"], ["b"]]) == {"classes": {"a": 1, "b": 2}}
    assert NUMBER.facts([1.0, 2.0, 6.0]) == {"mean": 3.0, "lowest": 1.0, "highest": 6.0}


def test_the_most_confident_mistakes_come_first():
    shares = np.linspace(0.51, 0.99, 40)
    references = ["a" if row % 2 else "b" for row in range(40)]
    likelihoods = np.stack([1 - shares, shares], 1)  # every answer is b
    ranked = KINDS["single-label"].rank_mistakes([["b", "a"]] * 40, references, likelihoods, ["a", "b"])
    assert [row for row, _ in ranked] == list(range(39, 0, -2))
    assert [sure for _, sure in ranked] == pytest.approx(shares[39:0:-2])


def test_of_several_labels_the_clearest_wrong_decision_counts():
    likelihoods = np.array([[0.9, 0.6, 0.02]] * 4)
    references = [["a"], ["a", "c"], ["b", "a"], ["a", "b", "never seen"]]
    ranked = KINDS["multi-label"].rank_mistakes([["a", "b"]] * 4, references, likelihoods, ["a", "b", "c"])
    assert ranked == [(3, 1.0), (1, pytest.approx(0.98)), (0, 0.6)]


def test_numbers_have_no_confidence_and_those_furthest_off_come_first():
    for problem in ("regression", "ordinal"):
        assert KINDS[problem].rank_mistakes([0.5, 1.0, 9.0], [0.0, 1.0, 2.0], None, []) == [(2, None), (0, None)]
