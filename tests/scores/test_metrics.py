"""The judge: seqeval's strict IOB2 numbers, as plain floats, without a network, and additive over sentences."""

import math
import socket
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics import classification_report, f1_score
from seqeval.scheme import IOB2

from hfkit.scores.evidence import total
from hfkit.scores.metrics import EntityScore, entity_scores
from hfkit.tasks import NER

JUDGE = NER().judge

TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
PAIRS = st.lists(st.lists(st.tuples(*[st.sampled_from(TAGS)] * 2), min_size=1, max_size=8), min_size=1, max_size=8)


def sides(pairs: list[list[tuple[str, str]]]) -> tuple[list[list[str]], list[list[str]]]:
    """Predictions and references from sentences of (predicted, gold) pairs."""
    return [[ours for ours, _ in row] for row in pairs], [[gold for _, gold in row] for row in pairs]


@given(pairs=PAIRS)
@settings(max_examples=300, deadline=None)
def test_scores_tallies_and_seqeval_agree(pairs):
    predictions, references = sides(pairs)
    scores = JUDGE.score(predictions, references)
    evidence = JUDGE.evidence(predictions, references)
    assert evidence.tallies.shape == (len(pairs), 3)
    assert math.isclose(scores["f1"], total(evidence), abs_tol=1e-12)
    assert scores["lenient_f1"] == f1_score(references, predictions, zero_division=0)
    if evidence.tallies.sum() > 0:  # seqeval's report fails without any entity
        report = classification_report(
            references, predictions, mode="strict", scheme=IOB2, output_dict=True, zero_division=0
        )
        for kind, values in report.items():
            suffix = "" if kind == "micro avg" else f"_{kind}"
            if kind not in ("macro avg", "weighted avg"):
                for name, key in (("f1", "f1-score"), ("precision", "precision"), ("recall", "recall")):
                    assert scores[name + suffix] == values[key]
                if suffix:
                    assert scores[f"support{suffix}"] == values["support"]


@given(pairs=PAIRS)
@settings(max_examples=20, deadline=None)
def test_the_evaluate_metric_gives_the_same_scores(pairs):
    predictions, references = sides(pairs)
    assert EntityScore().compute(predictions=predictions, references=references) == entity_scores(
        predictions, references
    )


def test_the_evaluate_metric_takes_batches_and_needs_no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    metric = EntityScore()
    metric.add_batch(predictions=[["B-PER", "O"]], references=[["B-PER", "O"]])
    metric.add_batch(predictions=[["O"]], references=[["B-LOC"]])
    scores = metric.compute()
    assert (scores["precision"], scores["recall"], scores["recall_LOC"]) == (1.0, 0.5, 0.0)


def test_an_i_tag_that_starts_an_entity_counts_only_leniently():
    scores = JUDGE.score([["I-PER", "I-PER", "O"]], [["B-PER", "I-PER", "O"]])
    assert (scores["f1"], scores["lenient_f1"], scores["invalid_predictions"]) == (0.0, 1.0, 1.0)
    assert scores["accuracy"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("predictions", "references"),
    [
        ([], []),
        ([[]], [[]]),
        ([["O", "O"]], [["O", "O"]]),
        ([["O"], []], [["B-PER"], []]),
        ([["B-PER"]], [["O"]]),
        ([["B-PER", "I-PER"]], [["B-LOC", "I-LOC"]]),
    ],
)
def test_nothing_to_divide_by_is_zero_without_a_warning(predictions, references):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = JUDGE.score(predictions, references)
        evidence = JUDGE.evidence(predictions, references)
        assert evidence.headline(np.ones((1, evidence.rows)))[0] == scores["f1"] == 0.0
    assert {type(value) for value in scores.values()} == {float}


def test_every_score_is_a_plain_float():
    scores = JUDGE.score([["B-PER", "O", "B-LOC"]], [["B-PER", "O", "B-MISC"]])
    assert {type(value) for value in scores.values()} == {float}
    assert scores["support_MISC"] == 1.0 and scores["support_LOC"] == 0.0


def test_the_headline_works_on_many_resamples_at_once():
    evidence = JUDGE.evidence([["B-PER", "B-LOC"], ["O"]], [["B-PER", "B-PER"], ["O"]])
    assert evidence.headline(np.array([[1, 0], [0, 1], [3, 2]])).tolist() == [0.5, 0.0, 0.5]


@pytest.mark.parametrize(("predictions", "references"), [([["O"]], [["O", "O"]]), ([], [["O"]])])
def test_sides_of_different_length_are_an_error(predictions, references):
    with pytest.raises(ValueError, match="one tag per word"):
        JUDGE.score(predictions, references)
