"""Tables that name pictures: metadata beside them, and paths as other machines write them."""

import csv
import shutil
import zipfile
from pathlib import Path

import pytest

from hfkit.data.images.paths import BELOW, PathFinder
from hfkit.data.images.pictures import Refused
from hfkit.data.notes import collect_notes
from hfkit.errors import UserError
from hfkit.tasks import ImageClassification
from tests.tiny import images as tiny


@pytest.fixture
def folder(tmp_path) -> Path:
    return Path(tiny.image_folder(tmp_path / "set", train=3, validation=1, test=1))


def flatten(folder: Path) -> dict[str, list[tuple[str, str]]]:
    """Move all pictures of a split into one folder; of each split name and label."""
    rows: dict[str, list[tuple[str, str]]] = {}
    for split in ("train", "validation", "test"):
        for place in sorted((folder / split).rglob("*.png")):
            label, name = place.parent.name, f"{place.parent.name} {place.name}"
            place.rename(folder / split / name)
            rows.setdefault(split, []).append((name, label))
        for label in tiny.CLASSES:
            (folder / split / label).rmdir()
    return rows


def load(place: Path, **flags) -> tuple[dict[str, list[tuple[str, str]]], list[str]]:
    """Of each split name and label of every picture, and what was told."""
    with collect_notes() as notes:
        splits = ImageClassification(dataset=str(place), **flags).load().splits
    return {
        split: [(Path(row["image"]["path"]).name, row["label"]) for row in rows] for split, rows in splits.items()
    }, notes


def write_csv(place: Path, rows: list[tuple[str, str]], header: str = "file_name,label") -> None:
    place.write_text("\n".join([header, *(f"{name},{label}" for name, label in rows)]) + "\n")


def test_metadata_lie_beside_the_pictures_of_each_split(folder):
    rows = flatten(folder)
    for split, of_split in rows.items():
        write_csv(folder / split / "metadata.csv", of_split)
    tiny.picture("red", 99).save(folder / "train" / "more.png")
    found, notes = load(folder)
    assert found == rows
    assert "set: pictures that are in no metadata are left out: 1" in notes


def test_one_metadata_file_is_divided_by_the_folders_in_its_paths(folder):
    rows = flatten(folder)
    write_csv(folder / "metadata.csv", [(f"{split}/{n}", label) for split in rows for n, label in rows[split]])
    assert load(folder)[0] == rows
    write_csv(folder / "train" / "metadata.csv", rows["train"])
    with pytest.raises(UserError, match="metadata of the split 'train' lie in '.' and 'train'"):
        load(folder)


def test_metadata_without_answers_leave_the_class_folders(folder):
    (folder / "train" / "metadata.csv").write_text("file_name,width\nred/0.png,40\n")
    found, notes = load(folder)
    assert len(found["train"]) == 9
    assert "set: metadata without answers is not read (columns file_name, width)" in notes


@pytest.mark.parametrize("place", ["set/labels.csv", "set"])
def test_one_table_names_pictures_in_folders_below(place, folder):
    for split in ("train", "validation", "test"):
        (folder / split).rename(folder / f"batch {len(split)}")
    rows = [(str(path.relative_to(folder)), path.parent.name) for path in sorted(folder.rglob("*.png"))]
    write_csv(folder / "labels.csv", rows)
    found, _ = load(folder.parent / place)
    assert sum(map(len, found.values())) == 15 and {label for _, label in found["train"]} == set(tiny.CLASSES)


def test_a_table_in_the_folder_of_its_split_names_pictures_beside_it(folder):
    for split, rows in flatten(folder).items():
        write_csv(folder / split / "rows.csv", rows)
    # The same name stands for another picture in each split.
    for split, seed in (("train", 1), ("test", 2)):
        tiny.picture("red", seed).save(folder / split / "red 0.png")
    with collect_notes():
        splits = ImageClassification(dataset=str(folder)).load().splits
    for split, rows in splits.items():
        assert {Path(row["image"]["path"]).parent.name for row in rows} == {split}


WRITTEN = {
    "red/0.png": ("red/0.png", ""),
    r"red\0.png": ("red/0.png", "written on Windows"),
    r"C:\data\train\red\0.png": ("red/0.png", "of another machine on Windows"),
    "/home/anna/train/red/0.png": ("red/0.png", "of another machine"),
    "file:///home/anna/train/red/0.png": ("red/0.png", "of another machine"),
    "file:///C:/train/red/0.png": ("red/0.png", "of another machine on Windows"),
    "RED/0.PNG": ("red/0.png", "in another writing"),
    "red/0": ("red/0.png", "in another writing"),
    " red/0.png ": ("red/0.png", "in another writing"),
    "red/0.jpg": ("red/0.png", BELOW),  # converted since
    "Ä.png": ("two words/ä.png", BELOW),
    "ä": ("two words/ä.png", BELOW),
    "ä.tif": ("two words/ä.png", BELOW),
    "two%20words/%C3%A4.png": ("two words/ä.png", "written with percent signs"),
    "two words/a\u0308.png": ("two words/ä.png", "in another writing"),
}


@pytest.mark.parametrize("path", WRITTEN)
def test_a_path_of_another_machine_is_read_if_one_file_fits(path, tmp_path):
    for name in ("red/0.png", "two words/ä.png", "blue/0.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    meant, how = WRITTEN[path]
    assert PathFinder([tmp_path]).find(path) == (str(tmp_path / meant), how)


def test_a_path_that_fits_several_files_or_none_is_refused(tmp_path):
    for name in ("train/red/0.png", "red/0.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    finder = PathFinder([tmp_path])
    with pytest.raises(Refused, match="several files of the dataset fit the end"):
        finder.find(r"D:\train\red\0.png")
    with pytest.raises(Refused, match="several files of the dataset fit this path"):
        finder.find("0.png")
    for path in (r"red\nothing.png", r"D:\red\nothing.png", "red", "blue/0.png"):
        with pytest.raises(Refused, match="there is no such file"):
            finder.find(path)


def test_two_paths_shortened_to_one_file_are_both_at_fault(folder):
    shutil.copy(folder / "train/red/0.png", folder / "0.png")
    write_csv(folder / "rows.csv", [(r"C:\a\0.png", "red"), (r"C:\b\0.png", "blue"), ("train/blue/1.png", "blue")])
    with pytest.raises(UserError, match="row 0, .*lead to one file here; 1 more rows"):
        load(folder / "rows.csv")


def test_a_zip_of_a_mac_is_a_folder_of_pictures(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as zipped:
        for place in sorted(folder.rglob("*.png")):
            name = place.relative_to(tmp_path)
            zipped.write(place, str(name))
            zipped.writestr(f"__MACOSX/{name.parent}/._{name.name}", b"\0\5\26\7")
        zipped.writestr("set/train/.DS_Store", b"x")
    assert load(tmp_path / "set.zip")[0] == load(folder)[0]


@pytest.mark.parametrize("column", ["file_name", "id"])
def test_names_without_their_folder_or_suffix_are_sought_below(column, tmp_path):
    """As competitions have them: a table of names, and one folder with all pictures."""
    suffix = "" if column == "id" else ".png"
    for number in range(12):
        folder = "images" if column == "id" else f"train_images/part {number % 3}"
        place = tmp_path / "set" / folder / f"a{number:03}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        tiny.picture("red", number).save(place)
    names = [(f"a{number:03}{suffix}", ("x", "y")[number % 2]) for number in range(12)]
    with (tmp_path / "set" / "train.csv").open("w", newline="") as file:
        csv.writer(file).writerows([(column, "label"), *names])
    with collect_notes() as notes:
        splits = ImageClassification(dataset=str(tmp_path / "set")).load().splits
    found = {Path(row["image"]["path"]).stem: row["label"] for of_split in splits.values() for row in of_split}
    assert found == {name.removesuffix(".png"): label for name, label in names}
    assert any(f"paths {BELOW} are mended: 12, such as 'a000{suffix}'" in note for note in notes)


def test_a_row_never_gets_the_picture_of_another_split(tmp_path):
    for split in ("train", "test"):
        for number in range(6):
            place = tmp_path / split / "pictures" / f"{split}{number}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            tiny.picture("red", number).save(place)
        rows = [(f"{split}{number}.png", ("x", "y")[number % 2]) for number in range(6)]
        write_csv(tmp_path / split / "rows.csv", rows if split == "test" else [*rows, ("test0.png", "x")])
    with collect_notes(), pytest.raises(UserError, match="row 6, .*path 'test0.png': there is no such file"):
        ImageClassification(dataset=str(tmp_path)).load()


def test_a_table_of_other_facts_beside_class_folders_is_left_out(folder):
    """Bare names with sizes are no labels."""
    with (folder / "sizes.csv").open("w") as file:
        file.write("name,width\n" + "".join(f"{path.name},32\n" for path in (folder / "train" / "red").iterdir()))
    (folder / "validation").rename(folder.parent / "away")
    (folder / "test").rename(folder.parent / "away too")
    for path in list((folder / "train").iterdir()):
        path.rename(folder / path.name)
    (folder / "train").rmdir()
    found, notes = load(folder)
    assert {label for _, label in found["train"]} == set(tiny.CLASSES)
    assert any("left out: 1 .csv" in note for note in notes)
