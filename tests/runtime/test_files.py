"""Every file that a user names, when it is none or holds what nobody meant: one error at once, nothing is opened."""

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hfkit.arguments.parse import parse
from hfkit.arguments.recipe import RecipeArguments
from hfkit.cli.report import render_record
from hfkit.data.files import BUILDERS, TEXT_TABLES, read_splits
from hfkit.data.source import Source
from hfkit.data.split_record import load_record
from hfkit.data.streams import Reading
from hfkit.errors import UserError
from hfkit.hub.card import read_report
from hfkit.inference.saved import read_run
from hfkit.ledger.arguments import load_recipe
from hfkit.model.sources import open_checkpoint
from hfkit.runtime.files import expand_home, find_fault, read_object
from hfkit.training.checkpoints import read_identity


def bind_socket(path: Path) -> None:
    """A socket; the name of one is at most a hundred characters long, so it is given from its own folder."""
    before = os.getcwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
    finally:
        os.chdir(before)


# What lies there instead of a file -> how it comes about, and what the error calls it.
NO_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "folder": (Path.mkdir, "it is a folder"),
    "pipe": (os.mkfifo, "it is a pipe"),
    "socket": (bind_socket, "it is a socket"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "it is a device"),
    "dangling link": (lambda path: path.symlink_to("nowhere"), "a link to 'nowhere', which does not exist"),
    "loop of links": (lambda path: path.symlink_to(path.name), "a link that leads back to itself"),
}
CONTENTS = {
    "empty": b"",
    "list": b"[1, 2]",
    "number": b"5",
    "string": b'"x"',
    "null": b"null",
    "deep list": b"[" * 5000 + b"]" * 5000,
    "deep object": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "digits": b'{"text": ' + b"9" * 5000 + b"}",
    "no UTF-8": b'{"text": "\xff\xfe\x81\x82 \xc3("}',
    "NUL bytes": b"\0" * 200,
    "half": b'{"text": "abc',
}


def read_dataset(path: Path, kinds: dict[str, str] = TEXT_TABLES) -> object:
    return read_splits(Source(str(path)), kinds=kinds)


def read_inputs(path: Path) -> object:
    reading = Reading("text", frozenset(), None, 8)
    reading.refuse_broken(reading.sources([str(path)]))
    return [chunk for source in reading.sources([str(path)]) for chunk in reading.chunks(source)]


def in_checkpoint(path: Path) -> object:
    """The checkpoint of which the file is a part; what else there is of it is whole."""
    if path.name != "config.json":
        (path.parent / "config.json").write_text('{"model_type": "bert"}')
    return open_checkpoint(str(path.parent))


# What takes a file -> the name under which it is given, and what reads it.
READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    **{f"dataset {suffix}": (f"x{suffix}", read_dataset) for suffix in TEXT_TABLES},
    "lines of words": ("x.conll", lambda path: read_dataset(path, BUILDERS)),
    "split in a folder": ("train.jsonl", lambda path: read_dataset(path.parent)),
    "archive": ("x.zip", read_dataset),
    "inputs": ("x.jsonl", read_inputs),
    "inputs of CSV": ("x.csv", read_inputs),
    "split file": ("hfkit_split.json", load_record),
    "config": ("x.yaml", lambda path: parse((RecipeArguments,), argv=["--config", str(path)])),
    "settings": ("config.json", in_checkpoint),
    "settings of a tokenizer": ("tokenizer_config.json", in_checkpoint),
    "settings of pictures": ("preprocessor_config.json", in_checkpoint),
    "weights": ("model.safetensors", in_checkpoint),
    "run file": ("hfkit_run.json", lambda path: read_identity(path.parent)),
    "report of a model": ("report.json", lambda path: read_run(path.parent)),
    "report": ("report.json", render_record),
    "report of a card": ("report.json", lambda path: read_report(path.parent)),
    "recipe": ("x.py", lambda path: load_recipe(str(path))),
}
FOLDERS_TOO = {*(f"dataset {suffix}" for suffix in TEXT_TABLES), "lines of words", "split in a folder", "archive"}
FOLDERS_TOO |= {"inputs", "inputs of CSV", "split file"}
OBJECTS = ("split file", "settings", "settings of a tokenizer", "settings of pictures", "run file", "report of a model")
OBJECTS += ("report", "report of a card")


def refusal(read: Callable[[Path], object], path: Path) -> str:
    """The error of a file, which comes in bounded time and leaves nothing beside it."""
    before, began = sorted(os.listdir(path.parent)), time.monotonic()
    with pytest.raises(UserError) as error:
        read(path)
    assert time.monotonic() - began < 10
    assert set(os.listdir(path.parent)) - {*before, "config.json"} == set()
    return str(error.value)


@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_no_file_is_named_as_what_it_is_and_never_opened(kind, tmp_path):
    make, words = NO_FILES[kind]
    for number, (reader, (name, read)) in enumerate(READERS.items()):
        if kind == "folder" and reader in FOLDERS_TOO:
            continue  # a folder may be meant: an empty one has an error of its own
        place = tmp_path / str(number)
        place.mkdir()
        make(place / name)
        assert words in refusal(read, place / name), reader


@pytest.mark.parametrize("content", CONTENTS)
def test_settings_and_records_that_no_program_wrote_are_refused(content, tmp_path):
    for number, reader in enumerate(OBJECTS):
        name, read = READERS[reader]
        place = tmp_path / str(number)
        place.mkdir()
        (place / name).write_bytes(CONTENTS[content])
        message = refusal(read, place / name)
        assert name in message or "split file" in message, reader


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".parquet", ".arrow", ".xlsx", ".zip", ".tar", ".spacy"])
def test_files_of_rows_that_hold_anything_else_are_refused(content, suffix, tmp_path):
    place = tmp_path / f"x{suffix}"
    place.write_bytes(CONTENTS[content])
    try:
        rows = read_dataset(place)["train"]
    except UserError as error:
        assert place.name in str(error)
    else:
        # One row of JSON, in another encoding, or with a number where texts belong: its columns are checked later.
        assert content in ("no UTF-8", "digits") and suffix in (".json", ".jsonl") and len(rows) == 1


def test_an_object_is_read_and_no_more_of_it_than_may_be(tmp_path):
    file = tmp_path / "x.json"
    file.write_text('{"a": [1]}')
    assert read_object(file, "x", "Mend it") == {"a": [1]}
    with pytest.raises(UserError, match="it takes at most 5 bytes, and this file 10"):
        read_object(file, "x", "Mend it", most=5)
    assert find_fault(file) is None
    assert find_fault(tmp_path / "a\0b") == "it is no path"
    assert "too long" in find_fault(tmp_path / ("x" * 300))
    assert "part of the path is a file" in find_fault(file / "x")
    assert expand_home("~nobody-of-this-name/x") == Path("~nobody-of-this-name/x")
