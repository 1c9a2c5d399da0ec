"""The bundled sentences in English and in a made-up language."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import DatasetDict


def sample_toy_language() -> "DatasetDict":
    """The bundled sentences in English (`source`) and in a made-up language (`target`).

    This project wrote them for trying out the kit (see README.md in this folder). A score on them says nothing about
    real text.
    """
    # Imported here: resolving a checkpoint should not wait for it.
    from datasets import Dataset, DatasetDict, Features, Value

    features = Features({"source": Value("string"), "target": Value("string")})
    splits = {}
    for split in ("train", "validation", "test"):
        lines = (Path(__file__).parent / "toy_language" / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
        splits[split] = Dataset.from_list([json.loads(line) for line in lines], features=features, split=split)
    return DatasetDict(splits)
