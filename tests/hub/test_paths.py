"""No folder of this machine is published: reports, cards and configurations name only what lies in them."""

import json
import shlex
import shutil
from pathlib import Path

import pytest

from hfkit.hub import push as hub
from hfkit.hub.card import read_report
from hfkit.hub.paths import hide_folders, shorten_paths_in_config

COMMAND = ["run.py", "--dataset", "/data/acme corp's/reviews", "--output_dir=/mnt/ada/out/", "--lr", "1e-5", "runs/x"]


def report(**settings) -> dict:
    return {"settings": settings, "command": shlex.join(COMMAND), "task": {"dataset": "/data/acme corp's/reviews"}}


def test_paths_are_shown_as_their_names():
    public = hide_folders(
        report(out="/mnt/ada/out/", up="../../acme/model", own="~/secret/m", drive=r"C:\\a\b", rel="runs/x")
    )
    assert public["settings"] == {"out": "out", "up": "model", "own": "m", "drive": "b", "rel": "runs/x"}
    assert public["task"]["dataset"] == "reviews"
    words = ["run.py", "--dataset", "reviews", "--output_dir=out", "--lr", "1e-5", "runs/x"]
    assert shlex.split(public["command"]) == words


def test_texts_that_are_no_path_stay():
    kept = {
        "url": "https://host.example/data/x",
        "text": "a/b",
        "root": "/",
        "dates": "1/2/2024",
        "number": 3,
        "id": "me/x",
    }
    public = hide_folders({**report(**kept), "command": "run.py", "task": {"dataset": "me/x"}})
    assert public["settings"] == kept


def test_a_longer_name_is_another_place():
    public = hide_folders({**report(a="/data/x"), "errors": ["/data/x.", "/data/xy", "/data/x/y", "http://h/data/x"]})
    assert public["errors"] == ["x.", "/data/xy", "x/y", "http://h/data/x"]


@pytest.mark.parametrize("key", ["_name_or_path", "base_model_name_or_path", "tokenizer_file"])
def test_a_configuration_names_no_folder(key, tmp_path):
    config = tmp_path / "config.json"
    config.write_text(json.dumps({key: "/home/ada/models/tiny", "id2label": {"0": "/a/b"}}))
    shorten_paths_in_config(config)
    assert json.loads(config.read_text()) == {key: "tiny", "id2label": {"0": "/a/b"}}


@pytest.mark.parametrize("own", [False, True], ids=["as rendered", "with a line of one's own"])
def test_no_staged_file_names_a_folder_of_this_machine(own, finished_once, tmp_path, monkeypatch):
    folder = shutil.copytree(finished_once / "runs/bert-ner", tmp_path / "run")
    place = str(Path(read_report(folder)["task"]["dataset"]).parent)
    assert place in (folder / "README.md").read_text()
    if own:
        (folder / "README.md").write_text((folder / "README.md").read_text() + "\nWritten by hand.\n")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    kept = tmp_path / "staged"
    publish = hub._refuse_cards
    monkeypatch.setattr(
        hub,
        "_refuse_cards",
        lambda folder, staged, again: (shutil.copytree(staged, kept), publish(folder, staged, again)),
    )
    staged = hub.push(folder, "me/tagger", dry_run=True)
    assert {"report.json", "report.html", "report.md", "README.md", "training_args.json"} <= staged.files.keys()
    assert [path.name for path in kept.rglob("*") if place.encode() in path.read_bytes()] == []
    assert ("Written by hand." in (kept / "README.md").read_text()) == own
    assert before == {path: path.read_bytes() for path in before}, "the run's own folder keeps them"
