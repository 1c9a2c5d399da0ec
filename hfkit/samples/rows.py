"""The rows of a bundled sample, from its folder."""

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import DatasetDict


def read_rows(
    folder: str, columns: Mapping[str, Any], spread: Callable[[dict], Iterable[dict]] = lambda line: [line]
) -> "DatasetDict":
    """The splits of a sample: `train.jsonl`, `validation.jsonl` and `test.jsonl` in a folder beside this file.

    Args:
        columns: the type of each: "string", "int32", a list of one of them for lists, or a mapping of further ones.
        spread: the rows of a line, if it is not one row.
    """
    # Imported here: resolving a checkpoint should not wait for it.
    from datasets import Dataset, DatasetDict, Features

    features = Features({name: to_feature(kind) for name, kind in columns.items()})
    splits = {}
    for split in ("train", "validation", "test"):
        lines = (Path(__file__).parent / folder / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [row for line in lines for row in spread(json.loads(line))]
        splits[split] = Dataset.from_list(rows, features=features, split=split)
    return DatasetDict(splits)


def to_feature(kind: Any) -> Any:
    """The feature of `datasets` for a type as `read_rows` takes it."""
    from datasets import List, Value

    if isinstance(kind, str):
        return Value(kind)
    if isinstance(kind, list):
        return List(to_feature(kind[0]))
    return {name: to_feature(inner) for name, inner in kind.items()}
