"""CoNLL files: one word and its tag per line, in any order of columns, and a blank line between sentences."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from datasets import Dataset, Features, List, Value

from hfkit.data.bad_rows import Fault
from hfkit.data.conll_columns import CONLL_U, Columns, Sentence, is_conll_u, name_columns
from hfkit.data.encodings import find_encoding, tell_encoding
from hfkit.data.notes import tell
from hfkit.data.text.tags import split_tag
from hfkit.errors import DataError, UserError

# Not any white space: it would cut words with a no-break space in two, and words are what some white space is.
BLANKS = " \t\r\v\f"
DOCUMENT = "-DOCSTART-"
AT_FAULT = "line_at_fault"


class Line(NamedTuple):
    """One line with its place."""

    path: Path
    number: int  # from 1
    row: int  # the sentence that it belongs to, from 0
    text: str


def read_conll(files: Mapping[str, Sequence[Path]], encoding: str | None = None) -> dict[str, Dataset]:
    """The splits with columns `tokens` and `tags`, and `column_1` and so on for what else a line has.

    A sentence with a line of more or fewer columns than most has no words, and says in the column `line_at_fault` which
    line it is, as JSON of a value, a rule and a fix; that column is only there if a sentence has such a line.

    CoNLL-U has its own names: `tokens`, `lemmas`, `upos`, `xpos` and so on. The first split says what each column is. A
    split of words alone has no tags.

    Args:
        files: those of each split.
        encoding: of all files; None: UTF-8, or UTF-16 with a byte-order mark.

    Raises:
        DataError: there are no lines, or all sentences have one at fault.
        UserError: a file is in another encoding, or its lines are words alone.
    """
    lines = {split: list(read_lines(paths, encoding)) for split, paths in files.items()}
    for split, paths in files.items():
        if not lines[split]:
            raise DataError(
                ", ".join(path.name for path in paths),
                "cannot be read as conll, or holds no rows",
                "Check that every file is whole, not empty, and of the kind that its name says",
                split=split,
            )
    first = next(iter(lines))
    separator, width = find_shape(lines[first])
    if width < 2:
        raise UserError(
            f"file '{lines[first][0].path}'",
            f"every line holds a token and its tag, and its first line is {lines[first][0].text.strip()!r}",
            "Separate the columns by a tab or by spaces",
        )
    columns: Columns | None = None
    splits = {}
    for split, some in lines.items():
        if split != first and find_shape(some)[1] == 1:
            words = [[[line.text] for line in rows] for rows in group_rows(some)]
            splits[split] = to_dataset(words, Columns(("tokens",), None))
            continue
        some = leave_comments(split, some, separator, width)
        rows = group_rows(some)
        faults = [find_odd_line(sentence, separator, width) for sentence in rows]
        if all(faults):
            raise Fault(0, "tags", *faults[0]).to_error(split)
        sentences = [
            [] if fault else [split_columns(line.text, separator) for line in sentence]
            for sentence, fault in zip(rows, faults, strict=True)
        ]
        if is_conll_u(sentences):
            columns, sentences = Columns(CONLL_U, None), take_words(split, sentences)
        if columns is None:
            columns = name_columns(sentences)
            if columns.note:
                tell(f"{some[0].path.name}: {columns.note}")
        splits[split] = to_dataset(sentences, columns)
        if any(faults):
            named = [json.dumps(fault) if fault else None for fault in faults]
            splits[split] = splits[split].add_column(AT_FAULT, named, feature=Value("string"))
    return splits


def line_faults(rows: Dataset) -> list[Fault]:
    """A fault for each sentence with a line at fault (see `read_conll`)."""
    if AT_FAULT not in rows.column_names:
        return []
    return [Fault(row, "tags", *json.loads(fault)) for row, fault in enumerate(rows[AT_FAULT][:]) if fault]


def read_lines(paths: Sequence[Path], encoding: str | None) -> Iterator[Line]:
    """The lines of some files that are neither blank nor marks of a document, by sentence."""
    row, begun = 0, False
    for path in paths:
        # Not splitlines(): it would also cut at characters that stand within words.
        for number, text in enumerate(decode(path, encoding).split("\n"), 1):
            blank = not text.strip(BLANKS)
            if blank or text.startswith(DOCUMENT):
                row, begun = row + begun, False
            else:
                begun = True
                yield Line(path, number, row, text.rstrip("\r"))
        row, begun = row + begun, False


def decode(path: Path, encoding: str | None) -> str:
    codec = find_encoding(path, encoding)
    tell_encoding(path, codec)
    return path.read_bytes().decode(codec)


def group_rows(lines: Sequence[Line]) -> list[list[Line]]:
    """The lines of each sentence."""
    groups: dict[int, list[Line]] = {}
    for line in lines:
        groups.setdefault(line.row, []).append(line)
    return list(groups.values())


# Columns


def split_columns(text: str, separator: str | None) -> list[str]:
    """The columns of a line; a tab or a blank at its end begins no column."""
    if separator == "\t" and "\t" in text:
        return text.rstrip("\t ").split("\t") if text.rstrip("\t ") else text.split("\t")
    return re.split("[ \t]+", text.strip(BLANKS))


def find_shape(lines: Sequence[Line]) -> tuple[str | None, int]:
    """The separator of the columns, and how many most lines have; lines that begin with # may be comments."""
    some = [line for line in lines if not line.text.startswith("#")] or list(lines)
    tabs = sum("\t" in line.text.strip(BLANKS) for line in some)
    separator = "\t" if 2 * tabs >= len(some) else None
    widths = Counter(len(split_columns(line.text, separator)) for line in some)
    return separator, widths.most_common(1)[0][0]


def leave_comments(split: str, lines: Sequence[Line], separator: str | None, width: int) -> list[Line]:
    """The lines without comments, which are counted.

    A line that begins with # is a word where it has the columns of a word, and the last is a tag or one that other
    lines have too.
    """
    plain = [line for line in lines if not line.text.startswith("#")]
    known = {split_columns(line.text, separator)[-1] for line in plain}
    if len(plain) == len(lines):
        return plain
    kept = []
    for line in lines:
        fields = split_columns(line.text, separator)
        if not line.text.startswith("#") or (len(fields) == width and (fields[-1] in known or is_tag(fields[-1]))):
            kept.append(line)
    if left := len(lines) - len(kept):
        tell(f"{split}: {left:,} lines that begin with # are comments")
    return kept


def is_tag(value: str) -> bool:
    try:
        split_tag(value)
    except ValueError:
        return False
    return True


def find_odd_line(lines: Sequence[Line], separator: str | None, width: int) -> tuple[str, str, str] | None:
    """The first line of a sentence that has more or fewer columns than most: its place, the rule and the fix."""
    for line in lines:
        columns = len(split_columns(line.text, separator))
        if columns != width:
            return (
                f"{line.path.name}, line {line.number}: {line.text.strip()!r:.60}",
                f"the line has too {'many' if columns > width else 'few'} columns: most lines have {width}",
                "Mend the line, or use tabs between columns when words hold spaces",
            )
    return None


def take_words(split: str, sentences: Sequence[Sentence]) -> list[Sentence]:
    """The syntactic words of CoNLL-U, without what stands over several of them (1-2) or for a word left out (8.1)."""
    kept = [[line for line in sentence if line[0].isdecimal()] for sentence in sentences]
    numbers = [line[0] for line in chain.from_iterable(sentences)]
    ranges, empty = sum("-" in number for number in numbers), sum("." in number for number in numbers)
    skipped = [f"{ranges:,} ranges such as 1-2"] * bool(ranges) + [f"{empty:,} empty nodes such as 8.1"] * bool(empty)
    left = f"; left out: {' and '.join(skipped)}" if skipped else ""
    tell(f"{split}: CoNLL-U, {sum(map(len, kept)):,} words of {len(kept):,} sentences{left}")
    return kept


def to_dataset(sentences: Sequence[Sentence], columns: Columns) -> Dataset:
    """A row for each sentence, with a list of values for each column."""
    values = {
        name: [[line[place] for line in sentence] for sentence in sentences] for place, name in enumerate(columns.names)
    }
    return Dataset.from_dict(values, features=Features({name: List(Value("string")) for name in values}))
