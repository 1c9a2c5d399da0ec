"""Rows as plain values, as JSON and workbooks give them, made into a table."""

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from datasets import Dataset, Features, Json

from hfkit.data.notes import tell

Record = dict[str, Any]


def make_table(records: Sequence[Record], columns: Sequence[str]) -> Dataset:
    """Records as a table; missing values are null, and values of mixed kinds stay as they are."""
    values = {name: [record.get(name) for record in records] for name in columns}
    try:
        return Dataset.from_dict(values)
    except (UnicodeEncodeError, pa.ArrowException, OverflowError):
        whole = {name: [replace_half_characters(value) for value in column] for name, column in values.items()}
        features = {name: Json() if is_mixed(column) else None for name, column in whole.items()}
        found = Dataset.from_dict({name: column for name, column in whole.items() if features[name] is None})
        return Dataset.from_dict(
            whole, features=Features({n: kind or found.features[n] for n, kind in features.items()})
        )


def is_mixed(column: list[Any]) -> bool:
    """True if no column of a table can hold all of these values."""
    try:
        pa.array(column)
    except (pa.ArrowException, OverflowError):
        return True
    return False


def replace_half_characters(value: Any) -> Any:
    """A JSON value with lone surrogates, which no file can hold, replaced by question marks."""
    text = json.dumps(value, ensure_ascii=False)
    whole = text.encode("utf-8", "replace")
    if b"?" in whole and text.encode("utf-8", "surrogatepass") != whole:
        tell("halves of characters, which JSON can write and no file can hold, are read as question marks")
    return json.loads(whole)
