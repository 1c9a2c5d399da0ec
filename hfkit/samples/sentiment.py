"""The bundled synthetic corpus for text classification."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import DatasetDict


def sample_sentiment() -> "DatasetDict":
    """The bundled synthetic sentiment corpus: `text` and `label` ("negative" or "positive"), both strings.

    This project wrote it for trying out the kit (see README.md in this folder). A score on it says nothing about real
    text.
    """
    # Imported here: resolving a checkpoint should not wait for it.
    from datasets import Dataset, DatasetDict, Features, Value

    features = Features({"text": Value("string"), "label": Value("string")})
    splits = {}
    for split in ("train", "validation", "test"):
        lines = (Path(__file__).parent / "sentiment" / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
        splits[split] = Dataset.from_list([json.loads(line) for line in lines], features=features, split=split)
    return DatasetDict(splits)
