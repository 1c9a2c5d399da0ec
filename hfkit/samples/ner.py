"""The bundled synthetic corpus for named entities."""

from typing import TYPE_CHECKING

from hfkit.samples.rows import read_rows

if TYPE_CHECKING:
    from datasets import DatasetDict


def sample_ner() -> "DatasetDict":
    """The bundled synthetic NER corpus: `tokens` and IOB2 `tags` (PER, LOC, ORG, MISC), both lists of strings.

    This project wrote it for trying out the kit (see README.md in this folder). A score on it says nothing about real
    text.
    """
    return read_rows("ner", {"tokens": ["string"], "tags": ["string"]})
