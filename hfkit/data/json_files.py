"""Rows from JSON: one object a line, one list, or one object that holds the rows in a way that tools write.

Lines in UTF-8 go through the builder of `datasets`, whose memory does not grow with the file. What it refuses, and all
that is one value, is read here, where errors know their line.
"""

import json
import logging
from collections.abc import Iterator
from json import JSONDecodeError
from pathlib import Path
from typing import Any

from datasets import Dataset, load_dataset
from datasets.exceptions import DatasetsError

from hfkit.data.encodings import find_encoding, tell_encoding
from hfkit.data.notes import tell
from hfkit.data.places import plain_path
from hfkit.data.records import Record, make_table
from hfkit.data.split_names import split_of
from hfkit.errors import DataError, first_line
from hfkit.progress import progress

LINES = (".jsonl", ".ndjson")
UTF8 = ("utf-8", "utf-8-sig")


def read_json(split: str, paths: list[Path], encoding: str | None = None, key: str | None = None) -> Dataset:
    """The rows of JSON files, in the columns that any of them has; a key that a row lacks is null.

    Args:
        encoding: what the files are in; None finds it.
        key: where the rows are, in files that are one object with several splits (see `split_names`).

    Raises:
        UserError: a file cannot be read in its encoding, or several may be meant.
        DataError: a line or the whole is no JSON, or no rows.
    """
    codecs = {path: find_encoding(path, encoding) for path in paths}
    for path, codec in codecs.items():
        tell_encoding(path, codec)
    with progress(f"Reading {split}"):
        if key is None and all(codec in UTF8 and has_lines(path, codec) for path, codec in codecs.items()):
            rows = read_plain_lines(split, paths)
            if rows is not None:
                return rows
        records = [record for path, codec in codecs.items() for record in iterate_json(split, path, codec, key)]
    if not records:
        names = ", ".join(path.name for path in paths)
        raise DataError(names, "it holds no rows", "Give every split some rows", split=split)
    return make_table(records, list(dict.fromkeys(name for record in records for name in record)))


def read_plain_lines(split: str, paths: list[Path]) -> Dataset | None:
    """The rows of files with one object a line; None where the builder fails, or would change texts."""
    files = {split: list(map(plain_path, paths))}
    log = logging.getLogger("datasets.packaged_modules.json.json")
    before, log.disabled = log.disabled, True  # what it cannot read is no error yet
    try:
        rows = load_dataset("json", data_files=files, split=split, parse_agent_traces=False)
    # The reader raises StopIteration on an empty file.
    except (OSError, ValueError, RuntimeError, StopIteration, DatasetsError):
        return None
    finally:
        log.disabled = before
    # Texts that are all dates would become times.
    return None if "timestamp" in str(rows.features) else rows


def split_names(path: Path, encoding: str | None = None) -> list[str]:
    """The keys of a file that is one object with the rows of each split; none for any other file.

    Raises:
        UserError: the file cannot be read in its encoding.
    """
    codec = find_encoding(path, encoding)
    if first_character(path, codec) != "{" or has_lines(path, codec):
        return []
    try:
        whole = json.loads(path.read_text(encoding=codec))
    except (ValueError, RecursionError):
        return []
    return names_of_splits(whole)


def names_of_splits(whole: Any) -> list[str]:
    """The keys of an object that hold rows, if all of them are names of splits."""
    names = [name for name, value in whole.items() if are_rows(value)] if isinstance(whole, dict) else []
    return names if all(map(split_of, names)) else []


# Where the rows are


def has_lines(path: Path, codec: str) -> bool:
    """True if the first line of a file is an object, and there are more, or its name says so."""
    with path.open(encoding=codec) as file:
        line = next((line for line in file if line.strip()), "")
        more = any(line.strip() for line in file)
    if not line.lstrip().startswith("{"):
        return False
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        # A broken first line of several is found when it is read; "{" alone begins an object of many lines.
        return path.suffix.lower() in LINES and len(line.strip()) > 1
    return more or path.suffix.lower() in LINES


def first_character(path: Path, codec: str) -> str:
    with path.open(encoding=codec) as file:  # in pieces: a file may be one long line
        texts = (piece.lstrip() for piece in iter(lambda: file.read(1024), ""))
        return next((text[0] for text in texts if text), "")


def iterate_json(split: str, path: Path, codec: str, key: str | None = None) -> Iterator[Record]:
    """The rows of a file: of lines one at a time, otherwise read at once.

    Raises:
        DataError: the file is no JSON, or its rows are no objects.
    """
    if key is None and has_lines(path, codec):
        objects: Iterator[Any] = iterate_lines(split, path, codec)
    else:
        objects = iter(find_rows(split, path, read_whole(split, path, codec), key))
    for row, record in enumerate(objects):
        if not isinstance(record, dict):
            raise DataError(
                f"{str(record)[:40]!r} in {path.name}",
                "every row is an object with a value for each column",
                'Write {"column": value, …}, one a line',
                split=split,
                row=row,
            )
        yield record


def iterate_lines(split: str, path: Path, codec: str) -> Iterator[Any]:
    """The value of every line that is not empty."""
    row = 0
    with path.open(encoding=codec) as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield parse_line(split, path, number, row, line)
                row += 1


def parse_line(split: str, path: Path, number: int, row: int, line: str) -> Any:
    try:
        return json.loads(line, object_pairs_hook=refuse_repeated)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{line.strip()[:40]!r} in line {number} of {path.name}",
            f"it is no JSON ({first_line(error)})",
            "Write one object a line, or one list of objects",
            split=split,
            row=row,
        ) from error


def refuse_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are all different: of two values, neither is the right one."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} comes twice in one object")
    return found


def read_whole(split: str, path: Path, codec: str) -> Any:
    """The value that is a whole file; objects one after another, each over several lines, are a list.

    Raises:
        DataError: naming the line that is no JSON.
    """
    text = path.read_text(encoding=codec)
    decoder, found, place = json.JSONDecoder(object_pairs_hook=refuse_repeated), [], 0
    try:
        while place < (end := len(text.rstrip())):
            place = next(at for at in range(place, end) if not text[at].isspace())
            value, place = decoder.raw_decode(text, place)
            found.append(value)
    except (ValueError, RecursionError) as error:
        # Behind a first value, text is more often the mistake than a second one.
        line = f"line {error.lineno} of " if isinstance(error, JSONDecodeError) else ""
        raise DataError(
            f"{line}{path.name}",
            f"it is no JSON ({first_line(error)})",
            "Write one object a line, or one list of objects",
            split=split,
        ) from error
    return found[0] if len(found) == 1 else found


def find_rows(split: str, path: Path, whole: Any, key: str | None) -> list[Any]:
    """The rows in a value: it is a list of them, or an object that holds them under one key, or by column.

    Raises:
        DataError: they may be under several keys, or its columns have unequal lengths.
    """
    if isinstance(whole, dict) and key is not None:
        whole = whole[key]
    if isinstance(whole, list):
        return [{"text": text} for text in whole] if whole and all(isinstance(x, str) for x in whole) else whole
    if not isinstance(whole, dict):
        return [whole]
    names = [name for name, value in whole.items() if are_rows(value)]
    if len(names) > 1 and not is_pandas_index(whole):
        raise DataError(
            f"{path.name} holds rows under {', '.join(names)}",
            "it is not clear which are meant",
            "Save each as a file of its own, named after its split",
            split=split,
        )
    if len(names) == 1 and isinstance(whole[names[0]], list):
        tell(f"{path.name}: its rows are under '{names[0]}'")
        return whole[names[0]]
    return rows_of_object(split, path, whole)


def rows_of_object(split: str, path: Path, whole: dict[str, Any]) -> list[Any]:
    """The rows of an object of columns, of one that pandas wrote, or the one row that it is."""
    values = list(whole.values())
    if {"columns", "data"} <= set(whole) <= {"columns", "data", "index"}:  # orient="split"
        return [dict(zip(whole["columns"], row, strict=True)) for row in whole["data"]]
    if values and all(isinstance(value, dict) for value in values):
        if is_pandas_index(whole):
            return values
        if all(name.isdigit() for value in values for name in value):  # pandas writes columns by row numbers
            places = list(dict.fromkeys(place for value in values for place in value))
            return [{name: value.get(place) for name, value in whole.items()} for place in places]
    if not values or not all(isinstance(value, list) for value in values):
        return [whole]
    lengths = {name: len(value) for name, value in whole.items()}
    if len(set(lengths.values())) > 1:
        seen = ", ".join(f"{name} {length:,}" for name, length in lengths.items())
        raise DataError(
            f"the lists in {path.name} have these lengths: {seen}",
            "an object of lists has a value for every row in each of them",
            "Mend them, or write one object a line",
            split=split,
        )
    return [dict(zip(whole, row, strict=True)) for row in zip(*values, strict=True)]


def is_pandas_index(whole: dict[str, Any]) -> bool:
    """True for an object with a row under each number, as pandas writes orient="index"."""
    return all(name.isdigit() and isinstance(value, dict) for name, value in whole.items())


def are_rows(value: Any) -> bool:
    """True for a list of objects, or an object of lists that are equally long."""
    if isinstance(value, dict):
        lists = value.values()
        return bool(lists) and all(isinstance(v, list) for v in lists) and len(set(map(len, lists))) == 1
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)
