"""Labelled spans of characters in running text, and the words and tags that they become.

The rules, each of which is counted: blanks at the ends of a span are trimmed; a span that ends within a word is widened
to the word, because a model that is asked about new text sees whole words too; of two spans that overlap, the longer
one stays (of equally long ones the first); a span beside its own text is moved to it if that text stands once nearby.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from hfkit.data.text.words import Level, split_words
from hfkit.errors import UserError

# The names that tools give to the parts of a span.
STARTS = ("start", "start_offset", "start_char", "begin")
ENDS = ("end", "end_offset", "end_char", "stop")
LABELS = ("label", "tag", "type", "entity_group", "entity", "labels")
FORGIVEN = 0.05  # share of the spans that another way of counting may leave within words: people make mistakes too
NEARBY = 8  # characters around a span in which its own text is sought
# Blanks that `str.strip` leaves: zero-width ones, and byte-order marks.
INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff"

BLANKS = "blanks at an end"
WITHIN = "within a word"
OVERLAP = "overlap with a longer one"
TWICE = "given twice"
BESIDE = "beside its text"
MENDED = {BLANKS: "trimmed", WITHIN: "widened to it", OVERLAP: "left out", TWICE: "once", BESIDE: "moved to it"}


class Span(NamedTuple):
    """Characters from `start` to, but not including, `end`, as a tool wrote them."""

    start: int
    end: int
    label: str
    text: str | None = None  # of the span, where the tool wrote it too


@dataclass(frozen=True)
class Aligned:
    """A text as words with IOB2 tags."""

    text: str  # without a byte-order mark at its start
    words: list[str]
    starts: list[int]  # the character at which each word begins
    tags: list[str]
    mended: list[str]  # for each span that was changed, the kind


# What a tool wrote


def looks_like_spans(value: Any) -> bool:
    """Whether a value is a list of spans, judged by its first item; an empty list tells nothing."""
    items = items_of(value)
    if not isinstance(items, list) or not items:
        return False
    first = items[0]
    if isinstance(first, Mapping):
        return all(first_key(first, keys) is not None for keys in (STARTS, ENDS, LABELS))
    return isinstance(first, list | tuple) and len(first) == 3 and all(type(place) is int for place in first[:2])


def items_of(value: Any) -> Any:
    """The spans of a row: a list as it is, or the rows of a mapping of lists, as older versions of `datasets` store."""
    if isinstance(value, Mapping) and all(isinstance(column, list) for column in value.values()):
        return [dict(zip(value, row, strict=False)) for row in zip(*value.values(), strict=False)]
    return value


def read_spans(value: Any, names: Sequence[str] | None = None) -> list[Span]:
    """The spans of one row.

    Args:
        names: those of the labels, if they are ids.

    Raises:
        UserError: the value is no list of spans; it names the first that is none.
    """
    items = items_of([] if value is None else value)
    if not isinstance(items, list):
        raise UserError(f"{value!r}", "spans are a list of start, end and label", "Mend or remove the row")
    return [read_span(item, names) for item in items]


def read_span(item: Any, names: Sequence[str] | None = None) -> Span:
    """One span, from a list of start, end and label, or from a mapping with names that tools use."""
    fix = "Mend or remove the row"
    if isinstance(item, Mapping):
        start, end, label = (item.get(first_key(item, keys) or "") for keys in (STARTS, ENDS, LABELS))
        text = item.get("text")
    elif isinstance(item, list | tuple) and len(item) == 3:
        (start, end, label), text = item, None
    else:
        raise UserError(f"{item!r}", "a span is a list of start, end and label, or has these names", fix)
    if type(start) is not int or type(end) is not int:
        raise UserError(f"span {shorten(item)}", "start and end of a span are whole numbers of characters", fix)
    if isinstance(label, list) and len(label) == 1:
        label = label[0]
    if type(label) is int and names is not None and 0 <= label < len(names):
        label = names[label]
    if type(label) is int:
        raise UserError(
            f"label {label} of span {shorten(item)}",
            "a number says nothing without the names of the classes",
            "Export the labels with their names, or replace the numbers by them",
        )
    if not isinstance(label, str) or not label.strip() or label.strip() != label.strip().strip("-"):
        rule = "a span has one label, and a label is a text that neither begins nor ends with a hyphen"
        raise UserError(f"span {shorten(item)}", rule, fix)
    return Span(start, end, label.strip(), text if isinstance(text, str) else None)


def first_key(item: Mapping[str, Any], keys: Sequence[str]) -> str | None:
    """The first of some keys that an item has a value for."""
    return next((key for key in keys if item.get(key) is not None), None)


def shorten(item: Any) -> str:
    return repr(item) if len(repr(item)) < 80 else f"{item!r:.77}..."


# How a tool counts


@dataclass(frozen=True)
class Counting:
    """The way in which a tool counts the characters of a text."""

    title: str = "characters"
    unit: str = "characters"
    mark: bool | None = None  # a byte-order mark at the start of the text counts: None, where there is one
    included: bool = False  # the end belongs to the span

    def places(self, text: str) -> "Places":
        """The places in a text without its byte-order mark."""
        bare = text.removeprefix("\ufeff")
        counts = text != bare if self.mark is None else self.mark
        width = len("\ufeff".encode()) if self.unit == "bytes" else 1
        steps = None if bare.isascii() or self.unit == "characters" else count_units(bare, self.unit)
        return Places(bare, width * counts, steps, self.included)


COUNTINGS = (
    Counting("UTF-16 units", "units"),
    Counting("bytes of UTF-8", "bytes"),
    Counting("characters after a byte-order mark that is gone", mark=True),
    Counting("characters without the byte-order mark", mark=False),
    Counting("characters, the end included", included=True),
)


def count_units(text: str, unit: str) -> dict[int, int]:
    """The character that begins at each UTF-16 unit, or byte of UTF-8, and that behind the last."""
    place, found = 0, {}
    for number, character in enumerate(text):
        found[place] = number
        place += len(character.encode("utf-16-le", "surrogatepass")) // 2 if unit == "units" else width_of(character)
    return {**found, place: len(text)}


def width_of(character: str) -> int:
    return len(character.encode("utf-8", "surrogatepass"))


class Places(NamedTuple):
    """Converts what a tool counted into characters of a text."""

    text: str
    shift: int
    steps: dict[int, int] | None  # None: a unit is a character
    included: bool

    def find(self, span: Span) -> tuple[int, int] | None:
        """The first character of a span and the one behind it; None if they are no places in the text."""
        start, end = (place - self.shift for place in (span.start, span.end + self.included))
        if self.steps is not None:
            start, end = self.steps.get(start, -1), self.steps.get(end, -1)
        return (start, end) if 0 <= start < end <= len(self.text) else None


def find_counting(texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> Counting:
    """How the tool counted: in characters, unless that cuts words and another way explains every span.

    One way for all texts: a tool does not change its way within a file. Another way than characters must fit nearly all
    spans that it moves, most of which do not fit in characters; a mark or an end needs two spans to be believed.
    """
    usual = Counting()
    fits = fitting(usual, texts, spans)
    if all(map(all, fits)):
        return usual
    best, left = usual, sum(not fit for some in fits for fit in some)
    for other in COUNTINGS:
        moved = []  # for each span that the two ways place differently, whether it fits now, and whether it did before
        for text, some, before in zip(texts, spans, fits, strict=True):
            one, two = usual.places(text), other.places(text)
            pairs = zip(some, before, strict=True)
            moved += [(fits_words(two, span), fit) for span, fit in pairs if one.find(span) != two.find(span)]
        bad, bad_before = (sum(not fit for fit in column) for column in zip(*moved, strict=True)) if moved else (0, 0)
        enough = 1 if other.unit != "characters" else 2
        believed = len(moved) >= enough and bad <= FORGIVEN * len(moved) and 2 * bad_before > len(moved)
        total = sum(not fit for some in fits for fit in some) - bad_before + bad
        if believed and total < left:
            best, left = other, total
    return best


def fitting(counting: Counting, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> list[list[bool]]:
    """Whether each span of each text stands where words begin and end."""
    found = []
    for text, some in zip(texts, spans, strict=True):
        places = counting.places(text)
        found.append([fits_words(places, span) for span in some])
    return found


def fits_words(places: Places, span: Span) -> bool:
    """Whether a span begins and ends with words, and holds the text that it is said to hold."""
    found = places.find(span)
    if found is None:
        return False
    text, (start, end) = places.text, found
    if span.text is not None and not same_text(text[start:end], span.text):
        return False
    blank = text[start].isspace() or text[end - 1].isspace()
    return not blank and not cuts_word(text, start) and not cuts_word(text, end)


def cuts_word(text: str, place: int) -> bool:
    """Whether letters, or digits, stand on both sides of a place."""
    around = text[place - 1 : place + 1] if place else ""
    return len(around) == 2 and around.isalnum() and len(split_words(around, "marks").words) == 1


def same_text(one: str, other: str) -> bool:
    """Whether two texts differ in blanks alone: brat writes a new line as a blank."""
    return one == other or " ".join(one.split()) == " ".join(other.split())


# Words and tags


def align(text: str, spans: Sequence[Span], counting: Counting, level: Level = "words") -> Aligned:
    """The words of a text, and their tags by the rules of this module.

    Raises:
        UserError: a span lies outside the text, is empty, is not where its own text stands, or shares a word with a
            span that it does not overlap.
    """
    places, mended = counting.places(text), []
    text = places.text
    words, starts = split_words(text, level)
    ends = [start + len(word) for start, word in zip(starts, words, strict=True)]
    exact = {}  # (start, end, label) of characters -> first word and the word behind the last
    for span in spans:
        start, end, kinds = place_span(places, span)
        mended += kinds
        first, behind = bisect_right(starts, start) - 1, bisect_left(starts, end)
        if (start, end, span.label) in exact:
            mended.append(TWICE)
            continue
        if starts[first] != start or ends[behind - 1] != end:
            mended.append(WITHIN)
        exact[start, end, span.label] = (first, behind)
    tags, kept = ["O"] * len(words), []
    for (start, end, label), (first, behind) in sorted(exact.items(), key=lambda item: item[0][0] - item[0][1]):
        if any(start < right and left < end for left, right in kept):
            mended.append(OVERLAP)
            continue
        if any(tag != "O" for tag in tags[first:behind]):
            raise UserError(
                f"span '{text[start:end]}' in '{' '.join(words[first:behind])}'",
                "two spans lie within one word",
                "Split words further with --split_words marks or --split_words characters",
            )
        kept.append((start, end))
        tags[first:behind] = [f"B-{label}", *[f"I-{label}"] * (behind - first - 1)]
    return Aligned(text, words, starts, tags, mended)


def place_span(places: Places, span: Span) -> tuple[int, int, list[str]]:
    """The characters of a span, without blanks at its ends, and the kinds of what was mended."""
    text, found, kinds = places.text, places.find(span), []
    fix = "Mend the span or remove the row"
    where = f"span {span.start} to {span.end} ({span.label})"
    if span.text is not None and (found is None or not same_text(text[slice(*found)], span.text)):
        found = search_nearby(text, span)
        if found is None:
            raise UserError(f"{where} with the text '{span.text}'", "a span stands where its text stands", fix)
        kinds.append(BESIDE)
    if found is None and span.start >= span.end:
        raise UserError(where, "a span begins before it ends", fix)
    if found is None:
        raise UserError(f"{where} of a text of {len(text)} characters", "a span lies within its text", fix)
    start, end = found
    inner = text[start:end].rstrip().rstrip(INVISIBLE).rstrip()
    left = inner.lstrip().lstrip(INVISIBLE).lstrip()
    if not left:
        raise UserError(where, "a span holds more than blanks", fix)
    start, end = start + len(inner) - len(left), start + len(inner)
    return start, end, kinds + [BLANKS] * ((start, end) != found)


def search_nearby(text: str, span: Span) -> tuple[int, int] | None:
    """The characters of a span's own text, if it stands exactly once near the span."""
    wanted = span.text or ""
    low, high = max(0, span.start - NEARBY), span.start + NEARBY + len(wanted)
    nearby = text[low:high]
    first = nearby.find(wanted)
    if not wanted or first < 0 or nearby.find(wanted, first + 1) >= 0:
        return None
    return low + first, low + first + len(wanted)
