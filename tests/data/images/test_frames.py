"""Maps brought back to the whole picture, whatever the processor has cropped, padded or turned round."""

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from transformers import BitImageProcessor, CLIPImageProcessor, ConvNextImageProcessor

from hfkit.data.images.frames import DETAIL, Frame, Framing, place_map
from hfkit.data.images.overlays import colour_map, draw_map
from tests.tiny.images import processor

CROPPED = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 24, "width": 24})
PADDED = BitImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 48, "width": 48}, do_center_crop=True)
SHARE = ConvNextImageProcessor(size={"shortest_edge": 56}, crop_pct=0.875)  # resized to 64


@pytest.mark.parametrize(
    ("made_by", "size", "expected"),
    [
        (processor(), (100, 50), (0, 0, 1, 1)),
        (processor(channels=1), (37, 91), (0, 0, 1, 1)),
        (processor(), (8, 8), (0, 0, 1, 1)),
        (CROPPED, (100, 50), (5 / 16, 1 / 8, 11 / 16, 7 / 8)),  # 64 x 32, of which the middle 24 x 24
        (PADDED, (100, 50), (1 / 8, -1 / 4, 7 / 8, 5 / 4)),  # 64 x 32 in 48 x 48
        (SHARE, (50, 100), (1 / 16, 9 / 32, 15 / 16, 23 / 32)),
    ],
)
def test_the_frame_of_a_model_is_found_by_trying_its_processor(made_by, size, expected):
    assert Framing(made_by).frame_of(*size) == pytest.approx(expected, abs=0.006)


def test_a_map_lies_where_the_model_has_looked_and_is_0_elsewhere():
    found = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    placed = place_map(found, Frame(0.25, 0.0, 0.75, 1.0), 200, 100)
    assert placed.shape == (100, 200) and placed.dtype == np.float32
    assert placed[:, :49].max() == placed[:, 151:].max() == 0
    assert placed[10, 60] == 1 and placed[90, 60] == 0 and placed[10, 140] == 0
    padded = place_map(found, Frame(-0.5, 0.0, 1.5, 1.0), 100, 100)
    assert padded[10, 0] == pytest.approx(1, abs=0.01) and padded[10, 99] == pytest.approx(0, abs=0.01)
    assert max(place_map(found, Frame(0, 0, 1, 1), 4000, 1000).shape) == DETAIL


def test_colours_grow_lighter_with_the_map():
    """In grey, and so for every kind of eyes, a higher value is lighter."""
    red, green, blue = colour_map(np.linspace(0, 1, 101)).T
    assert (np.diff(0.2126 * red + 0.7152 * green + 0.0722 * blue) > 0).all()


def test_an_overlay_keeps_the_shape_of_the_picture_and_shows_the_map():
    picture = Pillow.new("RGB", (60, 30), "grey")
    values = np.zeros((30, 60), dtype=np.float32)
    values[:, :30] = 1
    drawn = draw_map(picture, values, 30)
    assert drawn.size == (30, 15)
    left, right = np.asarray(drawn)[7, 5].astype(int), np.asarray(drawn)[7, 25].astype(int)
    assert left[0] > left[2] + 50 and right[2] > right[1]  # yellow, and the violet of nothing
    assert draw_map(Pillow.new("L", (8, 8)), np.ones((2, 2)), 100).size == (96, 96)
