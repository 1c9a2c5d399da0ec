"""The sample X-rays keep their promises: so many of each class, small, decoded when read, and none in two splits."""

import io
from collections import Counter

import numpy as np
from datasets import Image
from PIL import Image as Pillow

from hfkit.samples.xrays import HOME, sample_xrays
from samples_source.make_xrays import SIZES


def test_splits_hold_so_many_of_each_class():
    splits, seen = sample_xrays(), {}
    for split, rows in splits.items():
        assert rows.column_names == ["image", "label"] and isinstance(rows.features["image"], Image)
        assert Counter(rows["label"]) == dict(zip(("normal", "pneumonia"), SIZES[split], strict=True))
        stored = rows.cast_column("image", Image(decode=False))["image"]
        seen[split] = {image["bytes"] for image in stored}
        picture = np.asarray(Pillow.open(io.BytesIO(stored[0]["bytes"])))
        assert picture.shape == (28, 28) and picture.dtype == np.uint8 and picture.std() > 10
    assert not seen["train"] & seen["test"] and not seen["train"] & seen["validation"]
    assert not seen["validation"] & seen["test"]


def test_they_are_small():
    assert sum(file.stat().st_size for file in HOME.iterdir()) < 250_000
