"""Records of JSON files as plain values, and the columns of a dataset made from records."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from datasets import Dataset, Features, Json, List, Value, concatenate_datasets

from hfkit.data.encodings import find_encoding
from hfkit.errors import DataError

JSON_SUFFIXES = (".json", ".jsonl", ".ndjson", ".jsonlines")

SPANS = List({"start": Value("int64"), "end": Value("int64"), "label": Value("string"), "text": Value("string")})


def first_records(path: Path, head: bytes) -> list[Any]:
    """The values of a JSON list, or of JSON lines, that stand whole in the head of a file; [] if it is neither."""
    if not is_json(path):
        return []
    text, found, decoder = decode_head(head).lstrip(), [], json.JSONDecoder()
    place = 1 if text.startswith("[") else 0
    while True:
        while place < len(text) and text[place] in " \t\r\n,":
            place += 1
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):  # the head ends within a value, or it is no JSON
            break
        found.append(value)
    # JSON lines may be lists too: ["text", {"entities": []}] on each line is no list of records.
    if text.startswith("[") and found and isinstance(found[0], str):
        return [value for value in map(read_whole, text.splitlines()) if value is not None]
    return found


def is_json(path: Path) -> bool:
    return path.suffix.lower() in JSON_SUFFIXES


def decode_head(head: bytes) -> str:
    """The text of the first bytes of a file; a character that they cut is left out."""
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    return head.decode(encoding, errors="ignore")


def read_whole(line: str) -> Any:
    """The value of one line of JSON; None if it is broken, as the last line of a head is."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def read_records(split: str, paths: Iterable[Path]) -> Iterator[Any]:
    """Every record of some JSON files: the items of a list, the lines of JSON lines, or the only object.

    Raises:
        DataError: a file is no JSON, by its line.
    """
    for path in paths:
        text = read_text(path)
        try:
            whole = json.loads(text)
        except (ValueError, RecursionError):
            yield from read_lines(split, path, text)
        else:
            yield from whole if isinstance(whole, list) and not is_pair(whole) else [whole]


def is_pair(value: Any) -> bool:
    """Whether a list is one text with its annotations, as in spaCy's training data, and no list of records."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], dict)


def read_lines(split: str, path: Path, text: str) -> Iterator[Any]:
    # splitlines() would also split at the line separators that JSON allows within a string.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DataError(
                    f"{path.name}, line {number}",
                    f"it is no JSON ({error})",
                    "Mend the line, or export the file again",
                    split=split,
                ) from error


def read_text(path: Path) -> str:
    """The text of a file, in the encoding that it has.

    Raises:
        UserError: no encoding reads it, or several may be meant.
    """
    return path.read_bytes().decode(find_encoding(path))


def dataset_of(rows: list[Mapping[str, Any]], features: Mapping[str, Any] | None = None) -> Dataset:
    """A dataset of rows whose keys may differ: what a row lacks is null, and columns of mixed types are JSON.

    Args:
        features: of some of the columns.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    known = Features(features or {}).arrow_schema
    plain, mixed = {}, {}
    for name in names:
        values = [row.get(name) for row in rows]
        column = make_array(values, known.field(name).type if name in known.names else None)
        if column is None:
            mixed[name] = values
        else:
            plain[name] = column
    # Not `Dataset.from_dict` for all of them, which looks at every value of every row.
    parts = [Dataset(pa.table(plain))] if plain else []
    if mixed:
        parts.append(Dataset.from_dict(mixed, features=Features({name: Json() for name in mixed})))
    return concatenate_datasets(parts, axis=1).select_columns(names) if parts else Dataset.from_dict({})


def make_array(values: list[Any], kind: pa.DataType | None) -> pa.Array | None:
    """The values as a column, nulls alone as texts; None if they are of several types."""
    try:
        column = pa.array(values, kind)
    except UnicodeEncodeError:  # half a character, as JSON may write it and no file can hold it
        return make_array(json.loads(json.dumps(values, ensure_ascii=False).encode("utf-8", "replace")), kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return None
    return column.cast(pa.string()) if pa.types.is_null(column.type) else column


def gather_answers(rows: list[dict[str, Any]], annotator: str, task: str) -> list[dict[str, Any]]:
    """One row for each task; where several people answered one, every row has `annotations` instead of its answer.

    Labels that are lists become plain where no row has several.

    Args:
        annotator, task: the columns that tell people and tasks apart.
    """
    of_task: dict[Any, list[dict[str, Any]]] = {}
    for number, row in enumerate(rows):
        of_task.setdefault(number if row.get(task) is None else (row[task],), []).append(row)
    if all(len({row.get(annotator) for row in same}) == 1 for same in of_task.values()):
        return simplify_labels(rows)
    found = []
    for same in of_task.values():
        # A person who answers twice has had second thoughts.
        answers = {row.get(annotator): row for row in same}
        shared = {name: value for name, value in same[0].items() if name not in (annotator, "spans", "label")}
        found.append(shared | {"annotations": [take_answer(row, person) for person, row in answers.items()]})
    return found


def take_answer(row: Mapping[str, Any], annotator: Any) -> dict[str, Any]:
    return {"annotator": str(annotator)} | {name: row[name] for name in ("spans", "label") if name in row}


def simplify_labels(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with a plain label where no text of the file has several, and with spans only where some text has any.

    An empty list says "no spans" in a file of spans, and "no label" in a file of labels.
    """
    spans = any("spans" in row for row in rows)
    single = all(len(row["label"]) < 2 for row in rows if isinstance(row.get("label"), list))
    for row in rows:
        if spans and row.get("label") == []:
            row["spans"] = row.pop("label")
        elif single and isinstance(row.get("label"), list):
            row["label"] = row["label"][0] if row["label"] else None
    return rows
