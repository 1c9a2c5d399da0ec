"""Words to tokens and back: long documents in overlapping windows, every word labelled exactly once."""

from itertools import groupby

from datasets import Dataset
from transformers import PreTrainedTokenizerFast


def glues_words(tokenizer: PreTrainedTokenizerFast) -> bool:
    """True where words given one by one lose the space between them, as byte-level BPE does unless told otherwise."""
    apart = tokenizer(["a", "b"], is_split_into_words=True, add_special_tokens=False)["input_ids"]
    return apart != tokenizer("a b", add_special_tokens=False)["input_ids"]


def windows(
    batch: dict[str, list],
    rows: list[int],
    processor: PreTrainedTokenizerFast,
    ids: dict[str, int],
    longest: int,
    stride: int,
) -> dict[str, list]:
    """A batch of `tokens` and `tags` as windows of at most `longest` tokens; `NER.prepare` says what they carry."""
    encoded = processor(
        batch["tokens"],
        is_split_into_words=True,
        truncation=True,
        max_length=longest,
        stride=stride,
        return_overflowing_tokens=True,
    )
    inputs = {name: encoded[name] for name in processor.model_input_names}
    columns = {"labels": [], "row": [], "words": [], "gold": []}
    sources = encoded["overflow_to_sample_mapping"]
    documents = [list(members) for _, members in groupby(range(len(sources)), key=sources.__getitem__)]
    for row, tags, document in zip(rows, batch["tags"], documents, strict=True):
        chosen = first_tokens([encoded.word_ids(window) for window in document], stride)
        for window, places in zip(document, chosen, strict=True):
            if not encoded["input_ids"][window]:
                # Without special tokens, words that have no token leave nothing, and no model reads an empty window.
                for name, value in (("input_ids", processor.pad_token_id), ("attention_mask", 1)):
                    inputs[name][window] = [value]
            labels = [-100] * len(inputs["input_ids"][window])
            for place, word in places:
                labels[place] = ids[tags[word]]
            columns["labels"].append(labels)
            columns["row"].append(row)
            columns["words"].append([word for _, word in places])
            columns["gold"].append(tags if window == document[0] else [])
    return inputs | columns


def first_tokens(word_ids: list[list[int | None]], stride: int) -> list[list[tuple[int, int]]]:
    """For each window of one document, the places of the words it answers for: (token position, word), in order.

    A word is answered for by its first token, in one window only. Where windows overlap it is the one that shows more
    on the side where it shows less: a word at an edge would be judged with half of its context hidden.

    Args:
        word_ids: the word of every token of every window, None for special tokens.
        stride: tokens that a window shares with the one before it.
    """
    if len(word_ids) == 1:  # most documents: nothing overlaps, so nothing is weighed
        (words,) = word_ids
        pairs = enumerate(zip([None, *words], words, strict=False))
        return [[(place, word) for place, (before, word) in pairs if word is not None and word != before]]
    best: dict[int, tuple[int, int, int]] = {}  # word -> (tokens on its poorer side, window, position)
    before = None  # the word of the token just before the window: its first token is not in this window
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
    """Which windows open a row."""
    rows = list(prepared["row"])
    return [row != before for before, row in zip([None, *rows], rows, strict=False)]


def window_facts(prepared: Dataset) -> dict[str, int]:
    """How many windows a split became, how many rows were cut, and how many words have no token at all."""
    firsts = first_windows(prepared)
    cut = {row for row, first in zip(prepared["row"], firsts, strict=True) if not first}
    words = sum(map(len, prepared["gold"]))
    return {
        "windows": len(firsts),
        "rows_in_several_windows": len(cut),
        "words_without_tokens": words - sum(map(len, prepared["words"])),
    }
