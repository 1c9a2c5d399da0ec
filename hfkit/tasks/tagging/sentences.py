"""Checks of tagged sentences: as many tags as words in every row, one tag scheme, and only tags that train knows."""

import ast
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

from datasets import ClassLabel, Dataset, Features, LargeList, List, Value, concatenate_datasets

from hfkit.data.bad_rows import Fault
from hfkit.data.text.tags import entities, split_tag, to_iob2

PLAIN = "plain"  # the scheme of tags that mark no entities


def check_words(rows: Dataset, column: str) -> tuple[list[list[str]], list[Fault]]:
    """The words of every row, and a fault for each row that is no list of strings."""
    sentences, faults = [], []
    for row, words in enumerate(map(read_cell, rows[column][:])):
        fault = word_fault(row, column, words)
        sentences.append([] if fault else words)
        if fault:
            faults.append(fault)
    return sentences, faults


def read_cell(value: Any) -> Any:
    """A value as it is; a list that a cell of text holds, in JSON or as Python prints it, is read."""
    if not isinstance(value, str) or not value.lstrip().startswith("["):
        return value
    for read in (json.loads, ast.literal_eval):
        try:
            return read(value.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return value


def word_fault(row: int, column: str, words: Any) -> Fault | None:
    """The fault of one row of words; None if there is none."""
    wrong = [word for word in words if not isinstance(word, str)] if isinstance(words, list) else [words]
    if not wrong:
        return None
    rule = "a row is a list of words, and a word is a string"
    return Fault(row, column, describe_value(wrong[0]), rule, "Remove the row, or write its words as a list of strings")


def check_tags(
    rows: Dataset, column: str, sentences: list[list[str]], known_bad: set[int], *, entities: bool = True
) -> tuple[list[list[str]], list[Fault]]:
    """The tags of every row as strings, and a fault for each row without exactly one tag per word.

    Args:
        known_bad: rows that are at fault already, and are not looked at.
        entities: every tag belongs to one of the schemes for entities.
    """
    of_value = tag_of(names_of(rows, column), entities=entities)
    checked, faults = [], []
    for row, (words, tags) in enumerate(zip(sentences, map(read_cell, rows[column][:]), strict=True)):
        found: list[str] = []
        if row not in known_bad:
            try:
                found = tags_of(tags, len(words), of_value)
            except NoTag as error:
                faults.append(Fault(row, column, error.value, error.rule, error.fix))
        checked.append(found)
    return checked, faults


class NoTag(Exception):
    """A value that is no tags, the rule that it breaks, and a fix."""

    def __init__(self, value: str, rule: str, fix: str = "Mend or remove the row") -> None:
        super().__init__(rule)
        self.value, self.rule, self.fix = value, rule, fix


def tags_of(tags: Any, words: int, of_value: Callable[[Any], str]) -> list[str]:
    """The tags of one row, as many as it has words."""
    if not isinstance(tags, list):
        raise NoTag(describe_value(tags), "tags are a list, one per word")
    if len(tags) != words:
        raise NoTag(f"{words} words and {len(tags)} tags", "every word has one tag")
    return [of_value(tag) for tag in tags]


def names_of(rows: Dataset, column: str) -> list[str] | None:
    feature = rows.features[column]
    inner = feature.feature if isinstance(feature, List | LargeList) else None
    return inner.names if isinstance(inner, ClassLabel) else None


def tag_of(names: list[str] | None, *, entities: bool = True) -> Callable[[Any], str]:
    """A function from a value of the column to a tag; it raises `NoTag`.

    Args:
        names: those of the ids, if the column has them.
        entities: every tag belongs to one of the schemes for entities.
    """
    known: dict[tuple[type, str | int], str] = {}  # a corpus has few tags and many words

    def tag(value: Any) -> str:
        if not isinstance(value, str | int):
            raise NoTag(f"tag {describe_value(value)}", "a tag is a string")
        # The key includes the type: True == 1 and 1.0 == 1 would let the wrong type pass.
        if (type(value), value) not in known:
            known[type(value), value] = tag_name(value, names, entities=entities)
        return known[type(value), value]

    return tag


def tag_name(tag: str | int, names: list[str] | None, *, entities: bool = True) -> str:
    """One tag as a string; with `entities` it belongs to a known scheme."""
    if isinstance(tag, int) and names is None:
        raise NoTag(
            f"tag {tag}",
            "a number says nothing without the names of the classes",
            "Write the tags as strings, or give the column the feature List(ClassLabel(names=[...]))",
        )
    if isinstance(tag, int) and not 0 <= tag < len(names):
        raise NoTag(f"tag {tag}", f"tags are ids from 0 to {len(names) - 1}")
    name = names[tag] if isinstance(tag, int) else tag
    if not entities:
        if not name.strip():
            raise NoTag(f"tag '{name}'", "every word has a tag")
        return name
    try:
        split_tag(name)
    except ValueError as error:
        fix = "Rewrite the tags, as B-TYPE and I-TYPE for first and later words of an entity and O for the rest"
        raise NoTag(f"tag '{name}'", str(error).replace(f"'{name}'", "it"), fix) from error
    return name


def describe_value(value: Any) -> str:
    """A value as a user writes it, with its type."""
    return "null" if value is None else f"{value!r} ({type(value).__name__})"


def unknown_types(tags: list[list[str]], column: str, known: set[str], *, by_model: bool = False) -> list[Fault]:
    """A fault for each row with an entity type that train does not have.

    Args:
        by_model: the known types are those of a finished model.
    """
    names = ", ".join(sorted(known)) or "none"
    rule = f"its type does not occur in train, which knows {names}"
    fix = "Add rows of this type to train, or tag these words O"
    if by_model:
        rule = f"the model does not know its type, only {names}"
        fix = "Write the types as the model has them, or tag these words O"
    faults = []
    for row, sentence in enumerate(tags):
        tag = next((tag for tag in sentence if split_tag(tag)[1] not in {"", *known}), None)
        if tag is not None:
            faults.append(Fault(row, column, f"tag '{tag}'", rule, fix))
    return faults


def unknown_tags(tags: list[list[str]], column: str, known: set[str], *, by_model: bool = False) -> list[Fault]:
    """A fault for each row with a tag that train does not have.

    Args:
        by_model: the known tags are those of a finished model.
    """
    names = ", ".join(sorted(known)) or "none"
    rule = f"it does not occur in train, which knows {names}"
    fix = "Add rows with this tag to train, or remove the row"
    if by_model:
        rule, fix = f"the model does not know it, only {names}", "Write the tags as the model has them"
    faults = []
    for row, sentence in enumerate(tags):
        tag = next((tag for tag in sentence if tag not in known), None)
        if tag is not None:
            faults.append(Fault(row, column, f"tag '{tag}'", rule, fix))
    return faults


def types_of(tags: Iterable[Sequence[str]]) -> set[str]:
    """All entity types of some sentences."""
    return {split_tag(tag)[1] for tag in set(chain.from_iterable(tags))} - {""}


def iob2_rows(rows: Dataset, scheme: str) -> Dataset:
    """Rows with their tags in IOB2, and with columns about the change of each row."""
    tags = rows["tags"][:]
    converted = [to_iob2(sentence, scheme) for sentence in tags]
    columns = {
        "tags": ([sentence for sentence, _ in converted], List(Value("string"))),
        "scheme": ([scheme] * len(tags), Value("string")),
        "converted": ([new != old for (new, _), old in zip(converted, tags, strict=True)], Value("bool")),
        "invalid_transitions": ([invalid for _, invalid in converted], Value("int32")),
    }
    added = Dataset.from_dict(
        {name: values for name, (values, _) in columns.items()},
        features=Features({name: feature for name, (_, feature) in columns.items()}),
    )
    return concatenate_datasets([rows.remove_columns("tags"), added], axis=1)  # one by one each would be hashed


def entity_facts(rows: Dataset) -> dict[str, Any]:
    """Counts of one loaded split of entities, and of spans that were mended where it came with spans.

    Repeated rows have the same words, whatever their tags.
    """
    words, found = rows["tokens"][:], [entities(tags) for tags in rows["tags"][:]]
    mended = {}
    if "mended" in rows.column_names:
        mended["mended_spans"] = dict(sorted(Counter(chain.from_iterable(rows["mended"][:])).items()))
    return {
        "rows": len(words),
        "words": sum(map(len, words)),
        "entities": dict(sorted(Counter(kind for row in found for kind, _, _ in row).items())),
        "rows_without_entities": sum(not row for row in found),
        "rows_without_words": sum(not row for row in words),
        "repeated_rows": len(words) - len(set(map(tuple, words))),
        "converted_rows": sum(rows["converted"][:]),
        "invalid_transitions": sum(rows["invalid_transitions"][:]),
        **mended,
    }


def tag_facts(rows: Dataset) -> dict[str, Any]:
    """Counts of one loaded split of plain tags."""
    words = rows["tokens"][:]
    return {
        "rows": len(words),
        "words": sum(map(len, words)),
        "classes": dict(sorted(Counter(chain.from_iterable(rows["tags"][:])).items())),
        "rows_without_words": sum(not row for row in words),
        "repeated_rows": len(words) - len(set(map(tuple, words))),
    }
