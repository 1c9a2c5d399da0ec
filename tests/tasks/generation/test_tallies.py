"""BLEU and chrF from summed counts are those of sacrebleu, for all rows and for any rows drawn."""

import numpy as np
import pytest

from hfkit.scores.evidence import total
from hfkit.tasks.generation.judges import TranslationJudge
from hfkit.tasks.generation.tallies import bleu_of, chrf_of, tally_bleu, tally_chrf

sacrebleu = pytest.importorskip("sacrebleu")

WORDS = "the a cat dog sat ran on mat, house. Straße 猫 1,000 don't (well) big".split()


def texts(rows: int, seed: int, longest: int = 14) -> list[str]:
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(WORDS, draw.integers(0, longest))) for _ in range(rows)]


def near(gold: list[str], seed: int) -> list[str]:
    """Texts that share most words with others."""
    draw = np.random.default_rng(seed)
    return [" ".join(word for word in text.split() if draw.random() < 0.8) for text in gold]


def theirs(predictions: list[str], references: list[list[str]]) -> tuple[float, float]:
    most = max(map(len, references))
    streams = [[gold[place] if place < len(gold) else None for gold in references] for place in range(most)]
    bleu, chrf = sacrebleu.metrics.BLEU(), sacrebleu.metrics.CHRF()
    return bleu.corpus_score(predictions, streams).score, chrf.corpus_score(predictions, streams).score


@pytest.mark.parametrize("several", [False, True])
def test_they_equal_sacrebleu(several):
    for seed in range(6):
        gold = [[text or "a"] for text in texts(25, seed)]
        if several:
            gold = [[*one, *extra] for one, extra in zip(gold, ([text] * (seed % 3) for text in texts(25, 90 + seed)))]  # noqa: B905
        ours = near([one[0] for one in gold], seed)
        score = TranslationJudge().score(ours, gold)
        assert (score["bleu"], score["chrf"]) == pytest.approx(theirs(ours, gold), abs=1e-9)


@pytest.mark.parametrize(
    ("ours", "gold"),
    [
        (["", ""], ["the cat", "a dog"]),  # nothing was written
        (["the cat"], ["the cat"]),  # too short for four words in a row
        (["the the the the the"], ["the cat sat on"]),
        (["big big house here now"], ["the cat sat on it"]),
        (["the cat sat on the mat"], ["the cat sat on the mat"]),
        (["x y z"], ["the cat sat on the mat"]),
    ],
)
def test_also_at_the_ends_of_the_scale(ours, gold):
    gold = [[text] for text in gold]
    score = TranslationJudge().score(ours, gold)
    assert (score["bleu"], score["chrf"]) == pytest.approx(theirs(ours, gold), abs=1e-9)


def test_a_draw_of_rows_has_the_score_of_those_rows():
    gold = [[text or "a"] for text in texts(30, 1)]
    ours = near([one[0] for one in gold], 2)
    judge, draw = TranslationJudge(), np.random.default_rng(0).integers(0, 30, 30)
    evidence, weights = judge.evidence(ours, gold), np.bincount(draw, minlength=30)[None]
    drawn = [ours[row] for row in draw], [gold[row] for row in draw]
    assert evidence.headline(weights)[0] == pytest.approx(theirs(*drawn)[0], abs=1e-9)
    assert total(evidence) == pytest.approx(judge.score(ours, gold)["bleu"], abs=1e-12)
    assert evidence.ends == (0.0, 100.0) and evidence.hits() is None


def test_formulas_take_many_sums_at_once():
    gold = [[text or "a"] for text in texts(8, 3)]
    ours = near([one[0] for one in gold], 3)
    for tallies, formula in (
        (tally_bleu(ours, gold, TranslationJudge()._metrics[0].tokenizer), bleu_of),
        (tally_chrf(ours, gold), chrf_of),
    ):
        together = formula(np.stack([tallies.sum(0), tallies[:4].sum(0)]))
        assert together.tolist() == [float(formula(tallies.sum(0))), float(formula(tallies[:4].sum(0)))]


def test_the_signatures_are_those_of_sacrebleu():
    found = TranslationJudge("intl").facts([["one"], ["two"]])
    bleu = sacrebleu.metrics.BLEU(tokenize="intl")
    bleu.corpus_score(["one"], [["one"]])
    assert found["bleu_signature"] == str(bleu.get_signature())
    assert "nrefs:1|" in found["chrf_signature"] and "tok:intl" in found["bleu_signature"]
    assert "nrefs:var" in TranslationJudge().facts([["one"], ["two", "three"]])["bleu_signature"]
