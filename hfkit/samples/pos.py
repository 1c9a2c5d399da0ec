"""The bundled synthetic corpus for part-of-speech tagging."""

from typing import TYPE_CHECKING

from hfkit.samples.rows import read_rows

if TYPE_CHECKING:
    from datasets import DatasetDict


def sample_pos() -> "DatasetDict":
    """The bundled synthetic corpus of tagged sentences: `tokens` and `upos` (universal tags), both lists of strings.

    This project wrote it for trying out the kit (see README.md in this folder). A score on it says nothing about real
    text.
    """
    return read_rows("pos", {"tokens": ["string"], "upos": ["string"]})
