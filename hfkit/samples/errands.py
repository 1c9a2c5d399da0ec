"""The bundled synthetic conversations for an assistant."""

from typing import TYPE_CHECKING

from hfkit.samples.rows import read_rows

if TYPE_CHECKING:
    from datasets import DatasetDict


def sample_errands() -> "DatasetDict":
    """The bundled synthetic conversations: `messages`, each with a `role` and a `content`.

    This project wrote them for trying out the kit (see README.md in this folder). A score on them says nothing about
    real conversations.
    """
    return read_rows("errands", {"messages": [{"role": "string", "content": "string"}]})
