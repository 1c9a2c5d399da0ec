"""Errors of a tagger for the report: scores and confusions per entity type, and instructive mistakes."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from hfkit.contract.view import Mistake, Span, Spans
from hfkit.data.text.tags import entities

KINDS = ("type", "boundary", "type and boundary", "missed", "spurious")
CONTEXT = 15  # words to show on either side of an error
PER_KIND = 2
ALIKE = 0.7  # two sentences that share this many of their words teach the same


class Error(NamedTuple):
    """A gold span and the predicted span that shares words with it; either is None without a counterpart."""

    row: int
    kind: str  # one of KINDS
    gold: Span | None
    predicted: Span | None

    @property
    def labels(self) -> tuple[str, str]:
        return self.gold.label if self.gold else "", self.predicted.label if self.predicted else ""

    @property
    def why(self) -> str:
        gold, predicted = self.labels
        return {
            "type": f"{gold} taken for {predicted}",
            "boundary": f"{gold} with wrong ends",
            "type and boundary": f"{gold} taken for {predicted}, with wrong ends",
            "missed": f"{gold} missed",
            "spurious": f"{predicted} seen where there is no entity",
        }[self.kind]


def spans(tags: Sequence[str]) -> list[Span]:
    """The entities of one sentence, in order."""
    return [Span(start, end, label) for label, start, end in entities(tags)]


def pair_spans(gold: list[Span], predicted: list[Span]) -> Iterator[tuple[Span | None, Span | None]]:
    """Pairs of gold and predicted spans that share words, the largest overlap first; then unpaired spans."""
    overlaps = sorted(
        (max(g.start, p.start) - min(g.end, p.end), g != p, g.label != p.label, g, p)
        for g in gold
        for p in predicted
        if max(g.start, p.start) < min(g.end, p.end)
    )
    free_gold, free_predicted = set(gold), set(predicted)
    for *_, g, p in overlaps:
        if g in free_gold and p in free_predicted:
            free_gold.remove(g)
            free_predicted.remove(p)
            yield g, p
    yield from ((g, None) for g in sorted(free_gold))
    yield from ((None, p) for p in sorted(free_predicted))


def entity_breakdown(predictions: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Strict scores of each entity type, and the confusions between types.

    Returns:
        `per_class`: {type: {"precision", "recall", "f1", "support"}}; `confusion`: {"gold", "predicted", "counts"},
        with counts of shape (gold names, predicted names). Spans that share words are paired, so one with wrong ends
        counts under its type; the last row holds predicted spans without a counterpart, the last column gold ones.
        `note` explains this to the reader.
    """
    right, expected, given = Counter(), Counter(), Counter()
    confused: Counter[tuple[str | None, str | None]] = Counter()
    for tags, truth in zip(predictions, references, strict=True):
        for gold, predicted in pair_spans(spans(truth), spans(tags)):
            expected.update([gold.label] if gold else [])
            given.update([predicted.label] if predicted else [])
            right.update([gold.label] if gold == predicted else [])
            confused[gold and gold.label, predicted and predicted.label] += 1
    labels = sorted(expected | given)
    return {
        "per_class": {label: _scores(right[label], given[label], expected[label]) for label in labels},
        "confusion": {
            "gold": [*labels, "spurious"],
            "predicted": [*labels, "missed"],
            "counts": [[confused[gold, predicted] for predicted in [*labels, None]] for gold in [*labels, None]],
        },
        "note": "Gold and predicted spans that share words are paired, so one with wrong ends counts under its class.",
    }


def entity_mistakes(
    predictions: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    tokens: Sequence[Sequence[str]],
    limit: int = 20,
) -> list[Mistake]:
    """The most instructive mistakes, always the same for the same input.

    Wrong types and wrong ends come first, missed and invented entities after them. Every combination of kind, gold type
    and predicted type occurs at most twice, frequent ones before rare ones, in sentences with few other errors, and
    never in two sentences that are nearly the same.

    Each mistake shows the words around the error, and the gold and predicted spans among them.
    """
    errors, busy = [], Counter()
    for row, (tags, truth) in enumerate(zip(predictions, references, strict=True)):
        for gold, predicted in pair_spans(spans(truth), spans(tags)):
            if gold != predicted:
                errors.append(Error(row, _kind(gold, predicted), gold, predicted))
                busy[row] += 1
    groups: dict[tuple, list[Error]] = defaultdict(list)
    for error in sorted(errors, key=lambda error: (busy[error.row], error.row)):
        groups[error.kind, *error.labels].append(error)
    chosen: list[Error] = []
    for error in _take_turns(groups):
        if len(chosen) == limit:
            break
        if _count(chosen, error) < PER_KIND and not any(_are_alike(tokens[error.row], tokens[e.row]) for e in chosen):
            chosen.append(error)
    chosen.sort(key=lambda error: (KINDS.index(error.kind), error.labels, error.row))
    return [
        _show_in_context(error, tokens[error.row], references[error.row], predictions[error.row]) for error in chosen
    ]


def _scores(right: int, given: int, expected: int) -> dict[str, Any]:
    return {
        "precision": right / given if given else 0.0,
        "recall": right / expected if expected else 0.0,
        "f1": 2 * right / (given + expected) if given + expected else 0.0,
        "support": expected,
    }


def _kind(gold: Span | None, predicted: Span | None) -> str:
    if gold is None or predicted is None:
        return "spurious" if gold is None else "missed"
    if gold[:2] == predicted[:2]:
        return "type"
    return "boundary" if gold.label == predicted.label else "type and boundary"


def _take_turns(groups: dict[tuple, list[Error]]) -> Iterator[Error]:
    """Errors in turns: one of each kind, and within a kind one of each pair of types, frequent pairs first."""
    lanes = []
    for kind in KINDS:
        own = sorted((-len(group), key) for key, group in groups.items() if key[0] == kind)
        rounds = zip_longest(*(groups[key] for _, key in own))
        lanes.append([error for one_of_each in rounds for error in one_of_each if error])
    for one_of_each in zip_longest(*lanes):
        yield from (error for error in one_of_each if error)


def _count(chosen: list[Error], error: Error) -> int:
    return sum((e.kind, e.labels) == (error.kind, error.labels) for e in chosen)


def _are_alike(one: Sequence[str], other: Sequence[str]) -> bool:
    a, b = ({word.lower() for word in words} for words in (one, other))
    return len(a & b) >= ALIKE * len(a | b)


def _show_in_context(error: Error, tokens: Sequence[str], truth: Sequence[str], tags: Sequence[str]) -> Mistake:
    involved = [span for span in (error.gold, error.predicted) if span]
    first = max(0, min(span.start for span in involved) - CONTEXT)
    last = min(len(tokens), max(span.end for span in involved) + CONTEXT)

    def show(found: Sequence[Span]) -> Spans:
        clipped = (Span(max(s.start, first) - first, min(s.end, last) - first, s.label) for s in found)
        within = tuple(span for span in clipped if span.start < span.end)
        return Spans(tuple(tokens[first:last]), within, offset=first, total=len(tokens))

    gold, predicted = show(spans(truth)), show(spans(tags))
    return Mistake(error.row, error.kind, error.why, show([]), gold, predicted)


def tag_mistakes(
    predictions: Sequence[Sequence[str]],
    references: Sequence[Sequence[str]],
    tokens: Sequence[Sequence[str]],
    limit: int = 20,
) -> list[Mistake]:
    """Words with a wrong tag: the most frequent confusions, at most `PER_KIND` of each."""
    wrong = [
        (row, word, right, mine)
        for row, (ours, gold) in enumerate(zip(predictions, references, strict=True))
        for word, (mine, right) in enumerate(zip(ours, gold, strict=True))
        if mine != right
    ]
    times = Counter((right, mine) for _, _, right, mine in wrong)
    shown: Counter[tuple[str, str]] = Counter()
    found = []
    for row, word, right, mine in sorted(wrong, key=lambda one: -times[one[2:]]):
        if len(found) == limit:
            break
        if shown[right, mine] == PER_KIND:
            continue
        shown[right, mine] += 1
        first, last = max(0, word - CONTEXT), min(len(tokens[row]), word + 1 + CONTEXT)
        around, place, total = tuple(tokens[row][first:last]), word - first, len(tokens[row])
        none, gold, predicted = (
            Spans(around, tuple(Span(place, place + 1, tag) for tag in some), offset=first, total=total)
            for some in ([], [right], [mine])
        )
        count = f"{times[right, mine]} times in test" if times[right, mine] > 1 else "once in test"
        found.append(Mistake(row, "tag", f"{right} taken for {mine}, {count}", none, gold, predicted))
    return found
