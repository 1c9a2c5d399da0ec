"""Words to tokens and back: long documents in overlapping windows, with every word labelled exactly once."""

from itertools import chain

import numpy as np
import pyarrow as pa
from datasets import Dataset
from transformers import PreTrainedTokenizerFast

from hfkit.data.text.token_columns import lists, lists_of


def glues_words(tokenizer: PreTrainedTokenizerFast) -> bool:
    """True if separate words lose the space between them, as in byte-level BPE by default."""
    separate = tokenizer(["a", "b"], is_split_into_words=True, add_special_tokens=False)["input_ids"]
    return separate != tokenizer("a b", add_special_tokens=False)["input_ids"]


def windows(
    batch: dict[str, list],
    rows: list[int],
    processor: PreTrainedTokenizerFast,
    ids: dict[str, int] | None,
    longest: int,
    stride: int,
) -> pa.Table:
    """A batch of `tokens` (and `tags`) as windows of at most `longest` tokens (see `WordTagger.encode`).

    Args:
        ids: those of the tags; None if rows have no tags.
    """
    encoded = processor(
        batch["tokens"],
        is_split_into_words=True,
        truncation=True,
        max_length=longest,
        stride=stride,
        return_overflowing_tokens=True,
    )
    inputs = {name: encoded[name] for name in processor.model_input_names}
    word_ids = [window.word_ids for window in encoded.encodings]
    for window in (number for number, tokens in enumerate(word_ids) if not tokens):
        # Without special tokens, words without tokens leave an empty window, which no model can read.
        for name, value in (("input_ids", processor.pad_token_id), ("attention_mask", 1)):
            inputs[name][window] = [value]
        word_ids[window] = [None]
    source = np.array(encoded["overflow_to_sample_mapping"])  # (windows,): number in the batch
    lengths = np.fromiter(map(len, word_ids), np.int64, len(word_ids))
    word = np.array(list(chain.from_iterable(word_ids)), dtype=float)  # (tokens of all windows,), nan for special ones
    answers = mark_answers(word, source, lengths, word_ids, stride)
    words, window_of = word[answers].astype(int), np.repeat(np.arange(len(lengths)), lengths)[answers]
    firsts = np.diff(source, prepend=-1) > 0
    in_row = np.array([len(row) for row in batch["tokens"]])
    columns = {
        "row": pa.array(np.array(rows)[source], pa.int32()),
        "words": lists_of(words, np.bincount(window_of, minlength=len(lengths))),
        "words_in_row": pa.array(np.where(firsts, in_row[source], 0), pa.int32()),
    }
    if ids is None:
        columns["word_starts"] = lists_of(answers.astype(np.int64), lengths)
    else:
        tags = np.fromiter((ids[tag] for tag in chain.from_iterable(batch["tags"])), np.int64)
        begin = np.cumsum([0, *map(len, batch["tags"])])
        labels = np.full(len(word), -100)
        labels[answers] = tags[begin[source[window_of]] + words]
        columns["labels"] = lists_of(labels, lengths)
    return pa.table({name: lists(values) for name, values in inputs.items()} | columns)


def mark_answers(
    word: np.ndarray, source: np.ndarray, lengths: np.ndarray, word_ids: list[list[int | None]], stride: int
) -> np.ndarray:
    """A mask over the tokens of all windows, (tokens,): True where a word is answered for (see `first_tokens`)."""
    ends = np.cumsum(lengths)
    window = np.repeat(np.arange(len(lengths)), lengths)
    places = np.flatnonzero(~np.isnan(word))
    begins = (np.diff(word[places], prepend=-1) != 0) | (np.diff(window[places], prepend=-1) != 0)
    answers = np.zeros(len(word), dtype=bool)
    answers[places[begins]] = True
    # In a document of several windows, some words are in two of them.
    for document in np.flatnonzero(np.bincount(source) > 1):
        members = np.flatnonzero(source == document)
        answers[ends[members[0]] - lengths[members[0]] : ends[members[-1]]] = False
        for member, chosen in zip(members, first_tokens([word_ids[i] for i in members], stride), strict=True):
            answers[[ends[member] - lengths[member] + place for place, _ in chosen]] = True
    return answers


def first_tokens(word_ids: list[list[int | None]], stride: int) -> list[list[tuple[int, int]]]:
    """The words that each window of one document answers for: (token position, word), in order.

    A word is answered for at its first token, in one window only. If windows overlap, it is the window with more
    context on the word's poorer side: at an edge, half of the context would be hidden.

    Args:
        word_ids: the word of every token of every window, None for special tokens.
        stride: tokens that a window shares with the one before it.
    """
    if len(word_ids) == 1:  # most documents: nothing overlaps
        (words,) = word_ids
        pairs = enumerate(zip([None, *words], words, strict=False))
        return [[(place, word) for place, (before, word) in pairs if word is not None and word != before]]
    best: dict[int, tuple[int, int, int]] = {}  # word -> (tokens on its poorer side, window, position)
    before = None  # the word of the token before the window: its first token is not in this window
    for window, words in enumerate(word_ids):
        positions = [position for position, word in enumerate(words) if word is not None]
        for place, position in enumerate(positions):
            word = words[position]
            context = min(place, len(positions) - 1 - place)
            if word != before and (word not in best or context > best[word][0]):
                best[word] = (context, window, position)
            before = word
        if window + 1 < len(word_ids):
            before = words[positions[-stride - 1]]
    chosen = [[] for _ in word_ids]
    for word, (_, window, position) in sorted(best.items()):
        chosen[window].append((position, word))
    return chosen


def first_windows(prepared: Dataset) -> list[bool]:
    """True for each window that is the first of its row."""
    rows = prepared["row"][:]
    return [row != before for before, row in zip([None, *rows], rows, strict=False)]


def window_facts(prepared: Dataset) -> dict[str, int]:
    """The numbers of windows of a split, of rows in several windows, and of words without any token."""
    firsts = first_windows(prepared)
    cut = {row for row, first in zip(prepared["row"][:], firsts, strict=True) if not first}
    words = sum(prepared["words_in_row"][:])
    return {
        "windows": len(firsts),
        "rows_in_several_windows": len(cut),
        "words_without_tokens": words - sum(map(len, prepared["words"][:])),
    }
