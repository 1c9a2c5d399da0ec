"""Words hidden in training: how many, in spans of which lengths, whole, and of each row by itself."""

import numpy as np
import pytest
import torch
from datasets import Dataset

from hfkit.contract.target import Labels
from hfkit.data.text.hiding import SPAN, WORD_STARTS, Hiding
from hfkit.errors import UserError
from hfkit.tasks import NER, TextClassification
from tests.tiny import text as tiny

LABELS = Labels(("a", "b"), "single_label_classification")


def spans_of(hidden: np.ndarray) -> list[int]:
    """The lengths of the runs of hidden words."""
    return [len(run) for run in "".join(map(str, hidden.astype(int))).split("0") if run]


@pytest.mark.parametrize("share", [0.15, 0.4])
def test_spans_hold_the_share_and_are_as_long_as_those_of_a_geometric_distribution(share):
    drawn = [Hiding(spans=share).draw(400, 0, 0, row) for row in range(300)]
    assert np.mean(drawn) == pytest.approx(share, abs=0.01)
    assert np.mean([hidden[0] for hidden in drawn]) == pytest.approx(share, abs=0.08)  # the first word like any other
    lengths = np.array([length for hidden in drawn for length in spans_of(hidden[1:-1])])
    assert lengths.mean() == pytest.approx(SPAN, rel=0.05)
    for longest in (1, 2, 5):  # P(length <= n) = 1 - (1 - 1 / mean) ** n
        assert np.mean(lengths <= longest) == pytest.approx(1 - (1 - 1 / SPAN) ** longest, abs=0.02)


def test_words_hidden_one_by_one_hold_the_share_and_do_not_depend_on_each_other():
    drawn = np.array([Hiding(words=0.3).draw(100, 0, 0, row) for row in range(200)])
    assert drawn.mean() == pytest.approx(0.3, abs=0.02)
    assert (drawn[:, 1:] & drawn[:, :-1]).mean() == pytest.approx(0.09, abs=0.01)


def test_a_word_is_drawn_by_seed_epoch_row_and_place_alone():
    hiding = Hiding(words=0.3, spans=0.3)
    whole = hiding.draw(60, 3, 1, 7)
    assert np.array_equal(hiding.draw(25, 3, 1, 7), whole[:25])
    assert not any(np.array_equal(hiding.draw(60, *key), whole) for key in ((4, 1, 7), (3, 2, 7), (3, 1, 8)))


@pytest.mark.parametrize("flags", [dict(word_dropout=0.5), dict(span_masking=0.5)])
def test_words_of_texts_and_pairs_are_hidden_whole_and_only_in_training(flags, checkpoint):
    codec = TextClassification(**flags).codec(checkpoint, LABELS)
    rows = Dataset.from_dict(
        {
            "text": ["anna painted the sea; xyz!"] * 40 + ["boris left " * 60],
            "text_pair": ["the rain in lima"] * 41,
            "label": ["a"] * 41,
        }
    )
    encoded = codec.encode(rows, split="train", answers=True)
    assert WORD_STARTS not in codec.encode(rows, split="validation", answers=True).column_names
    assert list(encoded["truncated"]) == [False] * 40 + [True]
    # [CLS] anna painted the sea ; x ##y ##z ! [SEP] the rain in lima [SEP]
    assert encoded[0][WORD_STARTS] == [0, 1, 1, 1, 1, 1, 1, 0, 0, 1, 0, 1, 1, 1, 1, 0]
    plain, varied = codec.collate(encoded.to_list()), codec.vary(0)(encoded.to_list())
    assert plain.keys() == varied.keys() == {*codec.processor.model_input_names, "labels"}
    changed = varied["input_ids"] != plain["input_ids"]
    special = torch.isin(plain["input_ids"], torch.tensor(codec.processor.all_special_ids))
    assert (varied["input_ids"][changed] == codec.processor.mask_token_id).all() and not changed[special].any()
    pieces = changed[:40, 6:9]
    assert (pieces.all(1) | ~pieces.any(1)).all() and 5 < pieces.all(1).sum() < 35
    assert 0.4 < changed.sum() / (~special).sum() < 0.6
    assert all(torch.equal(varied[name], plain[name]) for name in plain if name != "input_ids")
    # However rows are batched.
    alone = codec.vary(0)([encoded[40]])["input_ids"][0]
    assert torch.equal(alone, varied["input_ids"][40][: len(alone)])


def test_a_word_in_two_windows_is_hidden_in_both_or_in_neither(checkpoint):
    codec = NER(span_masking=0.4, max_length=12, stride=6).codec(checkpoint, Labels(("O", "B-PER")))
    tokens = ["anna", "saw", "rain", "in", "oslo", "and", "boris", "met", "the", "sea", "."] * 3
    rows = Dataset.from_dict({"tokens": [tokens], "tags": [["O"] * len(tokens)]})
    encoded = codec.encode(rows, split="train", answers=True)
    whole = codec.hiding.draw(len(tokens), 0, 0, 0)
    batch = codec.vary(0)(encoded.to_list())
    answered = batch["labels"] != -100
    hidden = batch["input_ids"][answered] == codec.processor.mask_token_id
    words = [word for row in encoded["words"] for word in row]
    assert len(encoded) > 3 and hidden.tolist() == whole[words].tolist() and 0 < whole.sum() < len(tokens)


@pytest.mark.parametrize(("flags", "named"), [(dict(word_dropout=0.1), "word"), (dict(span_masking=0.1), "span")])
def test_a_tokenizer_without_a_mask_needs_a_token_for_unknown_words(flags, named, tmp_path):
    tiny.unigram().save_pretrained(tmp_path / "unigram")
    (tmp_path / "unigram" / "config.json").write_text('{"model_type": "t5", "vocab_size": 200}')
    codec = TextClassification(**flags).codec(str(tmp_path / "unigram"), LABELS)
    assert codec.vary(0).stand_in == codec.processor.unk_token_id
    for task in (TextClassification, NER):
        with pytest.raises(UserError, match=f"{named}.*=0.1: words are hidden behind a mask token, or one for unknown"):
            task(**flags).codec(tiny.gpt2(tmp_path / "gpt2"), LABELS)


def test_spans_leave_a_word_between_them():
    with pytest.raises(UserError, match="span_masking=0.8: it must be 0 or more and at most 0.75"):
        TextClassification(span_masking=0.8)
    hidden = Hiding(spans=0.75).draw(3000, 0, 0, 0)
    assert hidden.mean() == pytest.approx(0.75, abs=0.03)
