"""The sample images: the handwritten digits that scikit-learn carries, in fixed splits."""

import io
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import DatasetDict

SIZES = {"train": 1077, "validation": 240, "test": 480}
SEED = 3


def sample_digits() -> "DatasetDict":
    """Real handwritten digits of 8x8 grey pixels: `image` (PNG, decoded when read) and `label` ("0" to "9").

    They are scikit-learn's copy of the test part of UCI optdigits. Every split has digits of the same writers, so a
    score is optimistic (see README.md in this folder).
    """
    # Imported here: resolving a checkpoint should not wait for them.
    from datasets import Dataset, DatasetDict, Features, Image, Value
    from sklearn.datasets import load_digits

    digits = load_digits()
    features = Features({"image": Image(), "label": Value("string")})
    order, splits = stratified_order(digits.target.tolist()), {}
    for split, size in SIZES.items():
        rows, order = sorted(order[:size]), order[size:]
        images = [{"bytes": png(digits.images[row]), "path": f"digit-{row:04d}.png"} for row in rows]
        labels = [str(digits.target[row]) for row in rows]
        splits[split] = Dataset.from_dict({"image": images, "label": labels}, features=features, split=split)
    return DatasetDict(splits)


def stratified_order(labels: list[int]) -> list[int]:
    """All row numbers in random order, so that every stretch of it has all labels in proportion."""
    random = Random(SEED).random  # Python promises never to change random(), but not shuffle()
    drawn = sorted((random(), row) for row in range(len(labels)))
    rows_of: dict[int, list[int]] = {}
    for _, row in drawn:
        rows_of.setdefault(labels[row], []).append(row)
    places = [((i + 0.5) / len(rows), row) for rows in rows_of.values() for i, row in enumerate(rows)]
    return [row for _, row in sorted(places)]


def png(pixels) -> bytes:
    """A PNG in mode L of an 8x8 array with values from 0 to 16."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray((pixels * 255 / 16).round().astype("uint8")).save(file, format="PNG")
    return file.getvalue()
