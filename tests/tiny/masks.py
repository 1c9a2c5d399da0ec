"""Tiny random segmenters, and pictures with masks: a bright disc or square on dark ground."""

import random
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset, Features, Image
from PIL import Image as Pillow
from PIL import ImageDraw
from transformers import SegformerConfig, SegformerForSemanticSegmentation, SegformerImageProcessor

NAMES = ("ground", "disc", "square")
COLOURS = {1: (220, 60, 40), 2: (40, 90, 230)}
SIDE = 32  # pixels that the tiny models read


def processor(side: int = SIDE) -> SegformerImageProcessor:
    return SegformerImageProcessor(size={"height": side, "width": side})


def segformer(folder: Path, *, labels: int = 3) -> str:
    """A random SegFormer of two stages with its processor; the same weights on every call."""
    torch.manual_seed(0)
    config = SegformerConfig(
        num_encoder_blocks=2,
        depths=[1, 1],
        sr_ratios=[2, 1],
        hidden_sizes=[16, 32],
        patch_sizes=[7, 3],
        strides=[4, 2],
        num_attention_heads=[1, 2],
        mlp_ratios=[2, 2],
        decoder_hidden_size=32,
        drop_path_rate=0.0,
        num_labels=labels,
    )
    SegformerForSemanticSegmentation(config).save_pretrained(folder)
    processor().save_pretrained(folder)
    return str(folder)


def pair(seed: int, size: tuple[int, int] = (36, 28)) -> tuple[Pillow.Image, Pillow.Image]:
    """A picture and its mask."""
    draw = random.Random(seed)
    noise = np.random.default_rng(seed).integers(20, 90, (size[1], size[0], 3), dtype=np.uint8)
    picture, mask = Pillow.fromarray(noise), Pillow.new("L", size)
    for kind in (1, 2):
        x, y = draw.randrange(2, size[0] - 14), draw.randrange(2, size[1] - 14)
        for canvas, fill in ((picture, COLOURS[kind]), (mask, kind)):
            pen = ImageDraw.Draw(canvas)
            (pen.ellipse if kind == 1 else pen.rectangle)((x, y, x + 11, y + 11), fill=fill)
    return picture, mask


def encoded(image: Pillow.Image, kind: str = "PNG", **options) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def mask_folder(folder: Path, *, train: int = 12, validation: int = 4, test: int = 4) -> str:
    """`train/images/0.jpg`, `train/masks/0.png` and so on, and the names of classes in `classes.txt`."""
    for part, (split, count) in enumerate({"train": train, "validation": validation, "test": test}.items()):
        for kind in ("images", "masks"):
            (folder / split / kind).mkdir(parents=True)
        for number in range(count):
            picture, mask = pair(1000 * part + number)
            picture.save(folder / split / "images" / f"{number}.png")
            mask.save(folder / split / "masks" / f"{number}.png")
    (folder / "classes.txt").write_text("\n".join(NAMES) + "\n")
    return str(folder)


def mask_parquet(folder: Path, rows: dict[str, list[dict]]) -> str:
    """Parquet files of `image` and `mask`, embedded, one per split."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, of_split in rows.items():
        features = Features({name: Image() for name in of_split[0]})
        Dataset.from_list(of_split, features=features).to_parquet(str(folder / f"{split}.parquet"))
    return str(folder)


def row(mask: Pillow.Image, picture: Pillow.Image | None = None, kind: str = "PNG") -> dict:
    picture = picture or Pillow.new("RGB", mask.size)
    return {
        "image": {"bytes": encoded(picture), "path": None},
        "mask": {"bytes": encoded(mask, kind), "path": None},
    }
