"""Scores per entity type agree with the judge, and the errors shown are varied, few of a kind, and always the same."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfkit.scores.metrics import entity_scores
from hfkit.tasks.tagging.errors import ALIKE, CONTEXT, KINDS, entity_breakdown, entity_mistakes, spans

TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-e-mail", "I-e-mail"]


def entity_errors(*answers, **options) -> list[dict]:
    """The mistakes as a report has them."""
    return [mistake.to_json() for mistake in entity_mistakes(*answers, **options)]


PAIRS = st.lists(
    st.lists(st.tuples(st.sampled_from(TAGS), st.sampled_from(TAGS)), min_size=1, max_size=12), min_size=1, max_size=6
)


@settings(max_examples=150, deadline=None)
@given(PAIRS)
def test_scores_per_type_are_those_of_the_judge(rows):
    predictions, references = ([[pair[side] for pair in row] for row in rows] for side in (0, 1))
    scores, ours = entity_scores(predictions, references), entity_breakdown(predictions, references)["per_class"]
    for label, found in ours.items():
        for key in ("f1", "precision", "recall", "support"):
            assert found[key] == pytest.approx(scores[f"{key}_{label}"])


@settings(max_examples=150, deadline=None)
@given(PAIRS)
def test_every_entity_is_counted_once_in_the_confusions(rows):
    predictions, references = ([[pair[side] for pair in row] for row in rows] for side in (0, 1))
    confusion = entity_breakdown(predictions, references)["confusion"]
    gold = Counter(span.label for tags in references for span in spans(tags))
    given = Counter(span.label for tags in predictions for span in spans(tags))
    assert confusion["gold"][-1] == "spurious" and confusion["predicted"][-1] == "missed"
    for name, row in zip(confusion["gold"][:-1], confusion["counts"], strict=False):
        assert sum(row) == gold[name]
    for name, column in zip(confusion["predicted"][:-1], zip(*confusion["counts"], strict=True), strict=False):
        assert sum(column) == given[name]
    assert confusion["counts"][-1][-1] == 0


@pytest.mark.parametrize(
    ("gold", "ours", "kind", "why"),
    [
        ("O B-PER I-PER O", "O B-LOC I-LOC O", "type", "PER taken for LOC"),
        ("O B-PER I-PER O", "O B-PER O O", "boundary", "PER with wrong ends"),
        ("O B-PER I-PER O", "O O B-LOC O", "type and boundary", "PER taken for LOC, with wrong ends"),
        ("O B-PER I-PER O", "O O O O", "missed", "PER missed"),
        ("O O O O", "O B-LOC O O", "spurious", "LOC seen where there is no entity"),
    ],
)
def test_an_error_is_called_by_its_name(gold, ours, kind, why):
    (error,) = entity_errors([ours.split()], [gold.split()], [["one", "two", "three", "four"]])
    assert (error["kind"], error["why"], error["row"]) == (kind, why, 0)
    assert error["tokens"] == ["one", "two", "three", "four"] and (error["offset"], error["words"]) == (0, 4)


def test_spans_are_paired_by_their_largest_overlap():
    gold, ours = "B-PER I-PER I-PER B-LOC".split(), "B-LOC B-PER I-PER B-LOC".split()
    counts = entity_breakdown([ours], [gold])["confusion"]
    assert counts == {
        "gold": ["LOC", "PER", "spurious"],
        "predicted": ["LOC", "PER", "missed"],
        "counts": [[1, 0, 0], [0, 1, 0], [1, 0, 0]],
    }


def many() -> tuple[list, list, list]:
    """400 sentences with errors of every kind between three types; every fifth nearly repeats another."""
    draw = random.Random(0)
    predictions, references, tokens = [], [], []
    for row in range(400):
        gold, ours = (["O"] * 8 for _ in range(2))
        label, other = draw.sample(["PER", "LOC", "ORG"], 2)
        gold[2:4] = [f"B-{label}", f"I-{label}"]
        kind = draw.choice(KINDS)
        ours[2:4] = gold[2:4]
        if kind == "type":
            ours[2:4] = [f"B-{other}", f"I-{other}"]
        elif kind == "boundary":
            ours[3] = "O"
        elif kind == "type and boundary":
            ours[2:4] = [f"B-{other}", "O"]
        elif kind == "missed":
            ours[2:4] = ["O", "O"]
        else:
            ours[6] = f"B-{other}"
        words = [f"word{draw.randrange(5000)}" for _ in range(8)]
        tokens.append([*tokens[-1][:7], "again"] if row % 5 == 4 else words)
        predictions.append(ours)
        references.append(gold)
    return predictions, references, tokens


def test_the_errors_shown_are_varied_and_few_of_a_kind():
    predictions, references, tokens = many()
    errors = entity_errors(predictions, references, tokens, 20)
    assert len(errors) == 20
    assert {error["kind"] for error in errors} == set(KINDS)
    assert [KINDS.index(error["kind"]) for error in errors] == sorted(KINDS.index(error["kind"]) for error in errors)
    assert max(Counter(error["why"] for error in errors).values()) <= 2
    assert len({error["why"] for error in errors if error["kind"] == "type"}) >= 4
    for i, one in enumerate(errors):
        for other in errors[:i]:
            a, b = set(tokens[one["row"]]), set(tokens[other["row"]])
            assert len(a & b) < ALIKE * len(a | b)


def test_the_errors_shown_are_the_same_every_time():
    assert entity_errors(*many(), 20) == entity_errors(*many(), 20)
    assert entity_errors(*many(), 3) != [] and len(entity_errors(*many(), 3)) == 3


def test_a_sentence_without_another_error_is_the_clearer_example():
    gold = ["B-PER", "O", "B-PER", "O"]
    messy, clear = ["O", "O", "B-LOC", "B-LOC"], ["B-PER", "O", "B-LOC", "O"]
    errors = entity_errors([messy, clear], [gold, gold], [list("abcd"), list("efgh")])
    assert [error["row"] for error in errors if error["why"] == "PER taken for LOC"] == [1]


def test_a_long_sentence_is_cut_around_the_error():
    words = [str(i) for i in range(200)]
    gold, ours = (["O"] * 200 for _ in range(2))
    gold[100:102], gold[150], ours[84] = ["B-PER", "I-PER"], "B-LOC", "B-LOC"
    gold[84:87] = ["B-LOC", "I-LOC", "I-LOC"]
    ours[84:87] = gold[84:87]
    ours[150] = gold[150]
    (error,) = entity_errors([ours], [gold], [words])
    assert (error["offset"], error["words"]) == (100 - CONTEXT, 200)
    assert error["tokens"] == words[100 - CONTEXT : 102 + CONTEXT]
    # The entity at 84 to 86 begins before the cut and is shown from there.
    assert error["gold"] == [{"start": 0, "end": 2, "label": "LOC"}, {"start": 15, "end": 17, "label": "PER"}]
    assert error["predicted"] == error["gold"][:1]


def test_nothing_wrong_is_nothing_to_show():
    tags = [["B-PER", "O"]]
    assert entity_errors(tags, tags, [["a", "b"]]) == []
    assert entity_breakdown([["O"]], [["O"]])["per_class"] == {}
