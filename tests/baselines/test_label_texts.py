"""Labels in words: names spelt out, a mapping of one's own, and no two labels of one text."""

import pytest

from hfkit.baselines.prompting.label_texts import label_texts, read_label_texts, verbalise
from hfkit.errors import UserError


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("lost_card", "lost card"),
        ("Refund_not_showing_up", "Refund not showing up"),
        ("reverted_card_payment?", "reverted card payment?"),
        ("cardNumber", "card number"),
        ("NewYork", "New York"),
        ("ATMFee", "ATM Fee"),
        ("covid Test", "covid Test"),
        ("rec.sport.baseball", "rec sport baseball"),
        ("sci-fi", "sci-fi"),
        ("1.5", "1.5"),
        ("Öl_und_Gas", "Öl und Gas"),
    ],
)
def test_names_are_spelt_out(label, expected):
    assert verbalise(label) == expected


def test_own_texts_come_before_names():
    assert label_texts(["a_b", "c"], read_label_texts('{"c": "a dog"}')) == ["a b", "a dog"]
    assert label_texts(["a_b"], read_label_texts(None)) == ["a b"]


@pytest.mark.parametrize(
    ("labels", "own", "rule"),
    [
        (["a_b", "a b"], {}, "'a_b' and 'a b'.*both are called 'a b'"),
        (["Yes", "yes"], {}, "both are called"),
        (["a", "b"], {"b": "A"}, "both are called"),
        (["a", "_"], {}, "nothing is left"),
        (["a", "b"], {"b": " "}, "nothing is left"),
        (["anger", "joy"], {"angr": "furious"}, "Did you mean 'anger'"),
    ],
)
def test_texts_that_tell_no_labels_apart_are_refused(labels, own, rule):
    with pytest.raises(UserError, match=rule):
        label_texts(labels, own)


@pytest.mark.parametrize("given", ["{", '["a"]', '{"a": 1}', ""])
def test_what_is_no_mapping_is_refused(given):
    with pytest.raises(UserError, match="label_texts=.*Write --label_texts"):
        read_label_texts(given)
