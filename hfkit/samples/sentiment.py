"""The bundled synthetic corpus for text classification."""

from typing import TYPE_CHECKING

from hfkit.samples.rows import read_rows

if TYPE_CHECKING:
    from datasets import DatasetDict


def sample_sentiment() -> "DatasetDict":
    """The bundled synthetic sentiment corpus: `text` and `label` ("negative" or "positive"), both strings.

    This project wrote it for trying out the kit (see README.md in this folder). A score on it says nothing about real
    text.
    """
    return read_rows("sentiment", {"text": "string", "label": "string"})
