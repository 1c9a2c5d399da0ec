"""Places of a dataset: archives, addresses and databases, each opened without harm."""

import io
import json
import pickle
import sqlite3
import tarfile
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from hfkit.data import places
from hfkit.data.hub import choose_splits, read_hub
from hfkit.data.source import Source
from hfkit.errors import UserError
from hfkit.tasks import ImageClassification, TextClassification

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


def test_of_several_configurations_one_is_asked_for_and_a_single_one_taken(tmp_path, capsys):
    """A folder stands for a repository of the Hub: `datasets` reads both in the same way."""
    configs = ["english", "german"]
    card = "".join(f"- config_name: {name}\n  data_files: {name}/*.jsonl\n" for name in configs)
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n{card}---\n")
    for name in configs:
        (tmp_path / name).mkdir()
        (tmp_path / name / "rows.jsonl").write_text(LINES)
    for config in (None, "french"):
        with pytest.raises(UserError, match="it has the configurations english, german, and .* --dataset_config engl"):
            read_hub(Source(str(tmp_path), config))
    assert {split: len(rows) for split, rows in read_hub(Source(str(tmp_path), "german")).items()} == {"train": 40}
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n{card.partition('- config_name: german')[0]}---\n")
    assert len(read_hub(Source(str(tmp_path)))["train"]) == 40


def test_splits_of_the_hub_are_known_by_their_usual_names():
    assert choose_splits(["train", "dev", "test"]) == {"train": "train", "validation": "dev", "test": "test"}
    assert choose_splits(["train", "validation_matched", "validation_mismatched"]) == {
        "train": "train",
        "validation": "validation_matched",
    }
    assert choose_splits(["corpus"]) == {}


def test_a_pickle_in_a_shard_is_not_read_and_named(tmp_path):
    content = pickle.dumps(Path(tmp_path))
    with tarfile.open(tmp_path / "train.tar", "w") as shard:
        member = tarfile.TarInfo("0.pth")
        member.size = len(content)
        shard.addfile(member, io.BytesIO(content))
    with pytest.raises(UserError, match=r"train\.tar: cannot be read as webdataset"):
        load(tmp_path / "train.tar")


def test_shards_of_a_webdataset_are_read(tmp_path):
    with tarfile.open(tmp_path / "shapes-train-000000.tar", "w") as shard:
        for number in range(40):
            picture = io.BytesIO()
            Image.new("RGB", (8, 8), (255 * (number % 2), 6 * number, 0)).save(picture, "PNG")
            for suffix, data in (("png", picture.getvalue()), ("cls", str(number % 2).encode())):
                member = tarfile.TarInfo(f"{number:04d}.{suffix}")
                member.size = len(data)
                shard.addfile(member, io.BytesIO(data))
    loaded = ImageClassification(dataset=str(tmp_path), label_column="cls").load()
    assert {split: len(rows) for split, rows in loaded.splits.items()} == {"train": 28, "validation": 4, "test": 8}


@pytest.mark.parametrize("name", ["a[b]c", "a*b", "a?b", "$HOME", "a::b", "a\nb", "a b", "a%41", "a\udcffb"])
def test_a_path_is_no_pattern(name, tmp_path):
    # Files that the name would fit as a pattern, or where a variable or '::' would lead.
    for other in (name, "abc", "aXb", "a", "HOME"):
        (tmp_path / other).mkdir(exist_ok=True)
        rows = [{**row, "text": f"{other == name} {row['text']}"} for row in ROWS]
        (tmp_path / other / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        with (tmp_path / other / "rows.parquet").open("wb") as file:
            pq.write_table(pa.Table.from_pylist(rows), file)
    for suffix in ("jsonl", "parquet"):
        raw = TextClassification(dataset=str(tmp_path / name / f"rows.{suffix}")).read()
        texts = raw.splits["train"]["text"]
        assert len(texts) == len(ROWS) and all(text.startswith("True") for text in texts)


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_a_cache_that_cannot_be_written_is_named_and_the_file_is_not_blamed(suffix, tmp_path, monkeypatch):
    (tmp_path / "taken").write_text("")
    monkeypatch.setattr(places.config, "HF_DATASETS_CACHE", str(tmp_path / "taken" / "cache"))
    path = tmp_path / "a[b]"
    path.mkdir()
    (path / "rows.jsonl").write_text(LINES)
    pq.write_table(pa.Table.from_pylist(ROWS), path / "rows.parquet")
    with pytest.raises(UserError, match="the cache of datasets cannot be written: a part of the path is a file"):
        TextClassification(dataset=str(path / f"rows.{suffix}")).read()


@pytest.mark.parametrize("flag", ["dataset_config", "dataset_revision", "query", "sheet"])
def test_what_is_said_about_another_kind_of_dataset_is_refused(flag, tmp_path):
    (tmp_path / "rows.jsonl").write_text(LINES)
    with pytest.raises(UserError, match=f"{flag}='x'.*Leave it out"):
        TextClassification(dataset=str(tmp_path / "rows.jsonl"), **{flag: "x"}).read()
