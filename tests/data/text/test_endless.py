"""Tokenizers that write thousands of characters for one are refused before they are loaded, and in no time."""

import json
import shutil
import time
from pathlib import Path

import pytest

from hfkit.data.text.endless import growth_of, refuse_growing
from hfkit.data.text.tokenizers import load_tokenizer
from hfkit.errors import UserError
from hfkit.tasks import NER, TextClassification
from tests.tiny import text

LETTER = {"type": "Replace", "pattern": {"String": "a"}}
PARTS = {
    "a megabyte of a letter": {"normalizer": {**LETTER, "content": "b" * 10**6}},
    "letters of letters": {"normalizer": {"type": "Sequence", "normalizers": [{**LETTER, "content": "a" * 200}] * 4}},
    "a megabyte before each text": {"normalizer": {"type": "Prepend", "prepend": "b" * 10**6}},
    "marks of words of a megabyte": {"pre_tokenizer": {"type": "Metaspace", "replacement": "b" * 10**6}},
}
ODD = {
    "no model": ({"model": []}, "could not be read"),
    "a negative number": (
        {"model": {"type": "WordLevel", "vocab": {"a": -3}, "unk_token": "a"}},
        "could not be read",
    ),
    "another model's": (
        {"model": {"type": "WordLevel", "vocab": {"a": 10**5, "b": 4, "[UNK]": 1}, "unk_token": "[UNK]"}},
        "its tokenizer has the number 100,000 for 'a'",
    ),
}


def change(checkpoint: str, folder: Path, name: str, changes: dict) -> str:
    place = shutil.copytree(checkpoint, folder / "model")
    content = json.loads((place / name).read_text())
    (place / name).write_text(json.dumps(content | changes))
    return str(place)


@pytest.mark.parametrize("part", PARTS)
def test_a_tokenizer_that_never_ends_is_refused_at_once(part, checkpoint, tmp_path):
    place, began = change(checkpoint, tmp_path, "tokenizer.json", PARTS[part]), time.monotonic()
    with pytest.raises(UserError, match="tokenizer.json: at most 1,000 characters are made of one"):
        load_tokenizer(place, place)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("task", [NER(), TextClassification()], ids=["words", "texts"])
@pytest.mark.parametrize("case", ODD)
def test_a_tokenizer_that_no_model_has_is_named(case, task, checkpoint, tmp_path):
    changes, words = ODD[case]
    place = change(checkpoint, tmp_path, "tokenizer.json", changes)
    with pytest.raises(UserError, match=words):
        task.codec(place, task.guess_target(2))


@pytest.mark.parametrize(
    "name, value",
    [("model_max_length", 0), ("model_max_length", "x"), ("pad_token", 5), ("model_input_names", ["nosuch"])],
)
def test_settings_of_a_tokenizer_that_cannot_be_meant_are_named(name, value, checkpoint, tmp_path):
    place = change(checkpoint, tmp_path, "tokenizer_config.json", {name: value})
    with pytest.raises(UserError, match=r"model_max_length is a number above 0|could not be read"):
        load_tokenizer(place, place)


@pytest.mark.parametrize("make", [text.wordpiece, text.byte_bpe, text.unigram])
def test_usual_tokenizers_are_let_through(make):
    backend = make().backend_tokenizer
    parts = json.loads(backend.to_str())
    assert growth_of([parts["normalizer"], parts["pre_tokenizer"]]) == 1
    refuse_growing(backend, "checkpoint 'x'")
