"""The sample digits keep their promises: real pixels, fixed stratified splits, pictures decoded only when read."""

import io
from collections import Counter

import numpy as np
import pytest
from datasets import Image
from PIL import Image as Picture
from sklearn.datasets import load_digits

from hfkit.samples.digits import sample_digits, stratified_order

SIZES = {"train": 1077, "validation": 240, "test": 480}


@pytest.fixture(scope="module")
def dataset():
    return sample_digits()


def stored(split):
    """The image column as it is stored."""
    return list(split.cast_column("image", Image(decode=False))["image"])


def test_columns_and_sizes(dataset):
    assert {split: len(rows) for split, rows in dataset.items()} == SIZES
    for rows in dataset.values():
        assert rows.column_names == ["image", "label"] and isinstance(rows.features["image"], Image)
        assert set(rows["label"]) == set("0123456789")


def test_every_digit_of_the_source_is_there_once_with_its_pixels_and_label(dataset):
    source = load_digits()
    seen = []
    for rows in dataset.values():
        for image, label in zip(stored(rows), rows["label"], strict=True):
            row = int(image["path"].removeprefix("digit-").removesuffix(".png"))
            pixels = np.asarray(Picture.open(io.BytesIO(image["bytes"])))
            assert pixels.dtype == np.uint8 and (pixels == np.round(source.images[row] * 255 / 16)).all()
            assert label == str(source.target[row])
            seen.append(row)
    assert sorted(seen) == list(range(len(source.target)))


def test_pictures_are_decoded_when_read_and_not_before(monkeypatch):
    opened = []
    real = Picture.open
    monkeypatch.setattr(Picture, "open", lambda *args, **kwargs: opened.append(1) or real(*args, **kwargs))
    rows = sample_digits()["test"]
    assert not opened
    assert rows[0]["image"].mode == "L" and rows[0]["image"].size == (8, 8)
    assert opened


def test_splits_are_stratified(dataset):
    shares = Counter(load_digits().target.astype(str).tolist())
    for split, rows in dataset.items():
        for label, count in Counter(rows["label"]).items():
            assert abs(count - shares[label] * SIZES[split] / 1797) <= 1.5


def test_splits_are_always_the_same(dataset):
    again = sample_digits()
    for split, rows in dataset.items():
        assert stored(rows) == stored(again[split])
    # Known rows, so that another release of Python or of a library would be noticed.
    first = {split: [image["path"][6:10] for image in stored(rows)[:3]] for split, rows in dataset.items()}
    assert first == {
        "train": ["0000", "0001", "0002"],
        "validation": ["0003", "0004", "0014"],
        "test": ["0007", "0010", "0012"],
    }


def test_every_stretch_of_the_order_has_all_labels_in_their_shares():
    labels = [0] * 60 + [1] * 30 + [2] * 10
    order = stratified_order(labels)
    assert sorted(order) == list(range(100)) and order != sorted(order)
    for start in range(0, 100, 20):
        counts = Counter(labels[row] for row in order[start : start + 20])
        assert abs(counts[0] - 12) <= 1 and abs(counts[1] - 6) <= 1 and abs(counts[2] - 2) <= 1
