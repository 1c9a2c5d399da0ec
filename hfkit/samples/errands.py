"""The bundled synthetic conversations for an assistant."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import DatasetDict


def sample_errands() -> "DatasetDict":
    """The bundled synthetic conversations: `messages`, each with a `role` and a `content`.

    This project wrote them for trying out the kit (see README.md in this folder). A score on them says nothing about
    real conversations.
    """
    # Imported here: resolving a checkpoint should not wait for it.
    from datasets import Dataset, DatasetDict, Features, List, Value

    features = Features({"messages": List({"role": Value("string"), "content": Value("string")})})
    splits = {}
    for split in ("train", "validation", "test"):
        lines = (Path(__file__).parent / "errands" / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
        splits[split] = Dataset.from_list([json.loads(line) for line in lines], features=features, split=split)
    return DatasetDict(splits)
