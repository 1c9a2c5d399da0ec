"""Checked sentences: as many tags as words in every row, one tag scheme, and nothing that cannot be learnt."""

from collections import Counter
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset, DatasetDict, Features, Json, LargeList, List, Value
from datasets.features.features import require_decoding

from ..errors import DataError, UserError
from .bad_rows import Fault
from .tags import entities, split_tag, to_iob2


def column_named(
    dataset: DatasetDict, given: str | None, usual: tuple[str, ...], flag: str, *, media: bool = False
) -> str:
    """The column the user named, or the only one with a usual name.

    Args:
        media: it may hold images or the like.

    Raises:
        UserError: no column or several fit, or it holds media.
        DataError: one split lacks it.
    """
    columns = next(iter(dataset.values())).column_names
    fitting = [given] if given else [name for name in usual if name in columns]
    if len(fitting) != 1:
        raise UserError(
            f"columns {', '.join(columns)}",
            f"exactly one must be named {' or '.join(usual)}, and {len(fitting)} are ({', '.join(fitting) or 'none'})",
            f"Name the right one with {flag}",
        )
    for split, rows in dataset.items():
        if fitting[0] not in rows.column_names:
            raise DataError(
                f"columns {', '.join(rows.column_names)}",
                f"every split needs the column '{fitting[0]}'",
                f"Rename it in the data, or name another with {flag}",
                split=split,
            )
        feature = rows.features[fitting[0]]
        inner = feature.feature if isinstance(feature, List | LargeList) else feature
        # To read such a value is to decode it, and `datasets` would fetch whatever address a file names.
        if not media and require_decoding(inner) and not isinstance(inner, Json):
            raise UserError(
                f"column '{fitting[0]}'",
                f"in split '{split}' it holds values of {type(inner).__name__}, neither texts nor labels",
                f"Name another with {flag}",
            )
    return fitting[0]


def checked_words(split: str, rows: Dataset, column: str) -> list[list[str]]:
    """The words of every row.

    Raises:
        DataError: a row is null or no list, or a word is no string.
    """
    sentences = rows[column][:]
    for row, words in enumerate(sentences):
        if fault := word_fault(row, column, words):
            raise fault.refused(split)
    return sentences


def word_fault(row: int, column: str, words: Any) -> Fault | None:
    """What is wrong with one row of words."""
    wrong = [word for word in words if not isinstance(word, str)] if isinstance(words, list) else [words]
    if not wrong:
        return None
    rule = "a row is a list of words, and a word is a string"
    return Fault(row, column, plain(wrong[0]), rule, "Remove the row, or write its words as a list of strings")


def checked_tags(split: str, rows: Dataset, column: str, sentences: list[list[str]]) -> list[list[str]]:
    """The tags of every row as strings, as many as it has words.

    Raises:
        DataError: a row is null or of another length, or a tag is no name, no known id or of no known scheme.
    """
    names = names_of(rows, column)
    known: dict[tuple[type, str | int], str] = {}
    checked = []
    for row, (words, tags) in enumerate(zip(sentences, rows[column][:], strict=True)):
        place = {"split": split, "row": row, "column": column}
        if not isinstance(tags, list):
            raise DataError(plain(tags), "tags are a list, one per word", "Remove or mend the row", **place)
        if len(tags) != len(words):
            raise DataError(
                f"{len(words)} words and {len(tags)} tags",
                "every word has one tag",
                "Mend or remove the row",
                **place,
            )
        for tag in tags:
            if not isinstance(tag, str | int):
                raise DataError(f"tag {plain(tag)}", "a tag is a string", "Mend or remove the row", **place)
            # The type belongs to the key: True == 1 and 1.0 == 1 would let the wrong kind pass.
            if (type(tag), tag) not in known:
                known[type(tag), tag] = tag_name(tag, names, place)
        checked.append([known[type(tag), tag] for tag in tags])
    return checked


def names_of(rows: Dataset, column: str) -> list[str] | None:
    feature = rows.features[column]
    inner = feature.feature if isinstance(feature, List | LargeList) else None
    return inner.names if isinstance(inner, ClassLabel) else None


def tag_name(tag: str | int, names: list[str] | None, place: dict[str, Any]) -> str:
    """One tag as a string of a known scheme."""
    if isinstance(tag, int) and names is None:
        raise DataError(
            f"tag {tag}",
            "a number says nothing without the names of the classes",
            "Write the tags as strings, or give the column the feature List(ClassLabel(names=[...]))",
            **place,
        )
    if isinstance(tag, int) and not 0 <= tag < len(names):
        raise DataError(f"tag {tag}", f"tags are ids from 0 to {len(names) - 1}", "Mend or remove the row", **place)
    name = names[tag] if isinstance(tag, int) else tag
    try:
        split_tag(name)
    except ValueError as error:
        raise DataError(
            f"tag '{name}'",
            str(error),
            "Rewrite the tags, as B-TYPE and I-TYPE for first and later words of an entity and O for the rest",
            **place,
        ) from error
    return name


def plain(value: Any) -> str:
    """A value as a user wrote it."""
    return "null" if value is None else f"{value!r} ({type(value).__name__})"


def refuse_unlearnable(tags: dict[str, list[list[str]]], column: str) -> None:
    """Refuse data without any entity, and types that only validation or test know.

    Raises:
        UserError: every tag is O.
        DataError: a type does not occur in train.
    """
    known = {"", *(split_tag(tag)[1] for row in tags["train"] for tag in row)}
    for split, rows in tags.items():
        for row, sentence in enumerate(rows):
            for tag in sentence:
                if split_tag(tag)[1] not in known:
                    raise DataError(
                        f"tag '{tag}'",
                        f"its type does not occur in train, which knows {', '.join(sorted(known - {''})) or 'none'}",
                        "Add rows of this type to train, or tag these words O",
                        split=split,
                        row=row,
                        column=column,
                    )
    if not known - {""}:
        raise UserError(
            f"column '{column}'",
            "every tag is O, so there is nothing to find",
            "Check that this is the tag column",
        )


def refuse_unknown(split: str, tags: list[list[str]], column: str, known: set[str]) -> None:
    """Refuse types of entities that a finished model does not know.

    Raises:
        DataError: naming the first.
    """
    for row, sentence in enumerate(tags):
        strange = next((tag for tag in sentence if split_tag(tag)[1] not in {"", *known}), None)
        if strange is not None:
            raise DataError(
                f"tag '{strange}'",
                f"the model does not know its type, only {', '.join(sorted(known)) or 'none'}",
                "Write the types as the model has them, or tag these words O",
                split=split,
                row=row,
                column=column,
            )


def iob2_rows(words: list[list[str]], tags: list[list[str]], scheme: str) -> Dataset:
    """The rows that `NER.load` promises: words, IOB2 tags, and what was done to each row."""
    converted = [to_iob2(sentence, scheme) for sentence in tags]
    return Dataset.from_dict(
        {
            "tokens": words,
            "tags": [sentence for sentence, _ in converted],
            "scheme": [scheme] * len(words),
            "converted": [new != old for (new, _), old in zip(converted, tags, strict=True)],
            "invalid_transitions": [invalid for _, invalid in converted],
        },
        features=Features(
            {
                "tokens": List(Value("string")),
                "tags": List(Value("string")),
                "scheme": Value("string"),
                "converted": Value("bool"),
                "invalid_transitions": Value("int32"),
            }
        ),
    )


def evenly(rows: int, wanted: int) -> np.ndarray:
    """`wanted` of the row numbers, evenly spaced: the first rows of a file are often of one source."""
    if wanted < 1:
        raise UserError(f"max_train_rows {wanted}", "at least one row is needed", "Set it to 1 or more")
    return np.linspace(0, rows - 1, min(rows, wanted)).round().astype(int)


def facts(rows: Dataset) -> dict[str, Any]:
    """Counts of one loaded split. Repeats are rows with the same words in the same order, whatever their tags."""
    words, found = list(rows["tokens"]), [entities(tags) for tags in rows["tags"]]
    return {
        "rows": len(words),
        "words": sum(map(len, words)),
        "entities": dict(sorted(Counter(kind for row in found for kind, _, _ in row).items())),
        "rows_without_entities": sum(not row for row in found),
        "rows_without_words": sum(not row for row in words),
        "repeated_rows": len(words) - len(set(map(tuple, words))),
        "converted_rows": sum(rows["converted"]),
        "invalid_transitions": sum(rows["invalid_transitions"]),
    }
