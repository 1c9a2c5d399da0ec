"""CPU time of getting pictures with boxes or masks into training, beside the way of transformers' own examples.

    OMP_NUM_THREADS=1 python -m benchmarks.annotated_input

Both take the same JPEG bytes from a `datasets` table to the batch that a model is trained on. The examples
(examples/pytorch/object-detection and semantic-segmentation there) decode by `datasets.Image` and hand pictures and
annotations to the checkpoint's image processor, in batches; boxes as COCO has them are prepared by it, masks are PNGs
that it resizes by the nearest pixel. Their random crops need a package that has ended, so here both sides vary by the
mirror alone, half of the time, which the examples' side does with torchvision. The sizes are those of the examples'
defaults: for boxes a square of 640 pixels (RT-DETR's), for masks one of 512 (SegFormer's).

Sides take turns batch by batch, and a ratio is of one round over the same pictures, so that load on the machine falls
on both alike. Photographs are those of image_input.py. "Light" is what recipes do if nothing is said. The image cache
holds pictures and masks; boxes have none. Judging is what evaluations read. Memory: how much the private memory of a
process grows over loading 50,000 tiny pictures with boxes, and over batches of all of them.
Results: benchmarks/results/annotated_input.json
"""

import argparse
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any

import datasets
import numpy as np
import psutil
import torch
from PIL import Image
from torchvision.transforms.v2 import functional
from transformers import AutoModelForObjectDetection, RTDetrImageProcessor, SegformerImageProcessor

from benchmarks.image_input import epochs, photos, ratios, time_rounds
from hfkit.data.images.augmentation import Preset
from hfkit.runtime.machine import environment
from hfkit.tasks import ObjectDetection
from hfkit.tasks.detection.batches import BoxedImages, VariedBoxes
from hfkit.tasks.masks.batches import PRESETS, JudgedMasks, VariedMasks
from hfkit.tasks.masks.classes import MaskClasses, write_legend

RESULT = Path(__file__).parent / "results" / "annotated_input.json"
PHOTOS, BATCH, BOXES, CLASSES = 32, 8, 7, 5
WIDTH, HEIGHT = 500, 375
Side = Callable[[list[int]], dict]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", type=int, default=50_000, help="of the memory measurement; 0 leaves it out")
    parser.add_argument("--memory_of", default=None, help="measure this folder in this process and print the growth")
    args = parser.parse_args()
    if args.memory_of:
        print(json.dumps(measure_memory(args.memory_of)))
        return
    torch.set_num_threads(1)
    files = photos(PHOTOS)
    with tempfile.TemporaryDirectory() as folder:
        speed = {
            "boxes": compare(box_sides(files), args.rounds),
            "masks": compare(mask_sides(files, Path(folder)), args.rounds),
        }
    result = {
        "schema": "hfkit.annotated-input/1",
        "command": f"python -m benchmarks.annotated_input --rounds {args.rounds} --rows {args.rows}",
        "environment": environment(),
        "photos": {"count": PHOTOS, "width": WIDTH, "height": HEIGHT, "format": "JPEG, quality 90"},
        "batch": BATCH,
        "speed": speed,
        "memory": grow_memory(args.rows) if args.rows else None,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: result[key] for key in ("speed", "memory")}, indent=1))


def compare(sides: dict[str, Side], rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds of CPU a picture, as the median over rounds, and how many times as long the example took."""
    times = time_rounds(sides, rounds, PHOTOS, BATCH)
    return {
        name: {
            "cpu_ms": median(found),
            **ratios([a / b for a, b in zip(times["example"], found, strict=True)]),
        }
        for name, found in times.items()
    }


# Boxes


def box_sides(files: list[bytes]) -> dict[str, Side]:
    processor = RTDetrImageProcessor(size={"height": 640, "width": 640})
    draw = np.random.default_rng(0)
    begin = draw.uniform(0, [WIDTH - 100, HEIGHT - 100], (PHOTOS, BOXES, 2))
    boxes = np.concatenate([begin, begin + draw.uniform(10, 100, begin.shape)], axis=2)
    labels = draw.integers(0, CLASSES, (PHOTOS, BOXES))
    columns = {"image": [{"bytes": data, "path": None} for data in files], "row": list(range(PHOTOS))}
    columns |= {"boxes": boxes.tolist(), "class_labels": labels.tolist()}
    columns |= {"width": [WIDTH] * PHOTOS, "height": [HEIGHT] * PHOTOS}
    rows = datasets.Dataset.from_dict(columns).cast_column("image", datasets.Image(decode=False))
    plain = BoxedImages(processor, Path(), masked=False)
    same = VariedBoxes(processor, Path(), masked=False, flipped=True)
    light = replace(same, strength="light")
    ours = {"the same mirror": same, "light": light, "judging": plain}
    return {
        "example": stock_boxes(rows, processor),
        **{f"hfkit, {name}": read_by(rows, collate) for name, collate in ours.items()},
    }


def read_by(rows: datasets.Dataset, collate: Any) -> Side:
    return lambda numbers: collate(rows.__getitems__(numbers))


def stock_boxes(rows: datasets.Dataset, processor: Any) -> Side:
    """As `augment_and_transform_batch` and `collate_fn` of run_object_detection.py."""
    rows = rows.cast_column("image", datasets.Image())

    def transform(batch: dict) -> dict:
        images, annotations = [], []
        columns = (batch[name] for name in ("image", "row", "boxes", "class_labels"))
        for image, number, boxes, labels in zip(*columns, strict=True):
            pixels, boxes = np.array(image.convert("RGB")), np.array(boxes)
            if random.random() < 0.5:
                pixels = functional.horizontal_flip(torch.from_numpy(pixels).permute(2, 0, 1)).permute(1, 2, 0).numpy()
                boxes[:, [0, 2]] = pixels.shape[1] - boxes[:, [2, 0]]
            sides = boxes[:, 2:] - boxes[:, :2]
            found = [
                {"image_id": number, "category_id": label, "iscrowd": 0, "area": float(size.prod()), "bbox": box}
                for label, size, box in zip(
                    labels, sides, np.concatenate([boxes[:, :2], sides], axis=1).tolist(), strict=True
                )
            ]
            images.append(pixels)
            annotations.append({"image_id": number, "annotations": found})
        result = processor(images=images, annotations=annotations, return_tensors="pt")
        result.pop("pixel_mask", None)
        return result

    rows.set_transform(transform)

    def batch(numbers: list[int]) -> dict:
        of_batch = rows.__getitems__(numbers)
        return {
            "pixel_values": torch.stack([row["pixel_values"] for row in of_batch]),
            "labels": [row["labels"] for row in of_batch],
        }

    return batch


# Masks


def mask_sides(files: list[bytes], folder: Path) -> dict[str, Side]:
    processor = SegformerImageProcessor(size={"height": 512, "width": 512}, do_reduce_labels=False)
    target = MaskClasses(tuple(f"class {number}" for number in range(CLASSES)), None, tuple(range(CLASSES)))
    masks = [draw_mask(number) for number in range(PHOTOS)]
    columns: dict[str, list] = {
        name: [{"bytes": data, "path": None} for data in of_kind]
        for name, of_kind in (("image", files), ("mask", masks))
    }
    columns["fingerprint"] = [hashlib.blake2b(data, digest_size=16).hexdigest() for data in files]
    columns["mask_fingerprint"] = [hashlib.blake2b(data, digest_size=16).hexdigest() for data in masks]
    columns |= {"legend": [write_legend(target)] * PHOTOS, "row": list(range(PHOTOS)), "view": [0] * PHOTOS}
    for name, value in (("width", WIDTH), ("height", HEIGHT), ("upright_width", WIDTH), ("upright_height", HEIGHT)):
        columns[name] = [value] * PHOTOS
    rows = datasets.Dataset.from_dict(columns)
    for name in ("image", "mask"):
        rows = rows.cast_column(name, datasets.Image(decode=False))
    sides: dict[str, Side] = {"example": stock_masks(rows, processor)}
    for name, preset in {"the same mirror": Preset(), "light": PRESETS["light"]}.items():
        varied = VariedMasks(processor, Path(), preset=preset, flipped=True)
        sides |= epochs(f"hfkit, {name}", rows, varied, folder / name)
    return sides | epochs("hfkit, judging", rows, JudgedMasks(processor, Path()), folder / "judging")


def draw_mask(number: int) -> bytes:
    """A PNG of large areas, as masks have them."""
    small = np.random.default_rng(number).integers(0, CLASSES, (6, 8), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(small).resize((WIDTH, HEIGHT), Image.Resampling.NEAREST).save(file, "PNG")
    return file.getvalue()


def stock_masks(rows: datasets.Dataset, processor: Any) -> Side:
    """As run_semantic_segmentation.py, with the processor in the place of its random crops."""
    rows = rows.cast_column("image", datasets.Image()).cast_column("mask", datasets.Image())

    def transform(batch: dict) -> dict:
        images, masks = [], []
        for image, mask in zip(batch["image"], batch["mask"], strict=True):
            pair = image.convert("RGB"), mask
            if random.random() < 0.5:
                pair = tuple(functional.horizontal_flip(one) for one in pair)
            images.append(pair[0])
            masks.append(pair[1])
        return processor(images, segmentation_maps=masks, return_tensors="pt")

    rows.set_transform(transform)

    def batch(numbers: list[int]) -> dict:
        of_batch = rows.__getitems__(numbers)
        return {name: torch.stack([row[name] for row in of_batch]) for name in ("pixel_values", "labels")}

    return batch


# Memory


def grow_memory(rows: int) -> dict[str, float]:
    """MiB that the private memory of a fresh process grows by, over pictures with boxes in a folder with COCO JSON."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "data")
        write_coco(folder, rows)
        ended = subprocess.run(
            [sys.executable, "-m", "benchmarks.annotated_input", "--memory_of", str(folder)],
            capture_output=True,
            text=True,
            check=True,
        )
    return {"rows": rows, **json.loads(ended.stdout.splitlines()[-1])}


def write_coco(folder: Path, rows: int) -> None:
    """Tiny pictures with seven boxes each; links to few files, for what grows with the rows is what is kept of each."""
    for number in range(16):
        file = folder / "pictures" / f"{number}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 255, (32, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(file, "JPEG")
    counts = {"train": rows - 400, "validation": 200, "test": 200}
    for split, count in counts.items():
        (folder / split).mkdir()
        names = [f"{row}.jpg" for row in range(count)]
        for row, name in enumerate(names):
            (folder / split / name).hardlink_to(folder / "pictures" / f"{row % 16}.jpg")
        content = {
            "images": [{"id": row, "file_name": name} for row, name in enumerate(names)],
            "annotations": [
                {"id": BOXES * row + box, "image_id": row, "category_id": box % CLASSES, "bbox": [box, box, 20, 15]}
                for row in range(count)
                for box in range(BOXES)
            ],
            "categories": [{"id": number, "name": f"class {number}"} for number in range(CLASSES)],
        }
        (folder / split / "boxes.json").write_text(json.dumps(content), encoding="utf-8")
    for file in (folder / "pictures").iterdir():
        file.unlink()
    (folder / "pictures").rmdir()


def measure_memory(folder: str) -> dict[str, float]:
    """Over loading, and over one epoch of batches; CPU milliseconds of loading a picture."""
    process = psutil.Process()

    def private() -> float:
        seen = process.memory_full_info()
        return (seen.rss - seen.shared) / 2**20

    task = ObjectDetection(dataset=folder, augmentation="none")
    task.codec("sample-detector", task.guess_target(CLASSES))  # imports what it needs before memory is first measured
    AutoModelForObjectDetection._model_mapping.keys()
    start, begun = private(), time.process_time()
    loaded = task.load()
    looked, after_loading = time.process_time() - begun, private()
    codec = task.codec("sample-detector", loaded.target)
    train = codec.encode(loaded["train"], split="train", answers=True)
    peak = private()
    for first in range(0, len(train), 64):
        codec.collate(train.__getitems__(list(range(first, min(first + 64, len(train))))))
        peak = max(peak, private()) if first % 6400 == 0 else peak
    return {
        "mib_after_loading": after_loading - start,
        "mib_after_batches": max(peak, private()) - start,
        "load_cpu_ms": looked / len(train) * 1000,
    }


if __name__ == "__main__":
    main()
