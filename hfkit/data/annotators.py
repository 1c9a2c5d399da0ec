"""Several people who answered the same rows: one answer for each row, and how far they agree.

Rows have their answers in the column `annotations`: a list of `annotator`, and a value for each column that is to be
decided, such as `label` or `spans`; null is no answer. What decides depends on the values:

- names: the one that most people gave; as many for another is a tie
- lists of labels or spans: the items that more than half of the people gave; an item of exactly half is a tie
- numbers: the median, which for an even count is the mean of the two in the middle
- anything else: the one that all gave

An answer that the tool marks as `final` decides alone. A row with a tie is at fault.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any, NamedTuple

import pyarrow as pa
from datasets import Dataset

from hfkit.data.bad_rows import Fault
from hfkit.data.columns import to_words
from hfkit.data.notes import tell
from hfkit.errors import UserError
from hfkit.scores.agreement import Scale, krippendorff_alpha, share_of_agreement

COLUMN = "annotations"
WHO, FINAL = "annotator", "final"
LISTED = 8  # names in an error


class Vote(NamedTuple):
    """One person's answer to a row."""

    annotator: str | None
    value: Any
    final: bool


class Decision(NamedTuple):
    """The answer to a row; with a tie, one of those that the people gave."""

    value: Any
    tie: str = ""  # what stands against what, as a reader would write it


def answer_columns(rows: Dataset) -> list[str]:
    """The columns that people answered; [] if there is no column `annotations` of this form."""
    if COLUMN not in rows.column_names:
        return []
    item = getattr(rows.data.schema.field(COLUMN).type, "value_type", None)
    if item is None or not pa.types.is_struct(item) or item.get_field_index(WHO) < 0:
        return []
    return [field.name for field in item if field.name not in (WHO, FINAL)]


def decide_rows(rows: Dataset, annotator: str | None = None, split: str = "") -> Dataset:
    """The rows with a value in every column that people answered; what they were decided from stays beside it.

    Args:
        annotator: the person whose answers are taken; None: all people together.
        split: that of the rows, for what is told about them.

    Raises:
        UserError: there is no such person, or the rows do not say who answered them.
    """
    columns = answer_columns(rows)
    answers = rows[COLUMN][:] if columns else []
    if annotator is not None:
        refuse_unknown(annotator, answers)
    for column in columns:
        before = rows[column][:] if column in rows.column_names else [None] * len(rows)
        votes = [choose_votes(of_row, annotator) for of_row in read_votes(rows, column)]
        values = [
            decide(of_row).value if of_row else None if given else own
            for own, given, of_row in zip(before, answers, votes, strict=True)
        ]
        rows = put_column(rows, column, values)
    if columns:
        tell_decision(f"{split}: " if split else "", answers, annotator)
    return rows


def read_votes(rows: Dataset, column: str) -> list[list[Vote]]:
    """The answers of the people to every row. Where a tool wrote each label as a list of one, it is taken out."""
    answers = [[one for one in of_row or () if one[column] is not None] for of_row in rows[COLUMN][:]]
    wrapped = not is_list(rows, column) and all(
        isinstance(one[column], list) and len(one[column]) < 2 and not has_spans(one[column])
        for of_row in answers
        for one in of_row
    )
    return [
        [
            Vote(one[WHO], one[column][0] if wrapped else one[column], bool(one.get(FINAL)))
            for one in of_row
            if not (wrapped and not one[column])
        ]
        for of_row in answers
    ]


def choose_votes(votes: list[Vote], annotator: str | None) -> list[Any]:
    """The answers to one row that count: those of one person, or those that are final, or all."""
    if annotator is not None:
        votes = [vote for vote in votes if vote.annotator == annotator]
    return [vote.value for vote in [vote for vote in votes if vote.final] or votes]


def is_list(rows: Dataset, column: str) -> bool:
    return column in rows.column_names and pa.types.is_list(rows.data.schema.field(column).type)


def has_spans(items: list[Any]) -> bool:
    return any(isinstance(item, dict) for item in items)


def decide(votes: Sequence[Any]) -> Decision:
    """The answer that some people's answers to one row come to."""
    first = votes[0]
    if len(votes) == 1 or all(vote == first for vote in votes):
        return Decision(first)
    if all(isinstance(vote, int | float) and not isinstance(vote, bool) for vote in votes):
        return Decision(median(votes))
    if all(isinstance(vote, list) for vote in votes):
        return decide_items(votes)
    counts = Counter(map(key_of, votes)).most_common()
    best = next(vote for vote in votes if key_of(vote) == counts[0][0])
    if isinstance(best, str) and counts[0][1] > counts[1][1]:
        return Decision(best)
    return Decision(best, " against ".join(f"{to_words(json.loads(key))} ({count})" for key, count in counts[:3]))


def decide_items(votes: Sequence[list[Any]]) -> Decision:
    """The items of lists that more than half of the people gave."""
    shown = {key_of(item): item for vote in votes for item in vote}
    counts = Counter(key for vote in votes for key in {key_of(item) for item in vote})
    half = len(votes) / 2
    kept = [item for key, item in shown.items() if counts[key] > half]
    torn = [key for key in shown if counts[key] == half]
    if any(has_spans(vote) for vote in votes):
        kept.sort(key=lambda span: (span.get("start") or 0, span.get("end") or 0) if isinstance(span, dict) else (0, 0))
    some = ", ".join(show_item(shown[key]) for key in torn[:3])
    return Decision(kept, f"{some} by {half:.0f} of {len(votes)}" if torn else "")


def key_of(value: Any) -> str:
    """A value as a key. What a tool wrote as the text of a span is no part of it."""
    if isinstance(value, dict) and "start" in value:
        value = {name: part for name, part in value.items() if name != "text"}
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def show_item(item: Any) -> str:
    if isinstance(item, dict) and "start" in item:
        return f"{item.get('label')} at {item['start']} to {item.get('end')}"
    return to_words(item)


def find_ties(rows: Dataset, columns: Sequence[str], annotator: str | None = None) -> list[Fault]:
    """A fault for each row that its people do not decide, or that the chosen person did not answer.

    Args:
        columns: those that matter.
    """
    faults = []
    known = answer_columns(rows)
    answers = rows[COLUMN][:] if known else []
    for column in (column for column in columns if column in known):
        for row, votes in enumerate(read_votes(rows, column)):
            of_row = choose_votes(votes, annotator)
            if len(of_row) > 1 and (tie := decide(of_row).tie):
                fix = "Settle it in the tool, or take one person's answers with --annotator"
                faults.append(Fault(row, column, tie, "the annotators disagree", fix))
            elif answers[row] and not of_row and annotator is not None:
                rule = "the person named by --annotator did not answer it"
                people = ", ".join(sorted({str(one[WHO]) for one in answers[row]}))
                faults.append(Fault(row, column, f"answered by {people}", rule, "Leave --annotator out"))
    return faults


def refuse_unknown(annotator: str, answers: Sequence[Any]) -> None:
    """Refuse a person who answered nothing.

    Raises:
        UserError: with those who did.
    """
    people = Counter(one[WHO] for of_row in answers for one in of_row or () if one[WHO] is not None)
    if annotator not in people:
        shown = ", ".join(f"{name} ({count:,} rows)" for name, count in people.most_common(LISTED))
        more = ", …" if len(people) > LISTED else ""
        raise UserError(
            f"annotator '{annotator}'",
            f"the rows were answered by {shown}{more}"
            if people
            else "the rows do not say that several people answered",
            "Name one of them" if people else "Leave --annotator out",
        )


def put_column(rows: Dataset, column: str, values: list[Any]) -> Dataset:
    """The rows with a column in place of the one of that name, in the type that the answers have."""
    item = rows.data.schema.field(COLUMN).type.value_type
    # Names out of lists, and medians between whole numbers, are of another type than the answers.
    plain = [value for value in values if value is not None]
    alike = not plain or any(isinstance(value, list | dict) for value in plain)
    array = pa.array(values, item.field(column).type if alike else None)
    table = rows.data.table
    if column in table.column_names:
        return Dataset(table.set_column(table.column_names.index(column), column, array))
    return Dataset(table.append_column(column, array))


def tell_decision(named: str, answers: Sequence[Any], annotator: str | None) -> None:
    several = sum(len(of_row or ()) > 1 for of_row in answers)
    people = {one[WHO] for of_row in answers for one in of_row or ()}
    if annotator is not None:
        tell(f"{named}of {len(people)} annotators, only the answers of '{annotator}' are read")
    elif several:
        tell(f"{named}{len(people)} annotators; {several:,} rows have several answers, and what most say is taken")


# How far they agree


def measure_agreement(rows: Dataset, column: str, text_column: str | None = None) -> dict[str, Any] | None:
    """How far the people agree on the rows that several of them answered; None if there is no such row.

    `alpha` is Krippendorff's, by the scale `scale`; for spans over the words of their texts, each with its label, and
    null where it is not defined. `share` is the share of pairs of answers to one row that are equal.

    Args:
        column: of the answers.
        text_column: of the texts, for spans.
    """
    if column not in answer_columns(rows):
        return None
    votes = read_votes(rows, column)
    several = [row for row, of_row in enumerate(votes) if len(of_row) > 1]
    if not several:
        return None
    units = [[vote.value for vote in votes[row]] for row in several]
    texts = [rows[row][text_column] for row in several] if text_column is not None else [""] * len(several)
    scale, scaled = scale_units(units, texts)
    keys = [[key_of(sorted(vote, key=key_of) if isinstance(vote, list) else vote) for vote in unit] for unit in units]
    return {
        "rows": len(several),
        "annotators": count_people([votes[row] for row in several]),
        "answers": sum(map(len, units)),
        "share": share_of_agreement(keys),
        "alpha": krippendorff_alpha(scaled, "nominal" if scale == "words" else scale),
        "scale": scale,
    }


def count_people(votes: Sequence[Sequence[Vote]]) -> int:
    """How many people answered some rows: those with a name, or as many as the rows need if they have none."""
    names = {vote.annotator for of_row in votes for vote in of_row if vote.annotator is not None}
    return max(len(names), *map(len, votes))


def scale_units(units: list[list[Any]], texts: Sequence[str]) -> tuple[Scale | str, list[list[Any]]]:
    """The scale that fits some answers, and the answers in its form."""
    votes = [vote for unit in units for vote in unit]
    if all(isinstance(vote, int | float) and not isinstance(vote, bool) for vote in votes):
        return ("ordinal" if all(float(vote).is_integer() for vote in votes) else "interval"), units
    if all(isinstance(vote, list) for vote in votes):
        if any(has_spans(vote) for vote in votes):
            return "words", [word for unit, text in zip(units, texts, strict=True) for word in label_words(text, unit)]
        return "masi", [[set(map(key_of, vote)) for vote in unit] for unit in units]
    return "nominal", [[key_of(vote) for vote in unit] for unit in units]


def label_words(text: str, votes: Sequence[list[dict[str, Any]]]) -> Iterator[list[str]]:
    """For each word of a text, the labels that each person's spans give it."""
    for word in re.finditer(r"\S+", text):
        yield [
            "|".join(sorted({str(span["label"]) for span in spans if overlaps(span, word.start(), word.end())}))
            for spans in votes
        ]


def overlaps(span: dict[str, Any], start: int, end: int) -> bool:
    return span["start"] is not None and span["end"] is not None and span["start"] < end and start < span["end"]


class Judged(NamedTuple):
    """One person's answer to a row, and what the others decide."""

    row: int
    annotator: str | None
    own: Any
    others: Any


def hold_out(rows: Dataset, column: str, annotator: str | None = None) -> tuple[list[Judged], int]:
    """Answers to rows that several people answered, each with what decides the row without it.

    Answers that decide alone, final ones and those of `annotator`, are held against no other.

    Returns:
        The answers, and the number of those that were left out because the others are tied.
    """
    if column not in answer_columns(rows):
        return [], 0
    found, undecided = [], 0
    for row, votes in enumerate(read_votes(rows, column)):
        for place, vote in enumerate(votes if len(votes) > 1 else ()):
            others = choose_votes(votes[:place] + votes[place + 1 :], annotator)
            if vote.final or vote.annotator == annotator is not None or not others:
                continue
            decision = decide(others)
            undecided += bool(decision.tie)
            if not decision.tie:
                found.append(Judged(row, vote.annotator, vote.value, decision.value))
    return found, undecided
