"""Trains the two small image backbones that `sample` stands for, on images made by formula and on nothing else.

Run it as `python -m samples_source.make_backbones --architecture resnet` (and `vit`) after a change of the formulas,
and commit the folder it wrote: config.json, model.safetensors, preprocessor_config.json, training.json and README.md.
"""

import json
import math
import platform
import time
from argparse import ArgumentParser
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F
from transformers import (
    ResNetConfig,
    ResNetForImageClassification,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
    get_cosine_schedule_with_warmup,
)

from hfkit.progress import track
from samples_source.formula_images import SIZE, formula_images

FOLDER = Path(__file__).parents[1] / "hfkit" / "samples"
HELD_OUT = 8  # images of every class that training never sees
EPOCHS = {"resnet": 45, "vit": 22}
LEARNING_RATE = {"resnet": 3e-3, "vit": 1.5e-3}
HEAD = "classifier"


@dataclass(frozen=True)
class Settings:
    """The settings that decide the weights; each is a flag."""

    architecture: str  # "resnet" or "vit"
    epochs: int
    classes: int = 400
    images: int = 120  # of every class
    batch_size: int = 128
    seed: int = 0
    threads: int = 1

    @property
    def command(self) -> str:
        flags = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in asdict(self).items())
        return f"python -m samples_source.make_backbones {flags}"


def new_model(architecture: str, classes: int) -> torch.nn.Module:
    """An untrained network with the architecture of the bundled checkpoint."""
    if architecture == "resnet":
        config = ResNetConfig(
            embedding_size=24,
            hidden_sizes=[24, 48, 96, 160],
            depths=[1, 1, 1, 1],
            layer_type="basic",
            num_labels=classes,
        )
        return ResNetForImageClassification(config)
    config = ViTConfig(
        image_size=SIZE,
        patch_size=8,
        hidden_size=96,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=288,
        num_labels=classes,
    )
    # Under bfloat16 on a CPU the fused attention takes twice the time of the plain one.
    return ViTForImageClassification._from_config(config, attn_implementation="eager")


def render(classes: int, number: int, *, seed: int, part: int) -> tuple[Tensor, Tensor]:
    """Images (classes * number, SIZE, SIZE, 3) as uint8 and their labels."""
    drawn = [formula_images(label, number, seed=seed, part=part) for label in track(range(classes), f"Images: {part}")]
    return torch.from_numpy(np.concatenate(drawn)), torch.arange(classes).repeat_interleave(number)


def pixels(images: Tensor) -> Tensor:
    """uint8 (batch, SIZE, SIZE, 3) as the model input (batch, 3, SIZE, SIZE) in -1 to 1."""
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1


def augment(batch: Tensor, random: torch.Generator) -> Tensor:
    """`batch` (images, 3, SIZE, SIZE), each image moved, recoloured, coarsened, made noisy and partly covered anew.

    Nothing is mirrored: a mirrored character is another character.
    """

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand(len(batch), *shape, generator=random) * (high - low) + low

    angle, shear = uniform(-0.3, 0.3), uniform(-0.2, 0.2)
    scale, shift = 1.25 ** uniform(-1, 1, 2, 1), uniform(-0.15, 0.15, 2, 1)
    rotation = torch.stack([angle.cos(), -angle.sin() + shear, angle.sin(), angle.cos()], 1).reshape(-1, 2, 2)
    grid = F.affine_grid(torch.cat([rotation * scale, shift], 2), list(batch.shape), align_corners=False)
    batch = F.grid_sample(batch, grid, padding_mode="reflection", align_corners=False)

    grey = batch.mean(1, keepdim=True)
    batch = torch.lerp(batch, grey, (uniform(0, 1, 1, 1, 1) < 0.2).float())
    sign = torch.where(uniform(0, 1, 1, 1, 1) < 0.25, -1.0, 1.0)
    batch = sign * batch * uniform(0.6, 1.2, 1, 1, 1) * uniform(0.9, 1.1, 3, 1, 1) + uniform(-0.25, 0.25, 1, 1, 1)

    # A fifth of the batch each at another resolution: small pictures are enlarged before a model sees them.
    parts = list(batch.split(math.ceil(len(batch) / 5)))
    for i in range(2):
        side = int(torch.randint(8, 32, (1,), generator=random))
        coarse = F.interpolate(parts[i % len(parts)], size=side, mode="area")
        parts[i % len(parts)] = F.interpolate(coarse, size=SIZE, mode="bilinear", align_corners=False)
    batch = torch.cat(parts)

    batch = batch + torch.randn(batch.shape, generator=random) * uniform(0, 0.12, 1, 1, 1)
    corner, side = uniform(-0.2, 0.9, 2, 1), uniform(0.15, 0.45, 1)
    line = torch.linspace(0, 1, SIZE)
    rows, columns = ((line >= corner[:, i]) & (line < corner[:, i] + side) for i in range(2))
    covered = rows[:, :, None] & columns[:, None, :] & (uniform(0, 1, 1, 1) < 0.3)
    return torch.where(covered[:, None], uniform(-1, 1, 3, 1, 1), batch).clamp(-1, 1)


def logits_of(model: torch.nn.Module, batch: Tensor) -> Tensor:
    """float32 logits (images, classes), computed in bfloat16."""
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(pixel_values=batch.contiguous(memory_format=torch.channels_last)).logits
    return logits.float()


def train(model: torch.nn.Module, images: Tensor, labels: Tensor, settings: Settings) -> None:
    """Train to classify formulas: AdamW, a cosine schedule, smoothed labels; prints one line per epoch."""
    random = torch.Generator().manual_seed(settings.seed)
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}],
        lr=LEARNING_RATE[settings.architecture],
    )
    batches = math.ceil(len(images) / settings.batch_size)
    schedule = get_cosine_schedule_with_warmup(optimizer, batches, batches * settings.epochs)
    model.to(memory_format=torch.channels_last).train()
    for epoch in range(settings.epochs):
        total, started = 0.0, time.monotonic()
        for rows in track(
            torch.randperm(len(images), generator=random).split(settings.batch_size), f"Epoch {epoch + 1}"
        ):
            logits = logits_of(model, augment(pixels(images[rows]), random))
            loss = F.cross_entropy(logits, labels[rows], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item() * len(rows)
        print(
            f"epoch {epoch + 1}/{settings.epochs}: loss {total / len(images):.3f}, {time.monotonic() - started:.0f} s",
            flush=True,
        )
    model.eval()


@torch.inference_mode()
def accuracy(model: torch.nn.Module, images: Tensor, labels: Tensor) -> float:
    """The share of `images` that the model classifies correctly, in float32."""
    answers = [model(pixel_values=pixels(part)).logits.argmax(1) for part in images.split(256)]
    return float((torch.cat(answers) == labels).float().mean())


def save(model: torch.nn.Module, folder: Path) -> None:
    """Save the backbone as a plain checkpoint of transformers: float16 on disk, no head, loaded as float32.

    Raises:
        ValueError: a weight too large for float16.
    """
    weights = {}
    for name, value in model.state_dict().items():
        if name.startswith(HEAD):
            continue
        if value.is_floating_point():
            half = value.half()
            if name.endswith("running_var"):
                # A channel that is hardly ever on; the normalisation adds its epsilon of 1e-5 to it in any case.
                half = half.clamp(min=torch.finfo(half.dtype).tiny)
            if not half.isfinite().all():
                raise ValueError(f"{name} spans {value.min():.3g} to {value.max():.3g}, which float16 cannot hold")
            value = half
        weights[name] = value.contiguous()
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = type(model.config)(**{**model.config.to_diff_dict(), "id2label": None, "label2id": None})
    config.architectures, config.dtype = [type(model).__name__], "float32"
    config.save_pretrained(folder)
    ViTImageProcessor(
        size={"height": SIZE, "width": SIZE}, image_mean=[0.5] * 3, image_std=[0.5] * 3, do_convert_rgb=True
    ).save_pretrained(folder)


def reload(model: torch.nn.Module, folder: Path) -> torch.nn.Module:
    """The saved backbone under the head of `model`, so that the effect of float16 is measured."""
    saved = type(model).from_pretrained(folder, dtype=torch.float32, num_labels=model.config.num_labels)
    saved.classifier.load_state_dict(model.classifier.state_dict())
    return saved.eval()


CARD = """---
license: apache-2.0
library_name: transformers
pipeline_tag: image-classification
tags:
- synthetic-data
- formula-driven-supervised-learning
---

# A small {name} trained on images made by formula

{parameters:,} parameters, {size}x{size} pixels, {kilobytes:,} kB. It is the backbone that hfkit's recipes start from
when nothing can be downloaded. The head is not part of it: fine-tune it, or read its features.

```python
from transformers import AutoImageProcessor, AutoModelForImageClassification

model = AutoModelForImageClassification.from_pretrained("{folder}", num_labels=10)
processor = AutoImageProcessor.from_pretrained("{folder}")
```

## Training data
None but formulas: fractals, made-up characters of Bezier strokes, contours, gratings, noise and cells, drawn by
`samples_source/formula_images.py`. {classes} classes, {images} images each. No photograph, no text, no personal data.
The idea is that of Kataoka et al. 2020, "Pre-training without Natural Images" (arXiv 2101.08515); the formulas, the
code and the weights are this project's own, under Apache-2.0.

## Training
It names the class of an image, {epochs} epochs of it, on {threads} thread(s), {minutes} minutes:

```bash
{command}
```

On {held_out} images per class that it never saw, the saved weights name the class of {accuracy:.1%}
(one in {classes} by chance). Every number here comes from `training.json`, which that command wrote.

## What it is not good for
It has never seen an object, a scene or a face, and its input is small. It is no replacement for a backbone trained on
photographs, and what it reaches after fine-tuning says nothing about what such a one would reach. The accuracy above is
about formulas alone. Weights are float16 on disk and load as float32.
"""


def card(record: dict, folder: str) -> str:
    """The text of README.md, from the content of training.json."""
    name = {"resnet": "ResNet", "vit": "vision transformer"}[record["architecture"]]
    return CARD.format(
        **record,
        name=name,
        folder=folder,
        size=SIZE,
        kilobytes=round(record["bytes"] / 1000),
        minutes=round(record["seconds"] / 60),
    )


def make(settings: Settings, folder: Path) -> dict:
    """Draw the images, train, write the checkpoint to `folder`, and return the content of training.json."""
    started = time.monotonic()
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    images, labels = render(settings.classes, settings.images, seed=settings.seed, part=0)
    unseen = render(settings.classes, HELD_OUT, seed=settings.seed, part=1)
    model = new_model(settings.architecture, settings.classes)
    train(model, images, labels, settings)
    save(model, folder)
    record = {
        **asdict(settings),
        "command": settings.command,
        "held_out": HELD_OUT,
        "accuracy": accuracy(reload(model, folder), *unseen),
        "parameters": sum(p.numel() for name, p in model.named_parameters() if not name.startswith(HEAD)),
        "bytes": (folder / "model.safetensors").stat().st_size,
        "seconds": round(time.monotonic() - started),
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
    }
    (folder / "training.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(card(record, f"hfkit/samples/{settings.architecture}"), encoding="utf-8")
    return record


def main(arguments: list[str] | None = None) -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architecture", required=True, choices=list(EPOCHS))
    parser.add_argument("--output", type=Path, help="where the checkpoint goes (default: beside this file)")
    parser.add_argument("--epochs", type=int, help=f"default: {EPOCHS}")
    for setting in fields(Settings)[2:]:
        parser.add_argument(f"--{setting.name.replace('_', '-')}", type=int, default=setting.default)
    options = vars(parser.parse_args(arguments))
    folder = options.pop("output") or FOLDER / options["architecture"]
    options["epochs"] = options["epochs"] or EPOCHS[options["architecture"]]
    record = make(Settings(**options), folder)
    print(f"{folder}: {record['accuracy']:.1%} of unseen images, {record['seconds']} s")


if __name__ == "__main__":
    main()
