"""The view of a task: rows, answers and mistakes as readers and programs see them.

Everything shown is one of a few kinds of values, and the report, the card and the demo draw each kind in one way.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple, Protocol

from datasets import Dataset

from hfkit.contract.target import Target


@dataclass(frozen=True)
class Text:
    """Plain text."""

    text: str


@dataclass(frozen=True)
class Picture:
    """A picture as a data URI of a PNG or JPEG, which a page shows without a request."""

    uri: str


class Box(NamedTuple):
    """An upright box in the pixels of a picture, from its left upper corner."""

    left: float
    top: float
    right: float
    bottom: float
    label: str
    score: float | None = None  # how sure a model is of it; None: it is a gold one

    def to_json(self) -> dict[str, Any]:
        sides = {name: round(float(side), 2) for name, side in zip(self._fields, self[:4], strict=False)}
        return {**sides, "label": self.label, "score": None if self.score is None else round(float(self.score), 4)}


@dataclass(frozen=True)
class Boxes:
    """A picture and labelled boxes in it."""

    picture: Picture  # of any size: the boxes are stretched with it
    width: int  # of the picture in whose pixels the boxes are
    height: int
    boxes: tuple[Box, ...]


class Area(NamedTuple):
    """The pixels of one class in a picture."""

    label: str
    share: float  # of all pixels
    mark: str  # the colour and the pattern in which they are drawn, as a data URI of a small PNG


@dataclass(frozen=True)
class Mask:
    """A picture onto which the areas of classes are drawn, and what they are."""

    drawn: Picture
    areas: tuple[Area, ...]

    def to_json(self) -> dict[str, Any]:
        areas = [{"label": area.label, "share": round(area.share, 4), "mark": area.mark} for area in self.areas]
        return {"drawn": self.drawn.uri, "areas": areas}


class Span(NamedTuple):
    """A label for the tokens from `start` to, but not including, `end`."""

    start: int
    end: int
    label: str


@dataclass(frozen=True)
class Spans:
    """Labelled spans of tokens, which may be part of a longer text."""

    tokens: tuple[str, ...]
    spans: tuple[Span, ...]
    offset: int = 0  # the number of the first token in the whole text
    total: int = 0  # tokens of the whole text
    text: str | None = None  # the original, if the tokens were cut out of one
    starts: tuple[int, ...] = ()  # the character of `text` at which each token begins

    def in_characters(self) -> tuple[str, list[tuple[int, int, str]]]:
        """The text, with one blank between tokens that were not cut out of one; and the start, end (excluded) and label
        of every span in it."""
        text, starts = self.text, self.starts
        if text is None:
            text, starts = " ".join(self.tokens), [0, *accumulate(len(token) + 1 for token in self.tokens)]
        ends = [start + len(token) for start, token in zip(starts, self.tokens, strict=False)]
        return text, [(starts[span.start], ends[span.end - 1], span.label) for span in self.spans]


@dataclass(frozen=True)
class Choice:
    """Labels chosen from those of a head."""

    labels: tuple[str, ...]
    several: bool = False  # a row may have any number of them


@dataclass(frozen=True)
class Number:
    """A number, or a place on a scale."""

    value: float
    whole: bool = False


Shown = Text | Picture | Boxes | Mask | Spans | Choice | Number


@dataclass(frozen=True)
class Mistake:
    """An instructive wrong answer."""

    row: int
    kind: str
    why: str
    given: Shown  # the row, or the part of it that matters
    gold: Shown
    predicted: Shown

    def to_json(self) -> dict[str, Any]:
        """The mistake as in report.json."""
        which = {"row": self.row, "kind": self.kind, "why": self.why}
        if isinstance(self.gold, Spans) and isinstance(self.predicted, Spans):
            shown = self.gold
            spans = {"gold": [span._asdict() for span in shown.spans]}
            spans["predicted"] = [span._asdict() for span in self.predicted.spans]
            row = {"text": self.given.text} if isinstance(self.given, Text) else {}  # more than the words of the spans
            return {**which, **row, "offset": shown.offset, "words": shown.total, "tokens": list(shown.tokens), **spans}
        if isinstance(self.gold, Boxes) and isinstance(self.predicted, Boxes):
            shown = self.gold
            boxes = {"gold": [box.to_json() for box in shown.boxes]}
            boxes["predicted"] = [box.to_json() for box in self.predicted.boxes]
            return {**which, "picture": shown.picture.uri, "width": shown.width, "height": shown.height, **boxes}
        if isinstance(self.gold, Mask) and isinstance(self.predicted, Mask):
            sides = {"gold": self.gold.to_json(), "predicted": self.predicted.to_json()}
            return {**which, "picture": to_columns(self.given)["picture"], **sides}
        return {**which, **to_columns(self.given), "gold": to_text(self.gold), "predicted": to_text(self.predicted)}


@dataclass(frozen=True)
class Example:
    """A row, or the part of it that a label is about, with its surroundings."""

    shown: Shown
    before: str = ""
    after: str = ""

    def to_json(self) -> dict[str, str]:
        return {"before": self.before, "after": self.after, **to_columns(self.shown)}


def to_columns(shown: Shown) -> dict[str, str]:
    """A value as the `text` and `picture` of a record; one of them is empty."""
    if isinstance(shown, Picture):
        return {"text": "", "picture": shown.uri}
    if isinstance(shown, Boxes):
        return {"text": "", "picture": shown.picture.uri}
    if isinstance(shown, Mask):
        return {"text": "", "picture": shown.drawn.uri}
    return {"text": to_text(shown), "picture": ""}


def to_text(shown: Shown) -> str:
    """A value in words."""
    if isinstance(shown, Text):
        return shown.text
    if isinstance(shown, Spans):
        named = (f"{span.label}: {' '.join(shown.tokens[span.start : span.end])}" for span in shown.spans)
        return "; ".join(named) or "none"
    if isinstance(shown, Choice):
        return ", ".join(shown.labels) or "none"
    if isinstance(shown, Number):
        return f"{shown.value:g}"
    if isinstance(shown, Picture):
        return "a picture"
    if isinstance(shown, Boxes):
        return count_labels([box.label for box in shown.boxes])
    if isinstance(shown, Mask):
        return ", ".join(f"{area.label} {area.share:.1%}" for area in shown.areas) or "none"
    raise TypeError(f"a {type(shown).__name__} is none of the values that can be shown: {Shown}")


def count_labels(labels: Sequence[str]) -> str:
    """How often each label occurs, in words, the most frequent first."""
    counts = sorted(Counter(labels).items(), key=lambda one: (-one[1], one[0]))
    return ", ".join(f"{count} × {label}" for label, count in counts) or "none"


class View(Protocol):
    """Shows a task's rows and answers to readers, and writes them for programs."""

    answers: type[Shown]  # the kind of value that `answer` returns
    auto_processor: str  # the class of transformers that makes a model's inputs: "AutoTokenizer"

    def row(self, row: Mapping[str, Any]) -> Shown:
        """A loaded row, to be shown."""

    def answer(self, answer: Any, row: Mapping[str, Any]) -> Shown:
        """A prediction or a reference for a loaded row, to be shown."""

    def record(self, answer: Any, row: Mapping[str, Any]) -> Any:
        """A prediction for a loaded row as JSON, as `hfkit predict` writes it."""

    def mistakes(self, predictions: list, references: list, rows: Dataset, limit: int) -> list[Mistake]:
        """At most `limit` instructive mistakes; always the same ones for the same answers."""

    def examples(self, rows: Dataset, limit: int) -> dict[str, Example]:
        """A loaded row for each of at most `limit` labels; {} if there are none."""

    def snippet(
        self,
        model: str,
        target: Target,
        examples: Sequence[Example],
        facts: Mapping[str, Any],
        *,
        loaded: str | None = None,
    ) -> str:
        """Python code that asks the saved model `model` without hfkit; it runs as it is.

        Args:
            examples: training rows; the code may ask about one of them.
            facts: the report's facts about the data.
            loaded: code that leaves a model in `model` and its processor in `processor`; None: load both by name.
        """
