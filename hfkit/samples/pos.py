"""The bundled synthetic corpus for part-of-speech tagging."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import DatasetDict


def sample_pos() -> "DatasetDict":
    """The bundled synthetic corpus of tagged sentences: `tokens` and `upos` (universal tags), both lists of strings.

    This project wrote it for trying out the kit (see README.md in this folder). A score on it says nothing about real
    text.
    """
    # Imported here: resolving a checkpoint should not wait for it.
    from datasets import Dataset, DatasetDict, Features, List, Value

    features = Features({"tokens": List(Value("string")), "upos": List(Value("string"))})
    splits = {}
    for split in ("train", "validation", "test"):
        lines = (Path(__file__).parent / "pos" / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
        splits[split] = Dataset.from_list([json.loads(line) for line in lines], features=features, split=split)
    return DatasetDict(splits)
