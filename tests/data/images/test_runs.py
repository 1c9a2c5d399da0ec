"""Run lengths and polygons of COCO: the same as its own tools write and read."""

import json

import numpy as np
import pytest

from hfkit.data.images.pictures import Refused
from hfkit.data.images.runs import decode_runs_of, draw_region, encode_runs, pack_counts, unpack_counts


def masks() -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    blob = np.zeros((40, 31), bool)
    blob[5:30, 7:20] = True
    return [
        draw.random((17, 23)) < 0.3,
        draw.random((1, 5)) < 0.5,
        blob,
        np.zeros((4, 6), bool),
        np.ones((4, 6), bool),
        np.ones((300, 400), bool),
    ]


@pytest.mark.parametrize("mask", masks(), ids=lambda mask: f"{mask.shape}-{mask.sum()}")
def test_runs_are_those_of_cocos_own_tools_and_come_back(mask):
    from faster_coco_eval import mask as coco

    theirs = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    ours = encode_runs(mask)
    assert ours == {"size": list(mask.shape), "counts": theirs["counts"].decode()}
    assert (decode_runs_of(ours) == mask).all() and (decode_runs_of(theirs) == mask).all()
    plain = {"size": ours["size"], "counts": unpack_counts(ours["counts"])}
    assert (decode_runs_of(plain) == mask).all()


def test_counts_come_back_whatever_their_size():
    counts = [0, 5, 31, 32, 1, 100_000, 3, 2**31, 16, 15]
    assert unpack_counts(pack_counts(counts)) == counts


@pytest.mark.parametrize(
    ("runs", "rule"),
    [
        ({"size": [2, 3], "counts": [2, 3]}, "no more and no fewer"),
        ({"size": [2, 3], "counts": [2, 5]}, "no more and no fewer"),
        ({"size": [2, 3], "counts": [8, -2]}, "no more and no fewer"),
        ({"size": [2, 3], "counts": "é"}, "broken"),
        ({"size": [2, 3], "counts": "P"}, "broken"),
        ({"counts": [6]}, "broken"),
        ({"size": [2], "counts": [6]}, "broken"),
    ],
)
def test_runs_that_do_not_fit_are_refused(runs, rule):
    with pytest.raises(Refused, match=rule):
        decode_runs_of(runs)


def test_a_region_is_polygons_or_runs_and_either_as_text():
    square = [[1, 1, 3, 1, 3, 3, 1, 3]]
    wanted = np.zeros((5, 6), bool)
    wanted[1:4, 1:4] = True
    for region in (square, square[0], json.dumps(square), encode_runs(wanted), json.dumps(encode_runs(wanted))):
        assert (draw_region(region, 6, 5) == wanted).all()


@pytest.mark.parametrize(
    "region", [[], [[1, 2, 3, 4]], [[1, 2, 3]], [["a", "b"] * 3], "no json", 7, [[float("nan")] * 6]]
)
def test_what_is_no_region_is_refused(region):
    with pytest.raises(Refused, match="polygon|region"):
        draw_region(region, 6, 5)


def test_runs_of_another_picture_are_refused():
    with pytest.raises(Refused, match="size of their picture"):
        draw_region(encode_runs(np.ones((3, 3), bool)), 6, 5)
