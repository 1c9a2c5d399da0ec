"""Scans: DICOM and NIfTI files, which hold measured numbers and facts of a person; of these only a picture is read.

A file may hold many frames or slices, and its numbers have no white of their own. `Part` says which frame is meant and
between which numbers black and white lie. It is written behind the path of a row's image, so that it goes wherever the
row goes: into workers, caches, and the identity of a run.
"""

import gzip
import re
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image as Pillow

from hfkit.errors import UserError

DICOM, NIFTI = "DICOM", "NIFTI"
SUFFIXES = (".dcm", ".dicom", ".nii", ".nii.gz")
MARK = "#scan:"  # between a path and its part
Axis = Literal["axial", "coronal", "sagittal"]
# The centre and width of usual windows of computed tomography, in Hounsfield units (radiopaedia.org).
WINDOWS = {
    "lung": (-600.0, 1500.0),
    "mediastinum": (50.0, 350.0),
    "abdomen": (50.0, 400.0),
    "liver": (30.0, 150.0),
    "bone": (400.0, 1800.0),
    "brain": (40.0, 80.0),
}
NUMBER = r"[-+]?\d+(?:\.\d+)?"
WINDOW = re.compile(rf"({NUMBER})\s*[,/ ]\s*({NUMBER})")
DAMAGED = ("the file is damaged or cut off", "Remove it, or fetch it again")


class Refused(Exception):
    """The rule that an image breaks, a fix, and the decoder's message."""

    def __init__(self, rule: str, fix: str, detail: str = "") -> None:
        super().__init__(rule)
        self.rule, self.fix, self.detail = rule, fix, detail


@dataclass(frozen=True)
class Part:
    """Which picture of a scan is meant."""

    frame: int | None = None  # from 0; None: the middle one
    window: str | None = None  # see `parse_window`; None: that of the file
    axis: Axis = "axial"  # of the slices of a volume

    def to_text(self) -> str:
        """Short, and "" for the usual one."""
        given = {"frame": self.frame, "window": self.window, "axis": None if self.axis == "axial" else self.axis}
        return "&".join(f"{name}={value}" for name, value in given.items() if value is not None)


class Scan(NamedTuple):
    """A picture of a scan."""

    picture: Pillow.Image  # L or RGB; its `format` is DICOM or NIFTI
    frames: int  # of the file, along the axis that was asked for
    how: str  # how its numbers became grey, in words; "" for colours


class Header(NamedTuple):
    """Facts of a file that its pixels are not needed for."""

    frames: int = 1
    patient: str | None = None  # as the file names the person: never shown, and never written


def parse_window(text: str) -> tuple[float, float] | None:
    """The centre and width of a window: a name of `WINDOWS`, or two numbers; None for 'range', that of the numbers.

    Raises:
        UserError: it is neither.
    """
    if text == "range":
        return None
    if text in WINDOWS:
        return WINDOWS[text]
    found = WINDOW.fullmatch(text.strip())
    if found is None or float(found[2]) <= 0:
        raise UserError(
            f"window={text}",
            f"it is a centre and a width above 0, 'range', or one of {', '.join(WINDOWS)}",
            "Write it like 40,400",
        )
    return float(found[1]), float(found[2])


def join_part(path: str | None, part: Part) -> str | None:
    """A path with its part behind it."""
    text = part.to_text()
    return f"{path or ''}{MARK}{text}" if text else path


def split_part(path: str | None) -> tuple[str | None, Part]:
    """A path as it is on the disk, and the part that is meant; None if the image is embedded."""
    plain, mark, text = (path or "").rpartition(MARK)
    if not mark:
        return path, Part()
    given = dict(item.split("=", 1) for item in text.split("&"))
    frame = int(given["frame"]) if "frame" in given else None
    return plain or None, Part(frame, given.get("window"), given.get("axis", "axial"))  # type: ignore[arg-type]


def kind_of(data: bytes) -> str | None:
    """DICOM or NIFTI by the first bytes of a file; None for anything else."""
    if data[128:132] == b"DICM" or is_bare_dicom(data):
        return DICOM
    start = unpack_start(data) if data[:2] == b"\x1f\x8b" else data[:352]
    sizes = (b"\x5c\x01\0\0", b"\0\0\x01\x5c", b"\x1c\x02\0\0", b"\0\0\x02\x1c")  # of a header, 348 or 540
    named = start[344:347] in (b"n+1", b"ni1") or start[4:7] in (b"n+2", b"ni2")
    return NIFTI if start[:4] in sizes and named else None


def is_bare_dicom(data: bytes) -> bool:
    """Whether a file begins with the first elements of a DICOM, without the preamble."""
    return len(data) > 132 and data[:2] in (b"\x08\0", b"\x02\0") and data[3:4] == b"\0" and data[2] < 0x20


def unpack_start(data: bytes) -> bytes:
    try:
        return zlib.decompressobj(31).decompress(data[: 1 << 16], 352)
    except zlib.error:
        return b""


def unpack(data: bytes, most: int) -> bytes:
    """At most so many bytes of a file that may be packed.

    Raises:
        Refused: it is damaged.
    """
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        with gzip.GzipFile(fileobj=BytesIO(data)) as file:
            return file.read(most)
    except (OSError, EOFError, zlib.error) as error:
        raise Refused(*DAMAGED) from error


def read_scan(data: bytes, part: Part, most_megapixels: float = np.inf) -> Scan:
    """A picture of a file that `kind_of` knows, as it is meant to be seen.

    Raises:
        Refused: a library is missing, or the file breaks a rule.
    """
    if kind_of(data) == DICOM:
        from hfkit.data.images.dicom import read_dicom

        return read_dicom(data, part, most_megapixels)
    from hfkit.data.images.nifti import read_nifti

    return read_nifti(data, part, most_megapixels)


def read_header(data: bytes, axis: Axis) -> Header:
    """Facts of a file, or of its beginning; those of a plain picture for anything that cannot be read."""
    try:
        if kind_of(data) == DICOM:
            from hfkit.data.images.dicom import read_dicom_header

            return read_dicom_header(data)
        if kind_of(data) == NIFTI:
            from hfkit.data.images.nifti import read_nifti_header

            return read_nifti_header(data, axis)
    except Refused:  # told when its pixels are read
        pass
    return Header()


# From numbers to grey


def refuse_large(width: int, height: int, most_megapixels: float) -> None:
    """Refuse a picture of too many pixels, by its header.

    Raises:
        Refused: it has.
    """
    if width * height > most_megapixels * 1e6:
        raise Refused(
            f"an image has at most {most_megapixels:g} megapixels",
            "Scale it down, or raise --max_megapixels if you trust the file",
        )


def choose_frame(frames: int, part: Part) -> int:
    """The frame that is meant.

    Raises:
        Refused: there is no such frame.
    """
    frame = frames // 2 if part.frame is None else part.frame
    if not 0 <= frame < frames:
        raise Refused("the frame of a scan is one that it has", "Write another frame, or remove the row")
    return frame


def look_through(values: np.ndarray, centre: float, width: float, function: str = "LINEAR") -> np.ndarray:
    """Numbers as shares of white, from 0 to 1.

    Source: DICOM PS3.3, C.11.2.1.2 and C.11.2.1.3.

    Args:
        function: LINEAR, LINEAR_EXACT or SIGMOID; anything else counts as LINEAR.
    """
    values = values.astype(np.float32)
    if function == "SIGMOID":
        return 1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -50, 50)))
    if function == "LINEAR_EXACT":
        return np.clip((values - centre) / width + 0.5, 0, 1)
    # With a width of 1 it is a threshold.
    return np.clip((values - (centre - 0.5)) / max(width - 1, 1e-6) + 0.5, 0, 1)


def stretch(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Numbers between two ends as shares of white; black if there is nothing between them."""
    if not high > low:
        return np.zeros(values.shape, np.float32)
    return np.clip((values.astype(np.float32) - low) / (high - low), 0, 1)


def to_picture(shares: np.ndarray, kind: str) -> Pillow.Image:
    """Shares of white as a picture of 8 bits."""
    picture = Pillow.fromarray(np.rint(shares * 255).astype(np.uint8))
    picture.format = kind
    return picture
