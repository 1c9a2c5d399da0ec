"""The report of a classifier shows texts, pictures and tables of many classes, and nothing that is not one of them."""

import copy
import json
import re
from functools import cache

import pytest

from hfkit.report import plots
from hfkit.report.pages import clip, is_small
from hfkit.report.report import render
from hfkit.report.schema import PICTURE, validate
from tests.fixtures.hostile import TEXTS, Page, assert_stays_text, assert_stays_text_in_markdown, faults
from tests.fixtures.reports import Pictures, Tags, Texts, classified, made, picture


@cache
def facts(task: type, count: int = 4) -> dict:
    report = classified(task(count=count))
    if task is Pictures:
        report.show([{"picture": picture(8), "label": "class 1"}, {"picture": picture(80, "jpeg"), "label": "class 2"}])
    return report.facts()


def images(html: str) -> list[dict[str, str]]:
    """The attributes of every image, in order."""
    return [dict(re.findall(r'(\w+)="([^"]*)"', tag)) for tag in re.findall(r"<img ([^>]*)>", html)]


def test_a_text_stands_beside_its_classes():
    pages = render(facts(Texts))
    (error, *_), html = facts(Texts)["errors"], pages["report.html"]
    assert error["text"] == "text 0 of its class" and error["gold"] == "class 0" and error["predicted"] == "class 1"
    article = re.search(r"<article.*?</article>", html, flags=re.DOTALL)[0]
    assert re.findall(r"<d[dt].*?>(?:<b>)?([^<]+)<", article) == ["gold", "class 0", "predicted", "class 1"]
    assert "<bdi>text 0 of its class</bdi>" in article and "<img" not in html
    assert "  - gold: class 0\n  - predicted: class 1\n  - text: text 0 of its class\n" in pages["report.md"]


def test_a_picture_stands_beside_its_classes_and_only_in_the_page():
    pages = render(facts(Pictures))
    report, shown = facts(Pictures), images(pages["report.html"])
    assert [one["src"] for one in shown] == [
        *(one["picture"] for one in report["pictures"]),
        *(error["picture"] for error in report["errors"]),
        *(example["picture"] for example in report["examples"].values()),
    ]
    assert all(PICTURE.fullmatch(one["src"]) for one in shown)
    assert [one.get("class") for one in shown[:2]] == ["small", None]
    assert "Training samples as the model sees them" in pages["report.html"]
    assert "<figcaption>class 2</figcaption>" in pages["report.html"]
    assert "img-src data:" in pages["report.html"]
    assert "data:" not in pages["report.md"] and "- row 0, " in pages["report.md"]
    assert "2 training samples as the model sees them are in report.html." in pages["report.md"]
    assert json.loads(pages["report.json"]) == report


def test_without_pictures_there_is_no_section_for_them():
    for report in (facts(Texts), made(Tags()).facts()):
        assert report["pictures"] == []
        pages = render(report)
        assert "as the model sees them" not in pages["report.html"] + pages["report.md"]


NOT_PICTURES = {
    "another scheme": "javascript:alert(1)",
    "an address": "https://evil.example/x.png",
    "another type": "data:image/svg+xml;base64,PHN2Zy8+",
    "a page": "data:text/html;base64,PHN2Zy8+",
    "not base64": "data:image/png,raw",
    "nothing in it": "data:image/png;base64,",
    "a quote": 'data:image/png;base64,AAAA" onerror="alert(1)',
    "a line more": "data:image/png;base64,AAAA\n",
    "something before": " data:image/png;base64,AAAA",
    "another case": "DATA:image/png;base64,AAAA",
    "no text": 3,
}


@pytest.mark.parametrize("wrong", NOT_PICTURES.values(), ids=NOT_PICTURES)
def test_what_is_not_a_picture_is_refused_with_its_place(wrong):
    report = copy.deepcopy(facts(Pictures))
    report["errors"][1]["picture"] = wrong
    with pytest.raises(ValueError, match=r"^report\.errors\[1\]\.picture: .{,200}$"):
        validate(report)
    report = copy.deepcopy(facts(Pictures))
    report["pictures"][1]["picture"] = wrong
    with pytest.raises(ValueError, match=r"^report\.pictures\[1\]\.picture: .{,200}$"):
        validate(report)


CORRUPTIONS = {
    "report.errors[0]: wrong keys: text (missing)": lambda r: r["errors"][0].pop("text"),
    "report.errors[0]: wrong keys: tokens (unknown)": lambda r: r["errors"][0].update(tokens=[]),
    "report.errors[0].gold:": lambda r: r["errors"][0].update(gold=["class 1"]),
    "report.errors[0].row:": lambda r: r["errors"][0].update(row="0"),
    "report.breakdown: wrong keys: note (missing)": lambda r: r["breakdown"].pop("note"),
    "report.breakdown.confusion.counts: not one for every": lambda r: r["breakdown"]["confusion"]["gold"].pop(),
    "report.breakdown.confusion.counts: not one": lambda r: r["breakdown"]["confusion"]["predicted"].append("x"),
    "report.pictures[0]: wrong keys: label (missing)": lambda r: r["pictures"][0].pop("label"),
    "report: wrong keys: pictures (missing)": lambda r: r.pop("pictures"),
    "report.schema: 'hfkit.report/1'": lambda r: r.update(schema="hfkit.report/1"),
}


@pytest.mark.parametrize(("message", "corrupt"), CORRUPTIONS.items(), ids=CORRUPTIONS)
def test_validate_names_the_place(message, corrupt):
    report = copy.deepcopy(facts(Pictures))
    validate(report)
    corrupt(report)
    with pytest.raises(ValueError, match=re.escape(message)):
        validate(report)


def test_right_is_where_the_names_are_the_same():
    confusion = facts(Texts)["breakdown"]["confusion"]
    assert confusion["predicted"] == ["class 3", "class 2", "class 1", "(others)"]
    rows = plots.heat(confusion)
    for row in rows:
        right = [name for name, cell in zip(confusion["predicted"], row["cells"], strict=True) if cell["right"]]
        assert right == [name for name in confusion["predicted"] if name == row["name"]]
        assert sum(cell["count"] for cell in row["cells"]) == row["total"] == 3
    html = render(facts(Texts))["report.html"]
    assert html.count('class="right"') == 3  # the class without a column of its own has none
    assert facts(Texts)["breakdown"]["note"] in html


def test_without_confusions_the_scores_by_class_remain():
    report = copy.deepcopy(facts(Texts))
    report["breakdown"]["confusion"] = None
    pages = render(report)
    assert "By class" in pages["report.html"] and "What is taken for what" not in pages["report.html"]
    assert "## By class" in pages["report.md"] and "gold ↓" not in pages["report.md"]
    assert "stands among the others." in pages["report.html"] and "Shaded" not in pages["report.html"]


def test_of_many_classes_the_page_shows_the_ends_and_folds_the_rest():
    pages = render(facts(Texts, 40))
    before, after = pages["report.html"].split("<summary>All 40 classes</summary>")
    row = re.compile(r'<tr><th scope="row">class \d+</th><td class="b">')
    assert len(row.findall(before)) == 30 and len(row.findall(after)) == 40
    assert "15 lowest F1" in before and "15 highest F1" in before
    lines = pages["report.md"].splitlines()
    assert sum(bool(re.match(r"\| class \d+ \| \d\.\d{3} \| \d\.\d{3} \|", line)) for line in lines) == 30
    assert "The 15 lowest F1 and 15 highest F1; all 40 classes are in report.json." in lines
    assert "The first 30 of 40 rows; all are in report.json." in lines
    assert "class 35, … (40 in all)" in pages["report.html"]  # labels, in the order of letters
    assert 'class="heat many"' in before + after
    assert "All 4 classes" not in render(facts(Texts))["report.html"]


@cache
def hostile(task: type, text: str) -> dict[str, str]:
    """The pages of a classifier's report with `text` wherever its classes, texts and notes stand."""
    report = copy.deepcopy(facts(task))
    for error in report["errors"]:
        error |= {"text": error["text"] and text, "gold": text, "predicted": text, "why": text}
    for one in report["pictures"]:
        one["label"] = text
    report["breakdown"]["note"] = text
    report["breakdown"]["confusion"]["predicted"][0] = text
    return render(report)


@pytest.mark.parametrize("task", [Texts, Pictures])
@pytest.mark.parametrize("text", TEXTS)
def test_hostile_text_stays_text(text, task):
    page, harmless = (Page(hostile(task, one)["report.html"]) for one in (text, "harmless"))
    uris = {error["picture"] for error in facts(task)["errors"]} | {one["picture"] for one in facts(task)["pictures"]}
    allowed = {"<img>", *(f"src={uri}" for uri in uris)}
    assert set(faults(page)) <= allowed and bool(faults(page)) == (task is Pictures)
    assert_stays_text(page, harmless, text, least=10)
    assert_stays_text_in_markdown(hostile(task, text)["report.md"], hostile(task, "harmless")["report.md"])


def test_a_long_text_is_cut_between_words():
    assert clip("one two", 7) == "one two"
    assert clip("one two three", 9) == "one two …"
    assert clip("x" * 500, 400) == "x" * 400 + " …"
    assert clip("a " + "x" * 500, 400) == "a " + "x" * 398 + " …"
    report = copy.deepcopy(facts(Texts))
    report["errors"][0]["text"] = "word " * 1000
    pages = render(report)
    assert pages["report.html"].count("word ") < 90 and pages["report.md"].count("word ") < 50
    assert "word …" in pages["report.html"] and "word …" in pages["report.md"]


def test_only_a_png_of_few_pixels_is_small():
    assert is_small(picture(8)) and is_small(picture(64))
    assert not is_small(picture(65)) and not is_small(picture(8, "jpeg"))
    assert not is_small("data:image/png;base64,AAA") and not is_small("data:image/png;base64,=")


def test_a_checkpoint_of_the_task_stands_for_sample():
    assert facts(Pictures)["settings"]["checkpoint"] == "sample-resnet"
    assert "<h1>sample-resnet on " in render(facts(Pictures))["report.html"]
    assert "all-MiniLM-L6-v2" in render(facts(Texts))["report.html"]
