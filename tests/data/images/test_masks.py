"""Numbers in masks: as they are written, whatever the kind of file, and nothing that only looks like one."""

import numpy as np
import pytest
from PIL import Image as Pillow

from hfkit.data.images.masks import look_at_mask, read_mask
from hfkit.data.images.palettes import Palette, read_palette
from hfkit.data.images.pictures import Refused
from hfkit.errors import UserError
from tests.tiny.masks import encoded

NUMBERS = np.array([[0, 1, 2], [2, 2, 5]])
PALETTE = Palette(("sky", "tree"), ((0, 0, 255), (0, 128, 0)))


def colours() -> Pillow.Image:
    return Pillow.fromarray(np.array(PALETTE.colours, np.uint8)[np.array([[0, 1], [1, 1]])])


def kinds() -> dict[str, bytes]:
    grey = Pillow.fromarray(NUMBERS.astype(np.uint8))
    indexed = grey.copy()
    indexed.putpalette([value for number in range(256) for value in (number, 255 - number, 7)])
    return {
        "grey": encoded(grey),
        "palette": encoded(indexed),
        "16 bits": encoded(Pillow.fromarray(NUMBERS.astype(np.uint16))),
        "32 bits": encoded(Pillow.fromarray(NUMBERS.astype(np.int32)), "TIFF"),
        "floats": encoded(Pillow.fromarray(NUMBERS.astype(np.float32)), "TIFF"),
        "grey as RGB": encoded(grey.convert("RGB")),
        "grey as RGBA": encoded(grey.convert("RGBA")),
        "bmp": encoded(grey, "BMP"),
    }


@pytest.mark.parametrize("kind", kinds(), ids=str)
def test_numbers_are_read_as_they_are_written(kind):
    assert (read_mask(kinds()[kind], None) == NUMBERS).all()


def test_one_bit_is_0_and_1():
    mask = Pillow.fromarray(np.array([[0, 255]], np.uint8)).convert("1")
    assert read_mask(encoded(mask), None).tolist() == [[0, 1]]


def test_colours_are_looked_up_and_one_that_is_unknown_has_a_number_of_its_own():
    assert read_mask(encoded(colours()), PALETTE).tolist() == [[0, 1], [1, 1]]
    assert read_mask(encoded(colours()), PALETTE._replace(colours=((0, 0, 255), (9, 9, 9)))).tolist() == [
        [0, 2],
        [2, 2],
    ]


def test_colours_of_an_indexed_file_are_looked_up_where_a_palette_is_given():
    indexed = colours().quantize(4)
    assert read_mask(encoded(indexed), PALETTE).tolist() == [[0, 1], [1, 1]]


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (encoded(colours()), "in colours"),
        (encoded(Pillow.new("L", (4, 4)), "JPEG"), "JPEG blurs"),
        (encoded(Pillow.new("RGBA", (4, 4), (1, 1, 1, 90))), "transparent"),
        (encoded(Pillow.fromarray(np.full((2, 2), 0.5, np.float32)), "TIFF"), "whole numbers"),
        (encoded(Pillow.fromarray(np.full((2, 2), -1, np.int32)), "TIFF"), "0 to 65,535"),
        (encoded(Pillow.new("L", (40, 40)))[:50], "whole"),
        (b"no picture", "whole"),
        (encoded(Pillow.new("CMYK", (4, 4)), "TIFF"), "CMYK"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_mask_is_refused(data, rule):
    with pytest.raises(Refused) as refused:
        read_mask(data, None)
    assert rule in refused.value.rule and refused.value.fix


def test_a_look_counts_the_numbers_and_compares_the_size():
    data = kinds()["grey"]
    seen = look_at_mask(data, (3, 2), None)
    assert (seen.values, seen.pixels) == ((0, 1, 2, 5), (1, 1, 3, 1))
    with pytest.raises(Refused) as refused:
        look_at_mask(data, (2, 3), None)
    assert refused.value.detail == "3 x 2 pixels, the picture has 2 x 3"


@pytest.mark.parametrize(
    "text", ["sky:0,0,255; tree:0,128,0", "# label:color_rgb:parts:actions\nsky:0,0,255::\ntree:0,128,0::\n"]
)
def test_a_palette_is_written_or_lies_in_a_file(text, tmp_path):
    (tmp_path / "labelmap.txt").write_text(text.replace("; ", "\n"))
    assert read_palette(str(tmp_path / "labelmap.txt")) == PALETTE
    if "#" not in text:
        assert read_palette(text) == PALETTE


@pytest.mark.parametrize("text", ["sky", "sky:0,0", "sky:0,0,1; sky:0,0,2", "sky:0,0,1; tree:0,0,1", ""])
def test_what_is_no_palette_is_refused(text):
    with pytest.raises(UserError, match="palette"):
        read_palette(text)
