"""DICOM files as pictures. Only the elements that pixels need are read: no name, number, date or place of a person.

Messages never quote the library, whose errors may hold the value of an element.
"""

import warnings
from contextlib import contextmanager
from importlib.util import find_spec
from io import BytesIO
from typing import Any

import numpy as np

from hfkit.data.images.scans import (
    DAMAGED,
    DICOM,
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
)

PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
READ = (
    *PIXELS,
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "ExtendedOffsetTable"),
    *("ExtendedOffsetTableLengths", "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "WindowCenter"),
    *("WindowWidth", "VOILUTFunction", "VOILUTSequence", "PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "EncryptedAttributesSequence"),
    *("BurnedInAnnotation",),
    *(
        f"{kind}{colour}PaletteColorLookupTable{part}"
        for colour in ("Red", "Green", "Blue")
        for kind, part in (("", "Descriptor"), ("", "Data"), ("Segmented", "Data"))
    ),
)
DECODERS = 'Run: pip install "pylibjpeg[all]", or save it uncompressed'
GREY = ("MONOCHROME1", "MONOCHROME2")


def read_dicom(data: bytes, part: Part, most_megapixels: float = np.inf) -> Scan:
    """A frame of a DICOM.

    Grey goes through the modality's slope and intercept, then through a window: that of `part`, otherwise the first of
    the file, its table, or the range of its numbers without padding; 8 bits without a window stay as they are.
    MONOCHROME1 is turned round, so that more is always brighter. Colours and palettes become RGB.

    Raises:
        Refused: pydicom or a decoder is missing, or the file has no pixels, is encrypted, damaged or too large.
    """
    with silence():
        found = open_dicom(data, READ)
        if not any(name in found for name in PIXELS):
            if "EncryptedAttributesSequence" in found:
                raise Refused("its content is encrypted", "Decrypt it, or remove the row")
            raise Refused("a DICOM without pixels, such as a report or a plan, is no picture", "Remove the row")
        with refuse_damage():
            width, height, frames = int(found.Columns), int(found.Rows), int(found.get("NumberOfFrames") or 1)
        refuse_large(width, height, most_megapixels)
        frame = choose_frame(frames, part)
        values = decode_frame(found, frame, frames)
        with refuse_damage():
            if found.PhotometricInterpretation not in GREY:
                return Scan(to_picture(to_colours(values, found), DICOM), frames, "")
            shares, how = to_grey(values, found, frame, part)
            if found.PhotometricInterpretation == "MONOCHROME1":
                shares, how = 1 - shares, f"{how}, turned round for MONOCHROME1"
        return Scan(to_picture(shares, DICOM), frames, how)


def read_dicom_header(data: bytes) -> Header:
    """The number of frames, and the person.

    Raises:
        Refused: it cannot be read.
    """
    with silence(), refuse_damage():
        found = open_dicom(data, ("NumberOfFrames", "PatientID", "IssuerOfPatientID"), pixels=False)
        person = str(found.get("PatientID") or "").strip()
        issuer = str(found.get("IssuerOfPatientID") or "").strip()
        return Header(int(found.get("NumberOfFrames") or 1), f"{issuer} {person}" if person else None)


def says_burnt_in(data: bytes) -> bool:
    """Whether a DICOM says that its pixels hold text about the person.

    Raises:
        Refused: it cannot be read.
    """
    with silence():
        found = open_dicom(data, ("BurnedInAnnotation",), pixels=False)
        return str(found.get("BurnedInAnnotation") or "").strip().upper() == "YES"


def open_dicom(data: bytes, names: tuple[str, ...], *, pixels: bool = True) -> Any:
    """A DICOM's elements of these names, and its transfer syntax.

    Raises:
        Refused: pydicom is missing, or it cannot be read.
    """
    if not find_spec("pydicom"):
        raise Refused("a DICOM needs pydicom, which is not installed", 'Run: pip install "hfkit[medical]"')
    from pydicom import dcmread
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    with refuse_damage():
        found = dcmread(BytesIO(data), force=True, specific_tags=list(names), stop_before_pixels=not pixels)
        meta = getattr(found, "file_meta", None) or FileMetaDataset()
        if not meta.get("TransferSyntaxUID"):
            implicit, little = found.original_encoding
            explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
            meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
        found.file_meta = meta
    return found


@contextmanager
def silence():
    """Within it pydicom warns of nothing: its warnings quote elements."""
    # For good, because leaving `catch_warnings` in one thread brings back the filters of another.
    warnings.filterwarnings("ignore", module="pydicom")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def refuse_damage():
    """Whatever pydicom raises on broken bytes is a damaged file."""
    try:
        yield
    except Refused:
        raise
    except Exception as error:
        # From None: the message of pydicom may quote an element.
        raise Refused(*DAMAGED) from (error if isinstance(error, EOFError) else None)


def decode_frame(found: Any, frame: int, frames: int) -> np.ndarray:
    """The stored numbers of a frame, (height, width) or (height, width, 3).

    Raises:
        Refused: no decoder is there for the transfer syntax, or the pixels are damaged.
    """
    from pydicom.pixels import get_decoder, pixel_array
    from pydicom.uid import RLELossless

    syntax = found.file_meta.TransferSyntaxUID
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        if not syntax.is_valid or syntax.name == str(syntax):
            rule, fix = "the transfer syntax of a DICOM is one of the standard", "Save it as Explicit VR Little Endian"
        else:
            rule, fix = f"no decoder knows pixels of {syntax.name}", "Save it as Explicit VR Little Endian"
        raise Refused(rule, fix) from error
    if not decoder.is_available:
        raise Refused(f"pixels of {syntax.name} need a decoder that is not installed", DECODERS)
    with refuse_damage():
        try:
            return pixel_array(found, index=frame if frames > 1 else 0)
        except RuntimeError:
            if syntax == RLELossless or not decoder.missing_dependencies:
                raise
            # Such as JPEG with 12 bits: a decoder is there, but none for these pixels.
            rule = f"no decoder that is installed reads these pixels of {syntax.name}"
            raise Refused(rule, f"{DECODERS}; if that changes nothing, the file is damaged") from None


def to_colours(values: np.ndarray, found: Any) -> np.ndarray:
    """Colours or a palette as shares, (height, width, 3).

    Raises:
        Refused: they are of another kind, or damaged.
    """
    bits = int(found.BitsStored)
    if found.PhotometricInterpretation == "PALETTE COLOR":
        from pydicom.pixels import apply_color_lut

        values = apply_color_lut(values, found)
        # Tables of 16 bits may hold values of 8.
        bits = 8 if values.dtype.itemsize == 1 or values.max(initial=0) < 256 else 16
    if values.ndim == 3 and values.shape[-1] == 3:
        return np.clip(values / (2**bits - 1), 0, 1)
    raise Refused("a picture is grey or has three colours", "Save it in grey or RGB")


def to_grey(values: np.ndarray, found: Any, frame: int, part: Part) -> tuple[np.ndarray, str]:
    """Stored numbers as shares of white, and how, in words."""
    padding = find_padding(values, found)
    slope, intercept = (
        float(element(found, frame, "RescaleSlope", 1)),
        float(element(found, frame, "RescaleIntercept", 0)),
    )
    if "ModalityLUTSequence" in found:
        from pydicom.pixels import apply_modality_lut

        values = apply_modality_lut(values, found)
    elif (slope, intercept) != (1, 0):
        values = values * np.float64(slope) + intercept
    if part.window not in (None, "range"):
        return look_through(values, *parse_window(part.window)), "through the window given"
    if part.window is None:
        centre, width = (first_of(element(found, frame, name, None)) for name in ("WindowCenter", "WindowWidth"))
        if centre is not None and width is not None and width > 0:
            function = str(element(found, frame, "VOILUTFunction", "LINEAR"))
            return look_through(values, centre, width, function), "through the window of the file"
        if "VOILUTSequence" in found:
            return through_table(values, found), "through the table of the file"
        plain = (slope, intercept) == (1, 0) and "ModalityLUTSequence" not in found
        if plain and int(found.BitsStored) <= 8 and not found.PixelRepresentation:
            return values / np.float32(2 ** int(found.BitsStored) - 1), "as stored"
    seen = values[~padding]
    if not seen.size or not np.isfinite(seen).all():
        raise Refused(*(DAMAGED if not seen.size else ("pixels are finite numbers", "Mend the file, or remove it")))
    return stretch(values, float(seen.min()), float(seen.max())), "over the range of its numbers"


def through_table(values: np.ndarray, found: Any) -> np.ndarray:
    """Numbers through the first table of values of interest, as shares of white."""
    from pydicom.pixels import apply_voi

    table = found.VOILUTSequence[0]
    return np.clip(apply_voi(values.astype(np.int64), found, 0) / (2 ** int(table.LUTDescriptor[2]) - 1), 0, 1)


def find_padding(values: np.ndarray, found: Any) -> np.ndarray:
    """Whether each stored number stands for no measurement, such as outside of the round field of a scanner."""
    if "PixelPaddingValue" not in found:
        return np.zeros(values.shape, bool)
    ends = [int(found.PixelPaddingValue), int(found.get("PixelPaddingRangeLimit", found.PixelPaddingValue))]
    return (values >= min(ends)) & (values <= max(ends))


def element(found: Any, frame: int, name: str, otherwise: Any) -> Any:
    """An element of the file, or of the frame or of all frames in one of the newer multi-frame objects."""
    if found.get(name) is not None:
        return found.get(name)
    per_frame, shared = (found.get(f"{which}FunctionalGroupsSequence") or () for which in ("PerFrame", "Shared"))
    for group in [*per_frame[frame : frame + 1], *shared[:1]]:
        for sequence in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
            for item in group.get(sequence) or ():
                if item.get(name) is not None:
                    return item.get(name)
    return otherwise


def first_of(value: Any) -> float | None:
    """The first of several values."""
    if value is None or value == "":
        return None
    return float(value[0] if hasattr(value, "__len__") and not isinstance(value, str) else value)
