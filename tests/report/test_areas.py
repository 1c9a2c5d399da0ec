"""Areas of classes over pictures: gold and predicted side by side, offline, each class by colour and by pattern."""

import base64
import io
import re
from functools import cache

import numpy as np
from PIL import Image

from hfkit.contract.view import Area, Example, Mask, Mistake, Picture, to_columns, to_text
from hfkit.data.images.batches import data_uri
from hfkit.data.images.drawing import COLOURS, draw_areas, draw_swatch, to_rgb
from hfkit.inference.examples import report_rows
from hfkit.report.drawings import LEGEND, ROW, draw_mask
from hfkit.report.report import render, shorten
from hfkit.report.schema import validate
from tests.fixtures.hostile import TEXTS, Page, assert_stays_text
from tests.fixtures.reports import Pictures, classified, picture


def shown(label: str = "sky", share: float = 0.25) -> Mask:
    mark = data_uri(draw_swatch(0), 16)
    return Mask(Picture(picture(64)), (Area(label, share, mark), Area("tree", 1 - share, mark)))


@cache
def facts() -> dict:
    report = classified(Pictures()).facts()
    mistake = Mistake(3, "sky missed", "sky missed, mean IoU 0.40", Picture(picture(80)), shown(), shown(share=0.5))
    report["errors"] = [mistake.to_json()]
    return report


def test_a_mistake_holds_the_picture_and_the_areas_of_both_sides():
    (error,) = facts()["errors"]
    validate(facts())
    assert error["picture"] == picture(80) and error["gold"]["drawn"] == picture(64)
    assert [(area["label"], area["share"]) for area in error["predicted"]["areas"]] == [("sky", 0.5), ("tree", 0.5)]
    assert report_rows(facts(), ["image"])[0]["image"]["bytes"].startswith(b"\x89PNG")


def test_the_page_draws_both_sides_with_what_is_there_and_fetches_nothing():
    html = render(facts())["report.html"]
    article = re.search(r'<article class="error drawn">.*?</article>', html, flags=re.DOTALL)[0]
    assert re.findall(r"<figcaption>([^<]*)", article) == ["picture", "gold", "predicted"]
    assert "sky 25.0 %" in article and "sky 50.0 %" in article and article.count("<img ") == 3 + 4
    assert "http" not in article
    assert "gold: sky 25.0 %, tree 75.0 %" in render(facts())["report.md"]


def page_of(label: str) -> Page:
    mistake = Mistake(3, "missed", "missed", Picture(picture(80)), shown(label), shown(label))
    return Page(render(facts() | {"errors": [mistake.to_json()]})["report.html"])


def test_a_label_stays_text_beside_its_mark():
    harmless = page_of("sky")
    for text in TEXTS:
        assert_stays_text(page_of(text), harmless, text, least=1)


def test_in_words_and_on_a_card():
    assert to_text(shown()) == "sky 25.0%, tree 75.0%" and to_text(Mask(Picture(picture(8)), ())) == "none"
    assert to_columns(shown()) == {"text": "", "picture": picture(64)}
    assert shorten(Example(shown())).to_json()["picture"] == draw_mask(shown())
    drawn = Image.open(io.BytesIO(base64.b64decode(draw_mask(shown()).partition(",")[2])))
    plain = Image.open(io.BytesIO(base64.b64decode(picture(64).partition(",")[2])))
    assert drawn.height == plain.height + 2 * ROW and drawn.width >= LEGEND


def test_a_drawing_has_each_class_where_it_is_and_leaves_the_rest():
    ids = np.full((40, 60), 255, np.uint8)
    ids[10:30, 10:30], ids[10:30, 30:50] = 0, 1
    drawn, marks = draw_areas(Image.new("RGB", (60, 40), "white"), ids, 2, 60)
    pixels = np.asarray(drawn)
    assert drawn.size == (60, 40) and (pixels[:10] == 255).all() and (pixels[:, 50:] == 255).all()
    for number, x in ((0, 10), (1, 49)):  # the contour
        assert (pixels[20, x] == to_rgb(COLOURS[number])).all()
    assert (pixels[15, 15] < 255).any() and [mark.size for mark in marks] == [(16, 16)] * 2
    bare, marks = draw_areas(Image.new("RGB", (60, 40), "white"), ids, 2, 60, bare=[0])
    assert (np.asarray(bare)[10:30, 10:30] == 255).all() and (np.asarray(marks[0]) == 255).all()
    assert (np.asarray(bare)[10:30, 30:50] != 255).any()


def test_classes_differ_by_more_than_colour():
    swatches = [np.asarray(draw_swatch(number)).tobytes() for number in range(32)]
    assert len(set(swatches)) == 32
    grey = [np.asarray(draw_swatch(number).convert("L")) for number in range(5)]
    strong = {tuple((one > one.mean()).ravel()) for one in grey}
    assert len(strong) == 5


def test_a_tiny_picture_is_enlarged_and_a_large_one_shrunk():
    for side, most, wanted in ((8, 64, 64), (200, 64, 64)):
        drawn, _ = draw_areas(Image.new("RGB", (side, side)), np.zeros((side, side), np.uint8), 1, most)
        assert drawn.size == (wanted, wanted)
    uri = data_uri(drawn, 64)
    assert Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).size == (64, 64)
