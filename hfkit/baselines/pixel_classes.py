"""A class for every pixel, with nothing pretrained: a model must see more than these.

They know no shapes: one says the same everywhere, the other goes by the colour and the place of a pixel alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from datasets import Dataset

from hfkit.baselines.base import Answers, Baseline
from hfkit.contract.abilities import Pixelwise
from hfkit.contract.target import names_of
from hfkit.contract.task import Loaded, Task
from hfkit.errors import UserError
from hfkit.progress import track

NONE = 255  # a pixel without a class
PIXELS = 20_000  # of all training pictures together
MOST = 500  # training pictures
SIDE = 256  # pixels of the longer side at which larger pictures are answered
PENALTY = 1.0  # scikit-learn's default


def paint_most_frequent(task_rows: Pixelwise, rows: Loaded) -> list:
    """The most frequent class of the training pixels, everywhere."""
    counts = np.zeros(256, np.int64)
    for row in rows["train"]:
        counts += np.bincount(task_rows.read_map(row).ravel(), minlength=256)
    best = int(counts[:NONE].argmax())
    return [
        task_rows.to_map(np.full((height, width), best, np.uint8), rows.target)
        for width, height in sizes_of(rows["test"])
    ]


@dataclass(frozen=True)
class PixelColours(Baseline):
    """Logistic regression of the class of a pixel on its colour, that of its surroundings, and its place.

    For tasks whose rows have an `image` of bytes or a path, and a class for every pixel.
    """

    name: ClassVar[str] = "pixel colours"
    description: ClassVar[str] = "a linear model on the colour and the place of each pixel, trained from nothing"

    def answers(self, task: Task, rows: Loaded) -> Answers:
        """A class for every pixel of the test pictures."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import PolynomialFeatures, StandardScaler

        pixelwise = task.rows
        if not isinstance(pixelwise, Pixelwise):
            raise UserError(f"baseline '{self.name}'", "it gives every pixel of a picture a class", "Leave it out")
        inputs, classes = draw_pixels(pixelwise, rows["train"])
        steps = (
            PolynomialFeatures(2, include_bias=False),
            StandardScaler(),
            LogisticRegression(C=PENALTY, tol=1e-3, max_iter=1000),
        )
        model = make_pipeline(*steps).fit(inputs, classes)
        painted = []
        for image, (width, height) in zip(
            track(rows["test"]["image"], f"{self.name}: test"), sizes_of(rows["test"]), strict=True
        ):
            numbers = read_numbers(image, SIDE)
            said = model.predict(numbers.reshape(-1, numbers.shape[-1])).reshape(numbers.shape[:2]).astype(np.uint8)
            painted.append(pixelwise.to_map(grow(said, width, height), rows.target))
        return Answers(painted, facts={"pixels": len(inputs), "classes": len(names_of(rows.target))})


def sizes_of(rows: Dataset) -> Iterator[tuple[int, int]]:
    """Width and height of every picture, upright."""
    from hfkit.data.images.pictures import open_image, read_orientation

    columns = (rows[name][:] for name in ("width", "height", "rotated"))
    for place, (width, height, rotated) in enumerate(zip(*columns, strict=True)):
        turned = rotated and read_orientation(open_image(rows[place]["image"], Path())) >= 5
        yield (height, width) if turned else (width, height)


def draw_pixels(pixelwise: Pixelwise, train: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """The numbers (pixels, features) and the classes of pixels that are evenly spaced over training pictures."""
    chosen = np.unique(np.linspace(0, len(train) - 1, min(len(train), MOST)).round().astype(int))
    each, parts = max(1, PIXELS // len(chosen)), []
    for number, row in enumerate(track([train[int(place)] for place in chosen], "pixel colours: train")):
        classes = pixelwise.read_map(row)
        numbers = read_numbers(row["image"], max(classes.shape))
        places = np.random.default_rng(number).permutation(classes.size)[:each]
        places = places[classes.ravel()[places] != NONE]
        parts.append((numbers.reshape(-1, numbers.shape[-1])[places], classes.ravel()[places]))
    return tuple(np.concatenate(side) for side in zip(*parts, strict=True))


def read_numbers(image: dict[str, Any], most: int) -> np.ndarray:
    """Of every pixel its colour, the mean colour of its surroundings, and its place, all from 0 to 1.

    Args:
        most: pixels of the longer side; a larger picture is shrunk.

    Returns:
        (height, width, features).
    """
    from PIL import Image, ImageFilter

    from hfkit.data.images.pictures import decode_image

    picture = decode_image(image, Path(), 3)
    if max(picture.size) > most:
        factor = most / max(picture.size)
        picture = picture.resize(tuple(max(1, round(side * factor)) for side in picture.size), Image.Resampling.BOX)
    around = picture.filter(ImageFilter.BoxBlur(2))
    y, x = np.indices((picture.height, picture.width)) / max(picture.size)
    colours = [np.asarray(one, dtype=np.float32) / 255 for one in (picture, around)]
    return np.concatenate([*colours, y[..., None], x[..., None]], axis=-1).astype(np.float32)


def grow(said: np.ndarray, width: int, height: int) -> np.ndarray:
    """Classes at the size of their picture, by the nearest pixel."""
    if said.shape == (height, width):
        return said
    rows, columns = (np.arange(size) * part // size for size, part in ((height, said.shape[0]), (width, said.shape[1])))
    return said[rows][:, columns]
