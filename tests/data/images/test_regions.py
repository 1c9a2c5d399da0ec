"""Regions of pictures as Label Studio writes them, in pixels."""

import math

import numpy as np
import pytest

from hfkit.data.images.regions import Box, decode_mask, enclose, scale_points, turn_box
from hfkit.errors import UserError


def encode_runs(values: list[int], lengths: tuple[int, ...] = (3, 4, 8, 16)) -> list[int]:
    """Packed runs of values of 8 bits, as Label Studio writes them."""
    bits = f"{len(values):032b}{7:05b}" + "".join(f"{length - 1:04b}" for length in lengths)
    place = 0
    while place < len(values):
        same = next((i for i in range(place, len(values)) if values[i] != values[place]), len(values)) - place
        if same > 1:
            kind = next(kind for kind, length in enumerate(lengths) if same <= 1 << length)
            bits += f"1{kind:02b}{same - 1:0{lengths[kind]}b}{values[place]:08b}"
            place += same
        else:
            bits += f"0{0:02b}{0:0{lengths[0]}b}{values[place]:08b}"
            place += 1
    bits += "0" * (-len(bits) % 8)
    return [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]


def test_points_in_percent_become_pixels():
    assert scale_points([[50, 25], [0, 100]], 640, 480) == [(320.0, 120.0), (0.0, 480.0)]


@pytest.mark.parametrize(
    ("degrees", "corners"),
    [
        (0, [(10, 20), (14, 20), (14, 22), (10, 22)]),
        (90, [(10, 20), (10, 24), (8, 24), (8, 20)]),
        (180, [(10, 20), (6, 20), (6, 18), (10, 18)]),
        (360, [(10, 20), (14, 20), (14, 22), (10, 22)]),
    ],
)
def test_boxes_turn_clockwise_about_their_upper_left_corner(degrees, corners):
    assert turn_box(10, 20, 4, 2, degrees) == corners


def test_a_turned_box_keeps_its_sides_and_has_an_upright_box_around_it():
    corners = turn_box(10, 20, 4, 2, 30)
    sides = [math.dist(corners[i], corners[i - 1]) for i in range(4)]
    assert sides == pytest.approx([2, 4, 2, 4])
    root = math.sqrt(3)
    assert enclose(corners) == pytest.approx(Box(10 - 1, 20, 10 + 2 * root, 20 + 2 + root))


def test_a_mask_is_decoded_bit_by_bit():
    draw = np.random.default_rng(0)
    mask = np.where(draw.random((5, 7)) < 0.4, 255, 0)
    mask[2] = 255
    flat = np.stack([mask // 2, mask // 3, mask // 5, mask], axis=2).ravel().tolist()
    assert decode_mask(encode_runs(flat), width=7, height=5).tolist() == mask.tolist()


def test_a_long_run_takes_the_longest_length():
    opaque = [255] * (4 * 60 * 50)
    assert (decode_mask(encode_runs(opaque), width=60, height=50) == 255).all()


def test_runs_of_another_picture_and_broken_ones_are_refused():
    runs = encode_runs([0, 0, 0, 255] * 6)
    with pytest.raises(UserError, match="a mask of 6 pixels: its picture has 4 x 2"):
        decode_mask(runs, width=4, height=2)
    for broken in (runs[:-2], runs[:3], []):
        with pytest.raises(UserError, match="runs are broken"):
            decode_mask(broken, width=3, height=2)
