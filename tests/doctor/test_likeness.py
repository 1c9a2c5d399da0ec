"""Pictures that look the same are found in both of their places; other pictures, however similar in kind, are not."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from hfkit.data.images.likeness import FURTHEST, Likeness, candidates, hash_pictures
from hfkit.doctor.likeness import examine_likeness
from hfkit.doctor.rows import read_rows
from hfkit.tasks import ImageClassification


def photograph(number: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """Coarse random colours, blurred into each other and with fine noise over them, another one for each number."""
    draw = np.random.default_rng(number)
    coarse = Image.fromarray(draw.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize(size, Image.Resampling.BICUBIC)
    noisy = np.asarray(coarse, int) + draw.integers(-12, 13, (size[1], size[0], 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def save_all(folder: Path) -> None:
    for split, first in (("train", 0), ("validation", 100), ("test", 200)):
        for label in ("a", "b"):
            (folder / split / label).mkdir(parents=True)
            for number in range(10):
                photograph(first + number + 50 * (label == "b")).save(folder / split / label / f"{number}.png")


def examine(folder: Path, check: str = "near-repeats"):
    _, rows = read_rows(ImageClassification(dataset=str(folder)), None)
    return [finding for finding in examine_likeness(rows) if finding.check == check]


def test_copies_that_were_saved_again_are_found_in_both_places(tmp_path):
    save_all(tmp_path)
    original = photograph(3)
    turned = Image.Exif()
    turned[0x0112] = 6
    copies = {
        "quality.jpg": lambda file: original.save(file, quality=50),
        "small.png": lambda file: original.resize((80, 60)).save(file),
        "large.webp": lambda file: original.resize((320, 240)).save(file),
        "bright.png": lambda file: ImageEnhance.Brightness(original).enhance(1.15).save(file),
        "turned.png": lambda file: original.transpose(Image.Transpose.ROTATE_90).save(file, exif=turned),
        "same.png": lambda file: original.save(file),  # the same bytes are a repeat
    }
    for name, save in copies.items():
        save(tmp_path / "test" / "b" / name)
    (found,) = examine(tmp_path)
    assert found.what.startswith("5 of 26 ") and "5 of them with another answer" in found.what
    assert all("train row 3: a/3.png (160 x 120 pixels)" in line for line in found.evidence)
    assert found.severity == "note"  # fewer than ten may be an accident


def test_other_pictures_are_not_the_same(tmp_path):
    save_all(tmp_path)
    for split in ("train", "test"):
        Image.new("RGB", (50 + len(split), 40), "white").save(tmp_path / split / "a" / "blank.png")
    photograph(3).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "test" / "a" / "mirrored.png")
    photograph(4).convert("RGB", (0, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0)).save(tmp_path / "test" / "a" / "colours.png")
    (found,) = examine(tmp_path)
    assert (found.severity, found.evidence) == ("ok", ())


def test_hashes_within_reach_are_all_candidates():
    draw = np.random.default_rng(0)
    ours = draw.integers(0, 2**63, 300, dtype=np.uint64)
    flips = [draw.choice(64, draw.integers(0, 15), replace=False) for _ in ours]
    theirs = np.array(
        [
            mark ^ np.bitwise_or.reduce(np.uint64(1) << bits.astype(np.uint64))
            for mark, bits in zip(ours, flips, strict=True)
        ]
    )
    near = {(row, row) for row, bits in enumerate(flips) if len(bits) <= FURTHEST}
    found = {pair for some in candidates(ours, theirs) for pair in zip(*(each.tolist() for each in some), strict=True)}
    assert found == near and 100 < len(near) < 200


def test_hashes_are_those_of_a_cosine_transform_and_half_of_their_bits_are_set():
    from scipy.fft import dctn

    pixels = np.stack([np.asarray(photograph(number, (32, 32))) for number in range(5)])
    grey = pixels.astype(float) @ [0.299, 0.587, 0.114]
    low = dctn(grey, axes=(1, 2))[:, 1:9, 1:9].reshape(5, -1)
    bits = low > np.median(low, axis=1, keepdims=True)
    assert np.array_equal(np.unpackbits(hash_pictures(pixels).astype(">u8").view(np.uint8).reshape(5, 8), axis=1), bits)
    assert (bits.sum(1) == 32).all()


def test_the_first_of_several_twins_is_named():
    pixels = np.stack([np.asarray(photograph(number, (32, 32))) for number in (1, 2, 2, 3)])
    assert list(Likeness(pixels[2:3]).twins_in(Likeness(pixels))) == [(0, 1)]


@pytest.mark.parametrize(("written", "stale"), [((120, 160), True), ((160, 120), False), (None, False)])
def test_a_picture_that_was_turned_and_kept_its_tag_is_named(written, stale, tmp_path):
    """A camera writes its sides in a directory of their own, which programs that turn pictures leave as it is."""
    save_all(tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6
    if written is not None:
        exif.get_ifd(0x8769).update({0xA002: written[0], 0xA003: written[1]})
    photograph(7, (160, 120)).save(tmp_path / "train" / "a" / "turned.jpg", exif=exif)
    found = examine(tmp_path, "stale-orientation")
    assert len(found) == stale
    if stale:
        assert "train row 10: a/turned.jpg" in found[0].evidence[0]
