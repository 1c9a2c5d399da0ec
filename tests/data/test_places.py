"""Places of a dataset: archives, addresses and databases, each opened without harm."""

import json
import sqlite3
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hfkit.data import places
from hfkit.data.hub import choose_splits
from hfkit.errors import UserError
from hfkit.tasks import TextClassification

ROWS = [{"text": f"visit {n}", "label": "ab"[n % 2]} for n in range(40)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(places.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def load(dataset: Path | str, **flags):
    return TextClassification(dataset=str(dataset), **flags).load()


def pack(path: Path, members: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


def test_a_zip_of_a_file_or_of_a_folder_is_read_without_what_a_mac_adds(tmp_path, capsys):
    leftovers = {"__MACOSX/._reviews.jsonl": "x", ".DS_Store": "x"}
    for name, members in {
        "file": {"reviews.jsonl": LINES},
        "folder": {"reviews/train.jsonl": LINES, "reviews/test.jsonl": LINES, "reviews/._test.jsonl": "x"},
        "windows": {"reviews\\train.jsonl": LINES},
    }.items():
        loaded = load(pack(tmp_path / f"{name}.zip", members | leftovers))
        assert len(loaded["test"]) == (40 if name == "folder" else 8)
    assert "folder.zip: unpacked, 2 files" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["../out.jsonl", "/out.jsonl", "a/../../out.jsonl", "C:\\out.jsonl"])
def test_an_archive_that_names_places_outside_of_it_is_refused(name, tmp_path):
    with pytest.raises(UserError, match="it names a place outside of itself"):
        load(pack(tmp_path / "bad.zip", {"reviews.jsonl": LINES, name: LINES}))
    assert not [path for path in tmp_path.rglob("*.jsonl")]


def test_a_damaged_archive_is_refused_and_leaves_nothing_behind(tmp_path):
    path = pack(tmp_path / "cut.zip", {"reviews.jsonl": LINES})
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UserError, match=r"archive '.*cut.zip': it cannot be unpacked"):
        load(path)
    assert not list((tmp_path / "cache").rglob("*.jsonl"))


def test_nothing_is_fetched_from_an_address_without_the_flag(tmp_path, capsys):
    (tmp_path / "reviews.jsonl").write_text(LINES)
    serve = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/reviews.jsonl"
        with pytest.raises(UserError, match="nothing is fetched from an address unless you say so.*--allow_remote"):
            load(address)
        assert len(load(address, allow_remote=True)["train"]) == 28
        with pytest.raises(UserError, match="it cannot be fetched"):
            load(address + "x", allow_remote=True)
        server.shutdown()


def test_an_address_is_shown_without_its_password(tmp_path):
    with pytest.raises(UserError) as refused:
        load("https://me:secret@example.org/reviews.csv?signature=abc")
    assert "secret" not in str(refused.value) and "abc" not in str(refused.value)


def test_a_query_gives_the_rows_of_a_database(tmp_path):
    pytest.importorskip("sqlalchemy")
    with sqlite3.connect(tmp_path / "reviews.db") as database:
        database.execute("create table reviews (text, label, year)")
        database.executemany("insert into reviews values (?, ?, 2026)", [tuple(row.values()) for row in ROWS])
    address = f"sqlite:///{tmp_path}/reviews.db"
    assert len(load(address, query="select text, label from reviews")["test"]) == 8
    for query, rule in ((None, "a database needs a query"), ("select x from y", "gives no rows.*no such table")):
        with pytest.raises(UserError, match=rule):
            load(address, query=query)
    with pytest.raises(UserError, match="the query gives no rows"):
        load(address, query="select text, label from reviews where year = 1999")


def test_splits_of_the_hub_are_known_by_their_usual_names():
    assert choose_splits(["train", "dev", "test"]) == {"train": "train", "validation": "dev", "test": "test"}
    assert choose_splits(["train", "validation_matched", "validation_mismatched"]) == {
        "train": "train",
        "validation": "validation_matched",
    }
    assert choose_splits(["corpus"]) == {}
