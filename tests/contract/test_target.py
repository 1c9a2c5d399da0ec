"""A target makes a head's configuration, and is read back from that of a saved model."""

import pytest
from transformers import AutoConfig, BertConfig

from hfkit.contract.target import Labels, Nothing, names_of


@pytest.mark.parametrize(
    "target",
    [
        Labels(("O", "B-PER", "I-PER")),
        Labels(("a", "b", "c"), "multi_label_classification"),
        Labels(("score",), "regression"),
        Labels(("1 to 5",), "regression"),
        Labels(("only",)),
    ],
)
def test_labels_are_read_back_from_a_saved_model(target, tmp_path):
    BertConfig(**target.to_config()).save_pretrained(tmp_path)
    config = AutoConfig.from_pretrained(tmp_path)
    assert Labels.from_config(config) == target
    assert names_of(target) == list(target.names) == [config.id2label[i] for i in range(config.num_labels)]


def test_a_head_without_labels_adds_nothing_to_a_configuration():
    assert Nothing().to_config() == {} and names_of(Nothing()) == []
    assert Nothing.from_config(BertConfig()) == Nothing()
