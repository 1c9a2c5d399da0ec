"""The judge of likelihoods: bits per byte of UTF-8, and perplexities, from sums over rows."""

import math

import pytest

from hfkit.scores.evidence import total
from hfkit.tasks.language.judges import LikelihoodJudge

GOLD = ["aé b", "word by word"]  # 5 and 12 bytes, 2 and 3 words


def answer(nats, tokens, written=None):
    return {"nats": nats, "tokens": tokens, "answer": written}


def test_scores_are_of_all_rows_together():
    found = LikelihoodJudge().score([answer(3.0, 4), answer(8.0, 6)], GOLD)
    assert found["bits_per_byte"] == pytest.approx(11 / math.log(2) / 17)
    assert found["word_perplexity"] == pytest.approx(math.exp(11 / 5))
    assert found["token_perplexity"] == pytest.approx(math.exp(11 / 10))


def test_evidence_is_the_headline_and_fewer_bits_are_better():
    judge, answers = LikelihoodJudge(), [answer(3.0, 4), answer(8.0, 6)]
    assert total(judge.evidence(answers, GOLD)) == judge.score(answers, GOLD)["bits_per_byte"]
    assert judge.headline.better == "lower"
    assert judge.score(judge.perfect_predictions(GOLD), GOLD)["bits_per_byte"] == 0


def test_the_most_surprised_model_has_a_finite_perplexity():
    assert math.isfinite(LikelihoodJudge().score([answer(1e6, 10), answer(1e6, 10)], GOLD)["word_perplexity"])


def test_written_answers_are_compared_with_the_last_gold_one():
    gold = [["no.", "yes."], ["four"], ["a long answer"]]
    answers = [answer(1, 1, " yes.\n"), answer(1, 1, "five"), answer(1, 1)]
    assert LikelihoodJudge(exact=True).score(answers, gold)["exact_match"] == 0.5
    assert "exact_match" not in LikelihoodJudge().score(answers, gold)
