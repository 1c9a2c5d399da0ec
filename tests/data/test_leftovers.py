"""One walk for all readers: leftovers are skipped and counted, links within the dataset are followed."""

import os
import unicodedata
from pathlib import Path

import pytest

from hfkit.data.leftovers import describe_leftovers, list_folder, walk, walk_files
from hfkit.errors import UserError


def write(folder: Path, *names: str) -> None:
    for name in names:
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(name.encode())


def names(folder: Path, files: list[Path]) -> list[str]:
    return [str(file.relative_to(folder)) for file in files]


def test_leftovers_are_skipped_and_counted(tmp_path):
    own = ("cat/1.png", "cat/Icon/2.png", "desktop.ini.png", "eaDir/3.png")
    write(tmp_path, *own)
    write(tmp_path, "__MACOSX/cat/._1.png", "cat/._1.png", "cat/._2.png", "cat/.DS_Store", "Thumbs.db", "DESKTOP.INI")
    write(tmp_path, "cat/.ipynb_checkpoints/1-checkpoint.png", "cat/@eaDir/1.png/thumb.jpg", ".git/a", ".secret.png")
    write(tmp_path, "$RECYCLE.BIN/1.png", "#recycle/1.png", ".thumbnails/1.png", "~$table.xlsx", "cat/Icon\r")
    files, skipped = walk_files(tmp_path)
    assert names(tmp_path, files) == sorted(own)
    assert [path.name for path in list_folder(tmp_path)] == ["cat", "desktop.ini.png", "eaDir"]
    assert skipped["._*"] == 2 and skipped["__MACOSX"] == skipped["@eaDir"] == skipped["hidden"] == 1
    assert sum(skipped.values()) == 15
    assert describe_leftovers(skipped).startswith("leftovers of systems and tools are left out: 2 ._*, 1 ")
    assert describe_leftovers(walk(tmp_path / "eaDir").skipped) == ""


def test_the_order_does_not_depend_on_the_unicode_form(tmp_path):
    letters = ["a", "ä", "z", "é"]
    for form in ("NFC", "NFD"):
        write(tmp_path / form, *(f"{unicodedata.normalize(form, letter)}/1.png" for letter in letters))
    orders = [
        [unicodedata.normalize("NFC", name) for name in names(tmp_path / form, walk(tmp_path / form).files)]
        for form in ("NFC", "NFD")
    ]
    assert orders[0] == orders[1] == ["a/1.png", "z/1.png", "ä/1.png", "é/1.png"]


def test_links_within_the_dataset_are_followed_and_loops_end(tmp_path):
    write(tmp_path, "pool/1.png", "train/cat/2.png")
    (tmp_path / "train/dog").symlink_to("../pool")
    (tmp_path / "train/cat/again").symlink_to(tmp_path / "train")
    (tmp_path / "train/cat/gone.png").symlink_to("nothing.png")
    os.mkfifo(tmp_path / "train/cat/pipe.png")
    found = walk(tmp_path / "train", root=tmp_path)
    assert names(tmp_path, found.files) == ["train/cat/2.png", "train/cat/gone.png", "train/dog/1.png"]
    assert found.skipped == {"links that lead back": 1, "devices and pipes": 1}


def test_links_out_of_the_dataset_are_refused_by_name(tmp_path):
    write(tmp_path, "elsewhere/1.png", "elsewhere-2/1.png", "set/a.png")
    (tmp_path / "set/b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "set/c.png").symlink_to(tmp_path / "elsewhere-2/1.png")
    with pytest.raises(UserError, match="link '.*set/b': .*leads to '.*elsewhere'"):
        walk_files(tmp_path / "set")
    assert names(tmp_path, walk(tmp_path / "set").outside) == ["set/b", "set/c.png"]
    allowed, _ = walk_files(tmp_path / "set", allow_outside=True)
    assert names(tmp_path / "set", allowed) == ["a.png", "b/1.png", "c.png"]


def test_a_snapshot_of_the_hub_is_a_folder_of_links(tmp_path):
    write(tmp_path, "blobs/0123")
    (tmp_path / "snapshots/abc/train").mkdir(parents=True)
    (tmp_path / "snapshots/abc/train/1.png").symlink_to("../../../blobs/0123")
    files, _ = walk_files(tmp_path / "snapshots/abc")
    assert names(tmp_path, files) == ["snapshots/abc/train/1.png"]
