"""Hostile text in data, names and settings stays text in the report, and the page fetches nothing."""

import re
from functools import cache
from html.parser import HTMLParser

import pytest
from datasets import Dataset, DatasetDict
from markdown_it import MarkdownIt

from hfkit.baselines.base import Baseline
from hfkit.evaluation.report import Report, render
from tests.reports import COST, LOG, PLAN, Tags, made

ACTIVE = {"script", "iframe", "object", "embed", "link", "img", "image", "base", "form", "a", "video", "foreignobject"}


class Page(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data):
        self.text += data


def faults(page: Page) -> list[str]:
    """Everything in a page that could run, fetch or lead elsewhere."""
    active = {
        "script",
        "iframe",
        "object",
        "embed",
        "link",
        "img",
        "base",
        "form",
        "a",
        "audio",
        "video",
        "foreignobject",
    }
    found = [f"<{tag}>" for tag in page.elements if tag in active]
    for name, value in page.attributes:
        if name.startswith("on") or name in ("src", "href", "xlink:href", "srcset", "action", "formaction", "srcdoc"):
            found.append(f"{name}={value}")
        if re.search(r"//|url\s*\(|javascript:", value) and name not in ("content",):
            found.append(f"{name}={value}")
    return found


def test_the_page_fetches_nothing():
    html = render(made(Tags()).facts())["report.html"]
    page = Page(html)
    assert faults(page) == []
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in html
    style = html.split("<style>")[1].split("</style>")[0]
    assert not re.search(r"url\s*\(|@import|@font-face|//", style)
    assert not re.search(r"https?:|//", html)  # this report's own texts hold no address either


INJECTIONS = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "</svg><a href='javascript:alert(1)'>x</a>",
    '" onmouseover="alert(1)',
    "' autofocus onfocus='alert(1)",
    "<iframe src=//evil.example>",
    "<base href=http://evil.example/>",
    "<link rel=stylesheet href=http://evil.example/x.css>",
    "<meta http-equiv=refresh content='0;url=http://evil.example'>",
    "<!-- comment -->",
    "<![CDATA[x]]>",
    "&lt;script&gt;",
    "&#60;script&#62;",
    "{{ 7 * 7 }}{% raw %}",
    "{# hidden #}",
    "[link](javascript:alert(1))",
    "![image](http://evil.example/x.png)",
    "[link]: http://evil.example",
    "http://evil.example/x?a=1&b=2",
    "www.evil.example",
    "**bold** _it_ `code` ~~no~~",
    "| a | b |",
    "a\\|b\\",
    "# heading",
    "> quote",
    "- item",
    "1. item",
    "+ item",
    "    indented",
    "---",
    "$\\frac{a}{b}$ $$x$$",
    "<details open ontoggle=alert(1)>",
    "../../../etc/cron.d/x",
    "x" * 400,
    "مرحبا 你好 👩‍👧",
]
HIDDEN = ["line\nbreak\r\n# heading", "nul\x00bell\x07", "\u202egnitrevni\u2066", "tab\there\u2028there"]


@cache
def hostile(text: str) -> dict[str, str]:
    """The pages of a report with `text` wherever a user's own text can stand."""
    task = Tags(dataset=text, synthetic=text)
    label = text.strip("-") or "dashes"  # no tag reader takes a type that is only hyphens
    rows = [{"tokens": [text, "met", text], "tags": ["B-PER", "O", f"B-{label}"]}] * 3
    dataset = DatasetDict({split: Dataset.from_list(rows) for split in ("train", "validation", "test")})
    report = Report(task, dataset, settings={"checkpoint": text, text: [text], "nested": {text: text}})
    report.trained(
        plan=[{**PLAN[0], "names": text}], log_history=[{**LOG[0], text: text}], cost=COST, invariants={text: text}
    )
    report.add(text, [[f"B-{label}", "O", "O"]] * 3, cost=COST, description=text)
    baseline = type(
        "Named", (Baseline,), {"name": text + "'", "description": text, "predict": lambda *_: report.references}
    )
    report.judge(baseline())
    return render(report.facts())


@pytest.mark.parametrize("text", [*INJECTIONS, *HIDDEN])
def test_hostile_text_stays_text(text):
    page, plain_page = Page(hostile(text)["report.html"]), Page(hostile("harmless")["report.html"])
    assert faults(page) == []
    assert page.elements == plain_page.elements  # the text began and ended no element
    assert {name for name, _ in page.attributes} == {name for name, _ in plain_page.attributes}
    if text in INJECTIONS:
        assert page.text.count(text) >= 10
    else:
        assert not re.search("[\x00\x07\u2028\u202e\u2066]", page.text)


@pytest.mark.parametrize("text", [*INJECTIONS, *HIDDEN])
def test_hostile_text_stays_text_in_markdown(text):
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    kinds, html = [], set()
    for pages in (hostile(text), hostile("harmless")):
        blocks = reader.parse(pages["report.md"])
        tokens = [child for block in blocks for child in (block, *(block.children or ()))]
        # A description's text is one piece or several, that is all that may differ.
        kinds.append([token.type for token in tokens if token.type not in ("text", "text_special", "inline")])
        html |= {token.content for token in tokens if token.type in ("html_block", "html_inline")}
    assert kinds[0] == kinds[1]
    assert html == {"<code>", "</code>"}
