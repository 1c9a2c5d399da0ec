"""Slices of NIfTI volumes stand as a radiologist looks at them, however the volume is stored."""

import gzip
import struct

import numpy as np
import pytest

from hfkit.data.images.files import look
from hfkit.data.images.scans import Part, Refused, kind_of, read_header, read_scan
from tests.tiny.scans import nifti

# Numbers in canonical order, to the right, front and top: each tells its place.
BODY = (np.arange(3)[:, None, None] + 10 * np.arange(4)[None, :, None] + 100 * np.arange(5)).astype(np.int16)


def grey(data: bytes, part: Part = Part()) -> np.ndarray:  # noqa: B008
    return np.asarray(read_scan(data, part).picture)


def expected(cut: np.ndarray) -> np.ndarray:
    """A canonical slice with the right or the front on the left, and the front or the top above."""
    shares = (cut.astype(np.float32) - BODY.min()) / (BODY.max() - BODY.min())
    return np.rint(shares * 255).astype(np.uint8)[::-1, ::-1].T


CUTS = {
    Part(1): BODY[:, :, 1],
    Part(None): BODY[:, :, 2],
    Part(2, axis="coronal"): BODY[:, 2, :],
    Part(0, axis="sagittal"): BODY[0],
}


@pytest.mark.parametrize("flips", [(), (0,), (0, 1), (2,)])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_orientation_does_not_depend_on_the_storage(flips, order):
    """Axes in another order or direction, with the affine that says so, give the same pictures."""
    stored, affine = BODY, np.eye(4)
    for axis in flips:
        stored, turn = np.flip(stored, axis), np.eye(4)
        turn[axis, axis], turn[axis, 3] = -1, BODY.shape[axis] - 1
        affine = affine @ turn
    moved = np.eye(4)
    moved[:3, :3] = np.eye(3)[:, list(order)]
    data = nifti(np.ascontiguousarray(stored.transpose(order)), affine @ moved)
    for part, cut in CUTS.items():
        assert np.array_equal(grey(data, part), expected(cut)), part
    for axis, slices in (("sagittal", 3), ("coronal", 4), ("axial", 5)):
        assert read_header(data, axis).frames == slices == read_header(gzip.compress(data), axis).frames


def test_scaling_windows_and_the_ends_of_the_header():
    plain = nifti(BODY, packed=True)
    assert read_scan(plain, Part()).how == "over the range of the volume"
    named = nifti(BODY, cal_min=100, cal_max=200)
    shares = np.clip((BODY[:, :, 1].astype(np.float32) - 100) / 100, 0, 1)
    assert np.array_equal(grey(named, Part(1)), np.rint(shares * 255).astype(np.uint8)[::-1, ::-1].T)
    through = np.clip((BODY[:, :, 1] - 99.5) / 199 + 0.5, 0, 1)
    assert np.abs(grey(named, Part(1, "100,200")) - 255 * through[::-1, ::-1].T).max() <= 0.51
    scaled = nifti(BODY, scl_slope=0.5, scl_inter=-7)
    assert np.array_equal(grey(scaled), grey(plain))  # the range moves along
    assert look(plain, 50).frames == 5 and look(plain, 50, Part(1)).frames == 1


def test_a_series_and_a_single_slice():
    series = np.stack([BODY, BODY * 0], axis=-1)
    assert np.array_equal(grey(nifti(series), Part(1)), expected(BODY[:, :, 1]))
    assert grey(nifti(BODY[:, :, 1])).shape == (4, 3)


def holes(place: tuple[int, int, int]) -> bytes:
    values = BODY.astype(np.float32)
    values[place] = np.nan
    return nifti(values)


DIMENSIONS = slice(40, 56)  # bytes of a header
WIDE = bytearray(nifti(BODY))
WIDE[DIMENSIONS] = struct.pack("<8h", 3, 30_000, 30_000, 2, 1, 1, 1, 1)
WIDE = bytes(WIDE)
WHOLE = nifti(BODY, packed=True)
BAD = {
    "nan": (holes((0, 0, 2)), "the numbers of a volume are finite, without NaN"),
    "cut off": (WHOLE[: len(WHOLE) - 30], "the file is damaged or cut off"),
    "cut off, unpacked": (nifti(BODY)[:-2], "the file is damaged or cut off"),
    "pair": (nifti(BODY).replace(b"n+1\0", b"ni1\0", 1), "a volume is in one file"),
    "bomb": (WIDE, "a volume has at most 2 GB"),
    "colours": (
        nifti(np.zeros((3, 4, 5), [("R", "u1"), ("G", "u1"), ("B", "u1")])),
        "the numbers of a volume are grey",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_volume_names_its_rule(kind):
    data, rule = BAD[kind]
    assert kind_of(data) == "NIFTI"
    with pytest.raises(Refused, match=rule) as error:
        look(data, 50)
    assert error.value.fix


def test_a_hole_in_another_slice_does_not_matter():
    """Black and white are those of the finite numbers."""
    assert np.array_equal(grey(holes((0, 0, 2)), Part(1)), grey(nifti(BODY.astype(np.float32)), Part(1)))
