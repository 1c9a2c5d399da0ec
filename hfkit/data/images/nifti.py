"""Slices of NIfTI volumes as pictures, turned as a radiologist looks at them. No text of the header is read."""

import zlib
from functools import lru_cache
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

from hfkit.data.images.scans import (
    DAMAGED,
    NIFTI,
    Axis,
    Header,
    Part,
    Refused,
    Scan,
    choose_frame,
    look_through,
    parse_window,
    refuse_large,
    stretch,
    to_picture,
    unpack,
)

AXES = {"sagittal": 0, "coronal": 1, "axial": 2}  # those of canonical order: to the right, to the front, upwards
HEADER = 1 << 16  # bytes that hold the header and its extensions, usually
MOST_BYTES = 1 << 31  # of a volume, unpacked


class Volume(NamedTuple):
    """The stored numbers of a volume, and how they lie in the body."""

    stored: np.ndarray  # (i, j, k)
    slope: float
    intercept: float
    turns: np.ndarray  # (3, 2): the canonical axis of each stored one, and 1 or -1 for its direction
    ends: tuple[float, float]  # black and white: those of the header, or the lowest and the highest number
    named: bool  # by the header


def read_nifti(data: bytes, part: Part, most_megapixels: float = np.inf) -> Scan:
    """A slice of a volume; of a series of volumes, one of the first.

    The patient's right is on the left of an axial and a coronal slice, the front is on top of an axial and on the left
    of a sagittal one, and the head is on top of both others. Numbers go through the window of `part`, otherwise from
    the header's black to its white, or from the lowest to the highest number of the volume.

    Raises:
        Refused: nibabel is missing, or the file is damaged, too large, in two files, or holds colours or NaN.
    """
    volume = open_nifti(data)
    axis = AXES[part.axis]
    stored_axis = int(np.flatnonzero(volume.turns[:, 0] == axis)[0])
    frames = volume.stored.shape[stored_axis]
    frame = choose_frame(frames, part)
    sides = [side for place, side in enumerate(volume.stored.shape) if place != stored_axis]
    refuse_large(*sides, most_megapixels)
    place = frame if volume.turns[stored_axis, 1] > 0 else frames - 1 - frame
    cut = turn(np.take(volume.stored, place, axis=stored_axis), np.delete(volume.turns, stored_axis, axis=0))
    values = cut * np.float64(volume.slope) + volume.intercept
    if not np.isfinite(values).all():
        raise Refused("the numbers of a volume are finite, without NaN", "Mend the volume, or remove the row")
    if part.window not in (None, "range"):
        shares, how = look_through(values, *parse_window(part.window)), "through the window given"
    else:
        shares = stretch(values, *volume.ends)
        how = "between black and white of the header" if volume.named else "over the range of the volume"
    return Scan(to_picture(shares, NIFTI), frames, how)


def turn(cut: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """A slice with its two stored axes as rows and columns of the picture.

    Args:
        turns: of these axes (see `Volume`).
    """
    for place, (_, direction) in enumerate(turns):
        cut = np.flip(cut, place) if direction < 0 else cut
    cut = cut.T if turns[0, 0] > turns[1, 0] else cut
    # Canonical axes go right, front and up; pictures begin at the upper left, with the right or the front.
    return cut[::-1, ::-1].T


def read_nifti_header(data: bytes, axis: Axis) -> Header:
    """The number of slices along an axis.

    Args:
        data: the file, or its beginning.

    Raises:
        Refused: it cannot be read.
    """
    require_nibabel()
    from nibabel.orientations import io_orientation

    header = read_fields(unpack_beginning(data))
    turns = io_orientation(header.get_best_affine())[:3]
    shape = (*header.get_data_shape(), 1, 1, 1)[:3]
    return Header(int(shape[int(np.flatnonzero(turns[:, 0] == AXES[axis])[0])]))


def unpack_beginning(data: bytes) -> bytes:
    if data[:2] != b"\x1f\x8b":
        return data[:HEADER]
    try:
        return zlib.decompressobj(31).decompress(data, HEADER)
    except zlib.error as error:
        raise Refused(*DAMAGED) from error


def require_nibabel() -> None:
    if not find_spec("nibabel"):
        raise Refused("a NIfTI needs nibabel, which is not installed", 'Run: pip install "hfkit[medical]"')


def read_fields(start: bytes) -> Any:
    """The header of a volume in one file.

    Raises:
        Refused: it is damaged, or of two files.
    """
    from nibabel import Nifti1Header, Nifti2Header

    kind = Nifti2Header if start[4:6] in (b"n+", b"ni") else Nifti1Header
    if b"ni" in (start[344:346], start[4:6]):
        raise Refused("a volume is in one file, and this is half of a pair", "Save it as .nii or .nii.gz")
    try:
        return kind(start[: kind.template_dtype.itemsize], check=False)
    except Exception as error:  # of whatever kind: the bytes are foreign
        raise Refused(*DAMAGED) from error


@lru_cache(maxsize=1)  # the slices of a volume are read one after the other
def open_nifti(data: bytes) -> Volume:
    """The first volume of a file.

    Raises:
        Refused: see `read_nifti`.
    """
    require_nibabel()
    from nibabel.orientations import io_orientation

    header = read_fields(unpack_beginning(data))
    try:
        kind = header.get_data_dtype()
        shape = tuple(map(int, header.get_data_shape()))
        offset = int(header.get_data_offset())
        turns = io_orientation(header.get_best_affine())[:3]
        slope, intercept = header.get_slope_inter()
        ends = float(header["cal_min"]), float(header["cal_max"])
    except Exception as error:
        raise Refused(*DAMAGED) from error
    if kind.fields is not None or kind.kind == "c":
        raise Refused("the numbers of a volume are grey", "Save it as a volume of one number a voxel")
    first = (*shape, 1, 1, 1)[:3]
    size = int(np.prod(first, dtype=np.int64)) * kind.itemsize
    if not size or offset < 0 or np.isnan(turns).any():
        raise Refused(*DAMAGED)
    if size + offset > MOST_BYTES:
        raise Refused(f"a volume has at most {MOST_BYTES >> 30} GB unpacked", "Save it with fewer voxels or bits")
    raw = unpack(data, offset + size)
    if len(raw) < offset + size:
        raise Refused(*DAMAGED)
    stored = np.frombuffer(raw, kind, count=size // kind.itemsize, offset=offset).reshape(first, order="F")
    slope, intercept = (1.0 if slope is None else slope), (0.0 if intercept is None else intercept)
    named = ends[1] > ends[0]
    if not named:
        low, high = sorted(end * slope + intercept for end in find_ends(stored))
        ends = low, high
    return Volume(stored, slope, intercept, turns, ends, named)


def find_ends(stored: np.ndarray) -> tuple[float, float]:
    """The lowest and the highest finite number; 0 and 0 if there is none."""
    seen = stored[np.isfinite(stored)] if stored.dtype.kind == "f" else stored
    return (float(seen.min()), float(seen.max())) if seen.size else (0.0, 0.0)
