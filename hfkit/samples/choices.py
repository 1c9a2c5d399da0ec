"""The bundled synthetic questions with options."""

from typing import TYPE_CHECKING

from hfkit.samples.rows import read_rows

if TYPE_CHECKING:
    from datasets import DatasetDict


def sample_choices() -> "DatasetDict":
    """The bundled synthetic choices: `question`, `choices` (two to five texts) and `label`, the place of the right one.

    This project wrote them for trying out the kit (see README.md in this folder). A score on them says nothing about
    real text.
    """
    return read_rows("choices", {"question": "string", "choices": ["string"], "label": "int32"})
