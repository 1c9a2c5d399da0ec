"""Judges of tags: strict entities, or tags word by word."""

import pytest
from sklearn.metrics import f1_score

from hfkit.scores.evidence import total
from hfkit.tasks.tagging.judges import EntityJudge, TagJudge

GOLD = [["DET", "NOUN", "VERB"], ["NOUN", "VERB"], []]
OURS = [["DET", "NOUN", "NOUN"], ["NOUN", "VERB"], []]


def test_accuracy_of_tags_is_over_words():
    scores = TagJudge().score(OURS, GOLD)
    flat = [[tag for tags in side for tag in tags] for side in (GOLD, OURS)]
    assert next(iter(scores)) == TagJudge.headline.key == "accuracy" and scores["accuracy"] == 4 / 5
    assert scores["macro_f1"] == pytest.approx(f1_score(*flat, average="macro"))
    assert scores["whole_sentences"] == 2 / 3


@pytest.mark.parametrize(("judge", "gold"), [(TagJudge(), GOLD), (EntityJudge(), [["B-PER", "I-PER"], ["O", "B-LOC"]])])
def test_the_headline_is_that_of_the_evidence_and_gold_answers_are_perfect(judge, gold):
    perfect = judge.perfect_predictions(gold)
    assert judge.score(perfect, gold)[judge.headline.key] == total(judge.evidence(perfect, gold)) == 1.0
    wrong = [["I-X"] * len(tags) for tags in gold]
    assert judge.score(wrong, gold)[judge.headline.key] == total(judge.evidence(wrong, gold)) == 0.0


def test_no_word_at_all_is_scored_without_an_error():
    assert TagJudge().score([[]], [[]]) == {"accuracy": 0.0, "macro_f1": 0.0, "whole_sentences": 1.0}


def test_the_breakdown_counts_words():
    found = TagJudge().breakdown(OURS, GOLD)
    assert found["per_class"]["VERB"] == {"precision": 1.0, "recall": 0.5, "f1": 2 / 3, "support": 2}
    assert found["confusion"]["counts"] == [[1, 0, 0], [0, 2, 0], [0, 1, 1]]


def test_tags_that_continue_nothing_are_counted_among_entities():
    scores = EntityJudge().score([["O", "I-PER", "B-LOC"]], [["O", "O", "B-LOC"]])
    assert (scores["f1"], scores["invalid_predictions"]) == (1.0, 1.0)
