"""Boxes and areas over pictures: how each label looks, and drawings for places where only pictures can be shown.

Labels differ in colour, in dashes and in the legend's order, so no reader has to tell colours apart. The colours are
those of Okabe and Ito.
"""

import base64
import io
from collections.abc import Iterable, Iterator
from itertools import accumulate, cycle
from typing import TYPE_CHECKING, NamedTuple

from hfkit.contract.view import Boxes, Mask, Picture
from hfkit.data.images.colours import OKABE_ITO

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

DASHES = ("", "7 4", "2 3", "9 3 2 3")  # the lengths of dashes and gaps in pixels; "": no gaps
LINE = 2  # pixels
ROW, LEGEND = 20, 160  # pixels of a line of a legend, and its least width
Point = tuple[float, float]


class Style(NamedTuple):
    """The look of a label's lines."""

    colour: str
    dash: str


def style_labels(labels: Iterable[str]) -> dict[str, Style]:
    """A style for each label in the order given; the first 28 are all different."""
    return {
        label: Style(OKABE_ITO[place % len(OKABE_ITO)], DASHES[place % len(DASHES)])
        for place, label in enumerate(labels)
    }


def draw_boxes(shown: Boxes) -> str:
    """A data URI of a PNG of the picture with its boxes drawn into it, each with its label."""
    from PIL import ImageDraw

    picture = open_picture(shown.picture)
    across, down = picture.width / shown.width, picture.height / shown.height
    styles = style_labels(dict.fromkeys(box.label for box in shown.boxes))
    brush = ImageDraw.Draw(picture)
    for box in shown.boxes:
        sides = box.left * across, box.top * down, box.right * across, box.bottom * down
        draw_frame(brush, sides, styles[box.label])
        brush.text(
            (sides[0] + LINE, max(sides[1] - 12, 0)), box.label, fill="white", stroke_width=1, stroke_fill="black"
        )
    return to_uri(picture)


def draw_mask(shown: Mask) -> str:
    """A data URI of a PNG of the picture with its areas, and below it what they are."""
    from PIL import Image, ImageDraw

    picture = open_picture(shown.drawn)
    longest = max([picture.width, LEGEND])
    canvas = Image.new("RGB", (longest, picture.height + ROW * len(shown.areas)), "white")
    canvas.paste(picture, ((longest - picture.width) // 2, 0))
    brush = ImageDraw.Draw(canvas)
    for place, area in enumerate(shown.areas):
        top = picture.height + ROW * place + 2
        mark = open_picture(Picture(area.mark))
        canvas.paste(mark, (2, top))
        brush.rectangle((2, top, 1 + mark.width, top - 1 + mark.height), outline="black")
        brush.text((mark.width + 8, top + 2), f"{area.label} {area.share:.1%}", fill="black")
    return to_uri(canvas)


def open_picture(picture: Picture) -> "Image":
    from PIL import Image

    return Image.open(io.BytesIO(base64.b64decode(picture.uri.partition(",")[2]))).convert("RGB")


def to_uri(picture: "Image") -> str:
    file = io.BytesIO()
    picture.save(file, format="PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def draw_frame(brush: "ImageDraw", sides: tuple[float, float, float, float], style: Style) -> None:
    """The edges of a box, coloured on a dark line that stands out from bright pictures."""
    left, top, right, bottom = sides
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    brush.line(corners, fill="black", width=2 * LINE)
    for begin, end in zip(corners, corners[1:], strict=False):
        for piece in cut_line(begin, end, style.dash):
            brush.line(piece, fill=style.colour, width=LINE)


def cut_line(begin: Point, end: Point, dash: str) -> Iterator[tuple[Point, Point]]:
    """The dashes of a line from one point to another."""
    length = max(abs(end[0] - begin[0]), abs(end[1] - begin[1]))
    if not dash or not length:
        yield begin, end
        return

    def reach(along: float) -> Point:
        share = min(along / length, 1.0)
        return begin[0] + share * (end[0] - begin[0]), begin[1] + share * (end[1] - begin[1])

    at = 0.0
    for place, step in enumerate(accumulate(cycle(map(float, dash.split())))):
        if place % 2 == 0:
            yield reach(at), reach(step)
        if step >= length:
            return
        at = step
