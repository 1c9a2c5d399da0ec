"""The sample of shapes: made-up pictures with a mask each, drawn by a seeded generator when they are asked for."""

import io
import math
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import DatasetDict

Outline = Callable[[Any, str, Random], None]
SIZES = {"train": 160, "validation": 40, "test": 100}
SEED, SIDE = 19, 64  # pixels
CLASSES = ("background", "disc", "square", "triangle", "ring")


def sample_shapes() -> "DatasetDict":
    """Synthetic pictures of 64 x 64 pixels: `image` and `mask` (PNG), whose numbers are the places of `CLASSES`.

    Shapes of any colour, turned and overlapping, lie on texture behind lines that belong to no shape. Colours hardly
    tell classes apart.
    """
    return make_shapes(SIZES, SEED)


def make_shapes(sizes: dict[str, int], seed: int) -> "DatasetDict":
    """Splits of so many rows; the same for the same seed."""
    # Imported here: resolving a checkpoint should not wait for it.
    from datasets import Dataset, DatasetDict, Features, Image

    features, splits = Features({"image": Image(), "mask": Image()}), {}
    for split, size in sizes.items():
        pairs = [draw_picture(Random(f"{seed} {split} {row}")) for row in range(size)]
        columns = {
            "image": [
                {"bytes": png(picture), "path": f"{split}-{row:03d}.png"} for row, (picture, _) in enumerate(pairs)
            ],
            "mask": [
                {"bytes": png(mask), "path": f"{split}-{row:03d}-mask.png"} for row, (_, mask) in enumerate(pairs)
            ],
        }
        splits[split] = Dataset.from_dict(columns, features=features, split=split)
    return DatasetDict(splits)


def draw_picture(draw: Random, classes: Sequence[str] = CLASSES, outline: Outline | None = None) -> tuple[Any, Any]:
    """A picture of shapes and its mask.

    Args:
        classes: the names of shapes, behind that of the background.
        outline: draws a shape of a name in white; default: those of `CLASSES`.
    """
    import numpy as np
    from PIL import Image, ImageDraw, ImageFilter

    noise = np.random.default_rng(draw.getrandbits(32))
    picture = texture(noise, [draw.uniform(60, 190) for _ in range(3)])
    mask = Image.new("L", (SIDE, SIDE))
    for _ in range(draw.randint(2, 4)):
        number, place = draw.randrange(1, len(classes)), Image.new("L", (SIDE, SIDE))
        (outline or draw_shape)(ImageDraw.Draw(place), classes[number], draw)
        # A class has a hint of a colour of its own, which says little.
        tint = [15 * math.cos(number + 2 * channel) for channel in range(3)]
        surface = texture(noise, [draw.uniform(30, 225) + shift for shift in tint])
        picture = Image.composite(surface, picture, place)
        mask.paste(number, mask=place)
    pen = ImageDraw.Draw(picture)
    for _ in range(draw.randint(1, 3)):
        ends = [draw.uniform(0, SIDE) for _ in range(4)]
        pen.line(ends, fill=tuple(draw.randrange(256) for _ in range(3)), width=1)
    return picture.filter(ImageFilter.GaussianBlur(0.6)), mask


def texture(noise: Any, colour: list[float]) -> Any:
    """A surface of one colour with grain and broad patches."""
    import numpy as np
    from PIL import Image

    grain, patches = noise.normal(0, 10, (SIDE, SIDE, 1)), noise.normal(0, 16, (8, 8, 1))
    patches = np.kron(patches, np.ones((SIDE // 8, SIDE // 8, 1)))
    return Image.fromarray(np.clip(np.array(colour) + grain + patches, 0, 255).astype(np.uint8))


def draw_shape(pen: Any, kind: str, draw: Random) -> None:
    """A shape in white, of any size, place and turn."""
    radius = draw.uniform(9, 17)
    x, y = (draw.uniform(radius * 0.7, SIDE - radius * 0.7) for _ in range(2))
    if kind in ("disc", "ring"):
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
        if kind == "ring":
            inner = radius * 0.55
            pen.ellipse((x - inner, y - inner, x + inner, y + inner), fill=0)
        return
    corners, turn = {"square": 4, "triangle": 3}[kind], draw.uniform(0, 2 * math.pi)
    angles = [turn + 2 * math.pi * corner / corners for corner in range(corners)]
    pen.polygon([(x + radius * math.cos(angle), y + radius * math.sin(angle)) for angle in angles], fill=255)


def png(picture: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, format="PNG")
    return file.getvalue()
