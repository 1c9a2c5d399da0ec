"""Tokens from the tokenizer's backend to columns of a table, without a loop over them in Python."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import pyarrow as pa
from transformers import PreTrainedTokenizerBase as Tokenizer
from transformers import PreTrainedTokenizerFast

# Inputs of a model -> their names in the backend's encodings.
BACKEND_NAMES = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}


def encode_texts(texts: list[list[str]], processor: Tokenizer) -> dict[str, list[list[int]]]:
    """The model's inputs for every row, neither cut off nor padded; the same as from the tokenizer's own call.

    That call takes twice as long, because it also finds the place of every token in the text.

    Args:
        texts: one column of texts, or two of pairs.
    """
    names = processor.model_input_names
    if not (is_plain(processor) and set(names) <= set(BACKEND_NAMES)):
        inputs = processor(*texts, verbose=False)
        return {name: inputs[name] for name in names}
    backend = processor.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = processor.split_special_tokens
    encodings = backend.encode_batch_fast(list(zip(*texts, strict=True)) if len(texts) > 1 else texts[0])
    return {name: [getattr(encoding, BACKEND_NAMES[name]) for encoding in encodings] for name in names}


def mark_word_starts(texts: list[list[str]], processor: Tokenizer, longest: int) -> list[list[int]]:
    """1 for every token of a row that begins a word of the tokenizer's, 0 for all others, cut off as the tokens are.

    Args:
        texts: as for `encode_texts`.
    """
    encodings = processor(*texts, truncation=True, max_length=longest).encodings
    found = []
    for encoding in encodings:
        # Words are counted from 0 again in the second text of a pair.
        words = list(zip(encoding.sequence_ids, encoding.word_ids, strict=True))
        pairs = zip([(None, None), *words], words, strict=False)
        found.append([int(word[1] is not None and word != before) for before, word in pairs])
    return found


def is_plain(processor: Tokenizer) -> bool:
    """True if a call of the tokenizer only asks the backend."""
    return processor.is_fast and type(processor)._encode_plus is PreTrainedTokenizerFast._encode_plus


def lists(rows: Sequence[Sequence[int]]) -> pa.ListArray:
    """A column of lists of whole numbers, int32."""
    lengths = np.fromiter(map(len, rows), np.int32, len(rows))
    return lists_of(np.fromiter(chain.from_iterable(rows), np.int32, int(lengths.sum())), lengths)


def lists_of(values: np.ndarray, lengths: np.ndarray) -> pa.ListArray:
    """A column of lists that follow one another in `values`."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.astype(np.int32)))
