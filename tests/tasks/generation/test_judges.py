"""ROUGE is that of rouge-score, in English and in other scripts, and agrees with its evidence."""

import numpy as np
import pytest

from hfkit.data.notes import collect_notes
from hfkit.errors import UserError
from hfkit.scores.evidence import total
from hfkit.tasks.generation.judges import SummaryJudge, TranslationJudge

pytest.importorskip("rouge_score")
from rouge_score import rouge_scorer, scoring  # noqa: E402

OURS = ["the cats were sitting on the mat", "", "the price rose", "nothing of it"]
GOLD = [["the cat sat on the mat"], ["rain fell"], ["prices rose by ten percent", "the price rose"], ["all else"]]


@pytest.mark.parametrize("stemmer", [False, True])
def test_it_is_the_mean_of_rouge_score(stemmer):
    keys = ["rouge1", "rouge2", "rougeL"]
    scorer = rouge_scorer.RougeScorer(keys, use_stemmer=stemmer)
    rows, theirs = [scorer.score_multi(gold, ours) for gold, ours in zip(GOLD, OURS, strict=True)], {}
    score = SummaryJudge(stemmer=stemmer).score(OURS, GOLD)
    for key in keys:
        # Resampled with one row each time, its aggregator returns the rows themselves: their mean is ours.
        theirs[key] = np.mean([row[key].fmeasure for row in rows])
        assert score[key] == pytest.approx(theirs[key], abs=1e-12)
    assert score["empty"] == 0.25 and next(iter(score)) == "rougeL"
    aggregator = scoring.BootstrapAggregator(n_samples=2)
    for _ in range(3):  # three equal rows have no spread
        aggregator.add_scores(rows[0])
    middle = aggregator.aggregate()["rougeL"].mid.fmeasure
    assert SummaryJudge(stemmer=stemmer).score(OURS[:1] * 3, GOLD[:1] * 3)["rougeL"] == pytest.approx(middle, abs=1e-4)


def test_evidence_and_score_agree_and_a_perfect_answer_has_the_best_score():
    judge = SummaryJudge()
    assert total(judge.evidence(OURS, GOLD)) == pytest.approx(judge.score(OURS, GOLD)["rougeL"], abs=1e-12)
    perfect = judge.perfect_predictions(GOLD)
    assert judge.score(perfect, GOLD) == {"rougeL": 1, "rouge1": 1, "rouge2": pytest.approx(1), "empty": 0}
    assert TranslationJudge().score(perfect[:1], GOLD[:1])["bleu"] == pytest.approx(100)


def test_words_of_other_scripts_count_only_where_that_is_asked():
    ours, gold = ["Кот сидел"], [["Кот сидел"]]
    assert SummaryJudge().score(ours, gold)["rougeL"] == 0
    assert SummaryJudge(words="any").score(ours, gold)["rougeL"] == 1
    assert SummaryJudge(words="any").score(["猫坐下"], [["猫坐着"]])["rouge1"] == pytest.approx(2 / 3)
    with collect_notes(aloud=False) as notes:
        SummaryJudge().facts(gold)
        SummaryJudge(words="any").facts(gold)
        SummaryJudge().facts([["A café in Zürich is open."]])
    assert len(notes) == 1 and "100% of the letters" in notes[0] and "--rouge_words any" in notes[0]
    with pytest.raises(UserError, match="English words alone"):
        SummaryJudge(stemmer=True, words="any")
