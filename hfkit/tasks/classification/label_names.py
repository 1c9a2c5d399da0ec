"""Names of labels in a column: what is one label, and what does not go together."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from hfkit.data.labels import normalise_label
from hfkit.data.notes import tell

WHOLE = re.compile(r"([+-]?\d+)\.0+")  # 1.0, as a column of whole numbers becomes where one of them is missing
NUMBER = re.compile(r"[+-]?(?:0|[1-9]\d*)")  # 007 is a name
TRUTH = {"true": "1", "false": "0"}  # beside words, the digits mean the same


def name_of(text: str) -> str:
    """The label that a text names: normalised, and '1' for '1.0'."""
    name = normalise_label(text)
    whole = WHOLE.fullmatch(name)
    return str(int(whole[1])) if whole else name


def tell_spellings(column: str, texts: Mapping[str, int]) -> None:
    """Tell how many labels are read under another name than they are written.

    Args:
        texts: how often each label occurs, as it is written.
    """
    changed: dict[str, list[str]] = {}
    for text in texts:
        if text.strip() and name_of(text) != text:
            changed.setdefault(describe_change(text), []).append(text)
    for what, found in changed.items():
        count = sum(texts[text] for text in found)
        example = f"such as {ascii(found[0])}, and read as '{name_of(found[0])}'"
        tell(f"column '{column}': {count:,} {'label' if count == 1 else 'labels'} written with {what}, {example}")


def describe_change(text: str) -> str:
    """The difference between a label as it is written, and its name."""
    if normalise_label(text) != name_of(text):
        return "a decimal point"
    if text.strip() == name_of(text):
        return "blanks at an end"
    return "invisible characters at an end" if name_of(text) in text else "another form of Unicode"


def merge_truth(column: str, names: Mapping[str, int]) -> dict[str, str]:
    """One label each for true and for false, where a column holds nothing else and writes them in several ways; told.

    Returns:
        Name -> label; {} if every label is written in one way.
    """
    words = {name: name.casefold() for name in names}
    if not set(words.values()) <= {*TRUTH, *TRUTH.values()} or not set(words.values()) & set(TRUTH):
        return {}
    meant = {name: next((word for word, digit in TRUTH.items() if digit == text), text) for name, text in words.items()}
    if len(set(meant.values())) == len(meant):
        return {}
    shown = ", ".join(f"'{name}' ({count:,})" for name, count in names.items())
    tell(f"column '{column}': {shown} are the labels {' and '.join(sorted(set(meant.values())))}")
    return meant


def find_odd_names(names: Mapping[str, int]) -> frozenset[str]:
    """Numbers among names, or names among numbers, whichever are in fewer rows.

    A column of codes has both: it is no fault where every name has a digit, as 'V27' beside '250'.
    """
    numbers = {name for name in names if NUMBER.fullmatch(name)}
    words = {name for name in names if not any(map(str.isdigit, name))}
    if not numbers or not words:
        return frozenset()
    fewer = min((numbers, set(names) - numbers), key=lambda kind: sum(names[name] for name in kind))
    return frozenset(fewer)


def match_names(known: Iterable[str]) -> dict[str, str]:
    """Spellings -> the only label of a finished model with that spelling, whatever form its own name has."""
    alike: dict[str, list[str]] = {}
    for label in known:
        name = name_of(label)
        word = name.casefold()
        for spelling in {name} | ({word, word.title(), word.upper()} if word in TRUTH else set()):
            alike.setdefault(spelling, []).append(label)
    return {spelling: labels[0] for spelling, labels in alike.items() if len(labels) == 1}


def count_names(texts: Mapping[str, int]) -> Counter[str]:
    """How often each label occurs."""
    names: Counter[str] = Counter()
    for text, count in texts.items():
        if name := name_of(text):
            names[name] += count
    return names
