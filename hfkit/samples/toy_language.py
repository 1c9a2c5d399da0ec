"""The bundled sentences in English and in a made-up language."""

from typing import TYPE_CHECKING

from hfkit.samples.rows import read_rows

if TYPE_CHECKING:
    from datasets import DatasetDict


def sample_toy_language() -> "DatasetDict":
    """The bundled sentences in English (`source`) and in a made-up language (`target`).

    This project wrote them for trying out the kit (see README.md in this folder). A score on them says nothing about
    real text.
    """
    return read_rows("toy_language", {"source": "string", "target": "string"})
