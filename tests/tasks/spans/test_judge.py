"""SQuAD's scores, in other languages too, and the same from summed evidence."""

import numpy as np
import pytest

from hfkit.scores.evidence import total
from hfkit.tasks.spans.judge import AnswerJudge


def answers(*texts: str) -> list[dict]:
    return [{"text": text, "start": None, "end": None} for text in texts]


@pytest.mark.parametrize(
    ("text", "gold", "f1", "exact"),
    [
        ("The Eiffel Tower!", ["eiffel tower"], 1, 1),
        ("Eiffel Tower in Paris", ["the Eiffel Tower"], 2 / 3, 0),
        ("tower", ["Big Ben", "the Eiffel Tower"], 2 / 3, 0),
        ("Ben", ["Big Ben", "Ben"], 1, 1),
        ("a a a b", ["a b"], 2 / 2, 1),  # articles go, however often
        ("no no", ["no"], 2 / 3, 0),
        ("", [], 1, 1),
        ("the", [], 1, 1),  # nothing is left of it
        ("Ben", [], 0, 0),
        ("", ["Ben"], 0, 0),
        ("Ben", ["the", "Ben"], 1, 1),  # a gold answer of articles alone is passed over
    ],
)
def test_the_gold_answer_that_fits_best_counts(text, gold, f1, exact):
    scores = AnswerJudge().score(answers(text), [gold])
    assert scores["f1"] == pytest.approx(f1) and scores["exact_match"] == exact


@pytest.mark.parametrize(
    ("language", "text", "gold", "f1"),
    [
        ("de", "die Burg", "Burg", 2 / 3),  # German articles stay, and so does what is one in English alone
        ("de", "a", "a", 1),
        ("en", "a", "b", 0),
        ("es", "¿Madrid?", "madrid", 1),
        ("en", "¿Madrid?", "madrid", 0),  # as SQuAD's script has it, which knows ASCII
        ("zh", "北京市", "北京", 4 / 5),  # letter by letter
        ("ru", "в Москве", "Москве", 2 / 3),
    ],
)
def test_other_languages_keep_their_words(language, text, gold, f1):
    assert AnswerJudge(language).score(answers(text), [[gold]])["f1"] == pytest.approx(f1)


def test_scores_are_those_of_the_evidence_and_groups_are_told_apart():
    judge = AnswerJudge()
    said = answers("Big Ben", "the red old clock", "", "x", "")
    gold = [["Big Ben"], ["old clock", "clock"], ["Ben"], [], []]
    scores, evidence = judge.score(said, gold), judge.evidence(said, gold)
    assert list(scores) == ["f1", "exact_match", "unanswered_accuracy"]
    assert scores["f1"] == total(evidence) == pytest.approx((1 + 0.8 + 0 + 0 + 1) / 5)
    assert scores["exact_match"] == pytest.approx(2 / 5) and scores["unanswered_accuracy"] == 0.5
    np.testing.assert_allclose(evidence.headline(np.array([[0, 2, 0, 0, 0], [1, 0, 1, 0, 0]])), [0.8, 0.5])
    found = judge.breakdown(said, gold)
    supports = {name: group["support"] for name, group in found["per_class"].items()}
    assert supports == {"answerable": 3, "1 word": 1, "2 to 3 words": 2, "unanswerable": 2}
    assert found["per_class"]["2 to 3 words"]["recall"] == 1
    assert found["confusion"]["counts"] == [[2, 1], [1, 1]]
    perfect = judge.perfect_predictions(gold)
    assert judge.score(perfect, gold) == {"f1": 1, "exact_match": 1, "unanswered_accuracy": 1}
    assert judge.breakdown(perfect[:2], gold[:2])["confusion"] is None
