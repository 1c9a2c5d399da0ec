"""Rows of running text with spans of characters, which become words and tags."""

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Any

from datasets import ClassLabel, Dataset, DatasetDict, Features, Json, LargeList, List, Value

from hfkit.data.bad_rows import Fault
from hfkit.data.columns import find_column, find_usual_column, guess_texts, match_given, match_usual
from hfkit.data.notes import tell
from hfkit.data.text.spans import (
    MENDED,
    WITHIN,
    Aligned,
    Counting,
    Span,
    align,
    find_counting,
    looks_like_spans,
    read_spans,
)
from hfkit.data.text.texts import TEXT_COLUMNS, text_fault
from hfkit.data.text.words import Level
from hfkit.errors import DataError, UserError
from hfkit.tasks.tagging.sentences import read_cell

SPANS_COLUMNS = ("spans", "entities", "label", "labels", "annotations", "ner", "tags", "prediction")
MANY = 0.1  # share of the spans that end within a word, above which the user is asked how words are to be split

FEATURES = Features(
    {
        "tokens": List(Value("string")),
        "tags": List(Value("string")),
        "text": Value("string"),
        "starts": List(Value("int32")),
        "mended": List(Value("string")),  # for each span that was changed, the kind
    }
)


def find_spans_column(raw: DatasetDict, given: str | None, tokens: Sequence[str], tags: Sequence[str]) -> str | None:
    """The column of spans, by a usual name or else by what it holds; None if there are words and tags, or no spans.

    Args:
        given: the column that the user named.
        tokens, tags: usual names of columns of words and of their tags, which are taken first.

    Raises:
        UserError: there are several.
    """
    names = next(iter(raw.values())).column_names
    usual = match_given(names, given) if given else match_usual(names, SPANS_COLUMNS)
    holding = [name for name in usual if name in names and holds_spans(raw, name)]
    words = any(is_list_of_texts(raw, name) for name in match_usual(names, tokens))
    if given is None and words and set(match_usual(names, tags)) - set(holding):
        return None
    if given is None and not holding:
        holding = [name for name in names if holds_spans(raw, name)]
    if not holding:
        return None
    if len(holding) > 1:
        raise UserError(
            f"columns {', '.join(names)}",
            f"spans of characters stand in one, and here in {' and '.join(holding)}",
            "Name the right one with --tags_column",
        )
    return holding[0]


def span_columns(raw: DatasetDict, text: str | None, spans: str) -> dict[str, str]:
    """The column of texts, and that of their spans, in every split.

    Raises:
        UserError: no column of texts or several.
        DataError: one split lacks them.
    """
    names = next(iter(raw.values())).column_names
    if text is not None:
        column = find_column(raw, text, (), "--tokens_column")
    elif match_usual(names, chain(*TEXT_COLUMNS)) or (only := guess_texts(raw, [spans])) is None:
        column = find_usual_column(raw, None, TEXT_COLUMNS, "--tokens_column")
    else:
        column = find_column(raw, only, (), "--tokens_column")
    return {"text": column, "spans": find_column(raw, spans, (), "--tags_column", media=True)}


def holds_spans(raw: DatasetDict, column: str) -> bool:
    """Whether the first value of a column that is neither null nor empty is a list of spans."""
    for rows in raw.values():
        if column not in rows.column_names or not may_hold_spans(rows.features[column]):
            continue
        for value in rows[column]:
            if value not in (None, "", []):
                return looks_like_spans(read_cell(value))
    return False


def may_hold_spans(feature: Any) -> bool:
    """Whether a column holds plain lists, mappings or texts: to read anything else would decode media."""
    if isinstance(feature, List | LargeList):
        return may_hold_spans(feature.feature)
    if isinstance(feature, dict):
        return all(map(may_hold_spans, feature.values()))
    return isinstance(feature, Value | Json | ClassLabel)


def is_list_of_texts(raw: DatasetDict, column: str) -> bool:
    feature = next(iter(raw.values())).features[column]
    return isinstance(feature, List | LargeList) and feature.feature == Value("string")


def label_names(feature: Any) -> list[str] | None:
    """The names of the ids of a column of spans, if it has them."""
    if isinstance(feature, List | LargeList):
        return label_names(feature.feature)
    if isinstance(feature, dict):
        return next(filter(None, map(label_names, feature.values())), None)
    return feature.names if isinstance(feature, ClassLabel) else None


def check_spans(
    split: str, rows: Dataset, columns: dict[str, str], level: Level | None, *, ask: bool
) -> tuple[Dataset, list[Fault]]:
    """Rows of words and tags with their text, and a fault for each row without a text or with a wrong span.

    Args:
        level: how words are split; None: into words, if that fits nearly all spans.
        ask: refuse, instead of widening, where it does not.

    Raises:
        UserError: many spans end within a word, and the user is asked.
    """
    texts, spans, faults = read_rows(rows, columns)
    bad = {fault.row for fault in faults}
    good = [row for row in range(len(texts)) if row not in bad]
    counting = find_counting([texts[row] for row in good], [spans[row] for row in good])
    aligned = [Aligned("", [], [], [], [])] * len(texts)
    for row in good:
        own = count_first(texts[row], spans[row]) if row == 0 and counting == Counting() else counting
        try:
            aligned[row] = align(texts[row], spans[row], own, level or "words")
        except UserError as error:
            faults.append(Fault(row, columns["spans"], error.value, error.rule, error.fix))
    total, mended = sum(map(len, spans)), Counter(kind for one in aligned for kind in one.mended)
    if ask and level is None and mended[WITHIN] > MANY * total:
        refuse_many(split, columns["spans"], mended[WITHIN], total, aligned, spans)
    tell_mended(split, columns["spans"], counting, total, mended)
    return Dataset.from_dict(
        {
            "tokens": [one.words for one in aligned],
            "tags": [one.tags for one in aligned],
            "text": [one.text for one in aligned],
            "starts": [one.starts for one in aligned],
            "mended": [one.mended for one in aligned],
        },
        features=FEATURES,
    ), faults


def read_rows(rows: Dataset, columns: dict[str, str]) -> tuple[list[str], list[list[Span]], list[Fault]]:
    """The text and the spans of every row, and a fault for each row that lacks them."""
    texts, spans, faults = [], [], []
    names = label_names(rows.features[columns["spans"]])
    # As lists: to read row by row takes thrice as long.
    for row, (text, value) in enumerate(zip(rows[columns["text"]][:], rows[columns["spans"]][:], strict=True)):
        fault, found = text_fault(row, columns["text"], text), []
        if fault is None:
            try:
                found = read_spans(read_cell(value), names)
            except UserError as error:
                fault = Fault(row, columns["spans"], error.value, error.rule, error.fix)
        texts.append("" if fault else text)
        spans.append(found)
        faults += [fault] if fault else []
    return texts, spans, faults


def count_first(text: str, spans: Sequence[Span]) -> Counting:
    """How the tool counted in the first text of a file, whose byte-order mark it may have taken for a character."""
    found = find_counting([text], [spans])
    return found if found.mark is not None else Counting()


def refuse_many(
    split: str, column: str, within: int, total: int, aligned: Sequence[Aligned], spans: Sequence[Sequence[Span]]
) -> None:
    """Ask how words are to be split, with an example."""
    row = next(row for row, one in enumerate(aligned) if WITHIN in one.mended)
    one = aligned[row]
    ends = {start + len(word) for start, word in zip(one.starts, one.words, strict=True)}
    cut = next((s for s in spans[row] if s.start not in one.starts or s.end not in ends), spans[row][0])
    raise DataError(
        f"{within:,} of {total:,} spans",
        f"they end within a word, such as '{one.text[cut.start : cut.end]}' here, and a model tags whole words",
        "Split words further with --split_words marks or --split_words characters,"
        " or widen the spans to whole words with --split_words words",
        split=split,
        row=row,
        column=column,
    )


def tell_mended(split: str, column: str, counting: Counting, total: int, mended: Counter[str]) -> None:
    line = f"{split}: spans of characters in column '{column}' become words and tags"
    if counting != Counting():
        line += f", counted in {counting.title}"
    if mended:
        kinds = ", ".join(f"{count:,} {kind} ({MENDED[kind]})" for kind, count in mended.most_common())
        line += f"; mended in {total:,} spans: {kinds}"
    tell(line)
