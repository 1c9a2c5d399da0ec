"""Write `hfkit/samples/xrays`: a small part of PneumoniaMNIST, drawn by class with a fixed seed.

    python samples_source/make_xrays.py FOLDER

FOLDER holds train.parquet, validation.parquet and test.parquet with the columns `image` (PNG of 28 x 28 grey pixels)
and `label` (0 normal, 1 pneumonia). Each split becomes one PNG, its pictures side by side in rows, and `labels.json`
holds their labels in that order.
"""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

HOME = Path(__file__).parents[1] / "hfkit" / "samples" / "xrays"
SIZES = {"train": (60, 170), "validation": (20, 50), "test": (60, 100)}  # normal, pneumonia
SIDE, ACROSS, SEED = 28, 20, 0


def main(folder: Path) -> None:
    HOME.mkdir(exist_ok=True)
    labels = {}
    for split, sizes in SIZES.items():
        table = pq.read_table(folder / f"{split}.parquet")
        of_row, random = np.array(table["label"].to_pylist()), np.random.default_rng(SEED)
        drawn = [
            random.choice(np.flatnonzero(of_row == label), size, replace=False) for label, size in enumerate(sizes)
        ]
        rows = random.permutation(np.concatenate(drawn))
        labels[split] = "".join(str(of_row[row]) for row in rows)
        images = table["image"].to_pylist()
        sheet = np.zeros((-(-len(rows) // ACROSS) * SIDE, ACROSS * SIDE), np.uint8)
        for place, row in enumerate(rows):
            top, left = place // ACROSS * SIDE, place % ACROSS * SIDE
            pixels = np.asarray(Image.open(io.BytesIO(images[row]["bytes"])))
            sheet[top : top + SIDE, left : left + SIDE] = pixels
        Image.fromarray(sheet).save(HOME / f"{split}.png", optimize=True)
    (HOME / "labels.json").write_text(json.dumps(labels, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
