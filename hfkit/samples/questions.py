"""The bundled synthetic questions about passages."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import DatasetDict


def sample_questions() -> "DatasetDict":
    """The bundled synthetic questions: `question`, `context` and `answers` (`text` and `answer_start`, both lists).

    This project wrote them for trying out the kit (see README.md in this folder). A score on them says nothing about
    real text.
    """
    # Imported here: resolving a checkpoint should not wait for it.
    from datasets import Dataset, DatasetDict, Features, List, Value

    answers = {"text": List(Value("string")), "answer_start": List(Value("int32"))}
    features = Features({"question": Value("string"), "context": Value("string"), "answers": answers})
    splits = {}
    for split in ("train", "validation", "test"):
        lines = (Path(__file__).parent / "questions" / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [
            {
                "question": asked["question"],
                "context": passage["context"],
                "answers": {
                    "text": [text for text, _ in asked["answers"]],
                    "answer_start": [start for _, start in asked["answers"]],
                },
            }
            for passage in map(json.loads, lines)
            for asked in passage["qas"]
        ]
        splits[split] = Dataset.from_list(rows, features=features, split=split)
    return DatasetDict(splits)
