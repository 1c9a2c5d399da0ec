"""What the short way to tokens promises: the same columns as the tokenizer's own call."""

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from hfkit.data.text.token_columns import encode_texts, lists
from tests.tiny.families import FAMILIES

TEXTS = [family for family in FAMILIES if family.modality == "text"]
LINES = ["anna saw snow in paris .", "a </s> [SEP] <s> b", "", "Ünïcode \u200b tree \n", "snow " * 30]


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("family", TEXTS, ids=[family.name for family in TEXTS])
def test_the_backend_alone_gives_what_a_call_gives(family, split):
    processor = family.processor()
    processor.split_special_tokens = split
    for texts in ([LINES], [LINES, LINES[::-1]]):
        expected = processor(*texts, verbose=False)
        processor(LINES, truncation=True, max_length=4)  # settings of an earlier call are not kept
        assert encode_texts(texts, processor) == {name: expected[name] for name in processor.model_input_names}


def test_a_tokenizer_with_a_way_of_its_own_is_called():
    class Marking(PreTrainedTokenizerFast):
        def _encode_plus(self, text, **kwargs):
            return super()._encode_plus([f"snow {line}" for line in text], **kwargs)

    processor = Marking(tokenizer_object=TEXTS[0].processor().backend_tokenizer)
    assert encode_texts([LINES], processor)["input_ids"] == processor(LINES)["input_ids"]


def test_lists_are_a_column():
    rows = [[1, 2], [], [3], np.array([4, 5])]
    column = lists(rows)
    assert column.to_pylist() == [[1, 2], [], [3], [4, 5]] and str(column.type.value_type) == "int32"
    assert lists([]).to_pylist() == []
