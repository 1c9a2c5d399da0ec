"""The bundled synthetic questions about passages."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from hfkit.samples.rows import read_rows

if TYPE_CHECKING:
    from datasets import DatasetDict

COLUMNS = {
    "question": "string",
    "context": "string",
    "answers": {"text": ["string"], "answer_start": ["int32"]},
}


def sample_questions() -> "DatasetDict":
    """The bundled synthetic questions: `question`, `context` and `answers` (`text` and `answer_start`, both lists).

    This project wrote them for trying out the kit (see README.md in this folder). A score on them says nothing about
    real text.
    """
    return read_rows("questions", COLUMNS, list_questions)


def list_questions(passage: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A row for each question about a passage."""
    for asked in passage["qas"]:
        texts, starts = [text for text, _ in asked["answers"]], [start for _, start in asked["answers"]]
        answers = {"text": texts, "answer_start": starts}
        yield {"question": asked["question"], "context": passage["context"], "answers": answers}
