"""The bundled synthetic reports with their summaries."""

from typing import TYPE_CHECKING

from hfkit.samples.rows import read_rows

if TYPE_CHECKING:
    from datasets import DatasetDict


def sample_reports() -> "DatasetDict":
    """The bundled synthetic reports: `document` and `summary`, both strings.

    This project wrote them for trying out the kit (see README.md in this folder). A score on them says nothing about
    real text.
    """
    return read_rows("reports", {"document": "string", "summary": "string"})
