"""Trains the small SegFormer that `sample` stands for, on pictures of shapes that the sample does not have.

Run it as `python -m samples_source.make_segformer` after a change of `hfkit/samples/shapes.py`, and commit the folder
it wrote: config.json, model.safetensors, preprocessor_config.json, training.json and README.md.
"""

import json
import math
import platform
import time
from argparse import ArgumentParser
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional
from transformers import (
    SegformerConfig,
    SegformerForSemanticSegmentation,
    SegformerImageProcessor,
    get_cosine_schedule_with_warmup,
)

from hfkit.progress import track
from hfkit.samples.shapes import SIDE, draw_picture

FOLDER = Path(__file__).parents[1] / "hfkit" / "samples" / "segformer"
CLASSES = ("background", "ellipse", "bar", "star", "cross", "hexagon", "frame", "crescent", "half disc")
HEAD = "decode_head.classifier"
HELD_OUT = 200  # pictures that training never sees


@dataclass(frozen=True)
class Settings:
    """The settings that decide the weights; each is a flag."""

    pictures: int = 4000
    steps: int = 6000
    batch_size: int = 16
    learning_rate: float = 2e-3
    seed: int = 0
    threads: int = 1

    @property
    def command(self) -> str:
        flags = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in asdict(self).items())
        return f"python -m samples_source.make_segformer {flags}"


def new_model(classes: int = len(CLASSES)) -> SegformerForSemanticSegmentation:
    """An untrained network with the architecture of the bundled checkpoint."""
    config = SegformerConfig(
        depths=[1, 2, 2, 1],
        hidden_sizes=[16, 32, 64, 96],
        num_attention_heads=[1, 2, 4, 4],
        sr_ratios=[8, 4, 2, 1],
        mlp_ratios=[2, 2, 2, 2],
        decoder_hidden_size=48,
        drop_path_rate=0.0,
        num_labels=classes,
    )
    return SegformerForSemanticSegmentation(config)


def draw_other_shape(pen: Any, kind: str, draw: Random) -> None:
    """A shape in white, of any size, place and turn."""
    radius = draw.uniform(9, 17)
    x, y = (draw.uniform(radius * 0.7, SIDE - radius * 0.7) for _ in range(2))
    turn = draw.uniform(0, 2 * math.pi)

    def around(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
        """Points of an angle and a distance in radii, in place."""
        return [(x + radius * far * math.cos(turn + at), y + radius * far * math.sin(turn + at)) for at, far in points]

    def regular(corners: int, far: float = 1.0) -> list[tuple[float, float]]:
        return around([(2 * math.pi * corner / corners, far) for corner in range(corners)])

    if kind == "ellipse":
        pen.ellipse((x - radius, y - radius * 0.55, x + radius, y + radius * 0.55), fill=255)
    elif kind == "bar":
        pen.polygon(around([(at + side * 0.28, 1.0) for at in (0, math.pi) for side in (-1, 1)]), fill=255)
    elif kind == "star":
        pen.polygon(around([(math.pi * corner / 5, 1 if corner % 2 else 0.45) for corner in range(10)]), fill=255)
    elif kind == "cross":
        for quarter in (0, math.pi / 2):
            corners = [(quarter + at + side * 0.28, 1.0) for at in (0, math.pi) for side in (-1, 1)]
            pen.polygon(around(corners), fill=255)
    elif kind == "hexagon":
        pen.polygon(regular(6), fill=255)
    elif kind == "frame":
        pen.polygon(regular(4), fill=255)
        pen.polygon(regular(4, 0.55), fill=0)
    elif kind == "crescent":
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
        across, down = radius * 0.6 * math.cos(turn), radius * 0.6 * math.sin(turn)
        pen.ellipse((x - radius + across, y - radius + down, x + radius + across, y + radius + down), fill=0)
    else:
        pen.pieslice(
            (x - radius, y - radius, x + radius, y + radius), math.degrees(turn), math.degrees(turn) + 180, fill=255
        )


def draw_pairs(number: int, name: str, seed: int) -> tuple[Tensor, Tensor]:
    """Pictures (number, 3, SIDE, SIDE) and masks (number, SIDE, SIDE), uint8."""
    pairs = [
        draw_picture(Random(f"segformer {seed} {name} {row}"), CLASSES, draw_other_shape)
        for row in track(range(number), f"Pictures: {name}")
    ]
    pictures = torch.from_numpy(np.stack([np.asarray(picture) for picture, _ in pairs])).permute(0, 3, 1, 2)
    return pictures, torch.from_numpy(np.stack([np.asarray(mask) for _, mask in pairs]))


def normalise(pictures: Tensor, processor: SegformerImageProcessor) -> Tensor:
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (processor.image_mean, processor.image_std))
    return (pictures.float() / 255 - mean) / std


def grow(logits: Tensor) -> Tensor:
    return functional.interpolate(logits, size=(SIDE, SIDE), mode="bilinear", align_corners=False)


def train(settings: Settings, processor: SegformerImageProcessor) -> tuple[SegformerForSemanticSegmentation, float]:
    """The trained network, and its mean IoU on pictures that it has not seen."""
    torch.manual_seed(settings.seed)
    torch.set_num_threads(settings.threads)
    model = new_model()
    pictures, masks = draw_pairs(settings.pictures, "train", settings.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=0.01)
    schedule = get_cosine_schedule_with_warmup(optimizer, settings.steps // 20, settings.steps)
    weights = torch.full((len(CLASSES),), 1.0)
    weights[0] = 0.3  # most pixels are background, and teach little
    model.train()
    for step in track(range(settings.steps), "Training"):
        rows = torch.randint(0, len(pictures), (settings.batch_size,))
        pixels, labels = normalise(pictures[rows], processor), masks[rows].long()
        if step % 2:
            pixels, labels = pixels.flip(-1), labels.flip(-1)
        if step % 4 > 1:
            pixels, labels = pixels.flip(-2), labels.flip(-2)
        loss = functional.cross_entropy(grow(model(pixel_values=pixels).logits), labels, weights)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step % 500 == 0:
            print(f"step {step}: loss {loss.item():.3f}", flush=True)
    return model, measure(model, processor, settings)


@torch.no_grad()
def measure(model: SegformerForSemanticSegmentation, processor: SegformerImageProcessor, settings: Settings) -> float:
    """The mean IoU on pictures that training has not seen."""
    model.eval()
    pictures, masks = draw_pairs(HELD_OUT, "held out", settings.seed)
    best = torch.cat([grow(model(normalise(part, processor)).logits).argmax(1) for part in pictures.split(50)])
    scores = []
    for number in range(len(CLASSES)):
        ours, gold = best == number, masks == number
        scores.append(((ours & gold).sum() / (ours | gold).sum().clamp(min=1)).item())
    return sum(scores) / len(scores)


def save(model: SegformerForSemanticSegmentation, processor: SegformerImageProcessor, record: dict[str, Any]) -> None:
    """The checkpoint in half precision, without the layer that knows the classes of its own training."""
    FOLDER.mkdir(exist_ok=True)
    config = model.config
    config.architectures, config.dtype = ["SegformerForSemanticSegmentation"], "float32"
    config.id2label = {number: f"shape {number}" for number in range(2)}
    config.label2id = {name: number for number, name in config.id2label.items()}
    config.save_pretrained(FOLDER)
    processor.save_pretrained(FOLDER)
    kept = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in model.state_dict().items()
        if not name.startswith(HEAD)
    }
    # A variance that half precision would round to nothing would divide by it.
    for name, value in kept.items():
        if name.endswith("running_var"):
            kept[name] = value.clamp(min=torch.finfo(torch.float16).tiny)
    save_file(kept, FOLDER / "model.safetensors", metadata={"format": "pt"})
    size = (FOLDER / "model.safetensors").stat().st_size
    record = {**record, "parameters": sum(value.numel() for value in kept.values()), "bytes": size}
    (FOLDER / "training.json").write_text(json.dumps(record, indent=1) + "\n")
    (FOLDER / "README.md").write_text(render_card(record))


def render_card(record: dict[str, Any]) -> str:
    """The card of the checkpoint, from the record of its training."""
    return f"""\
---
license: apache-2.0
library_name: transformers
pipeline_tag: image-segmentation
tags:
- synthetic-data
---

# A small SegFormer trained on drawn shapes

{record["parameters"]:,} parameters, {SIDE}x{SIDE} pixels, {record["bytes"] / 1000:,.0f} kB. hfkit's recipe for
semantic segmentation starts from it when nothing can be downloaded. The layer that knows the classes is not part of it:
fine-tune it.

```python
from transformers import AutoImageProcessor, AutoModelForSemanticSegmentation

model = AutoModelForSemanticSegmentation.from_pretrained("hfkit/samples/segformer", num_labels=5)
processor = AutoImageProcessor.from_pretrained("hfkit/samples/segformer")
```

## Training data
None but drawings: {", ".join(record["classes"][1:])} on texture, under lines.
{record["pictures"]:,} pictures, mirrored in both directions. The sample's own shapes (disc, square, triangle, ring) are
not among them. The drawings, the code and the weights are this project's own, under Apache-2.0.

## Training
{record["steps"]:,} steps of {record["batch_size"]} pictures, {record["cpu_seconds"]:,} CPU seconds:

```bash
{record["command"]}
```

On {HELD_OUT} pictures that it never saw, its own layer reached a mean IoU of {record["mean_iou"]:.2f}.
Every number here comes from `training.json`, which that command wrote.

## What it is not good for
It has never seen an object or a scene, and its input is small. It is no replacement for a checkpoint trained on
photographs.
"""


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    for field in fields(Settings):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=field.type, default=field.default)
    settings = Settings(**vars(parser.parse_args()))
    processor = SegformerImageProcessor(size={"height": SIDE, "width": SIDE}, do_reduce_labels=False)
    begun = time.process_time()
    model, score = train(settings, processor)
    record = {
        "command": settings.command,
        **asdict(settings),
        "classes": list(CLASSES),
        "mean_iou": round(score, 4),
        "cpu_seconds": round(time.process_time() - begun),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
    }
    save(model, processor, record)
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
