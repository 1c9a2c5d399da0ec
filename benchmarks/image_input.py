"""CPU time and memory of getting photographs into training, beside the transforms of transformers' own example.

    OMP_NUM_THREADS=1 python benchmarks/image_input.py --result benchmarks/results/image_input.json

Both take the same JPEG bytes from a `datasets` table to a float batch of 224 x 224 pixels: a random resized crop of 8
to 100 % of the area, mirrored half of the time, normalised. The example (examples/pytorch/image-classification there)
decodes by `datasets.Image` and applies torchvision's RandomResizedCrop, RandomHorizontalFlip, ToTensor and Normalize,
image by image. They take turns batch by batch, and each ratio is of one round over the same photographs, so that load
on the machine falls on both alike. The photographs are 500 x 375 crops of the two that scikit-learn carries.

Ours crops from the file, or from the picture that the image cache keeps: the first epoch decodes, shrinks and writes
it, later ones read it (from memory here: the system keeps files that it has just written). The example has no cache.

Memory: how much the private memory of a fresh process grows over loading and preparing 50,000 files in class folders (a
fifth as many in parquet files) and over batches from everywhere in train, twice, through the image cache.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from statistics import median

import datasets
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from sklearn.datasets import load_sample_images
from torchvision import transforms
from transformers import ViTConfig, ViTImageProcessor

from hfkit.contract.abilities import training_collator
from hfkit.contract.target import Labels
from hfkit.data.images.augmentation import PRESETS, Preset
from hfkit.data.images.batches import JudgedImages, VariedImages
from hfkit.runtime.machine import environment
from hfkit.tasks import ImageClassification

SIZE, BATCH = 224, 32
SAME = Preset(scale=(0.08, 1.0))  # as the example crops
PHOTOS = 128
MOST = 20 * 10**9  # bytes of a cache
SCHEMA = datasets.Features({"image": datasets.Image(), "label": datasets.Value("string")}).arrow_schema


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--rows", type=int, default=50_000, help="of the memory measurement")
    parser.add_argument("--result", type=Path, default=None)
    parser.add_argument("--memory_of", default=None, help="measure this folder in this process and print the growth")
    args = parser.parse_args()
    if args.memory_of:
        print(json.dumps(memory(args.memory_of)))
        return
    torch.set_num_threads(1)
    result = {
        "schema": "hfkit.image-input/1",
        "command": f"python benchmarks/image_input.py --rounds {args.rounds} --rows {args.rows}",
        "environment": environment(),
        "photos": {"count": PHOTOS, "width": 500, "height": 375, "format": "JPEG, quality 90"},
        "batch": BATCH,
        "size": SIZE,
        "speed": speed(args.rounds),
        "memory": measured_memory(args.rows),
    }
    print(json.dumps({key: result[key] for key in ("speed", "memory")}, indent=1))
    if args.result:
        args.result.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def photos(count: int) -> list[bytes]:
    """JPEG files of 500 x 375 pixels, each another part of a photograph."""
    draw, files = random.Random(0), []
    for number in range(count):
        whole = Image.fromarray(load_sample_images().images[number % 2])
        width = draw.randint(400, whole.width)
        height = round(width * 3 / 4)
        left, upper = draw.randint(0, whole.width - width), draw.randint(0, max(0, whole.height - height))
        part = whole.crop((left, upper, left + width, min(upper + height, whole.height)))
        file = BytesIO()
        part.resize((500, 375), Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
        files.append(file.getvalue())
    return files


# Speed


def speed(rounds: int) -> dict:
    """Milliseconds of CPU per image, as the median over rounds, and the ratio of the example to each of ours."""
    files = photos(PHOTOS)
    images = [{"bytes": data, "path": None} for data in files]
    processor = ViTImageProcessor(size={"height": SIZE, "width": SIZE})
    with tempfile.TemporaryDirectory() as folder:
        contenders = {"example": stock(images, processor)}
        for name, preset in {"the same crop and flip": SAME, **PRESETS}.items():
            if preset.scale:
                crops = VariedImages(processor, Path(), preset=preset, flipped=True)
                contenders |= epochs(f"hfkit, {name}", prepared(images), crops, Path(folder, name))
        judging = JudgedImages(processor, Path())
        contenders |= epochs("hfkit, judging", prepared(images), judging, Path(folder, "judging"))
        return compared(contenders, rounds)


def compared(contenders: dict[str, Callable], rounds: int) -> dict:
    times = time_rounds({name: checked(make) for name, make in contenders.items()}, rounds, PHOTOS, BATCH)
    return {
        name: {
            "cpu_ms": median(found),
            "rounds": found,
            **ratios([stock / own for stock, own in zip(times["example"], found, strict=True)]),
        }
        for name, found in times.items()
    }


def checked(make: Callable) -> Callable:
    """A contender whose batches have the shape that the model reads."""

    def call(numbers: list[int]) -> None:
        assert make(numbers)["pixel_values"].shape == (BATCH, 3, SIZE, SIZE)

    return call


def time_rounds(sides: dict[str, Callable], rounds: int, photos: int, batch: int) -> dict[str, list[float]]:
    """Milliseconds of CPU a picture in each round; sides take turns batch by batch, in an order that is drawn."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    order, draw = list(sides), random.Random(0)
    for number in range(rounds + 1):
        spent = dict.fromkeys(sides, 0.0)
        for start in range(0, photos, batch):
            draw.shuffle(order)
            for name in order:
                began = time.process_time()
                sides[name](list(range(start, start + batch)))
                spent[name] += (time.process_time() - began) / photos * 1000
        if number:  # the first round warms up
            for name, found in times.items():
                found.append(spent[name])
    return times


def ratios(found: list[float]) -> dict[str, float]:
    return {"times_the_example": median(found), "lowest": min(found), "highest": max(found)}


def stock(images: list[dict], processor: ViTImageProcessor) -> Callable:
    rows = datasets.Dataset.from_dict({"image": images, "labels": [0] * len(images)})
    rows = rows.cast_column("image", datasets.Image())
    transform = transforms.Compose(
        [
            transforms.RandomResizedCrop(SIZE),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(mean=processor.image_mean, std=processor.image_std),
        ]
    )

    def transformed(batch: dict) -> dict:
        batch["pixel_values"] = [transform(image.convert("RGB")) for image in batch["image"]]
        return batch

    rows.set_transform(transformed)

    def batch(numbers: list[int]) -> dict:
        of_batch = rows.__getitems__(numbers)
        return {
            "pixel_values": torch.stack([row["pixel_values"] for row in of_batch]),
            "labels": torch.tensor([row["labels"] for row in of_batch]),
        }

    return batch


def prepared(images: list[dict]) -> datasets.Dataset:
    columns = {"labels": [0] * len(images), "row": list(range(len(images))), "view": [0] * len(images)}
    columns["fingerprint"] = [hashlib.blake2b(image["bytes"], digest_size=16).hexdigest() for image in images]
    columns |= {"width": [500] * len(images), "height": [375] * len(images)}
    rows = datasets.Dataset.from_dict({"image": images, **columns})
    return rows.cast_column("image", datasets.Image(decode=False))


def epochs(name: str, rows: datasets.Dataset, collate: JudgedImages, folder: Path) -> dict[str, Callable]:
    """Batches without the cache, with one that is empty as every round begins, and with one that is full."""
    cached = replace(collate, shrunk=True) if isinstance(collate, VariedImages) else collate
    full, first = (cached.with_cache(rows, folder / kind, MOST) for kind in ("full", "first"))
    full(list(rows))

    def of_first(numbers: list[int]) -> dict:
        if numbers[0] == 0:
            size = first.kept.path.stat().st_size
            for length in (int(first.kept.places[0]), size):
                os.truncate(first.kept.path, length)
        return first(rows.__getitems__(numbers))

    return {
        f"{name}, without a cache": lambda numbers: collate(rows.__getitems__(numbers)),
        f"{name}, first epoch": of_first,
        f"{name}, later epochs": lambda numbers: full(rows.__getitems__(numbers)),
    }


# Memory


def measured_memory(rows: int) -> dict:
    """Of `rows` files, and of parquet files with a fifth as many; a process each, which nothing else has grown."""
    found = {}
    with tempfile.TemporaryDirectory() as place:
        files = photos(PHOTOS)
        kinds = (("class folders", as_folders, rows), ("embedded in parquet", as_parquet, rows // 5))
        for kind, build, count in kinds:
            folder = Path(place, kind.split()[0])
            build(folder, files, count)
            command = [sys.executable, __file__, "--memory_of", str(folder)]
            environ = {**os.environ, "HF_DATASETS_CACHE": str(Path(place, "cache"))}
            ended = subprocess.run(command, capture_output=True, text=True, check=True, env=environ)
            size = count * sum(map(len, files)) / len(files) / 2**20
            found[kind] = {"rows": count, "mib_of_images": size, **json.loads(ended.stdout.splitlines()[-1])}
            shutil.rmtree(folder)
    return found


def as_folders(folder: Path, files: list[bytes], rows: int) -> None:
    """Links to few files: what grows with the rows is what is kept of each."""
    counts = {"train": rows - 2000, "validation": 1000, "test": 1000}
    for number, data in enumerate(files):
        (folder / "photos").mkdir(parents=True, exist_ok=True)
        (folder / "photos" / f"{number}.jpg").write_bytes(data)
    for split, count in counts.items():
        for label in ("left", "right"):
            (folder / split / label).mkdir(parents=True)
        for row in range(count):
            link = folder / split / ("left", "right")[row % 2] / f"{row}.jpg"
            link.hardlink_to(folder / "photos" / f"{row % len(files)}.jpg")


def as_parquet(folder: Path, files: list[bytes], rows: int) -> None:
    folder.mkdir()
    counts = {"train": rows - 2000, "validation": 1000, "test": 1000}
    for split, count in counts.items():
        with pq.ParquetWriter(folder / f"{split}.parquet", SCHEMA) as writer:
            for start in range(0, count, 1000):
                numbers = range(start, min(start + 1000, count))
                images = [{"bytes": files[row % len(files)], "path": None} for row in numbers]
                labels = [("left", "right")[row % 2] for row in numbers]
                writer.write_table(pa.table({"image": images, "label": labels}, schema=SCHEMA))


def memory(folder: str) -> dict[str, float]:
    """MiB that private memory grows by; pages of a mapped file are the system's, and given back when it wants them."""
    process = psutil.Process()

    def private() -> float:
        seen = process.memory_full_info()
        return (seen.rss - seen.shared) / 2**20

    task = ImageClassification(dataset=folder)
    with tempfile.TemporaryDirectory() as checkpoint:
        ViTConfig().save_pretrained(checkpoint)
        ViTImageProcessor(size={"height": SIZE, "width": SIZE}).save_pretrained(checkpoint)
        task.codec(checkpoint, Labels(()))  # imports what a codec needs before the memory is first measured
        start = private()
        began = time.process_time()
        loaded = task.load()
        looked = time.process_time() - began
        codec = task.codec(checkpoint, loaded.target)
    splits = loaded.splits.items()
    encoded = {split: codec.encode(rows, split=split, answers=True) for split, rows in splits}
    after_loading, train = private(), encoded["train"]
    collate = codec.store(training_collator(codec, 0), train, Path(folder, "cache"), MOST)
    for first in [*range(0, len(train), 500)] * 2:
        collate(train.__getitems__(list(range(first, min(first + 4, len(train))))))
    check = looked / sum(len(rows) for _, rows in splits) * 1000
    return {"mib_after_loading": after_loading - start, "mib_after_batches": private() - start, "check_cpu_ms": check}


if __name__ == "__main__":
    main()
