"""Trains the small Mask2Former that `sample-mask2former` stands for, on generated pictures of shapes alone.

Run it as `python -m samples_source.make_mask2former` after a change of the drawings, and commit the folder it wrote.
None of the shapes it learns are those of the sample's rows: fine-tuning has something left to learn.
"""

import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F
from transformers import (
    Mask2FormerConfig,
    Mask2FormerForUniversalSegmentation,
    Mask2FormerImageProcessor,
    ResNetConfig,
    get_cosine_schedule_with_warmup,
)

from hfkit.samples.objects import Scene
from samples_source.finders import run, write_record
from samples_source.make_detector import HELD_OUT, OUTLINES, draw, save

FOLDER = Path(__file__).parents[1] / "hfkit" / "samples" / "mask2former"
SIDE = 96  # pixels, to which every picture is stretched
WIDTH = 64


@dataclass(frozen=True)
class Settings:
    """The settings that decide the weights; each is a flag."""

    steps: int = 800
    images: int = 2000
    batch_size: int = 8
    seed: int = 0
    threads: int = 1

    @property
    def command(self) -> str:
        flags = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in asdict(self).items())
        return f"python -m samples_source.make_mask2former {flags}"


def new_model() -> Mask2FormerForUniversalSegmentation:
    """An untrained network like the bundled checkpoint, on the first stages of the bundled ResNet."""
    backbone = ResNetConfig(
        embedding_size=24,
        hidden_sizes=[24, 48, 96, 96],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = Mask2FormerConfig(
        backbone_config=backbone,
        feature_size=WIDTH,
        mask_feature_size=WIDTH,
        hidden_dim=WIDTH,
        encoder_feedforward_dim=2 * WIDTH,
        encoder_layers=1,
        decoder_layers=3,  # two: the first prediction comes before any layer
        num_attention_heads=4,
        dim_feedforward=2 * WIDTH,
        num_queries=16,
        train_num_points=256,
        id2label=dict(enumerate(OUTLINES)),
        label2id={name: number for number, name in enumerate(OUTLINES)},
    )
    model = Mask2FormerForUniversalSegmentation(config)
    own = dict(model.model.pixel_level_module.encoder.state_dict())
    for name, value in load_file(FOLDER.parent / "resnet" / "model.safetensors").items():
        if (inner := name.removeprefix("resnet.")) in own and own[
            inner
        ].shape == value.shape:  # its last stage is wider
            own[inner].copy_(value)
    return model


def new_processor() -> Mask2FormerImageProcessor:
    return Mask2FormerImageProcessor(size={"height": SIDE, "width": SIDE}, do_normalize=False)


def to_pixels(scene: Scene) -> Tensor:
    """uint8 (3, SIDE, SIDE)."""
    pixels = torch.from_numpy(scene.pixels).permute(2, 0, 1)[None].float()
    shrunk = F.interpolate(pixels, size=(SIDE, SIDE), mode="bilinear", antialias=True)
    return shrunk[0].round().clamp(0, 255).to(torch.uint8)


def to_owners(scene: Scene) -> Tensor:
    """Which shape each pixel belongs to, uint8 (SIDE, SIDE)."""
    owners = torch.from_numpy(scene.owners)[None, None]
    return F.interpolate(owners, size=(SIDE, SIDE), mode="nearest-exact")[0, 0]


def vary(pixels: Tensor, owners: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """A picture mirrored, turned by a quarter and recoloured, or not, with its owners."""
    across, down, turned = torch.rand(3, generator=random) < 0.5
    for wanted, side in ((across, -1), (down, -2)):
        if wanted:
            pixels, owners = pixels.flip(side), owners.flip(side)
    if turned:
        pixels, owners = pixels.transpose(-1, -2), owners.transpose(-1, -2)
    return pixels[torch.randperm(3, generator=random)], owners


def train(model: torch.nn.Module, scenes: list[Scene], settings: Settings) -> None:
    """Train to find the shapes: AdamW, a cosine schedule; prints a line every fifty steps."""
    random = torch.Generator().manual_seed(settings.seed)
    pictures = torch.stack([to_pixels(scene) for scene in scenes])
    owners = torch.stack([to_owners(scene) for scene in scenes])
    names = list(OUTLINES)
    classes = [torch.tensor([names.index(kind) for kind in scene.kinds], dtype=torch.long) for scene in scenes]
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": 1e-2}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3)
    schedule = get_cosine_schedule_with_warmup(optimizer, settings.steps // 20, settings.steps)
    model.train()
    total, started = 0.0, time.process_time()
    for step in range(settings.steps):
        rows = torch.randint(len(scenes), (settings.batch_size,), generator=random).tolist()
        batch = [vary(pictures[row], owners[row], random) for row in rows]
        pixels = torch.stack([pixels for pixels, _ in batch]).float() / 255
        masks = [
            torch.stack([of_row == number + 1 for number in range(len(classes[row]))]).float()
            if len(classes[row])
            else torch.zeros(0, SIDE, SIDE)
            for row, (_, of_row) in zip(rows, batch, strict=True)
        ]
        loss = model(pixel_values=pixels, mask_labels=masks, class_labels=[classes[row] for row in rows]).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        total += loss.item()
        if (step + 1) % 50 == 0:
            print(f"step {step + 1}: loss {total / 50:.3f}, {time.process_time() - started:.0f} s", flush=True)
            total = 0.0
    model.eval()


@torch.inference_mode()
def judge(model: torch.nn.Module, scenes: list[Scene]) -> dict[str, float]:
    """The scores of the model on pictures, by hfkit's own judge."""
    from hfkit.data.images.runs import encode_runs
    from hfkit.tasks.instances.judge import InstanceJudge
    from hfkit.tasks.instances.reading import read_instances

    processor, predictions, references, names = new_processor(), [], [], list(OUTLINES)
    for scene in scenes:
        size = scene.owners.shape
        output = model(pixel_values=to_pixels(scene)[None].float() / 255)
        found = read_instances(processor, output, 0, size)
        predictions.append({**found._asdict(), "labels": [names[number] for number in found.classes]})
        runs = [encode_runs(scene.owners == number + 1)["counts"] for number in range(len(scene.kinds))]
        references.append({"runs": runs, "labels": scene.kinds, "size": size})
    return InstanceJudge().score([{**one, "kept": len(one["scores"])} for one in predictions], references)


CARD = """---
license: apache-2.0
library_name: transformers
pipeline_tag: image-segmentation
tags:
- synthetic-data
---

# A small Mask2Former trained on generated shapes

Mask2Former with {parameters:,} parameters, {side}x{side} pixels, {kilobytes:,} kB. It is the checkpoint that hfkit's
recipe of instance segmentation starts from when nothing can be downloaded.

```python
from transformers import AutoImageProcessor, AutoModelForUniversalSegmentation

model = AutoModelForUniversalSegmentation.from_pretrained("hfkit/samples/mask2former")
processor = AutoImageProcessor.from_pretrained("hfkit/samples/mask2former")
```

## Training data
{images:,} pictures of {shapes}, drawn by `samples_source/make_mask2former.py` with the clutter and noise of
`hfkit/samples/objects.py`. No photograph, no text, no personal data. The shapes of the sample's rows are none of these.

## Training
On the first stages of hfkit's bundled ResNet, {steps:,} steps of {batch_size} pictures, on {threads} thread(s), in
{minutes} CPU minutes:

```bash
{command}
```

On {held_out} pictures that it never saw, the saved weights reach a mask mAP of {map:.3f} (COCO's, over overlaps of 50
to 95 %), and {map50:.3f} at 50 %. Every number here comes from `training.json`, which that command wrote.

## What it is not good for
It has seen flat shapes on smooth grounds and nothing else. It is no replacement for a model trained on photographs, and
what it reaches after fine-tuning says nothing about what such a one would reach. Weights are float16 on disk and load
as float32.
"""


def card(record: dict) -> str:
    """The text of README.md, from the content of training.json."""
    shapes, kilobytes = ", ".join(OUTLINES), round(record["bytes"] / 1000)
    minutes = round(record["seconds"] / 60)
    return CARD.format(**record, side=SIDE, shapes=shapes, kilobytes=kilobytes, minutes=minutes)


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
    saved = Mask2FormerForUniversalSegmentation.from_pretrained(folder, dtype=torch.float32).eval()
    return write_record(settings, folder, seconds, saved, judge(saved, draw(HELD_OUT, 20_000_000)), HELD_OUT, card)


def main(arguments: list[str] | None = None) -> None:
    run(make, Settings, FOLDER, __doc__, arguments)


if __name__ == "__main__":
    main()
