"""The bundled synthetic questions with options."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import DatasetDict


def sample_choices() -> "DatasetDict":
    """The bundled synthetic choices: `question`, `choices` (two to five texts) and `label`, the place of the right one.

    This project wrote them for trying out the kit (see README.md in this folder). A score on them says nothing about
    real text.
    """
    # Imported here: resolving a checkpoint should not wait for it.
    from datasets import Dataset, DatasetDict, Features, List, Value

    features = Features({"question": Value("string"), "choices": List(Value("string")), "label": Value("int32")})
    splits = {}
    for split in ("train", "validation", "test"):
        lines = (Path(__file__).parent / "choices" / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
        splits[split] = Dataset.from_list([json.loads(line) for line in lines], features=features, split=split)
    return DatasetDict(splits)
