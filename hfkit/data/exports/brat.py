"""Exports of brat: a text in a .txt, and its annotations in an .ann of the same name beside it."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

from datasets import Dataset

from hfkit.data.exports.export import Glimpse
from hfkit.data.exports.records import SPANS, dataset_of
from hfkit.data.notes import tell
from hfkit.data.text.spans import same_text
from hfkit.errors import DataError

# T1<tab>LABEL 0 5<tab>text; a span of several pieces separates them by ';'.
SPAN = re.compile(r"(T\S+)\t(\S+) (\d+ \d+(?:;\d+ \d+)*)\t(.*)")
OTHERS = {
    "R": "relations",
    "E": "events",
    "A": "attributes",
    "M": "attributes",
    "N": "normalisations",
    "#": "notes",
    "*": "relations",
}


class Brat:
    """Standoff files: one row for each text, with the spans of its T lines."""

    title = "brat standoff (.ann beside .txt)"
    tried = "its documentation alone"
    left_out = "Spans of several pieces; relations, events, attributes and notes, for no task reads them"

    def fits(self, glimpse: Glimpse) -> bool:
        return glimpse.suffix == ".txt" and any(path.with_suffix(".ann").is_file() for path in glimpse.paths)

    def read(self, split: str, paths: list[Path]) -> Dataset:
        left: Counter[str] = Counter()
        rows = [read_document(split, row, path, left) for row, path in enumerate(paths)]
        for folder in dict.fromkeys(path.parent for path in paths):
            if alone := sum(not path.with_suffix(".txt").is_file() for path in folder.glob("*.ann")):
                left["files of annotations without a text"] += alone
        if left:
            counts = ", ".join(f"{count:,} {kind}" for kind, count in left.most_common())
            tell(f"{split}: of brat's annotations the spans are read; left out: {counts}")
        return dataset_of(rows, {"spans": SPANS})


def read_document(split: str, row: int, path: Path, left: Counter[str]) -> dict[str, Any]:
    """One text with its spans; a text without an .ann has none, and is counted.

    Raises:
        DataError: a file is not UTF-8, or a line is no annotation.
    """
    annotations = path.with_suffix(".ann")
    text, lines = read_utf8(split, path), ""
    if annotations.is_file():
        lines = read_utf8(split, annotations)
    else:
        left["texts without an .ann, read as having no span"] += 1
    found = []
    for number, line in enumerate(lines.splitlines(), 1):
        if line[:1] in OTHERS:
            left[OTHERS[line[0]]] += 1
        elif span := SPAN.fullmatch(line):
            found.append(span)
        elif line.strip():
            raise DataError(
                f"{annotations.name}, line {number}: {line!r:.60}",
                "a line is an annotation of brat, such as 'T1', a tab, 'PER 0 4', a tab and the text",
                "Mend or remove the line",
                split=split,
                row=row,
                column="spans",
            )
    text = choose_line_ends(text, found)
    return {"name": path.stem, "text": text, "spans": [span for one in found for span in read_span(text, one, left)]}


def choose_line_ends(text: str, spans: list[re.Match[str]]) -> str:
    """The text as it is, or with line ends of one character if more spans then hold their own text.

    Copying a folder to Windows may turn each line end into two characters, and brat counted one.
    """

    def fit(candidate: str) -> int:
        pieces = [([tuple(map(int, p.split())) for p in span[3].split(";")], span[4]) for span in spans]
        return sum(same_text(" ".join(candidate[slice(*p)] for p in places), own) for places, own in pieces)

    return max(text, text.replace("\r\n", "\n"), key=fit)  # the first of equals


def read_span(text: str, found: re.Match[str], left: Counter[str]) -> list[dict[str, Any]]:
    """The span of a T line; one of several pieces is left out and counted, for an entity is a row of words."""
    _, label, pieces, own = found.groups()
    places = [tuple(map(int, piece.split())) for piece in pieces.split(";")]
    # brat writes a span over a line end as two pieces with nothing but the line end between them.
    if any(text[one[1] : two[0]].strip() for one, two in zip(places, places[1:], strict=False)):
        left["spans of several pieces"] += 1
        return []
    return [{"start": places[0][0], "end": places[-1][1], "label": label, "text": own}]


def read_utf8(split: str, path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path.name}, byte {error.start}", "brat's files are UTF-8", "Save the file as UTF-8", split=split
        ) from error
