"""Running text to words and back: where each word stands in it, and entities as a program wants them."""

import re
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any

from datasets import Dataset, Features, List, Value

from hfkit.data.bad_rows import Fault
from hfkit.data.text.tags import entities
from hfkit.data.text.texts import text_fault
from hfkit.tasks.tagging.sentences import word_fault

# A mark at the edge of a word stands alone, one within it (U.S, don't, 3.5) does not, as in most corpora of entities.
WORD = re.compile(r"\w+(?:[^\w\s]+\w+)*|[^\w\s]")


def split_words(text: str) -> tuple[list[str], list[int]]:
    """The words and marks of a text, and the character that each begins at."""
    found = list(WORD.finditer(text))
    return [word.group() for word in found], [word.start() for word in found]


def read_rows_to_predict(values: Iterable[Any], column: str) -> tuple[Dataset, list[Fault]]:
    """Rows of `tokens`, of a text also `text` and where its words `starts`; and a fault for each row that is neither.

    Args:
        values: a text or a list of words for each row, as they came.
    """
    words, texts, starts, faults = [], [], [], []
    for row, value in enumerate(values):
        written = isinstance(value, str)
        if fault := (text_fault if written else word_fault)(row, column, value):
            faults.append(fault)
            value, written = [], False
        tokens, begins = split_words(value) if written else (value, None)
        words.append(tokens)
        texts.append(value if written else None)
        starts.append(begins)
    features = {"tokens": List(Value("string")), "text": Value("string"), "starts": List(Value("int32"))}
    columns = {"tokens": words, "text": texts, "starts": starts}
    return Dataset.from_dict(columns, features=Features(features)), faults


def entity_records(tags: list[str], row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entities of a row as `label`, `text` and where that stands, `start` and `end` (characters, end excluded).

    Of a row of words, the text is the words with one space between them, and `tokens` says which words they are: the
    first, and the one behind the last.
    """
    words, (text, starts) = row["tokens"], text_and_starts(row)
    alone = row.get("text") is None
    found = []
    for label, first, behind in entities(tags):
        start, end = starts[first], starts[behind - 1] + len(words[behind - 1])
        entity = {"label": label, "start": start, "end": end, "text": text[start:end]}
        found.append({**entity, "tokens": [first, behind]} if alone else entity)
    return found


def tag_records(tags: list[str], row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The words of a row, each with its `tag`, and where it stands in the text, `start` and `end` (characters)."""
    words, (_, starts) = row["tokens"], text_and_starts(row)
    pairs = zip(words, tags, starts, strict=False)
    return [{"word": word, "tag": tag, "start": start, "end": start + len(word)} for word, tag, start in pairs]


def text_and_starts(row: Mapping[str, Any]) -> tuple[str, list[int]]:
    """A row's text and the character that each word begins at; of words alone, one space apart."""
    if row.get("text") is not None:
        return row["text"], row["starts"]
    words = row["tokens"]
    return " ".join(words), [0, *accumulate(len(word) + 1 for word in words)]
