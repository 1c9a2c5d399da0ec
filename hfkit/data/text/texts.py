"""Texts: the columns that hold them, and a fault for each row without one."""

from collections.abc import Iterable
from typing import Any

from datasets import Dataset, DatasetDict

from hfkit.data.bad_rows import Fault
from hfkit.data.columns import (
    MEND,
    find_column,
    find_usual_column,
    fold,
    guess_texts,
    match_usual,
    tell_column,
    to_words,
)
from hfkit.data.labels import is_visible
from hfkit.errors import UserError

# If a dataset has columns of several tiers, the first tier wins.
TEXT_COLUMNS = (
    ("text", "sentence"),
    (
        *("review_text", "comment_text", "tweet_text", "sentence_text", "message_text", "post_text", "document_text"),
        *("article_text", "news_text", "email_text", "question_text", "full_text", "text_content", "body_text"),
        *("input_text", "review_body", "review_content", "comment_body"),
    ),
    (
        *("content", "review", "tweet", "comment", "document", "question", "query", "utterance", "title", "body"),
        *("message", "post", "article", "statement", "abstract", "description", "phrase", "passage", "paragraph"),
    ),
    (
        *("headline", "summary", "feedback", "transcript", "dialogue", "snippet", "narrative", "email", "sms"),
        *("prompt", "input", "inputs", "sequence", "texts", "sentences", "reviews", "tweets", "comments", "utterances"),
    ),
)
PAIRS = (("premise", "hypothesis"), ("sentence1", "sentence2"), ("question1", "question2"), ("text", "text_pair"))
JOINT = " ⟂ "  # between the two texts of a pair, for readers


def text_columns(dataset: DatasetDict, text: str | None, pair: str | None, other: Iterable[str] = ()) -> list[str]:
    """The column of texts, or the two columns of pairs: those the user named, otherwise those with usual names,
    otherwise the only column that holds texts, which is told.

    Args:
        other: names of columns that hold something else; neither case nor blanks matter.

    Raises:
        UserError: no column or several fit, or only the second of a pair is named.
        DataError: one split lacks it.
    """
    if pair is not None and text is None:
        raise UserError(f"text_pair_column '{pair}'", "the first text of a pair is named too", "Add --text_column")
    if text is not None:
        given = [("--text_column", text), *([("--text_pair_column", pair)] if pair else [])]
        return [find_column(dataset, name, (), flag) for flag, name in given]
    first = next(iter(dataset.values())).column_names
    columns = {fold(name): name for name in first}
    pairs = [[columns[fold(name)] for name in names] for names in PAIRS if columns.keys() >= set(map(fold, names))]
    beside = [name for names in pairs for name in match_usual(first, TEXT_COLUMNS[0]) if name not in names]
    if len(pairs) > 1 or beside:
        shown = [" and ".join(names) for names in pairs] + beside
        raise UserError(
            f"columns {', '.join(first)}",
            f"one text or one pair of texts is classified, and here are {', '.join(shown)}",
            "Name the right one with --text_column, and --text_pair_column for pairs",
        )
    if pairs:
        return [find_column(dataset, name, (), "--text_column") for name in pairs[0]]
    if not any(match_usual(first, tier) for tier in TEXT_COLUMNS):
        guessed = guess_texts(dataset, match_usual(first, other))
        if guessed is not None:
            tell_column("--text_column", guessed, ", the only one that holds texts")
            return [find_column(dataset, guessed, (), "--text_column")]
    return [find_usual_column(dataset, None, TEXT_COLUMNS, "--text_column")]


def check_texts(rows: Dataset, column: str) -> tuple[list[str], list[Fault]]:
    """The texts of a column, and a fault for each row without one."""
    texts, faults = [], []
    for row, text in enumerate(rows[column][:]):
        fault = text_fault(row, column, text)
        texts.append("" if fault else text)
        if fault:
            faults.append(fault)
    return texts, faults


def text_fault(row: int, column: str, text: Any) -> Fault | None:
    """The fault of one text; None if there is none."""
    if isinstance(text, str) and is_visible(text):
        return None
    rule = "a text is a string" if text is not None and not isinstance(text, str) else "every row has a text"
    return Fault(row, column, to_words(text), rule, MEND)


def text_facts(rows: Dataset) -> dict[str, Any]:
    """The number of rows, and how many repeat an earlier one, whatever their labels."""
    return {"rows": len(rows), "repeated_rows": len(rows) - len(set(row_keys(rows)))}


def row_keys(rows: Dataset) -> list[tuple[str, ...]]:
    """The texts of every row; equal keys mean the same input."""
    return list(zip(*(rows[name][:] for name in ("text", "text_pair") if name in rows.column_names), strict=True))
