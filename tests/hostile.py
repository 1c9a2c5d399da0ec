"""Texts that try to act in a page, and what a page must be for them to stay texts."""

import re
from html.parser import HTMLParser

from markdown_it import MarkdownIt

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
TEXTS = [*INJECTIONS, *HIDDEN]


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


def assert_stays_text(page: Page, harmless: Page, text: str, least: int) -> None:
    """The text begins and ends no element of a page, and is shown there at least so often; what hides is not."""
    assert page.elements == harmless.elements
    assert {name for name, _ in page.attributes} == {name for name, _ in harmless.attributes}
    if text in INJECTIONS:
        assert page.text.count(text) >= least
    else:
        assert not re.search("[\x00\x07\u2028\u202e\u2066]", page.text)


def assert_stays_text_in_markdown(written: str, harmless: str) -> None:
    """The text makes no token of Markdown that a harmless one does not make, and no HTML."""
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    kinds, html = [], set()
    for page in (written, harmless):
        blocks = reader.parse(page)
        tokens = [child for block in blocks for child in (block, *(block.children or ()))]
        # A description's text is one piece or several, that is all that may differ.
        kinds.append([token.type for token in tokens if token.type not in ("text", "text_special", "inline")])
        html |= {token.content for token in tokens if token.type in ("html_block", "html_inline")}
    assert kinds[0] == kinds[1]
    assert html == {"<code>", "</code>"}
