"""Running text to words with their positions, and tagged words to records for programs."""

from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Any

from datasets import Dataset, Features, List, Value

from hfkit.data.bad_rows import Fault
from hfkit.data.text.tags import entities
from hfkit.data.text.texts import text_fault
from hfkit.data.text.words import Level, split_words
from hfkit.tasks.tagging.sentences import word_fault


def read_rows_to_predict(values: Iterable[Any], column: str, level: Level = "words") -> tuple[Dataset, list[Fault]]:
    """Rows of `tokens`, with `text` and the `starts` of its words for a text; and a fault for each row that is neither.

    Args:
        values: a text or a list of words for each row, as they came.
        level: how texts are split into words.
    """
    words, texts, starts, faults = [], [], [], []
    for row, value in enumerate(values):
        written = isinstance(value, str)
        if fault := (text_fault if written else word_fault)(row, column, value):
            faults.append(fault)
            value, written = [], False
        tokens, begins = split_words(value, level) if written else (value, None)
        words.append(tokens)
        texts.append(value if written else None)
        starts.append(begins)
    features = {"tokens": List(Value("string")), "text": Value("string"), "starts": List(Value("int32"))}
    columns = {"tokens": words, "text": texts, "starts": starts}
    return Dataset.from_dict(columns, features=Features(features)), faults


def entity_records(tags: list[str], row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entities of a row as `label`, `text`, `start` and `end` (characters, end excluded).

    The text of a row of words has one space between them; `tokens` then holds the first word of the entity, and the
    word after its last.
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
    """The words of a row, each with its `tag`, and its `start` and `end` in the text (characters, end excluded)."""
    words, (_, starts) = row["tokens"], text_and_starts(row)
    pairs = zip(words, tags, starts, strict=False)
    return [{"word": word, "tag": tag, "start": start, "end": start + len(word)} for word, tag, start in pairs]


def text_and_starts(row: Mapping[str, Any]) -> tuple[str, list[int]]:
    """A row's text, and the character at which each word begins; words without a text are joined by spaces."""
    if row.get("text") is not None:
        return row["text"], row["starts"]
    words = row["tokens"]
    return " ".join(words), [0, *accumulate(len(word) + 1 for word in words)]
