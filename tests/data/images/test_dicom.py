"""DICOM files become the pictures that their numbers mean, and nothing of the person comes with them."""

from pathlib import Path

import numpy as np
import pydicom
import pytest

from hfkit.data.images.dicom import says_burnt_in
from hfkit.data.images.files import look
from hfkit.data.images.pictures import decode_image
from hfkit.data.images.scans import Part, Refused, join_part, kind_of, parse_window, read_header, read_scan, split_part
from hfkit.errors import UserError
from tests.tiny.scans import PERSON, dicom

RAMP = np.arange(0, 4096, 64, dtype=np.uint16).reshape(8, 8)
FILES = Path(pydicom.__file__).parent / "data" / "test_files"


def grey(data: bytes, part: Part = Part()) -> np.ndarray:  # noqa: B008
    return np.asarray(read_scan(data, part).picture)


def test_a_window_is_that_of_the_standard():
    """C.11.2.1.2.1: y = ((x - (c - 0.5)) / (w - 1) + 0.5), clipped; the first window of several counts."""
    expected = np.clip((RAMP - 1999.5) / 999 + 0.5, 0, 1)
    found = grey(dicom(RAMP, WindowCenter=[2000, 40], WindowWidth=[1000, 80]))
    assert np.array_equal(found, np.rint(expected * 255))
    exact = grey(dicom(RAMP, WindowCenter=2000, WindowWidth=1000, VOILUTFunction="LINEAR_EXACT"))
    assert np.array_equal(exact, np.rint(np.clip((RAMP.astype(np.float32) - 2000) / 1000 + 0.5, 0, 1) * 255))
    curved = grey(dicom(RAMP, WindowCenter=2000, WindowWidth=1000, VOILUTFunction="SIGMOID"))
    assert np.abs(curved - 255 / (1 + np.exp(-4 * (RAMP - 2000.0) / 1000))).max() <= 0.51


def test_slope_and_intercept_come_before_the_window():
    data = dicom(RAMP, RescaleSlope=2, RescaleIntercept=-1024, WindowCenter=40, WindowWidth=400)
    expected = np.clip((2.0 * RAMP - 1024 - 39.5) / 399 + 0.5, 0, 1)
    assert np.array_equal(grey(data), np.rint(expected * 255))
    lung = np.clip((2.0 * RAMP - 1024 + 600.5) / 1499 + 0.5, 0, 1)
    assert np.abs(grey(data, Part(window="lung")) - 255 * lung).max() <= 0.51


def test_more_is_brighter_whatever_the_file_calls_white():
    plain, inverted = dicom(RAMP), dicom(RAMP, PhotometricInterpretation="MONOCHROME1")
    assert np.array_equal(grey(inverted), 255 - grey(plain))
    assert read_scan(inverted, Part()).how == "over the range of its numbers, turned round for MONOCHROME1"
    eight = np.arange(64, dtype=np.uint8).reshape(8, 8)
    assert np.array_equal(grey(dicom(eight)), eight)  # as stored: a dark picture stays dark
    assert np.array_equal(grey(dicom(eight, PhotometricInterpretation="MONOCHROME1")), 255 - eight)


def test_signed_numbers_and_bits_that_are_not_stored():
    signed = (RAMP.astype(np.int16) - 2048) // 2
    assert np.array_equal(grey(dicom(signed)), grey(dicom(RAMP)))
    # An overlay in the bits above those stored is no part of the picture.
    overlaid = RAMP | np.uint16(0x8000)
    assert np.array_equal(grey(dicom(overlaid, bits=12)), grey(dicom(RAMP, bits=12)))
    twelve = dicom((RAMP.astype(np.int16) - 2048) & np.int16(0x0FFF), bits=12, PixelRepresentation=1)
    assert np.array_equal(grey(twelve), grey(dicom(RAMP)))


def test_padding_does_not_stretch_the_range():
    padded = RAMP.astype(np.int16)
    padded[0] = -2000
    found = grey(dicom(padded, PixelPaddingValue=-2000))
    assert (found[0] == 0).all() and found[1, 0] == 0 and found[-1, -1] == 255


def test_the_middle_frame_or_the_one_that_is_asked_for():
    frames = np.stack([np.full((4, 6), value, np.uint8) for value in (10, 20, 30, 40)])
    data = dicom(frames)
    assert [grey(data, Part(frame)).max() for frame in (None, 0, 3)] == [30, 10, 40]
    assert read_header(data, "axial").frames == 4
    seen = [look(data, 50, Part(frame)) for frame in (None, 0, 1)]
    assert len({one.fingerprint for one in seen}) == 3 and [one.frames for one in seen] == [4, 1, 1]
    with pytest.raises(Refused, match="one that it has"):
        grey(data, Part(4))


def test_colours_and_palettes():
    colours = np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    assert np.array_equal(grey(dicom(colours)), colours)
    assert look((FILES / "examples_palette.dcm").read_bytes(), 50).mode == "RGB"


def test_a_palette_in_segments_is_that_in_one_piece():
    """Segments of PS3.3 C.7.9.2: 0 lists values, 1 goes on in a straight line from the last one."""
    pixels = np.array([[0, 1], [2, 3]], np.uint8)
    whole, segments = (0, 0x4000, 0x8000, 0xC000), (0, 1, 0x0000, 1, 3, 0xC000)
    made = []
    for kind, words in (("", whole), ("Segmented", segments)):
        data = np.array(words, "<u2").tobytes()
        tables = {f"{kind}{colour}PaletteColorLookupTableData": data for colour in ("Red", "Green", "Blue")}
        tables |= {f"{colour}PaletteColorLookupTableDescriptor": [4, 0, 16] for colour in ("Red", "Green", "Blue")}
        made.append(grey(dicom(pixels, PhotometricInterpretation="PALETTE COLOR", **tables)))
    assert made[0].shape == (2, 2, 3) and made[0].max() > 100 and np.array_equal(*made)


def test_pixels_that_no_installed_decoder_reads_name_the_command():
    # Twelve bits in JPEG: Pillow reads eight, and is the only decoder here.
    with pytest.raises(Refused, match="no decoder that is installed reads these pixels of JPEG Extended") as error:
        look((FILES / "JPEG-lossy.dcm").read_bytes(), 50)
    assert "pylibjpeg" in error.value.fix


def test_damage_is_not_blamed_on_a_decoder_that_needs_no_other():
    data = bytearray((FILES / "MR_small_RLE.dcm").read_bytes())
    item = b"\xfe\xff\x00\xe0"
    frame = data.index(item, data.index(item, data.index(b"\xe0\x7f\x10\x00")) + 4)  # behind the table of frames
    data[frame + 8 : frame + 12] = (9).to_bytes(4, "little")  # segments, where there are two
    with pytest.raises(Refused, match="the file is damaged or cut off"):
        look(bytes(data), 50)


@pytest.mark.parametrize(
    "compressed",
    ["MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "MR_small_implicit.dcm"],
)
def test_compressed_pixels_are_those_of_the_plain_file(compressed):
    assert np.array_equal(grey((FILES / compressed).read_bytes()), grey((FILES / "MR_small.dcm").read_bytes()))


PLAIN = dicom(RAMP, **PERSON)
BAD = {
    "report": ((FILES / "test-SR.dcm").read_bytes(), "a DICOM without pixels"),
    "pixels removed": (dicom(RAMP, PixelData=None), "a DICOM without pixels"),
    "cut off": (PLAIN[:-40], "the file is damaged or cut off"),
    "cut off in its elements": (PLAIN[:300], "a DICOM without pixels|the file is damaged or cut off"),
    "no size": (dicom(RAMP, Rows=None), "the file is damaged or cut off"),
    "unknown syntax": (dicom(RAMP, syntax="1.2.840.99999.9.9.9"), "the transfer syntax of a DICOM is one of"),
    "film": (dicom(RAMP, syntax="1.2.840.10008.1.2.9"), "the transfer syntax|no decoder knows"),
    "encrypted": (
        b"\x30\x82\x10\x00\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03" + b"\0" * 200,
        "the file is encrypted",
    ),
    "large": (dicom(np.zeros((8, 8), np.uint8), Rows=9000, Columns=9000), "an image has at most 50 megapixels"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_names_its_rule_and_nobody(kind):
    data, rule = BAD[kind]
    with pytest.raises(Refused, match=rule) as error:
        look(data, 50)
    said = f"{error.value.rule} {error.value.fix} {error.value.detail}"
    assert error.value.fix and not any(value in said for value in PERSON.values())


def test_encrypted_content_is_told_from_none():
    from pydicom.dataset import Dataset

    data = dicom(RAMP, PixelData=None, EncryptedAttributesSequence=[Dataset()])
    with pytest.raises(Refused, match="its content is encrypted"):
        look(data, 50)


def test_a_missing_library_names_the_command(monkeypatch):
    from hfkit.data.images import dicom as module

    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(Refused, match="needs pydicom") as error:
        look(PLAIN, 50)
    assert error.value.fix == 'Run: pip install "hfkit[medical]"'


def test_a_warning_that_quotes_an_element_is_not_heard(recwarn):
    with pytest.raises(Refused):
        look((FILES / "badVR.dcm").read_bytes(), 50)
    assert not recwarn.list


def test_the_person_is_a_header_and_no_part_of_the_picture():
    assert read_header(PLAIN, "axial").patient == f" {PERSON['PatientID']}"
    assert read_header(dicom(RAMP), "axial").patient is None
    picture = read_scan(PLAIN, Part()).picture
    assert picture.info == {} and picture.format == "DICOM"
    assert [says_burnt_in(dicom(RAMP, BurnedInAnnotation=said)) for said in ("YES", "NO")] == [True, False]


def test_a_part_goes_with_the_path():
    part = Part(3, "40,400", "coronal")
    assert split_part(join_part("a/b.nii.gz", part)) == ("a/b.nii.gz", part)
    assert split_part(join_part(None, part)) == (None, part)
    assert join_part("a.dcm", Part()) == "a.dcm" and split_part("odd#name.dcm") == ("odd#name.dcm", Part())
    image = {"bytes": dicom(RAMP), "path": join_part(None, Part(window="2000,1000"))}
    assert np.array_equal(decode_image(image, Path(), 1), grey(dicom(RAMP), Part(window="2000,1000")))
    assert parse_window("40 400") == parse_window("40,400") == (40, 400) and parse_window("range") is None
    with pytest.raises(UserError, match="a centre and a width"):
        parse_window("bones")


def test_other_files_are_no_scans():
    assert kind_of(PLAIN) == kind_of(PLAIN[132:]) == "DICOM"  # with its preamble and without
    assert all(
        kind_of(data) is None for data in (b"", b"\x1f\x8b broken", b"\x89PNG\r\n\x1a\n" + b"\0" * 400, b"BM" * 99)
    )
