"""Findings are ranked by their likelihood; what nobody knows is in no score."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from hfkit.errors import UserError
from hfkit.scores.evidence import total
from hfkit.scores.statistics import bootstrap_interval
from hfkit.tasks.findings.judge import FindingsJudge

SEVERAL, ONE = FindingsJudge(several=True), FindingsJudge(several=False)


def draw(rows: int = 80) -> tuple[list[dict], list[list[str]], np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    gold = (random.random((rows, 2)) < (0.4, 0.2)).astype(int)
    likely = np.clip(gold * 0.3 + random.random((rows, 2)) * 0.7, 0, 1)
    gold[random.random((rows, 2)) < 0.2] = -1
    names = ("Edema", "Mass")
    predictions = [dict(zip(names, row, strict=True)) for row in likely.tolist()]
    states = {1: "{}", -1: "{}?"}
    references = [
        [states[s].format(n) for n, s in zip(names, row, strict=True) if s in states] for row in gold.tolist()
    ]
    return predictions, references, likely, gold


def test_scores_are_those_of_the_rows_that_are_known():
    predictions, references, likely, gold = draw()
    scores = SEVERAL.score(predictions, references)
    pairs = [(gold[gold[:, i] >= 0, i], likely[gold[:, i] >= 0, i]) for i in (0, 1)]
    assert scores["auroc"] == pytest.approx(np.mean([roc_auc_score(*pair) for pair in pairs]))
    assert scores["auprc"] == pytest.approx(np.mean([average_precision_score(*pair) for pair in pairs]))
    balanced = [((ours > 0.5)[truth == 1].mean() + (ours <= 0.5)[truth == 0].mean()) / 2 for truth, ours in pairs]
    assert scores["balanced_accuracy"] == pytest.approx(np.mean(balanced))
    assert scores["auroc"] == total(SEVERAL.evidence(predictions, references))
    # Whatever is said where nothing is known.
    turned = [
        {name: 1 - value if f"{name}?" in answer else value for name, value in said.items()}
        for said, answer in zip(predictions, references, strict=True)
    ]
    assert SEVERAL.score(turned, references) == scores
    assert SEVERAL.breakdown(turned, references) == SEVERAL.breakdown(predictions, references)


def test_units_of_an_interval_are_patients():
    predictions, references, *_ = draw()
    evidence = SEVERAL.evidence(predictions, references)
    units = np.arange(len(references)) // 4
    assert total(evidence.by_unit(units)) == pytest.approx(total(evidence))
    interval = bootstrap_interval(evidence.by_unit(units), seed=0)
    assert interval.low < total(evidence) < interval.high


def test_a_finding_that_all_rows_have_is_left_out_and_said():
    predictions, references, *_ = draw()
    everywhere = [[*answer, "Tube"] for answer in references]
    more = [{**said, "Tube": 0.3} for said in predictions]
    assert SEVERAL.score(more, everywhere)["auroc"] == SEVERAL.score(predictions, references)["auroc"]
    note = SEVERAL.breakdown(more, everywhere)["note"]
    assert "Left out, because all rows of test have them or none: Tube." in note
    assert note.startswith("A row may have several classes. AUROC of each finding: Edema ")


def test_without_anything_to_rank_it_is_chance():
    same = [{"Mass": 0.2}] * 3
    scores = SEVERAL.score(same, [[]] * 3)
    assert scores == {
        "auroc": 0.5, "auprc": 0.0, "sensitivity_at_90_specificity": 0.0, "balanced_accuracy": 0.5
    }  # fmt: skip


def test_the_class_that_nothing_was_found_is_no_finding():
    gold = ["normal", "tumour", "scar", "normal", "tumour", "scar"]
    said = [{"normal": 0.5, "scar": 0.1 * i, "tumour": 0.5 - 0.1 * i} for i in range(6)]
    table = ONE.tabulate(said, gold)
    assert table.names == ["scar", "tumour"]
    assert FindingsJudge(several=False, no_finding="scar").tabulate(said, gold).names == ["normal", "tumour"]
    two = [{"a": 0.7, "b": 0.3}, {"a": 0.2, "b": 0.8}]
    assert ONE.tabulate(two, ["a", "b"]).names == ["a", "b"]  # neither is called so: both count
    assert ONE.score(ONE.perfect_predictions(gold), gold)["auroc"] == 1
    assert ONE.score(two, ["a", "b"])["balanced_accuracy"] == 1


def test_labels_are_no_likelihoods():
    with pytest.raises(UserError, match="a likelihood for every finding"):
        SEVERAL.score([["Mass"]], [["Mass"]])
