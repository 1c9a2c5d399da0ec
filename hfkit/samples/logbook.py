"""The bundled synthetic documents for language modelling."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import DatasetDict


def sample_logbook() -> "DatasetDict":
    """The bundled synthetic logbook: `text`, each an entry of a few sentences.

    This project wrote it for trying out the kit (see README.md in this folder). A score on it says nothing about real
    text.
    """
    # Imported here: resolving a checkpoint should not wait for it.
    from datasets import Dataset, DatasetDict, Features, Value

    splits = {}
    for split in ("train", "validation", "test"):
        lines = (Path(__file__).parent / "logbook" / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        splits[split] = Dataset.from_list(rows, features=Features({"text": Value("string")}), split=split)
    return DatasetDict(splits)
