"""Tag schemes: found, turned into IOB2 without losing a word's type, and read as seqeval's strict mode reads them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.scheme import IOB2, Tokens

from hfkit.data.text.tags import PREFIXES, count_orphans, entities, scheme_of, split_tag, to_iob2
from hfkit.errors import UserError

KINDS = ("PER", "LOC", "creative-work")
IOB_TAGS = ["O", *(f"{prefix}-{kind}" for prefix in "BI" for kind in KINDS)]

# A sentence as (type or None, number of words): two entities of one type may touch, which is where schemes differ.
CHUNKS = st.lists(st.tuples(st.sampled_from([*KINDS, None]), st.integers(1, 4)), max_size=8)


def written(chunks: list[tuple[str | None, int]], scheme: str) -> list[str]:
    """The same entities in one of the four schemes."""
    tags, before = [], None
    for kind, words in chunks:
        if kind is None:
            tags += ["O"] * words
        else:
            prefixes = ["B"] + ["I"] * (words - 1)
            if scheme == "IOB1" and before != kind:
                prefixes[0] = "I"
            if scheme in ("BIOES", "BILOU"):
                last, alone = ("E", "S") if scheme == "BIOES" else ("L", "U")
                prefixes = [alone] if words == 1 else [*prefixes[:-1], last]
            tags += [f"{prefix}-{kind}" for prefix in prefixes]
        before = kind
    return tags


@pytest.mark.parametrize("scheme", PREFIXES)
@given(chunks=CHUNKS)
@settings(deadline=None)
def test_every_scheme_becomes_the_same_iob2(scheme, chunks):
    assert to_iob2(written(chunks, scheme), scheme) == (written(chunks, "IOB2"), 0)


@pytest.mark.parametrize(
    ("sentences", "scheme"),
    [
        (["B-PER I-PER O", "B-LOC B-LOC"], "IOB2"),
        (["O O"], "IOB2"),
        (["B-PER O B-PER"], "IOB2"),  # one-word entities only: valid as three schemes, and IOB2 as it stands
        (["I-PER I-PER O", "I-LOC B-LOC I-LOC"], "IOB1"),
        (["I-PER O I-LOC"], "IOB1"),  # no B at all
        (["B-PER O", "O I-LOC"], "IOB2"),  # a B that separates nothing rules IOB1 out: the I- is an error
        (["S-PER O B-LOC E-LOC"], "BIOES"),
        (["O S-PER", "B-LOC I-LOC"], "BIOES"),
        (["U-PER O", "B-LOC I-LOC L-LOC"], "BILOU"),
    ],
)
def test_the_scheme_is_found_over_all_sentences(sentences, scheme):
    assert scheme_of(sentence.split() for sentence in sentences) == scheme


def test_two_schemes_in_one_dataset_are_refused():
    with pytest.raises(UserError, match=r"E, L, O.*BIOES, L and U to BILOU.*one scheme"):
        scheme_of([["B-PER", "E-PER", "O"], ["B-PER", "L-PER"]])


@pytest.mark.parametrize(
    ("scheme", "tags", "iob2", "invalid"),
    [
        ("IOB2", "O I-PER I-PER", "O B-PER I-PER", 1),
        ("IOB2", "B-PER I-LOC I-LOC", "B-PER B-LOC I-LOC", 1),
        ("IOB1", "I-PER I-LOC B-LOC", "B-PER B-LOC B-LOC", 0),
        ("BIOES", "B-PER O", "B-PER O", 1),  # never closed
        ("BIOES", "S-PER E-PER", "B-PER B-PER", 1),  # closed, then ended again
        ("BIOES", "B-PER I-PER", "B-PER I-PER", 1),  # open at the end of the sentence
        ("BILOU", "B-PER L-LOC", "B-PER B-LOC", 1),  # one mistake, counted once
        ("BILOU", "I-PER L-PER U-PER", "B-PER I-PER B-PER", 1),
    ],
)
def test_what_a_scheme_does_not_allow_is_repaired_and_counted(scheme, tags, iob2, invalid):
    assert to_iob2(tags.split(), scheme) == (iob2.split(), invalid)


@pytest.mark.parametrize("scheme", PREFIXES)
@given(data=st.data())
@settings(deadline=None)
def test_any_tags_become_valid_iob2_and_no_word_loses_its_type(scheme, data):
    prefixes = [f"{prefix}-{kind}" for prefix in PREFIXES[scheme] for kind in KINDS]
    tags = data.draw(st.lists(st.sampled_from(["O", *prefixes]), max_size=12))
    converted, invalid = to_iob2(tags, scheme)
    assert [split_tag(tag)[1] for tag in converted] == [split_tag(tag)[1] for tag in tags]
    assert count_orphans(converted) == 0
    assert to_iob2(converted, "IOB2") == (converted, 0)
    assert 0 <= invalid <= len(tags) + 1  # one more: the end of the sentence


@pytest.mark.parametrize("tag", ["", "o", "PER", "b-per", "B", "B-", "B_PER", "PER-B", "M-PER", "BI-PER", "B--PER"])
def test_other_ways_to_write_tags_are_refused(tag):
    with pytest.raises(ValueError, match="neither O nor a prefix of IOB1, IOB2, BIOES, BILOU"):
        split_tag(tag)


@given(tags=st.lists(st.sampled_from(IOB_TAGS), max_size=12))
@settings(max_examples=500, deadline=None)
def test_entities_are_those_of_seqeval_strict(tags):
    strict = [(entity.tag, entity.start, entity.end) for entity in Tokens(tags, IOB2).entities]
    assert entities(tags) == strict


def test_orphans_are_i_tags_that_continue_nothing():
    assert count_orphans("I-PER I-PER O B-LOC I-LOC I-PER O I-LOC".split()) == 3
    assert entities("I-PER I-PER O B-LOC I-LOC I-PER O I-LOC".split()) == [("LOC", 3, 5)]
