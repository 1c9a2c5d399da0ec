"""Tiny random image models and pictures that tell their class apart by colour and place."""

import random
from io import BytesIO
from pathlib import Path

import torch
from datasets import Dataset, Features, Image, Value
from PIL import Image as Pillow
from PIL import ImageDraw
from transformers import (
    ResNetConfig,
    ResNetForImageClassification,
    TimmWrapperConfig,
    TimmWrapperForImageClassification,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
)

CLASSES = {"blue": (30, 40, 200), "green": (40, 180, 60), "red": (210, 40, 30)}
SIDE = 32  # pixels that the tiny models read


def processor(channels: int = 3, side: int = SIDE) -> ViTImageProcessor:
    """Bilinear to a square, then to about -2 to 2."""
    mean, std = [0.48, 0.45, 0.40][:channels], [0.23, 0.22, 0.25][:channels]
    return ViTImageProcessor(size={"height": side, "width": side}, image_mean=mean, image_std=std)


def resnet(folder: Path, *, channels: int = 3, labels: int = 2) -> str:
    """A random ResNet of two stages with its processor; the same weights on every call."""
    torch.manual_seed(0)
    config = ResNetConfig(
        num_channels=channels,
        embedding_size=8,
        hidden_sizes=[8, 16],
        depths=[1, 1],
        layer_type="basic",
        num_labels=labels,
    )
    ResNetForImageClassification(config).save_pretrained(folder)
    processor(channels).save_pretrained(folder)
    return str(folder)


def vit(folder: Path) -> str:
    """A random ViT of two blocks with its processor."""
    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=SIDE,
        patch_size=8,
    )
    ViTForImageClassification(config).save_pretrained(folder)
    processor().save_pretrained(folder)
    return str(folder)


def timm_resnet(folder: Path) -> str:
    """A random ResNet of timm for 5 classes, as transformers wraps it: its processor stands in config.json."""
    torch.manual_seed(0)
    config = TimmWrapperConfig(
        architecture="test_resnet",
        num_labels=5,
        pretrained_cfg={
            "input_size": [3, SIDE, SIDE],
            "mean": [0.5, 0.4, 0.3],
            "std": [0.2, 0.3, 0.4],
            "interpolation": "bicubic",
            "crop_pct": 0.9,
        },
    )
    TimmWrapperForImageClassification(config).save_pretrained(folder)
    return str(folder)


def picture(label: str, seed: int, size: tuple[int, int] = (40, 36)) -> Pillow.Image:
    """Noise with a disc in the colour of its class."""
    draw = random.Random(f"{label} {seed}")
    image = Pillow.new("RGB", size)
    image.putdata([tuple(draw.randrange(60, 140) for _ in range(3)) for _ in range(size[0] * size[1])])
    x, y = draw.randrange(4, size[0] // 2), draw.randrange(4, size[1] // 2)
    ImageDraw.Draw(image).ellipse((x, y, x + 14, y + 14), fill=CLASSES[label])
    return image


def encoded(image: Pillow.Image, kind: str = "PNG", **options) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def image_folder(folder: Path, *, train: int = 8, validation: int = 3, test: int = 3, kind: str = "png") -> str:
    """`train/red/0.png` and so on, so many of each class."""
    for part, (split, count) in enumerate({"train": train, "validation": validation, "test": test}.items()):
        for label in CLASSES:
            place = folder / split / label
            place.mkdir(parents=True)
            for number in range(count):
                picture(label, 1000 * part + number).save(place / f"{number}.{kind}")
    return str(folder)


def image_parquet(folder: Path, rows: dict[str, list[dict]], label: object = None) -> str:
    """Parquet files of `image` and `label`, one per split; a string is written as the path of an image."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, of_split in rows.items():
        path = isinstance(of_split[0]["image"], str)
        features = Features({"image": Value("string") if path else Image(), "label": label or Value("string")})
        Dataset.from_list(of_split, features=features).to_parquet(str(folder / f"{split}.parquet"))
    return str(folder)
