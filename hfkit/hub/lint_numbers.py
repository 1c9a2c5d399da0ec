"""Whether the numbers of a card are those of its report: the card is rendered anew, and the two are compared.

Prose may be reworded and lines without numbers added, as long as every number of the rendered card stays in its place.
Other numbers belong in a section under a new heading. There they are free, except in a line that names a score: its
numbers have to stand in the rendered card.
"""

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from difflib import SequenceMatcher
from typing import Any, NamedTuple

# A sign belongs to it unless it joins two words; thousands have commas.
NUMBER = re.compile(r"(?:(?<![\w.])[-+\N{MINUS SIGN}])?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?")
ADDRESS = re.compile(r"(?<=\])\([^()\s]*\)|https?://[^\s)>]+")
HEADING = re.compile(r"#{1,6} ")


class Line(NamedTuple):
    """A line of a card: its number in the file (from 1), its text, and the heading it stands under."""

    number: int
    text: str
    section: str

    @property
    def shape(self) -> str:
        """The line with its numbers and its spacing taken out."""
        return re.sub(r"-{2,}", "-", re.sub(r"\s+", " ", NUMBER.sub("\0", self.text))).strip()

    @property
    def numbers(self) -> list[str]:
        return NUMBER.findall(self.text)

    @property
    def claims(self) -> list[str]:
        """Its numbers without those in the addresses of links, which no reader takes for a score."""
        return NUMBER.findall(ADDRESS.sub("", self.text))

    @property
    def place(self) -> str:
        return f"line {self.number} ({self.section or 'summary'})"


def number_faults(card: str, rendered: str, scores: Iterable[dict[str, Any]], first: int = 1) -> list[str]:
    """The numbers in which the body of a card differs from that of the card rendered from its report, in words.

    Args:
        scores: those of the report that readers know by a name.
        first: number of the card's first line in its file.
    """
    expected = list(lines_of(rendered))
    known = {line.section for line in expected}
    lines = list(lines_of(card, first))
    own = [line for line in lines if line.section not in known]
    shared = [line for line in lines if line.section in known]
    return [*compare_lines(expected, shared), *own_faults(own, expected, score_pattern(scores))]


def score_pattern(scores: Iterable[dict[str, Any]]) -> re.Pattern:
    """Any of the scores by its key or its title, as a whole word."""
    names = sorted({name for score in scores for name in (score["key"], score["title"])}, key=len, reverse=True)
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(map(re.escape, names))})(?![^\W_])", re.IGNORECASE)


def lines_of(body: str, first: int = 1) -> Iterator[Line]:
    """The lines of a Markdown text, each with its heading; a # in a block of code begins none."""
    section, fence = "", ""
    for number, text in enumerate(body.splitlines(), first):
        opening = re.match(r" {0,3}(`{3,}|~{3,})", text)
        if fence:
            fence = "" if opening and opening[1].startswith(fence) else fence
        elif opening:
            fence = opening[1]
        elif HEADING.match(text):
            section = text.lstrip("#").strip() if text.startswith("##") else ""
        yield Line(number, text, section)


def compare_lines(expected: list[Line], given: list[Line]) -> list[str]:
    """The faults of lines in sections that the rendered card has too."""
    faults = []
    shapes = [line.shape for line in expected]
    matcher = SequenceMatcher(None, shapes, [line.shape for line in given], autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            for ours, theirs in zip(expected[a:b], given[c:d], strict=True):
                faults += [
                    f"{theirs.place}: {written}, the report has {right}"
                    for right, written in zip(ours.numbers, theirs.numbers, strict=True)
                    if value_of(right) != value_of(written)
                ]
        else:
            after = given[c - 1] if c else Line(0, "", "")
            faults += compare_numbers(expected[a:b], given[c:d], after, set(shapes))
    return faults


def compare_numbers(expected: list[Line], given: list[Line], after: Line, shapes: set[str]) -> list[str]:
    """The faults of reworded, added or lost lines: the numbers in them have to be the same, in the same order."""
    ours = [(value_of(number), number, line) for line in expected for number in line.claims]
    theirs = [(value_of(number), number, line) for line in given for number in line.claims]
    faults = []
    matcher = SequenceMatcher(None, [one[0] for one in ours], [one[0] for one in theirs], autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            continue
        for i in range(max(b - a, d - c)):
            right, written = (ours[a + i] if a + i < b else None), (theirs[c + i] if c + i < d else None)
            if right and written:
                faults.append(f"{written[2].place}: {written[1]}, the report has {right[1]}")
            elif written:
                faults.append(
                    f"{written[2].place}: {written[1]} does not stand there in the report"
                    " (numbers of your own go into a section of your own)"
                )
            else:
                near = theirs[c - 1][2] if c else after
                faults.append(f"{near.place}: after it {right[1]} is missing, of '{right[2].text.strip()}'")
    if not faults:
        # The same numbers under other names would make another claim.
        faults = [
            f"{line.place}: no such row of a table comes from the report"
            for line in given
            if line.text.lstrip().startswith("|") and line.numbers and line.shape not in shapes
        ]
    return faults


def own_faults(own: list[Line], expected: list[Line], score: re.Pattern) -> list[str]:
    """The faults of sections that the rendered card does not have."""
    known = {value_of(number) for line in expected for number in line.numbers}
    return [
        f"{line.place}: {number} beside the name of a score does not stand in the report"
        for line in own
        if score.search(line.text)
        for number in line._replace(text=score.sub("", line.text)).claims
        if value_of(number) not in known
    ]


def value_of(number: str) -> Decimal:
    return Decimal(number.replace("\N{MINUS SIGN}", "-").replace(",", ""))
