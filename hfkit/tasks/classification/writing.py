"""How the answers in a column are written: found once over all splits, told, and the same for every row."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from datasets import ClassLabel, DatasetDict, LargeList, List, Value

from hfkit.data.labels import normalise_label
from hfkit.data.notes import tell
from hfkit.errors import UserError
from hfkit.tasks.classification.label_cells import (
    UNQUOTED,
    NoAnswer,
    find_joined,
    find_separator,
    looks_printed,
    read_printed,
    split_cell,
)
from hfkit.tasks.classification.label_names import count_names, find_odd_names, merge_truth, tell_spellings
from hfkit.tasks.classification.number_cells import find_number_format, has_decimals

SEVERAL = "Set --problem multi-label, or name another --label_column"
BITS = {"0", "1", "0.0", "1.0", "True", "False"}
LONGEST = 60  # characters of a cell in a message


@dataclass(frozen=True)
class CellFlags:
    """The flags about the cells of labels."""

    columns: tuple[str, ...] = ()  # one for each label, of 0 and 1
    separator: str | None = None  # 'none': each cell is one name
    threshold: float | None = None
    number_format: str | None = None


@dataclass(frozen=True)
class Writing:
    """How the answers in a column are written."""

    separator: str | None = None  # between the labels of a cell
    enclosed: bool = False  # [a] is a list too, and no name
    threshold: float | None = None  # from here on a score means that a label is there
    complete: bool = False  # a mapping has a value for every label
    number_format: str | None = None  # of `number_cells.FORMATS`
    names: Mapping[str, str] = field(default_factory=dict)  # another spelling of a label -> the label
    odd: frozenset[str] = frozenset()  # numbers among names, or names among numbers


PLAIN = Writing()


@dataclass(frozen=True)
class Values:
    """The values of a column of answers in all splits."""

    cells: Counter[str]  # the strings
    lists: list[list]
    mappings: list[dict]
    numbers: Counter[str]  # beside them
    ids_have_names: bool

    @property
    def keys(self) -> Counter[str]:
        """The labels of mappings."""
        return Counter(key for mapping in self.mappings for key in mapping)

    @property
    def printed(self) -> list[str]:
        """The cells that hold lists or mappings."""
        return [cell for cell in self.cells if looks_printed(cell)]

    @property
    def plain(self) -> Counter[str]:
        """The other cells, without those that are empty."""
        plain: Counter[str] = Counter()
        for cell, count in self.cells.items():
            if cell.strip() and not looks_printed(cell):
                plain[normalise_label(cell)] += count
        return plain


def find_writing(splits: DatasetDict, column: str, problem: str, flags: CellFlags) -> Writing:
    """How the answers in a column are written, which is told if there is more than one way.

    Raises:
        UserError: they belong to another problem, or have two readings.
    """
    if problem != "multi-label":
        refuse_lists(splits, column, problem)
    values = collect_values(splits, column)
    refuse_scores(column, values, flags)
    if problem == "single-label":
        refuse_fractions(splits, column, values)
        refuse_several(column, values, flags)
        texts = values.cells + values.keys + values.numbers
        return spell(column, texts, Writing(threshold=flags.threshold, complete=bool(flags.columns)))
    if problem == "multi-label":
        return find_set_writing(column, values, flags, finished="train" not in splits)
    found = flags.number_format or find_number_format(column, values.cells)
    if found != flags.number_format:
        example = next(cell for cell in values.cells if "," in cell)
        tell(f"column '{column}': numbers with decimal commas, such as '{example}'")
    return Writing(number_format=found)


def refuse_lists(splits: DatasetDict, column: str, problem: str) -> None:
    """Refuse lists where a row has one answer.

    Raises:
        UserError: naming the problem that it looks like.
    """
    for split, rows in splits.items():
        if isinstance(rows.features[column], List | LargeList):
            raise UserError(f"problem={problem} with column '{column}'", f"in split '{split}' it holds lists", SEVERAL)


def collect_values(splits: DatasetDict, column: str) -> Values:
    """The values of a column of answers in all splits."""
    cells, lists, mappings, numbers, named = Counter(), [], [], Counter(), False
    for rows in splits.values():
        feature = rows.features[column]
        inner = feature.feature if isinstance(feature, List | LargeList) else feature
        named |= isinstance(inner, ClassLabel)
        if isinstance(feature, ClassLabel) or isinstance(feature, Value) and "string" not in feature.dtype:
            continue
        values = rows[column][:]
        cells.update(value for value in values if isinstance(value, str))
        lists += [value for value in values if isinstance(value, list)]
        mappings += [value for value in values if isinstance(value, dict)]
        numbers.update(str(value) for value in values if isinstance(value, int | float) and value == value)
    return Values(cells, lists, mappings, numbers, named)


def spell(column: str, texts: Mapping[str, int], writing: Writing) -> Writing:
    """The writing with the spellings of the labels, which are told.

    Args:
        texts: how often each label occurs, as it is written.
    """
    tell_spellings(column, texts)
    names = count_names(texts)
    merged = merge_truth(column, names)
    return replace(writing, names=merged, odd=frozenset() if merged else find_odd_names(names))


def refuse_scores(column: str, values: Values, flags: CellFlags) -> None:
    """Refuse mappings of labels to scores, unless the user says from which score on a label is there.

    Raises:
        UserError: asking for it.
    """
    if flags.threshold is not None:
        return
    printed = [one for one, _ in read_all([cell for cell in values.printed if cell.lstrip()[0] == "{"])]
    for mapping in (*values.mappings, *(one for one in printed if isinstance(one, dict))):
        for name, value in mapping.items():
            if isinstance(value, float) and 0 < value < 1:
                raise UserError(
                    f"column '{column}'",
                    f"its labels have scores between 0 and 1, such as {name}: {value}, and a row has a label or not",
                    "Set --label_threshold 0.5",
                )


def quote(cell: str) -> str:
    """A cell on one line that is not too long."""
    return repr(cell if len(cell) <= LONGEST else cell[: LONGEST - 1] + "…")


# One label a row


def refuse_fractions(splits: DatasetDict, column: str, values: Values) -> None:
    """Refuse numbers with fractions as labels.

    Raises:
        UserError: naming the problem that they belong to.
    """
    for rows in splits.values():
        feature = rows.features[column]
        floats = isinstance(feature, Value) and feature.dtype in ("float32", "float64")
        cells = map(str, {value for value in rows[column][:] if value is not None}) if floats else values.cells
        if has_decimals(list(cells)):
            raise UserError(
                f"problem=single-label with column '{column}'",
                "its answers are numbers with fractions, and each would become a class of its own",
                "Set --problem regression, or name another --label_column",
            )


def refuse_several(column: str, values: Values, flags: CellFlags) -> None:
    """Refuse cells that hold several labels, of which each combination would become a class.

    Raises:
        UserError: naming the problem that they belong to.
    """
    value, cells = f"problem=single-label with column '{column}'", values.cells
    printed = [cell for cell in values.printed if not is_mapping(cell)]
    # Fewer of them are rows at fault.
    if 2 * sum(cells[cell] for cell in printed) > cells.total():
        raise UserError(value, f"its cells hold lists, such as {quote(printed[0])}", SEVERAL)
    joined = None if flags.separator else find_joined(values.plain)
    if joined is not None:
        rule = f"its cells seem to hold several labels, such as {quote(joined)}"
        raise UserError(value, rule, "Set --problem multi-label, or --label_separator none if each cell is one name")


def is_mapping(cell: str) -> bool:
    """True for a printed mapping that can be read."""
    try:
        return isinstance(read_printed(cell), dict)
    except NoAnswer:
        return False


# Several labels a row


def find_set_writing(column: str, values: Values, flags: CellFlags, *, finished: bool) -> Writing:
    """The writing of several labels a row, which is told.

    Args:
        finished: the rows are for a finished model, where each may have a single label.

    Raises:
        UserError: each row has one label, labels have no names, or there are two readings.
    """
    value, printed, plain = f"problem=multi-label with column '{column}'", values.printed, values.plain
    separator = choose_separator(column, plain, flags)
    if not (values.lists or values.mappings or printed or separator or finished):
        raise UserError(
            value,
            "it holds one answer a row and no lists",
            "Set --problem single-label, or write the labels as lists, or as 'a|b'",
        )
    read = read_all(printed)
    sets = [*values.lists, *(one for one, _ in read if isinstance(one, list))]
    sets += [split_cell(cell, separator) for cell in plain] if separator else []
    if not values.ids_have_names and are_vectors(sets):
        raise UserError(
            value,
            f"it holds a 0 or 1 for each label, such as {sets[0]}, instead of the names of labels",
            "Write names of labels, or a column of 0 and 1 for each label and list them with --label_columns",
        )
    if printed:
        tell(f"column '{column}': printed lists or mappings of labels, such as {quote(printed[0])}")
    if separator:
        example = next(cell for cell in plain if separator in cell)
        tell(f"column '{column}': labels separated by {separator!r}, such as {quote(example)}")
    texts = count_texts(values, read, separator)
    enclosed = any(UNQUOTED.match(cell.strip()) for cell in printed)
    writing = Writing(separator, enclosed=enclosed, threshold=flags.threshold, complete=bool(flags.columns))
    return spell(column, texts, writing)


def choose_separator(column: str, cells: Counter[str], flags: CellFlags) -> str | None:
    """The separator that the user named, or the one that is found.

    Raises:
        UserError: there are two readings, or no cell has the one that was named.
    """
    if flags.separator is None:
        return find_separator(column, cells)
    named = flags.separator.replace("\\t", "\t").replace("\\n", "\n")
    return next((one for one in (named, named.strip()) if any(one and one in cell for cell in cells)), None)


def read_all(cells: Sequence[str]) -> list[tuple[list | dict, str]]:
    """The lists and mappings that are printed in cells, each with its cell; what cannot be read is left to the rows."""
    read = []
    for cell in cells:
        try:
            read.append((read_printed(cell), cell))
        except NoAnswer:
            continue
    return read


def are_vectors(sets: Sequence[Sequence[Any]]) -> bool:
    """True if every row has a 0 or 1 for each of the same number of labels."""
    lengths = {len(one) for one in sets}
    return len(lengths) == 1 and max(lengths) > 1 and all(str(item) in BITS for one in sets for item in one)


def count_texts(values: Values, read: Sequence[tuple[list | dict, str]], separator: str | None) -> Counter[str]:
    """How often each label occurs, as it is written."""
    texts = values.keys + Counter(item for one in values.lists for item in one if isinstance(item, str))
    for one, cell in read:
        for item in one:
            texts[str(item)] += values.cells[cell]
    for cell, count in values.cells.items():
        if cell.strip() and not looks_printed(cell):
            # Blanks beside a separator are no part of a label.
            parts = [part.strip() for part in cell.split(separator)] if separator else [cell]
            texts.update({part: count for part in parts if part})
    return texts
