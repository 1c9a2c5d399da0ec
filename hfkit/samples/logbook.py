"""The bundled synthetic documents for language modelling."""

from typing import TYPE_CHECKING

from hfkit.samples.rows import read_rows

if TYPE_CHECKING:
    from datasets import DatasetDict


def sample_logbook() -> "DatasetDict":
    """The bundled synthetic logbook: `text`, each an entry of a few sentences.

    This project wrote it for trying out the kit (see README.md in this folder). A score on it says nothing about real
    text.
    """
    return read_rows("logbook", {"text": "string"})
