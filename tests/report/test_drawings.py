"""Boxes over pictures: gold and predicted side by side, offline, each label by colour and by dashes."""

import base64
import io
import re
from functools import cache

import numpy as np
from PIL import Image

from hfkit.contract.view import Box, Boxes, Example, Mistake, Picture, to_text
from hfkit.data.images.colours import OKABE_ITO
from hfkit.inference.examples import report_rows
from hfkit.report.drawings import DASHES, cut_line, draw_boxes, style_labels
from hfkit.report.pages import render_boxes
from hfkit.report.report import render, shorten
from hfkit.report.schema import validate
from tests.fixtures.hostile import TEXTS, Page, assert_stays_text
from tests.fixtures.reports import Pictures, classified, picture

GOLD = Box(10, 20, 40, 60, "cell")
PREDICTED = Box(12, 20, 44.126, 61, "cell", 0.93)


def shown(*boxes: Box) -> Boxes:
    return Boxes(Picture(picture(80)), 160, 160, boxes)


@cache
def facts() -> dict:
    report = classified(Pictures()).facts()
    mistake = Mistake(3, "missed", "a box is missing", shown(GOLD), shown(GOLD), shown(PREDICTED))
    report["errors"] = [mistake.to_json()]
    return report


def test_a_mistake_holds_one_picture_and_the_boxes_of_both_sides():
    (error,) = facts()["errors"]
    validate(facts())
    assert (error["width"], error["height"], error["picture"]) == (160, 160, picture(80))
    sides = {"left": 10.0, "top": 20.0, "right": 40.0, "bottom": 60.0}
    assert error["gold"] == [{**sides, "label": "cell", "score": None}]
    assert error["predicted"][0]["right"] == 44.13 and error["predicted"][0]["score"] == 0.93
    assert report_rows(facts(), ["image"])[0]["image"]["bytes"].startswith(b"\x89PNG")


def test_the_page_draws_both_sides_and_fetches_nothing():
    html = render(facts())["report.html"]
    article = re.search(r'<article class="error drawn">.*?</article>', html, flags=re.DOTALL)[0]
    assert re.findall(r"<figcaption>([^<]*)", article) == ["gold (1)", "predicted (1)"]
    colours = re.findall(r'<rect [^>]*stroke="(#[0-9A-F]{6})"', article)
    assert article.count("<image ") == len(colours) == 2 and len(set(colours)) == 1
    assert "cell 93" in article and 'href="data:image/png;base64,' in article and "http" not in article
    assert "gold: 1, predicted: 1; drawn in report.html" in render(facts())["report.md"]


def test_a_label_stays_text_over_a_picture():
    harmless = Page(render_boxes(shown(PREDICTED), ["cell"]))
    for text in TEXTS:
        drawn = Page(render_boxes(shown(PREDICTED._replace(label=text)), [text]))
        assert_stays_text(drawn, harmless, text, least=2)
        assert len(drawn.attributes) == len(harmless.attributes)


def test_labels_differ_by_more_than_colour():
    styles = style_labels([f"class {place}" for place in range(len(OKABE_ITO) * len(DASHES))])
    assert len(set(styles.values())) == len(styles)
    near = [styles[f"class {place}"] for place in range(4)]
    assert len({style.dash for style in near}) == 4 and len({style.colour for style in near}) == 4


def test_a_page_of_its_own_says_what_each_line_means():
    drawn = render_boxes(shown(PREDICTED), ["star", "cell"])
    assert OKABE_ITO[1] in drawn and OKABE_ITO[0] not in drawn and drawn.count("cell") >= 2 and "star" not in drawn
    assert to_text(shown(PREDICTED, PREDICTED)) == "2 × cell" and to_text(shown()) == "none"


def test_a_drawing_has_the_box_where_it_is_and_leaves_the_rest():
    blank = io.BytesIO()
    Image.new("RGB", (80, 80), "white").save(blank, "PNG")
    uri = "data:image/png;base64," + base64.b64encode(blank.getvalue()).decode()
    drawn = draw_boxes(Boxes(Picture(uri), 160, 160, (GOLD,)))
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(drawn.partition(",")[2]))))
    assert pixels.shape == (80, 80, 3) and (pixels[40:] == 255).all() and (pixels[:, 30:] == 255).all()
    assert (pixels[25, 5] == [0xE6, 0x9F, 0x00]).all() and (pixels[18:26, 9:16] == 255).all()


def test_dashes_end_where_their_line_does():
    pieces = list(cut_line((0, 0), (20, 0), "7 4"))
    assert pieces == [((0, 0), (7, 0)), ((11, 0), (18, 0))]
    assert list(cut_line((5, 5), (5, 1), "3 2")) == [((5, 5), (5, 2))]
    assert list(cut_line((1, 1), (1, 1), "3 2")) == [((1, 1), (1, 1))]


def test_an_example_on_a_card_is_a_picture_with_its_box():
    example = shorten(Example(shown(GOLD))).to_json()
    assert example["text"] == "" and example["picture"] != picture(80)
    assert example["picture"].startswith("data:image/png;base64,")
