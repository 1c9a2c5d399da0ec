"""Gold answers from the cells of a table, in the ways that people and tools write them, and where each begins.

An answer is a stretch of its passage. The place that a file names for it is often off by the blanks that somebody
stripped: such places are mended and counted. One that is off by more is a fault, for nobody knows which is meant.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hfkit.data.columns import to_words

TEXT_KEYS, START_KEYS, END_KEYS = ("text", "answer_text", "answer"), ("answer_start", "start"), ("end", "answer_end")
SHOWN = 60  # characters of an answer in a message


class NoAnswer(Exception):
    """A cell holds no answers: the value at fault, and the rule that it breaks."""

    def __init__(self, value: str, rule: str) -> None:
        super().__init__(value, rule)
        self.value, self.rule = value, rule


class Marked(NamedTuple):
    """An answer as it came."""

    text: str | None  # None: that between `start` and `end`
    start: int | None  # its first character in the passage; None: not said
    end: int | None = None


class Place(NamedTuple):
    """An answer in its passage."""

    text: str  # without blanks at its ends
    start: int
    mended: bool  # it was found beside the place that was named for it


def read_marked(cell: Any, starts: Any = None) -> list[Marked]:
    """The answers in a cell; [] if it says that there is none.

    It may be an object of lists (`text`, `answer_start`), a list of objects with these keys or with `start` and `end`,
    a list of texts, a text, or one of these as JSON.

    Args:
        starts: of another column: a number, or a list of them.

    Raises:
        NoAnswer: it is null, or nothing of this.
    """
    if isinstance(cell, str) and cell.lstrip()[:1] in ("{", "["):
        try:
            cell = json.loads(cell)
        except ValueError:
            pass  # a text that begins with a bracket
    if isinstance(cell, str) and cell.strip():
        return [Marked(cell, whole_number(starts))]
    if isinstance(cell, Mapping):
        return read_columns(cell)
    if isinstance(cell, Sequence) and not isinstance(cell, str):
        places = starts if isinstance(starts, list) else [starts] * len(cell)
        if len(places) != len(cell):
            raise NoAnswer(f"{len(cell)} answers and {len(places)} starts", "every answer has one start")
        return [read_one(one, start) for one, start in zip(cell, places, strict=True)]
    raise NoAnswer(to_words(cell), "a row has an answer, or says that it has none: by [], or by is_impossible")


def read_columns(cell: Mapping[str, Any]) -> list[Marked]:
    """The answers of an object of lists, or the one of an object of plain values."""
    texts, starts, ends = (pick(cell, keys) for keys in (TEXT_KEYS, START_KEYS, END_KEYS))
    given = [value for value in (texts, starts, ends) if isinstance(value, list)]
    if not given:
        return [read_one(cell, None)]
    if len({len(values) for values in given}) > 1:
        counts = " and ".join(str(len(values)) for values in given)
        raise NoAnswer(f"lists of {counts}", "every answer has a text and a start")
    columns = [value if isinstance(value, list) else [None] * len(given[0]) for value in (texts, starts, ends)]
    return [
        Marked(text_of(text), whole_number(start), whole_number(end)) for text, start, end in zip(*columns, strict=True)
    ]


def read_one(one: Any, start: Any) -> Marked:
    if isinstance(one, str):
        return Marked(text_of(one), whole_number(start))
    if isinstance(one, Mapping):
        text, own, end = (pick(one, keys) for keys in (TEXT_KEYS, START_KEYS, END_KEYS))
        if text is not None or (own is not None and end is not None):
            return Marked(None if text is None else text_of(text), whole_number(own), whole_number(end))
    if isinstance(one, list) and len(one) in (2, 3) and all(isinstance(side, int) for side in one[:2]):
        return Marked(None, one[0], one[1])  # start, end and maybe a label, as tools for spans write them
    raise NoAnswer(shorten(to_words(one)), "an answer is a text with the place where it begins, or a start and an end")


def pick(values: Mapping[str, Any], keys: Sequence[str]) -> Any:
    """The value of the first key that is there."""
    return next((values[key] for key in keys if values.get(key) is not None), None)


def text_of(value: Any) -> str:
    if isinstance(value, str) and value.strip():
        return value
    raise NoAnswer(to_words(value), "an answer has a text")


def whole_number(value: Any) -> int | None:
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.strip().isdecimal():
        value = int(value)
    if isinstance(value, float) and value.is_integer():  # tables with empty cells hold numbers as floats
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise NoAnswer(to_words(value), "a place in a passage is a whole number of characters")
    return value


def find_place(marked: Marked, passage: str) -> Place:
    """The place of an answer in its passage.

    Raises:
        NoAnswer: it does not stand there, or not where it is said to, by more than blanks.
    """
    text, start, end = marked
    if text is None:
        text = passage[start:end] if start is not None and end is not None and 0 <= start < end <= len(passage) else ""
        if not text.strip():
            raise NoAnswer(f"{start} to {end}", "a stretch of its passage holds some of its text")
    bare = text.strip()
    if start is not None and start >= 0 and passage.startswith(text, start):
        lead = len(text) - len(text.lstrip())
        return Place(bare, start + lead, mended=text != bare)
    places = occurrences(bare, passage)
    if not places:
        raise NoAnswer(f"'{shorten(bare)}'", "an answer stands in its passage, letter by letter")
    if start is None:
        if len(places) > 1:
            raise NoAnswer(f"'{shorten(bare)}'", "an answer that stands in its passage several times has a start")
        return Place(bare, places[0], mended=False)
    beside = next((place for place in places if is_off_by_blanks(place, start, passage)), None)
    if beside is None:
        nearest = min(places, key=lambda place: abs(place - start))
        rule = "an answer begins where it is said to, or no further away than the blanks there"
        raise NoAnswer(f"'{shorten(bare)}' at {start} (it begins at {nearest})", rule)
    return Place(bare, beside, mended=True)


def is_off_by_blanks(place: int, start: int, passage: str) -> bool:
    """Whether an answer at `place` may be said to begin at `start` only because blanks were stripped.

    From the answer, after its start was noted; from the passage, before it was; or at the ends of lines, where one
    character (LF) replaced two (CRLF).
    """
    if 0 <= start < place and not passage[start:place].strip():
        return True
    return place - start == count_blanks(passage) or start - place == passage.count("\n", 0, place) > 0


def count_blanks(text: str) -> int:
    """Blanks at the start of a text."""
    return len(text) - len(text.lstrip())


def occurrences(part: str, whole: str) -> list[int]:
    """Every place where a text stands in another."""
    found, place = [], whole.find(part)
    while place >= 0:
        found.append(place)
        place = whole.find(part, place + 1)
    return found


def shorten(text: str) -> str:
    return text if len(text) <= SHOWN else text[:SHOWN].rstrip() + " …"
