"""The bundled synthetic reports with their summaries."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import DatasetDict


def sample_reports() -> "DatasetDict":
    """The the bundled synthetic reports: `document` and `summary`, both strings.

    This project wrote them for trying out the kit (see README.md in this folder). A score on them says nothing about
    real text.
    """
    # Imported here: resolving a checkpoint should not wait for it.
    from datasets import Dataset, DatasetDict, Features, Value

    features = Features({"document": Value("string"), "summary": Value("string")})
    splits = {}
    for split in ("train", "validation", "test"):
        lines = (Path(__file__).parent / "reports" / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
        splits[split] = Dataset.from_list([json.loads(line) for line in lines], features=features, split=split)
    return DatasetDict(splits)
