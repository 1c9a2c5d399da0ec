"""What a task gives and takes besides rows and arrays."""

from pathlib import Path
from typing import Any, NamedTuple

from datasets import DatasetDict


class Prompt(NamedTuple):
    """What a language model is asked of one row, before it is laid out as plain text or as the turns of a chat."""

    instruction: str  # the same for every row
    shots: tuple[tuple[str, str], ...]  # queries with their answers; the last one stands beside the query
    query: str
    cue: str = "Answer:"  # what the answer stands behind in plain text
    options: tuple[str, ...] = ()  # answers to choose from, in the order of the labels; empty: any text


class Found(NamedTuple):
    """The rows of a dataset as they came, and which of their columns a task reads."""

    raw: DatasetDict
    columns: dict[str, str]  # what the task calls it -> what the dataset does
    roots: tuple[Path, ...] = ()  # folders that files may lie in which the rows name


class Tokens(NamedTuple):
    """Rows as a tokenizer writes them, whole, and what a model reads of them at once."""

    ids: list[list[int]]  # special tokens included
    limit: int  # tokens
    windowed: bool  # what is beyond the limit is read in further windows, else cut off


class Parsed(NamedTuple):
    """What a completion says."""

    prediction: Any  # as `score` takes it; a wrong one where nothing could be read
    readable: bool
