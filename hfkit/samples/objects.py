"""The samples of objects: generated pictures of shapes among clutter, with a box around each shape or with its pixels.

Nothing is stored: the pictures are drawn in memory, the same ones on every machine.
"""

import io
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from datasets import DatasetDict

SIZES = {"train": 240, "validation": 80, "test": 160}
SEED = 19
FINE = 3  # pictures are drawn so many times larger, then shrunk: edges are smooth
LEAST_SEEN = 0.6  # of a shape: what is covered or cut off by more is clutter, and has no box

Outline = Callable[[], list[tuple[float, float]]]  # corners within a circle of radius 1 around 0, 0


class Scene(NamedTuple):
    """A picture with the boxes and the visible pixels of the shapes in it."""

    pixels: np.ndarray  # uint8, (height, width, 3)
    boxes: list[tuple[float, float, float, float]]  # left, top, right, bottom in pixels
    kinds: list[str]
    owners: np.ndarray  # which of them each pixel belongs to, from 1 on; 0 where it is none, (height, width)


def ring_of(radii: list[float]) -> list[tuple[float, float]]:
    """Corners at equal angles, at these distances from the middle, the first one on top."""
    angles = [2 * math.pi * place / len(radii) for place in range(len(radii))]
    return [(radius * math.sin(angle), -radius * math.cos(angle)) for radius, angle in zip(radii, angles, strict=True)]


OUTLINES: dict[str, Outline] = {
    "circle": lambda: ring_of([1.0] * 40),
    "square": lambda: ring_of([1.0] * 4),
    "star": lambda: ring_of([1.0, 0.42] * 5),
    "triangle": lambda: ring_of([1.0] * 3),
}


def sample_objects() -> "DatasetDict":
    """Generated pictures: `image` (PNG, decoded when read) and `objects`, the layout of the Hub's detection datasets:
    lists of `bbox` (left, top, width, height in pixels) and of `category`, a class label.
    """
    # Imported here: resolving a checkpoint should not wait for them.
    from datasets import ClassLabel, Features, Image, List, Value

    kind = ClassLabel(names=list(OUTLINES))
    features = Features({"image": Image(), "objects": {"bbox": List(List(Value("float32"))), "category": List(kind)}})
    return make_splits(features, to_row)


def sample_instances() -> "DatasetDict":
    """The same pictures: `image` and `objects`, the layout of COCO: lists of `segmentation` (the run lengths of the
    pixels that are seen) and of `category`, a class label.
    """
    from datasets import ClassLabel, Features, Image, List, Value

    kind, runs = ClassLabel(names=list(OUTLINES)), {"size": List(Value("int32")), "counts": List(Value("int32"))}
    objects = {"segmentation": List(runs), "category": List(kind)}
    return make_splits(Features({"image": Image(), "objects": objects}), to_instances)


def make_splits(features: Any, to_row: Callable[["Scene"], dict[str, Any]]) -> "DatasetDict":
    """Pictures that are drawn anew for every split, as rows."""
    from datasets import Dataset, DatasetDict

    splits = {}
    for place, (split, size) in enumerate(SIZES.items()):
        rows = [to_row(draw_scene(np.random.RandomState(1000 * SEED + 100_000 * place + row))) for row in range(size)]
        for number, row in enumerate(rows):
            row["image"]["path"] = f"{split}-{number:04d}.png"
        columns = {name: [row[name] for row in rows] for name in features}
        splits[split] = Dataset.from_dict(columns, features=features, split=split)
    return DatasetDict(splits)


def to_row(scene: Scene) -> dict[str, Any]:
    boxes = [[left, top, right - left, bottom - top] for left, top, right, bottom in scene.boxes]
    return {"image": to_image(scene), "objects": {"bbox": boxes, "category": scene.kinds}}


def to_instances(scene: Scene) -> dict[str, Any]:
    masks = [scene.owners == number + 1 for number in range(len(scene.kinds))]
    runs = [{"size": list(mask.shape), "counts": count_runs(mask)} for mask in masks]
    return {"image": to_image(scene), "objects": {"segmentation": runs, "category": scene.kinds}}


def to_image(scene: Scene) -> dict[str, Any]:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(scene.pixels).save(file, format="PNG")
    return {"bytes": file.getvalue(), "path": None}


def count_runs(mask: np.ndarray) -> list[int]:
    """The lengths of runs of no and of yes in turn, column by column, as COCO writes them without compression."""
    flat = mask.ravel(order="F")
    ends = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff(ends, prepend=0, append=len(flat)).tolist()
    return [0, *counts] if flat[0] else counts


def draw_scene(random: np.random.RandomState, outlines: Mapping[str, Outline] = OUTLINES) -> Scene:
    """A picture of up to seven shapes, in front of one another, among lines and scraps, under noise.

    Args:
        random: of numpy's old kind, whose numbers never change.
        outlines: of the kinds of shapes.
    """
    from PIL import Image, ImageDraw

    width, height = (int(side) for side in random.randint(80, 129, 2))
    ground = random.randint(30, 226, 3)
    picture = Image.fromarray(draw_ground(random, ground, width * FINE, height * FINE))
    brush = ImageDraw.Draw(picture)
    for _ in range(random.randint(2, 9)):
        draw_clutter(random, brush, width, height)
    owner = np.full((height, width), -1)
    found = []
    for number in range(random.choice(8, p=[0.04, 0.16, 0.2, 0.2, 0.16, 0.12, 0.08, 0.04])):
        kind = sorted(outlines)[random.randint(len(outlines))]
        corners = place_shape(random, outlines[kind](), width, height)
        brush.polygon([(FINE * x, FINE * y) for x, y in corners], fill=draw_colour(random, ground))
        mask = Image.new("L", (3 * width, 3 * height))
        ImageDraw.Draw(mask).polygon([(x + width, y + height) for x, y in corners], fill=1)
        whole = np.asarray(mask)
        inside = whole[height : 2 * height, width : 2 * width] > 0
        owner[inside] = number
        found.append((kind, corners, int(whole.sum())))
    pixels = np.asarray(picture.resize((width, height), Image.Resampling.BOX), dtype=float)
    pixels += random.normal(0, random.uniform(2, 14), pixels.shape)
    seen = [number for number, (_, _, area) in enumerate(found) if (owner == number).sum() >= LEAST_SEEN * area]
    boxes = [enclose(found[number][1], width, height) for number in seen]
    numbers = np.zeros(len(found) + 1, np.uint8)  # the last one is for the ground
    numbers[seen] = np.arange(1, len(seen) + 1)
    return Scene(pixels.clip(0, 255).astype(np.uint8), boxes, [found[number][0] for number in seen], numbers[owner])


def draw_ground(random: np.random.RandomState, colour: np.ndarray, width: int, height: int) -> np.ndarray:
    """A ground that grows lighter or darker to one side, uint8, (height, width, 3)."""
    slope = random.uniform(-30, 30, 2)
    x, y = np.linspace(-1, 1, width), np.linspace(-1, 1, height)
    shade = slope[0] * x[None, :] + slope[1] * y[:, None]
    return (colour + shade[..., None]).clip(0, 255).astype(np.uint8)


def draw_colour(random: np.random.RandomState, ground: np.ndarray) -> tuple[int, int, int]:
    """A colour that stands out from the ground."""
    while True:
        colour = random.randint(0, 256, 3)
        if np.abs(colour - ground).sum() > 110:
            return tuple(int(value) for value in colour)


def draw_clutter(random: np.random.RandomState, brush: Any, width: int, height: int) -> None:
    """A line, or a scrap of four or five corners that is none of the shapes."""
    colour = tuple(int(value) for value in random.randint(0, 256, 3))
    x, y = random.uniform(0, width), random.uniform(0, height)
    if random.uniform() < 0.6:
        far = random.uniform(-40, 40, 2)
        brush.line([FINE * x, FINE * y, FINE * (x + far[0]), FINE * (y + far[1])], fill=colour, width=FINE)
    else:
        corners = random.uniform(-6, 6, (random.randint(4, 6), 2))
        brush.polygon([(FINE * (x + a), FINE * (y + b)) for a, b in corners], fill=colour)


def place_shape(
    random: np.random.RandomState, corners: list[tuple[float, float]], width: int, height: int
) -> list[tuple[float, float]]:
    """A shape of a random size, turn and stretch somewhere in the picture, maybe over its edge."""
    radius, stretch = random.uniform(7, 22), random.uniform(0.8, 1.25)
    angle = random.uniform(0, 2 * math.pi)
    x, y = random.uniform(0.3 * radius, width - 0.3 * radius), random.uniform(0.3 * radius, height - 0.3 * radius)
    cosine, sine = math.cos(angle), math.sin(angle)
    return [
        (x + radius * stretch * (a * cosine - b * sine), y + radius / stretch * (a * sine + b * cosine))
        for a, b in corners
    ]


def enclose(corners: list[tuple[float, float]], width: int, height: int) -> tuple[float, float, float, float]:
    """The box around corners, as far as it is in the picture, to a tenth of a pixel."""
    across, down = zip(*corners, strict=True)
    sides = max(min(across), 0.0), max(min(down), 0.0), min(max(across), width), min(max(down), height)
    return tuple(round(float(side), 1) for side in sides)
