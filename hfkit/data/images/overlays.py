"""Maps drawn over pictures, in colours that a reader who sees no red or green can order too."""

import base64
from io import BytesIO

import numpy as np
from PIL import Image as Pillow

# Viridis at equal distances: lightness grows evenly from the first to the last (Smith and van der Walt 2015).
COLOURS = ("440154", "472d7b", "3b528b", "2c728e", "21918c", "28ae80", "5ec962", "addc30", "fde725")
FAINT, STRONG = 0.2, 0.75  # share of the colour at 0 and at 1


def colour_map(values: np.ndarray) -> np.ndarray:
    """Colours for values from 0 to 1: (..., 3) from 0 to 255."""
    known = np.array([[int(colour[at : at + 2], 16) for at in (0, 2, 4)] for colour in COLOURS], dtype=float)
    places = np.linspace(0, 1, len(known))
    return np.stack([np.interp(values, places, known[:, channel]) for channel in range(3)], -1)


def draw_map(picture: Pillow.Image, values: np.ndarray, most: int) -> Pillow.Image:
    """A picture in grey under the colours of a map, at most `most` pixels a side; a tiny picture is enlarged.

    Args:
        values: from 0 to 1 over the whole picture, (height, width) of any size.
    """
    times = min(most / max(picture.size), max(1, most // max(picture.size)))
    size = tuple(max(1, round(side * times)) for side in picture.size)
    how = Pillow.Resampling.NEAREST if times > 1 else Pillow.Resampling.BILINEAR
    grey = np.asarray(picture.convert("L").resize(size, how), dtype=float)[..., None]
    over = Pillow.fromarray(values.astype(np.float32)).resize(size, Pillow.Resampling.BILINEAR)
    shares = np.clip(np.asarray(over, dtype=float), 0, 1)
    covered = (FAINT + (STRONG - FAINT) * shares)[..., None]
    return Pillow.fromarray(np.rint(grey * (1 - covered) + colour_map(shares) * covered).astype(np.uint8))


def png_uri(picture: Pillow.Image) -> str:
    """A picture as the data URI of a PNG."""
    file = BytesIO()
    picture.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
