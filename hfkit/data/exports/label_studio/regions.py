"""Regions of Label Studio in general columns: spans in characters of a text, boxes in pixels."""

from html.parser import HTMLParser
from typing import Any

from hfkit.data.exports.label_studio.objects import Objects
from hfkit.data.exports.label_studio.results import Answers, Control, Item, Tally

PUBLIC = {"boxes": ("left", "top", "right", "bottom", "label")}  # keys of a region that are passed on


def settle_regions(control: Control, items: list[Item], tally: Tally, objects: Objects) -> None:
    """Bring regions into the keys of their general column; spans into characters of the text."""
    keys = PUBLIC.get(control.kind)
    pairs = [(item, answer) for item in items for answer in item.answers if answer.values.get(control)]
    if control.kind == "spans":
        settle_spans(control, pairs, tally, objects)
    for _, answer in pairs if keys else ():
        regions = answer.values[control]
        tally.noted["turned boxes became the upright box around them"] += sum(box["turned"] for box in regions)
        answer.values[control] = [{key: region[key] for key in keys} for region in regions]


def settle_spans(control: Control, pairs: list[tuple[Item, Answers]], tally: Tally, objects: Objects) -> None:
    """Bring spans into characters of the text. What the tool wrote as their text stays where the text says another."""
    key = objects.key_of(control)
    if any(span["html"] for _, answer in pairs for span in answer.values[control]):
        objects.html.add(key)
    for item, answer in pairs:
        text = item.data.get(key)
        text = text_of_html(text) if key in objects.html and isinstance(text, str) else text
        answer.values[control] = [
            mend_span(span, text if isinstance(text, str) else "", tally) for span in answer.values[control]
        ]
    spans = [span for _, answer in pairs for span in answer.values[control]]
    if not any(span["text"] is not None for span in spans):
        for span in spans:
            del span["text"]


def mend_span(span: dict[str, Any], text: str, tally: Tally) -> dict[str, Any]:
    """The span in characters of the text. What the tool wrote as its text is kept if it is not there.

    A browser counts in units of UTF-16, in which an emoji is two.
    """
    start, end, written = span["start"], span["end"], span["text"]
    clean = {"start": start, "end": end, "label": span["label"], "text": None}
    if start is None or not isinstance(written, str):
        return {**clean, "text": written if start is None else None}
    if is_same(text[start:end], written):
        return clean
    start, end = (len(text.encode("utf-16-le")[: 2 * place].decode("utf-16-le", "replace")) for place in (start, end))
    if is_same(text[start:end], written):
        tally.noted["spans counted in units of UTF-16 became characters"] += 1
        return {**clean, "start": start, "end": end}
    return {**clean, "text": written}


def is_same(here: str, written: str) -> bool:
    """Whether it is the text that the tool wrote, in which line breaks are spelt out."""
    return here == written or here.replace("\r", "\n").replace("\n", "\\n") == written.replace("\n", "\\n")


class TextOfHtml(HTMLParser):
    """The text of HTML, over which Label Studio counts places: a line break is one character."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        if tag == "br":
            self.parts.append("\n")


def text_of_html(html: str) -> str:
    parser = TextOfHtml()
    parser.feed(html)
    parser.close()
    return "".join(parser.parts)
