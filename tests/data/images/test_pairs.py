"""Pictures with masks beside them, in the layouts that people bring."""

from pathlib import Path

import pytest

from hfkit.data.images.folders import find_pictures
from hfkit.data.images.pairs import read_pairs
from hfkit.data.notes import collect_notes
from hfkit.errors import UserError


def write(folder: Path, *names: str) -> Path:
    for name in names:
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(name.encode())
    return folder


def read(folder: Path) -> dict[str, list[tuple[str, str | None]]] | None:
    """Of each split the paths of every picture and its mask."""
    splits = read_pairs(find_pictures(folder))
    if splits is None:
        return None

    def short(image: dict | None) -> str | None:
        return image and str(Path(image["path"]).relative_to(folder.absolute()))

    return {split: [(short(row["image"]), short(row["mask"])) for row in rows] for split, rows in splits.items()}


LAYOUTS = {
    "two folders": {"train": [("images/a.jpg", "masks/a.png"), ("images/b.jpg", "masks/b.png")]},
    "folders in splits": {
        "train": [("train/images/a.jpg", "train/labels/a.png")],
        "test": [("test/images/a.jpg", "test/labels/a.png")],
    },
    "splits in folders": {
        "train": [("images/training/a.jpg", "annotations/training/a.png")],
        "validation": [("images/validation/a.jpg", "annotations/validation/a.png")],
    },
    "endings": {"train": [("a.jpg", "a_mask.png"), ("b.jpg", "b-mask.png")]},
    "endings in folders": {"train": [("images/a.png", "masks/a_segmentation.png")]},
    "joint names": {
        "train": [("train/a.png", "trainannot/a.png")],
        "validation": [("val/a.png", "val_labels/a.png")],
    },
    "cityscapes": {
        "train": [
            ("leftImg8bit/train/ulm/u_1_leftImg8bit.png", "gtFine/train/ulm/u_1_gtFine_labelIds.png"),
        ]
    },
    "a folder around it": {"train": [("data/images/a.jpg", "data/masks/a.png")]},
}


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_every_picture_finds_its_mask(layout, tmp_path):
    wanted = LAYOUTS[layout]
    write(tmp_path, *(name for pairs in wanted.values() for pair in pairs for name in pair))
    assert read(tmp_path) == wanted


def test_lists_of_pascal_voc_divide_the_pictures(tmp_path):
    for stem in ("a", "b", "c", "d"):
        write(tmp_path, f"JPEGImages/{stem}.jpg", f"SegmentationClass/{stem}.png")
    (tmp_path / "ImageSets" / "Segmentation").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Segmentation" / "train.txt").write_text("a\nb\n")
    (tmp_path / "ImageSets" / "Segmentation" / "val.txt").write_text("c\n")
    with collect_notes() as notes:
        found = read(tmp_path)
    assert [pair[0] for pair in found["train"]] == ["JPEGImages/a.jpg", "JPEGImages/b.jpg"]
    assert [pair[1] for pair in found["validation"]] == ["SegmentationClass/c.png"]
    assert any("in no list of ImageSets are left out: 1" in note for note in notes)


def test_what_has_no_partner_is_told_or_stays_for_the_check(tmp_path):
    write(tmp_path, "images/a.jpg", "images/b.jpg", "masks/a.png", "masks/c.png")
    with collect_notes() as notes:
        found = read(tmp_path)
    assert found == {"train": [("images/a.jpg", "masks/a.png"), ("images/b.jpg", None)]}
    assert any("masks without a picture are left out: 1, such as 'masks/c.png'" in note for note in notes)


def test_two_pictures_of_one_mask_are_refused(tmp_path):
    write(tmp_path, "images/a.jpg", "images/a.png", "masks/a.png")
    with pytest.raises(UserError, match=r"a\.jpg and a\.png"):
        read(tmp_path)


@pytest.mark.parametrize("names", [("cat/1.jpg", "dog/2.jpg"), ("a.jpg", "b.jpg"), ("masks/a.png",)])
def test_other_folders_hold_no_pairs(names, tmp_path):
    assert read(write(tmp_path, *names)) is None
