"""Running text to words and back: where each word stands in it, and entities as a program wants them."""

import re
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

from .tags import entities

# A mark at the edge of a word stands alone, one within it (U.S, don't, 3.5) does not, as in most corpora of entities.
WORD = re.compile(r"\w+(?:[^\w\s]+\w+)*|[^\w\s]")


def split_words(text: str) -> tuple[list[str], list[int]]:
    """The words and marks of a text, and the character that each begins at."""
    found = list(WORD.finditer(text))
    return [word.group() for word in found], [word.start() for word in found]


def told_entities(tags: list[str], row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The entities of a row as `label`, `text` and where that stands, `start` and `end` (characters, end excluded).

    Of a row of words, the text is the words with one space between them, and `tokens` says which words they are: the
    first, and the one behind the last.
    """
    words, text = row["tokens"], row.get("text")
    alone = text is None
    if alone:
        text, starts = " ".join(words), [0, *accumulate(len(word) + 1 for word in words)]
    else:
        starts = row["starts"]
    found = []
    for label, first, behind in entities(tags):
        start, end = starts[first], starts[behind - 1] + len(words[behind - 1])
        entity = {"label": label, "start": start, "end": end, "text": text[start:end]}
        found.append({**entity, "tokens": [first, behind]} if alone else entity)
    return found
