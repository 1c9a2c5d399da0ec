"""Trains the small detector that `sample-detector` stands for, on generated pictures of shapes and on nothing else.

Run it as `python -m samples_source.make_detector` after a change of the drawings, and commit the folder it wrote. None
of the shapes it learns are those of the sample's rows: fine-tuning has something left to learn.
"""

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F
from transformers import (
    ResNetConfig,
    RTDetrImageProcessor,
    RTDetrV2Config,
    RTDetrV2ForObjectDetection,
    get_cosine_schedule_with_warmup,
)

from hfkit.progress import track
from hfkit.samples.objects import Outline, Scene, draw_scene, ring_of
from samples_source.finders import run, write_record

FOLDER = Path(__file__).parents[1] / "hfkit" / "samples" / "detector"
SIDE = 96  # pixels, to which every picture is stretched
HELD_OUT = 300  # pictures that training never sees
WIDTH = 64


def arc(begin: float, end: float, radius: float, places: int = 16) -> list[tuple[float, float]]:
    """Points on a part of a circle, in turns."""
    angles = [2 * math.pi * (begin + (end - begin) * place / (places - 1)) for place in range(places)]
    return [(radius * math.sin(angle), -radius * math.cos(angle)) for angle in angles]


OUTLINES: dict[str, Outline] = {
    "arrow": lambda: [(0, -1), (0.8, 0), (0.3, 0), (0.3, 0.9), (-0.3, 0.9), (-0.3, 0), (-0.8, 0)],
    "crescent": lambda: arc(0.05, 0.95, 1.0) + [(x * 0.7, y * 0.7 - 0.3) for x, y in arc(0.95, 0.05, 1.0)],
    "cross": lambda: [
        *[(-0.3, -1), (0.3, -1), (0.3, -0.3), (1, -0.3), (1, 0.3), (0.3, 0.3)],
        *[(0.3, 1), (-0.3, 1), (-0.3, 0.3), (-1, 0.3), (-1, -0.3), (-0.3, -0.3)],
    ],
    "gear": lambda: ring_of([1.0, 0.75] * 8),
    "half disc": lambda: arc(0.0, 0.5, 1.0),
    "lens": lambda: [(0.45 * x, y) for x, y in ring_of([1.0] * 32)],
    "angle": lambda: [(-0.9, -0.9), (-0.3, -0.9), (-0.3, 0.3), (0.9, 0.3), (0.9, 0.9), (-0.9, 0.9)],
    "pentagon": lambda: ring_of([1.0] * 5),
}


@dataclass(frozen=True)
class Settings:
    """The settings that decide the weights; each is a flag."""

    steps: int = 2000
    images: int = 2000
    batch_size: int = 8
    seed: int = 0
    threads: int = 1

    @property
    def command(self) -> str:
        flags = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in asdict(self).items())
        return f"python -m samples_source.make_detector {flags}"


def new_model() -> RTDetrV2ForObjectDetection:
    """An untrained network with the architecture of the bundled checkpoint, on the stages of the bundled ResNet."""
    backbone = ResNetConfig(
        embedding_size=24,
        hidden_sizes=[24, 48, 96],
        depths=[1, 1, 1],
        layer_type="basic",
        out_features=["stage2", "stage3"],
    )
    config = RTDetrV2Config(
        backbone_config=backbone,
        freeze_backbone_batch_norms=False,
        encoder_in_channels=[48, 96],
        feat_strides=[8, 16],
        encode_proj_layers=[1],
        num_feature_levels=2,
        encoder_hidden_dim=WIDTH,
        encoder_ffn_dim=2 * WIDTH,
        encoder_layers=1,
        encoder_attention_heads=4,
        hidden_expansion=0.5,
        d_model=WIDTH,
        decoder_in_channels=[WIDTH] * 2,
        decoder_n_levels=2,
        decoder_ffn_dim=2 * WIDTH,
        decoder_layers=2,
        decoder_attention_heads=4,
        num_queries=30,
        num_denoising=30,
        id2label=dict(enumerate(OUTLINES)),
        label2id={name: number for number, name in enumerate(OUTLINES)},
    )
    model = RTDetrV2ForObjectDetection(config)
    own = dict(model.model.backbone.model.state_dict())
    for name, value in load_file(FOLDER.parent / "resnet" / "model.safetensors").items():
        if (inner := name.removeprefix("resnet.")) in own:  # its last stage is left out
            own[inner].copy_(value)
    return model


def draw(number: int, seed: int) -> list[Scene]:
    return [draw_scene(np.random.RandomState(seed + row), OUTLINES) for row in track(range(number), "Pictures")]


def to_pixels(scene: Scene) -> Tensor:
    """uint8 (3, SIDE, SIDE)."""
    pixels = torch.from_numpy(scene.pixels).permute(2, 0, 1)[None].float()
    shrunk = F.interpolate(pixels, size=(SIDE, SIDE), mode="bilinear", antialias=True)
    return shrunk[0].round().clamp(0, 255).to(torch.uint8)


def to_labels(scene: Scene) -> dict[str, Tensor]:
    """Classes and boxes (centre, width, height, as shares of the picture)."""
    height, width = scene.pixels.shape[:2]
    boxes = torch.tensor(scene.boxes, dtype=torch.float32).reshape(-1, 4) / torch.tensor([width, height] * 2)
    centre = torch.cat([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], dim=1)
    names = list(OUTLINES)
    return {
        "class_labels": torch.tensor([names.index(kind) for kind in scene.kinds], dtype=torch.long),
        "boxes": centre,
    }


def vary(pixels: Tensor, labels: dict[str, Tensor], random: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
    """A picture mirrored, turned by a quarter and recoloured, or not, with its boxes."""
    boxes, (across, down, turned) = labels["boxes"].clone(), torch.rand(3, generator=random) < 0.5
    if across:
        pixels, boxes[:, 0] = pixels.flip(2), 1 - boxes[:, 0]
    if down:
        pixels, boxes[:, 1] = pixels.flip(1), 1 - boxes[:, 1]
    if turned:
        pixels, boxes = pixels.transpose(1, 2), boxes[:, [1, 0, 3, 2]]
    pixels = pixels[torch.randperm(3, generator=random)]
    return pixels, {"class_labels": labels["class_labels"], "boxes": boxes}


def train(model: torch.nn.Module, scenes: list[Scene], settings: Settings) -> None:
    """Train to find the shapes: AdamW, a cosine schedule; prints a line every hundred steps."""
    random = torch.Generator().manual_seed(settings.seed)
    pictures, labels = torch.stack([to_pixels(scene) for scene in scenes]), [to_labels(scene) for scene in scenes]
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": 1e-3}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3)
    schedule = get_cosine_schedule_with_warmup(optimizer, settings.steps // 20, settings.steps)
    model.train()
    total, started = 0.0, time.process_time()
    for step in range(settings.steps):
        rows = torch.randint(len(scenes), (settings.batch_size,), generator=random).tolist()
        batch = [vary(pictures[row], labels[row], random) for row in rows]
        pixels = torch.stack([pixels for pixels, _ in batch]).float() / 255
        loss = model(pixel_values=pixels, labels=[labels for _, labels in batch]).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        total += loss.item()
        if (step + 1) % 100 == 0:
            print(f"step {step + 1}: loss {total / 100:.3f}, {time.process_time() - started:.0f} s", flush=True)
            total = 0.0
    model.eval()


@torch.inference_mode()
def judge(model: torch.nn.Module, scenes: list[Scene]) -> dict[str, float]:
    """The scores of the model on pictures, by hfkit's own judge."""
    from hfkit.tasks.detection.judge import BoxJudge

    processor, predictions, names = new_processor(), [], list(OUTLINES)
    for scene in scenes:
        pixels = to_pixels(scene)[None].float() / 255
        size = torch.tensor([scene.pixels.shape[:2]])
        (found,) = processor.post_process_object_detection(model(pixel_values=pixels), threshold=0.0, target_sizes=size)
        labels = [names[number] for number in found["labels"].tolist()]
        predictions.append({"boxes": found["boxes"].numpy(), "labels": labels, "scores": found["scores"].numpy()})
    references = [{"boxes": scene.boxes, "labels": scene.kinds} for scene in scenes]
    return BoxJudge().score([{**one, "kept": len(one["scores"])} for one in predictions], references)


def new_processor() -> RTDetrImageProcessor:
    return RTDetrImageProcessor(size={"height": SIDE, "width": SIDE})


def save(model: torch.nn.Module, processor: Any, folder: Path) -> None:
    """Save a plain checkpoint of transformers: float16 on disk, loaded as float32.

    Raises:
        ValueError: a weight too large for float16.
    """
    model.save_pretrained(folder)
    weights = {}
    # Of the file: it has other names than the modules, and tied weights once.
    for name, value in load_file(folder / "model.safetensors").items():
        if value.is_floating_point():
            half = value.half()
            if name.endswith("running_var"):
                # A channel that is hardly ever on; the normalisation adds its epsilon of 1e-5 to it in any case.
                half = half.clamp(min=torch.finfo(half.dtype).tiny)
            if not half.isfinite().all():
                raise ValueError(f"{name} spans {value.min():.3g} to {value.max():.3g}, which float16 cannot hold")
            value = half
        weights[name] = value.contiguous()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    processor.save_pretrained(folder)


CARD = """---
license: apache-2.0
library_name: transformers
pipeline_tag: object-detection
tags:
- synthetic-data
---

# A small detector trained on generated shapes

RT-DETRv2 with {parameters:,} parameters, {side}x{side} pixels, {kilobytes:,} kB. It is the checkpoint that hfkit's
recipes of object detection start from when nothing can be downloaded.

```python
from transformers import AutoImageProcessor, AutoModelForObjectDetection

model = AutoModelForObjectDetection.from_pretrained("hfkit/samples/detector")
processor = AutoImageProcessor.from_pretrained("hfkit/samples/detector")
```

## Training data
{images:,} pictures of {shapes}, drawn by `samples_source/make_detector.py` with the clutter and noise of
`hfkit/samples/objects.py`. No photograph, no text, no personal data. The shapes of the sample's rows are none of these.

## Training
On the first stages of hfkit's bundled ResNet, {steps:,} steps of {batch_size} pictures, on {threads} thread(s), in
{minutes} CPU minutes:

```bash
{command}
```

On {held_out} pictures that it never saw, the saved weights reach an mAP of {map:.3f} (COCO's, over overlaps of 50 to
95 %), and {map50:.3f} at 50 %. Every number here comes from `training.json`, which that command wrote.

## What it is not good for
It has seen flat shapes on smooth grounds and nothing else. It is no replacement for a detector trained on photographs,
and what it reaches after fine-tuning says nothing about what such a one would reach. Weights are float16 on disk and
load as float32.
"""


def card(record: dict) -> str:
    """The text of README.md, from the content of training.json."""
    shapes = ", ".join(OUTLINES)
    return CARD.format(
        **record,
        side=SIDE,
        shapes=shapes,
        kilobytes=round(record["bytes"] / 1000),
        minutes=round(record["seconds"] / 60),
    )


def make(settings: Settings, folder: Path) -> dict:
    """Draw the pictures, train, write the checkpoint to `folder`, and return the content of training.json."""
    started = time.process_time()
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    model = new_model()
    train(model, draw(settings.images, 10_000_000), settings)
    seconds = round(time.process_time() - started)
    folder.mkdir(parents=True, exist_ok=True)
    save(model, new_processor(), folder)
    return judge_saved(settings, folder, seconds)


def judge_saved(settings: Settings, folder: Path, seconds: int) -> dict:
    """Judge the saved weights, write training.json and the card, and return the content of training.json."""
    saved = RTDetrV2ForObjectDetection.from_pretrained(folder, dtype=torch.float32).eval()
    return write_record(settings, folder, seconds, saved, judge(saved, draw(HELD_OUT, 20_000_000)), HELD_OUT, card)


def main(arguments: list[str] | None = None) -> None:
    run(make, Settings, FOLDER, __doc__, arguments)


if __name__ == "__main__":
    main()
