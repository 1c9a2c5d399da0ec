"""Folders of pictures in every layout: which are splits, which are classes, and that nothing is left out silently."""

import unicodedata
from pathlib import Path

import pytest

from hfkit.contract.rows import Only
from hfkit.data.images.folders import divide, find_pictures, read_class_folders, tell_left_out
from hfkit.data.notes import collect_notes
from hfkit.data.streams import Reading
from hfkit.errors import DataError, UserError
from hfkit.tasks import ImageClassification
from tests.tiny import images as tiny


def write(folder: Path, *names: str) -> Path:
    """Files of these names, each of other bytes."""
    for name in names:
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(name.encode())
    return folder


def read(folder: Path, *, on_bad_row: str = "error", wanted: str | None = None) -> dict[str, list[str]]:
    """Of each split "label: path" of every picture."""
    found = find_pictures(folder)
    rows = read_class_folders(found, divide(found, wanted).splits, on_bad_row)
    return {split: [describe(row, folder) for row in of_split] for split, of_split in rows.items()}


def describe(row: dict, folder: Path) -> str:
    return f"{row['label']}: {Path(row['image']['path']).relative_to(folder.absolute())}"


# of each split "label: path"
LAYOUTS = {
    "splits": {
        "train": ["cat: train/cat/1.png", "dog: train/dog/2.JPG"],
        "validation": ["cat: val/cat/3.png"],
        "test": ["dog: Testing/dog/4.png"],
    },
    "no splits": {"train": ["cat: cat/1.png", "dog: dog/2.png"]},
    "folders within class folders": {
        "train": ["cat: train/cat/2.png", "cat: train/cat/persian/white/1.png", "dog: train/dog/pug/3.png"],
        "test": ["cat: test/cat/cat/4.png"],
    },
    "splits within class folders": {
        "train": ["cat: cat/train/1.png", "dog: dog/train/3.png"],
        "test": ["cat: cat/test/2.png", "dog: dog/test/4.png"],
    },
    "folders around it": {"train": ["rose: flowers/photos/rose/1.png", "tulip: flowers/photos/tulip/2.png"]},
    "a folder of the same name within": {
        "train": ["sea: seg_train/seg_train/sea/1.png"],
        "test": ["sea: seg_test/seg_test/sea/2.png"],
    },
    "classes with names of splits": {
        "train": ["bus: bus/1.png", "train: train/2.png", "train station: train station/a/3.png"]
    },
    "names with blanks in any script": {
        "train": ["red fox: train/red fox/1.png", "лиса: train/лиса/3.png", "狐: train/狐/2.png"]
    },
    "no class folders": {},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_read(layout, tmp_path):
    files = [row.split(": ")[1] for rows in LAYOUTS[layout].values() for row in rows]
    assert read(write(tmp_path, *files or ["train/1.png", "test/2.png"])) == LAYOUTS[layout]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (("train/a/1.png", "val/a/2.png", "validation2/a/3.png", "dev/a/4.png"), "may each be the split 'validation'"),
        (("train/a/1.png", "bus/a/2.png"), "it may be a split or a class, with bus beside it"),
    ],
)
def test_two_readings_are_asked_about(files, words, tmp_path):
    with pytest.raises(UserError, match=words):
        divide(find_pictures(write(tmp_path, *files)))


def test_the_own_name_of_a_split_wins_and_the_other_is_told(tmp_path):
    write(tmp_path / "set", "train/a/1.png", "val/a/2.png", "validation/a/3.png", "extra/a/4.png")
    with collect_notes() as notes:
        assert read(tmp_path / "set")["validation"] == ["a: validation/a/3.png"]
    assert "set: pictures beside the splits are left out: 2 in extra, val" in notes
    assert read(tmp_path / "set", wanted="val") == {"val": ["a: val/a/2.png"]}


def test_two_unicode_forms_of_a_class_are_one(tmp_path):
    forms = [unicodedata.normalize(form, "Kätzchen") for form in ("NFC", "NFD")]
    write(tmp_path, *(f"train/{form}/{i}.png" for i, form in enumerate(forms)), "train/dog/1.png")
    with collect_notes() as notes:
        labels = [row.split(": ")[0] for row in read(tmp_path)["train"]]
    assert sorted(labels) == sorted(["dog", forms[0], forms[0]])
    assert notes == [f"train: 2 folders are one class, '{forms[0]}', written in other Unicode forms or blanks"]


def test_everything_that_is_left_out_is_counted(tmp_path):
    write(tmp_path / "set", "train/cat/1.png", "train/cat/._1.png", "train/cat/.DS_Store", "train/cat/notes.txt")
    write(tmp_path / "set", "train/cat/deep/2.png", "__MACOSX/train/cat/._1.png", "labels.txt")
    found = find_pictures(tmp_path / "set")
    with collect_notes() as notes:
        tell_left_out(found)
        read_class_folders(found, divide(found).splits, "error")
    assert notes == [
        "set: leftovers of systems and tools are left out: 1 __MACOSX, 1 .DS_Store, 1 ._*",
        "set: files that are no pictures by their suffix are left out: 2 .txt",
        "set: of nested folders the first names the class: 1 of 2 pictures lie deeper, such as 'train/cat/deep/2.png'",
    ]


def test_linked_folders_are_followed_within_the_dataset(tmp_path):
    folder = write(tmp_path / "set", "train/cat/1.png", "pool/2.png")
    write(tmp_path, "elsewhere/3.png")
    (folder / "train/dog").symlink_to("../pool")
    (folder / "test").mkdir()
    (folder / "test/cat").symlink_to(folder / "train/cat")
    assert read(folder) == {"train": ["cat: train/cat/1.png", "dog: train/dog/2.png"], "test": ["cat: test/cat/1.png"]}
    (folder / "train/fox").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="train/fox': links lead to places in the folder of the dataset"):
        read(folder)
    with collect_notes() as notes:
        assert len(read(folder, on_bad_row="skip")["train"]) == 2
    assert "set: the link train/fox leads out of the dataset and is not followed" in notes


def test_pictures_beside_class_folders_can_be_left_out_aloud(tmp_path):
    write(tmp_path / "set", "train/cat/1.png", "train/stray.png", "train/dog/2.png")
    with pytest.raises(DataError, match="'stray.png': an image lies in the folder of its class"):
        read(tmp_path / "set")
    with collect_notes() as notes:
        assert len(read(tmp_path / "set", on_bad_row="skip")["train"]) == 2
    assert notes == ["train: images beside the class folders are left out: 1, such as 'stray.png'"]


def test_all_commands_see_the_same_pictures(tmp_path):
    """Training divides them, evaluation takes them all, prediction lists them, and none of them is a leftover."""
    folder = Path(tiny.image_folder(tmp_path / "all", train=6, validation=1, test=1)) / "train"
    write(folder, "red/.ipynb_checkpoints/0-checkpoint.png", "red/@eaDir/0.png/thumb.png", "red/._0.png", "notes.txt")
    (folder / "blue").rename(folder.parent / "pool")
    (folder / "blue").symlink_to(folder.parent / "pool")
    task = ImageClassification(dataset=str(folder), allow_outside_images=True)
    trained = {row["image"]["path"] for split in task.load().splits.values() for row in split}
    target = task.load().target
    judged = {row["image"]["path"] for row in task.rows_to_evaluate(target, Only(None))["test"]}
    reading = Reading("image", frozenset({".png"}), "utf-8", 10)
    assert trained == judged and len(trained) == 18
    with pytest.raises(UserError, match="leads to"):
        reading.source_in("all", folder)
    (folder / "blue").unlink()
    (folder.parent / "pool").rename(folder / "blue")
    assert set(reading.source_in("all", folder).given) == trained


def test_a_test_split_without_classes_is_left_for_prediction(tmp_path):
    folder = Path(tiny.image_folder(tmp_path, train=6, validation=1, test=2))
    for i, place in enumerate(sorted((folder / "test").rglob("*.png"))):
        place.rename(folder / "test" / f"{i}.png")
    with collect_notes() as notes:
        rows = ImageClassification(dataset=str(folder)).load()
    assert any(note.startswith("test: its 6 rows have no labels") for note in notes)
    assert {Path(row["image"]["path"]).parts[-3] for row in rows["test"]} == {"train"}
