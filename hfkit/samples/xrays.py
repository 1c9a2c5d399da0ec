"""The sample X-rays: a small part of PneumoniaMNIST, real pictures of chests of 28 x 28 grey pixels."""

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import DatasetDict

HOME = Path(__file__).parent / "xrays"
NAMES = ("normal", "pneumonia")
SIDE, ACROSS = 28, 20  # pixels of a picture, and pictures in a row of a sheet


def sample_xrays() -> "DatasetDict":
    """Chest X-rays of children: `image` (PNG, decoded when read) and `label` (normal or pneumonia).

    For trying the kit, and for no clinical use (see README.md in this folder).
    """
    # Imported here: resolving a checkpoint should not wait for them.
    from datasets import Dataset, DatasetDict, Features, Image, Value
    from PIL import Image as Pillow

    features = Features({"image": Image(), "label": Value("string")})
    splits = {}
    for split, labels in json.loads((HOME / "labels.json").read_text()).items():
        with Pillow.open(HOME / f"{split}.png") as sheet:
            images = [
                {"bytes": cut_out(sheet, place), "path": f"xray-{split}-{place:03d}.png"}
                for place in range(len(labels))
            ]
        rows = {"image": images, "label": [NAMES[int(label)] for label in labels]}
        splits[split] = Dataset.from_dict(rows, features=features, split=split)
    return DatasetDict(splits)


def cut_out(sheet, place: int) -> bytes:
    """One picture of a sheet, as a PNG."""
    left, top = place % ACROSS * SIDE, place // ACROSS * SIDE
    file = io.BytesIO()
    sheet.crop((left, top, left + SIDE, top + SIDE)).save(file, format="PNG")
    return file.getvalue()
