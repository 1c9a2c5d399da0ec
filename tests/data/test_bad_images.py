"""Bad images: each kind is named by split, row and file before anything is trained, or skipped and counted."""

import shutil
import socket
import struct
import warnings
import zlib
from pathlib import Path

import pytest
from datasets import Dataset, List, Value
from PIL import Image as Pillow

from hfkit.errors import DataError, UserError
from hfkit.tasks import ImageClassification
from tests.tiny import images as tiny

PHOTO = tiny.picture("red", 0, (160, 120))
PNG, JPEG = tiny.encoded(PHOTO), tiny.encoded(PHOTO, "JPEG")


@pytest.fixture(scope="module")
def clean(tmp_path_factory) -> str:
    return tiny.image_folder(tmp_path_factory.mktemp("clean"), train=3, validation=1, test=2)


@pytest.fixture
def folder(clean, tmp_path) -> Path:
    """A copy of good class folders, to be spoilt."""
    return Path(shutil.copytree(clean, tmp_path / "images"))


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :]


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header promises so many black pixels, packed small."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


BAD = {
    "empty": (b"", "the file is empty"),
    "html": (b"<!DOCTYPE html><title>404</title>", "it cannot be read as an image"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it cannot be read as an image"),
    "cut jpeg": (JPEG[: len(JPEG) // 2], "the file is damaged or cut off"),
    "cut png": (PNG[: len(PNG) // 2], "the file is damaged or cut off"),
    "cut webp": (tiny.encoded(PHOTO, "WEBP")[:-200], "it cannot be read as an image"),
    "cut gif": (tiny.encoded(PHOTO, "GIF")[:-3000], "the file is damaged or cut off"),
    "flipped bit": (flipped(PNG, len(PNG) // 2), "the file is damaged or cut off"),
    "bomb": (bomb(60_000, 60_000), "an image has at most 50 megapixels"),
    "too large": (bomb(8_000, 8_000), "an image has at most 50 megapixels"),
    "floats": (tiny.encoded(Pillow.new("F", (9, 9), 1.5), "TIFF"), "pixels in floating point go from 0 to 1"),
    "32 bit": (tiny.encoded(Pillow.new("I", (9, 9), 70_000), "TIFF"), "grey in whole numbers goes from 0 to 65,535"),
    "32 bit or 8": (
        tiny.encoded(Pillow.new("I", (9, 9), 200), "TIFF"),
        "grey of 32 bits that ends at 255",
    ),
    "lab": (tiny.encoded(Pillow.new("LAB", (9, 9)), "TIFF"), "pixels of mode LAB cannot be shown"),
    "drawing": (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG is a drawing"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_image_is_named(kind, folder):
    data, rule = BAD[kind]
    (folder / "test" / "green" / "0.png").write_bytes(data)
    with pytest.raises(DataError) as error:
        ImageClassification(dataset=str(folder)).load()
    assert str(error.value).startswith("split 'test', row 2, column 'image': image 'test/green/0.png'")
    assert f": {rule}" in str(error.value)
    assert "--on_bad_row skip" in str(error.value)


def test_bad_images_are_skipped_and_counted(folder, capsys):
    for number, (data, _) in enumerate(BAD.values()):
        (folder / "train" / "green" / f"bad{number}.jpg").write_bytes(data)
    task = ImageClassification(dataset=str(folder), on_bad_row="skip")
    rows = task.load()
    assert len(rows["train"]) == 9
    counts = task.rows.facts(rows.splits)["train"]["skipped"]
    assert sum(counts.values()) == len(BAD) and len(counts) == 9
    assert counts["an image has at most 50 megapixels"] == 2
    assert counts["the file is damaged or cut off"] == 4
    assert counts["it cannot be read as an image (JPEG, PNG, GIF, WEBP, BMP, TIFF, PPM, AVIF, HEIF or JPEG2000)"] == 3
    assert "train: 15 of 24 rows skipped, first row 6" in capsys.readouterr().out


def test_a_picture_of_a_phone_that_cannot_be_read_names_the_command(monkeypatch):
    from hfkit.data.images import files
    from hfkit.data.images.pictures import Refused

    monkeypatch.setattr(files, "FORMATS", ("JPEG", "PNG"))
    for kind, library in (("HEIF", r"pillow-heif, which is not installed"), ("AVIF", "newer Pillow")):
        with pytest.raises(Refused, match=library) as error:
            files.look(tiny.encoded(PHOTO, kind), 50)
        assert "pip install" in error.value.fix


def test_a_bomb_is_refused_before_it_unpacks():
    """A gigabyte of pixels would take seconds and the memory; the header takes neither, and no warning is printed."""
    from hfkit.data.images.files import look
    from hfkit.data.images.pictures import Refused

    with warnings.catch_warnings():
        warnings.simplefilter("error", Pillow.DecompressionBombWarning)
        with pytest.raises(Refused, match="megapixels"):
            look(bomb(10_000, 10_000), 50)
    with pytest.raises(UserError, match="at most 89"):
        ImageClassification(max_megapixels=200)


def test_every_jpeg_that_is_cut_shows(tmp_path):
    from hfkit.data.images.files import look
    from hfkit.data.images.pictures import Refused

    for progressive in (False, True):
        whole = tiny.encoded(PHOTO, "JPEG", progressive=progressive)
        assert look(whole, 50).format == "JPEG"
        for share in (0.3, 0.6, 0.9, 0.98):
            with pytest.raises(Refused, match="damaged or cut off"):
                look(whole[: int(len(whole) * share)], 50)


@pytest.mark.parametrize("place", ["header", "pixels", "checksum"])
def test_every_flipped_bit_of_a_png_shows(place):
    from hfkit.data.images.files import look
    from hfkit.data.images.pictures import Refused

    with pytest.raises(Refused):
        look(flipped(PNG, {"header": 18, "pixels": len(PNG) // 3, "checksum": len(PNG) - 15}[place]), 50)


def test_an_empty_class_folder_is_named(folder, capsys):
    (folder / "validation" / "violet").mkdir()
    with pytest.raises(DataError, match="split 'validation': class folder 'violet': it holds no image"):
        ImageClassification(dataset=str(folder)).load()
    assert len(ImageClassification(dataset=str(folder), on_bad_row="skip").load()["validation"]) == 3
    assert "class folder 'violet' holds no image" in capsys.readouterr().out


def test_a_class_that_train_lacks_is_named(folder):
    (folder / "test" / "red").rename(folder / "test" / "violet")
    with pytest.raises(DataError, match="split 'test', row 4, column 'label': 'violet'.* does not occur in train"):
        ImageClassification(dataset=str(folder)).load()
    assert len(ImageClassification(dataset=str(folder), on_bad_row="skip").load()["test"]) == 4


def test_one_class_in_train_is_said_before_the_other_splits_are_read(folder):
    for label in ("blue", "green"):
        shutil.rmtree(folder / "train" / label)
    with pytest.raises(UserError, match="every row of train has the answer 'red'"):
        ImageClassification(dataset=str(folder)).load()


def test_images_beside_the_class_folders_are_refused(folder):
    (folder / "train" / "stray.png").write_bytes(PNG)
    with pytest.raises(DataError, match="file 'stray.png': an image lies in the folder of its class"):
        ImageClassification(dataset=str(folder)).load()


def test_other_files_are_left_out_aloud(folder, capsys):
    (folder / "train" / "red" / "notes.txt").write_text("taken in May")
    (folder / "train" / "red" / ".DS_Store").write_bytes(b"x")
    assert len(ImageClassification(dataset=str(folder)).load()["train"]) == 9
    told = capsys.readouterr().out
    assert "images: files that are no pictures by their suffix are left out: 1 .txt" in told
    assert "images: leftovers of systems and tools are left out: 1 .DS_Store" in told


def test_a_missing_split_is_named(folder):
    shutil.rmtree(folder / "validation")
    with pytest.raises(UserError, match="the split 'validation' is missing.*--validation_share"):
        ImageClassification(dataset=str(folder), validation_share=0).load()
    rows = ImageClassification(dataset=str(folder), validation_share=0.25).load()
    assert {split: len(of) for split, of in rows.splits.items()} == {"train": 7, "validation": 2, "test": 6}


def test_folders_hold_one_label_an_image(folder):
    with pytest.raises(UserError, match="a folder per class gives every image one label"):
        ImageClassification(dataset=str(folder), problem="multi-label").load()
    with pytest.raises(UserError, match="label_column='kind': class folders have no columns"):
        ImageClassification(dataset=str(folder), label_column="kind").load()


# Paths that are written in a column


@pytest.fixture
def tables(folder):
    """Parquet files with paths of images, the last ones of test as given."""

    def build(*paths: str | None) -> str:
        good = [{"image": f"files/{label}/{n}.png", "label": label} for label in tiny.CLASSES for n in range(3)]
        rows = [{"image": path, "label": "red"} for path in paths]
        place = folder / "tables"
        shutil.copytree(folder / "train", place / "files")
        return tiny.image_parquet(place, {"train": good, "validation": good, "test": [*good[:2], *rows]})

    return build


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("http://127.0.0.1:9/cat.png", "nothing is fetched from an address"),
        ("https://user@example.org/cat.png", "nothing is fetched from an address"),
        ("hf://datasets/some/set/cat.png", "nothing is fetched from an address"),
        ("zip://cat.png::http://127.0.0.1:9/cats.zip", "nothing is fetched from an address"),
        ("data:image/png;base64,AAAA", "nothing is fetched from an address"),
        ("/etc/hostname", "lie in its own folder"),
        ("../test/red/0.png", "lie in its own folder"),
        ("files/../../test/red/0.png", "lie in its own folder"),
        ("files/red/nothing.png", "there is no such file"),
        ("files", "there is no such file"),
        ("files/red/0.png\0.jpg", "it is no path"),
        (None, "every row has an image"),
    ],
)
def test_a_path_that_leads_astray_is_named(path, rule, tables, monkeypatch):
    def connected(*_):
        raise AssertionError("nothing may be fetched")

    dataset = tables(path)
    monkeypatch.setattr(socket.socket, "connect", connected)
    with pytest.raises(DataError, match=f"split 'test', row 2, column 'image': .*{rule}"):
        ImageClassification(dataset=dataset).load()
    assert len(ImageClassification(dataset=dataset, on_bad_row="skip").load()["test"]) == 2


def test_links_out_of_the_dataset_are_refused_unless_they_are_trusted(folder, tmp_path):
    (tmp_path / "elsewhere.png").write_bytes(PNG)
    (folder / "train" / "red" / "link.png").symlink_to(tmp_path / "elsewhere.png")
    with pytest.raises(DataError, match="lie in its own folder, links resolved"):
        ImageClassification(dataset=str(folder)).load()
    assert len(ImageClassification(dataset=str(folder), allow_outside_images=True).load()["train"]) == 10


def test_trusted_paths_may_lead_outside_but_not_to_an_address(tables):
    dataset = tables("../test/red/0.png")
    assert len(ImageClassification(dataset=dataset, allow_outside_images=True).load()["test"]) == 3
    shutil.rmtree(dataset)
    with pytest.raises(DataError, match="nothing is fetched"):
        ImageClassification(dataset=tables("http://127.0.0.1:9/cat.png"), allow_outside_images=True).load()


def test_a_dataset_may_lie_behind_a_link(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    assert len(ImageClassification(dataset=str(tmp_path / "link")).load()["train"]) == 9


@pytest.mark.parametrize("values", [[1, 2], [[PNG], [PNG]]], ids=["numbers", "lists of files"])
def test_a_column_that_holds_no_images_is_named(values, tmp_path):
    for split in ("train", "validation", "test"):
        Dataset.from_dict({"image": values, "label": ["a", "b"]}).to_parquet(str(tmp_path / f"{split}.parquet"))
    with pytest.raises(DataError, match="split 'train', column 'image': it holds .*--image_column"):
        ImageClassification(dataset=str(tmp_path)).load()


def test_labels_of_a_column_are_checked(tmp_path):
    rows = [{"image": {"bytes": PNG, "path": None}, "label": label} for label in (["red"], ["red", "green"], None)]
    task = ImageClassification(
        dataset=tiny.image_parquet(
            tmp_path, dict.fromkeys(("train", "validation", "test"), rows), List(Value("string"))
        ),
        problem="multi-label",
    )
    with pytest.raises(DataError, match="split 'train', row 2, column 'label': null"):
        task.load()
