"""Rows with options of their own, in a list or in a column for each; the right one by its place, letter or text."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value

from hfkit.contract.rows import Media, Only, Raw, Source
from hfkit.contract.target import Nothing, Target
from hfkit.data.bad_rows import Fault, count_skipped
from hfkit.data.columns import MEND, find_column, find_usual_column, fold, match_usual, space_evenly, to_words
from hfkit.data.files import TEXT_TABLES, read_one_split, read_splits, take_split
from hfkit.data.labels import is_visible
from hfkit.data.notes import tell
from hfkit.data.text.texts import JOINT
from hfkit.data.units import find_unit_column
from hfkit.data.unlabelled import leave_unlabelled_test
from hfkit.errors import UserError

OPTIONS = (("choices", "options", "endings", "candidates", "answers", "alternatives"),)  # of lists
QUESTIONS = (("question", "query", "sent2", "ask-for", "startphrase", "prompt", "stem"),)
CONTEXTS = (("context", "passage", "article", "sent1", "premise", "document", "story", "ctx"),)
ANSWERS = (
    ("label", "answer", "gold", "correct"),
    ("labels", "answer_key", "answer_idx", "correct_answer"),
)
# Columns of single options: a name and a number or a letter, from 0, 1 or A on.
ONE = re.compile(r"(?:ending|choice|option|answer|alternative|candidate|solution|sol|opa?)[\W_]*([0-9]|[a-j])", re.I)
LETTER = re.compile(r"[A-J]")
LETTERS = "abcdefghij"
FEWEST_SHOWN = 4  # options of a row to try, where nobody knows how many there are


class NoAnswer(Exception):
    """The value at fault, and the rule that it breaks."""

    def __init__(self, value: str, rule: str) -> None:
        super().__init__(value, rule)
        self.value, self.rule = value, rule


@dataclass(frozen=True)
class RowsOfOptions:
    """Rows of `options`, two or more each, with what stands before them (`context` and `question`, either may be
    missing) and the `label`, the place of the right one.
    """

    question_column: str | None
    context_column: str | None
    options_column: str | None
    options_columns: tuple[str, ...]
    label_column: str | None
    unit_column: str | None
    sample: Callable[[], DatasetDict]

    media: ClassVar[Media] = Media.TEXT
    unit: ClassVar[str] = "question"

    @property
    def main_column(self) -> str:
        return self.question_column or "question"

    # Reading

    def read(self, source: Source, only: Only | None) -> Raw:
        if source.dataset == "sample":
            raw = self.sample() if only is None else take_split(self.sample(), only.name)
        elif only is None:
            raw = read_splits(source, kinds=TEXT_TABLES)
        else:
            raw = read_one_split(source, only.name, kinds=TEXT_TABLES)
        raw = leave_unlabelled_test(raw, self.label_column, ANSWERS)
        columns, many = self.find_inputs(raw)
        taken = {*columns.values(), *many}
        columns["label"] = self.find_label(raw, taken)
        unit = find_unit_column(raw, self.unit_column)
        first = infer_first(raw, columns["label"], many or columns["options"])
        return Raw(raw, columns | ({"unit": unit} if unit else {}), writing=Options(tuple(many), first))

    def find_inputs(self, raw: DatasetDict) -> tuple[dict[str, str], list[str]]:
        """The columns by their names here, and those of single options; one of both holds the options.

        Raises:
            UserError: there are no options, or nobody knows which are meant.
        """
        names = next(iter(raw.values())).column_names
        columns, many = {}, [find_column(raw, name, (), "--options_columns") for name in self.options_columns]
        if not many:
            in_list = match_usual(names, OPTIONS[0]) if self.options_column is None else [self.options_column]
            in_list = [name for name in in_list if self.options_column or holds_lists(raw, name)]
            many = [] if in_list else find_single_options(names)
            if not many:
                rows = DatasetDict({split: rows.select_columns(in_list or names) for split, rows in raw.items()})
                columns["options"] = find_usual_column(rows, self.options_column, OPTIONS, "--options_column")
        for name, given, usual in (
            ("question", self.question_column, QUESTIONS),
            ("context", self.context_column, CONTEXTS),
        ):
            others = [one for one in names if one not in {*columns.values(), *many}]
            if given is not None or match_usual(others, usual[0]):
                flag = f"--{name}_column"
                rows = DatasetDict({split: rows.select_columns(others) for split, rows in raw.items()})
                columns[name] = find_usual_column(rows if given is None else raw, given, usual, flag)
        if not {"question", "context"} & set(columns):
            raise UserError(
                f"columns {', '.join(names)}",
                "something stands before the options: a question, a context, or both",
                "Name it with --question_column or --context_column",
            )
        return columns, many

    def find_label(self, raw: DatasetDict, taken: set[str]) -> str:
        left = [name for name in next(iter(raw.values())).column_names if name not in taken]
        if self.label_column is not None:
            return find_column(raw, self.label_column, (), "--label_column")
        rows = DatasetDict(
            {split: of_split.select_columns([name for name in left if name in of_split.column_names])
             for split, of_split in raw.items()}
        )  # fmt: skip
        return find_usual_column(rows, None, ANSWERS, "--label_column")

    # Checking

    def check(self, split: str, raw: Raw, target: Target | None, *, finished: bool) -> tuple[Dataset, list[Fault]]:
        rows, columns = raw.splits[split], raw.columns
        values, faults = self.check_inputs(rows, columns, raw.writing.columns)
        bad = {fault.row for fault in faults}
        feature = rows.features[columns["label"]]
        names = feature.names if isinstance(feature, ClassLabel) else None
        labels = []
        for row, value in enumerate(rows[columns["label"]][:]):
            label = 0
            if row not in bad:
                try:
                    label = read_label(value, values["options"][row], raw.writing.first, names)
                except NoAnswer as error:
                    faults.append(Fault(row, columns["label"], error.value, error.rule, MEND))
            labels.append(label)
        kinds = {**kinds_of(values), "label": Value("int32")}
        return Dataset.from_dict({**values, "label": labels}, features=Features(kinds)), faults

    def check_inputs(
        self, rows: Dataset, columns: Mapping[str, str], many: Sequence[str]
    ) -> tuple[dict[str, list], list[Fault]]:
        """Options and what stands before them, and a fault for each row that cannot be asked."""
        values: dict[str, list] = {}
        faults = []
        before = [name for name in ("context", "question") if name in columns]
        for name in before:
            values[name] = [text if isinstance(text, str) else "" for text in rows[columns[name]][:]]
        for row in range(len(rows)):
            # One of both may be empty, as the second half of a sentence that the options end.
            if not any(is_visible(values[name][row]) for name in before):
                shown = to_words(rows[row][columns[before[-1]]])
                faults.append(Fault(row, columns[before[-1]], shown, "a row has a question or a context", MEND))
        bad, options = {fault.row for fault in faults}, []
        for row, found in enumerate(read_options(rows, columns, many)):
            fault = None if row in bad else option_fault(row, columns.get("options", ", ".join(many)), found)
            if fault is not None:
                faults.append(fault)
            options.append(["", ""] if fault is not None or row in bad else found)
        return {**values, "options": options}, faults

    def refuse_unlearnable(self, train: Dataset, raw: Raw) -> None:
        labels = set(train["label"][:])
        if len(labels) < 2 and len(train) > 1:
            raise UserError(
                f"column '{raw.columns['label']}'",
                f"the right option of every row of train is the one at place {labels.pop()}, counted from 0",
                "Check that this is the column of right options, or shuffle the options",
            )

    def settle(self, splits: DatasetDict, raw: Raw, *, finished: bool) -> DatasetDict:
        return splits

    def classes(self, rows: Dataset) -> list[tuple[str, ...]]:
        """The place of the right option."""
        return [(str(label),) for label in rows["label"][:]]

    def thin(self, train: Dataset, most: int) -> Dataset:
        return train.select(space_evenly(len(train), most))

    def to_predict(self, raw: Dataset) -> tuple[Dataset, list[Fault]]:
        columns, many = self.find_inputs(DatasetDict(input=raw))
        values, faults = self.check_inputs(raw, columns, many)
        return Dataset.from_dict(values, features=Features(kinds_of(values))), sorted(faults, key=lambda one: one.row)

    def input_columns(self, facts: Mapping[str, Any]) -> tuple[str, ...]:
        """The columns of a question, a context or both, and one for each option."""
        counts = [
            found["most_options"] for found in facts.values() if isinstance(found, dict) and "most_options" in found
        ]
        given = {"context": self.context_column or "context", "question": self.question_column or "question"}
        before = [given[name] for name in facts.get("before_options", ["question"])]
        return (*before, *LETTERS.upper()[: max(counts, default=FEWEST_SHOWN)])

    def target(self, splits: DatasetDict) -> Nothing:
        return Nothing()

    def references(self, rows: Dataset) -> list[int]:
        return rows["label"][:]

    # Facts

    def facts(self, splits: DatasetDict) -> dict[str, Any]:
        """For each split its rows, how many options they have, where the right one stands, and repeats."""
        learnt = set(self.content(splits["train"])) if "train" in splits else None
        of_splits = {}
        for split, rows in splits.items():
            contents = self.content(rows)
            counts = [len(options) for options in rows["options"][:]]
            of_splits[split] = {
                "rows": len(rows),
                "repeated_rows": len(rows) - len(set(contents)),
                "fewest_options": min(counts),
                "most_options": max(counts),
                "rows_with_equal_options": sum(len(set(options)) < len(options) for options in rows["options"][:]),
                "right_places": {str(place): int(n) for place, n in enumerate(np.bincount(rows["label"][:]))},
            }
            if split != "train" and learnt is not None:
                of_splits[split]["rows_shared_with_train"] = sum(content in learnt for content in contents)
            of_splits[split]["skipped"] = count_skipped(rows)
        names = next(iter(splits.values())).column_names
        return {"before_options": [name for name in ("context", "question") if name in names], **of_splits}

    def content(self, rows: Dataset) -> list[str]:
        names = [name for name in ("context", "question") if name in rows.column_names]
        before = list(zip(*(rows[name][:] for name in names), strict=True))
        return [JOINT.join([*texts, *options]) for texts, options in zip(before, rows["options"][:], strict=True)]


@dataclass(frozen=True)
class Options:
    """How the options of a dataset are written."""

    columns: tuple[str, ...]  # one for each option; none: they are lists
    first: int  # the number of the first option, where labels are numbers


def find_single_options(names: Sequence[str]) -> list[str]:
    """The columns of single options in their order, such as ending0, ending1, … or A, B, C, D; [] if there are none."""
    named: dict[str, dict[str, str]] = {}
    for name in names:
        if match := ONE.fullmatch(name.strip()):
            stem = fold(name[: match.start(1)])
            named.setdefault(stem, {})[match[1].lower()] = name
        elif LETTER.fullmatch(name.strip()):
            named.setdefault("", {})[name.strip().lower()] = name
    for found in named.values():
        marks = sorted(found)
        ways = ("0123456789"[: len(marks)], "1234567890"[: len(marks)], LETTERS[: len(marks)])
        if len(marks) > 1 and "".join(marks) in ways:
            return [found[mark] for mark in marks]
    return []


def holds_lists(raw: DatasetDict, column: str) -> bool:
    feature = next(iter(raw.values())).features[column]
    return isinstance(feature, List | dict) or "list" in str(feature).lower()


def read_options(rows: Dataset, columns: Mapping[str, str], many: Sequence[str]) -> list[Any]:
    """The options of every row: empty cells behind the last one are none."""
    if not many:
        return [texts_of(value) for value in rows[columns["options"]][:]]
    found = []
    for texts in zip(*(rows[name][:] for name in many), strict=True):
        texts = list(texts)
        while texts and (texts[-1] is None or texts[-1] == ""):
            texts.pop()
        found.append(texts)
    return found


def texts_of(value: Any) -> Any:
    """The list of options in a cell: ARC has them as an object with the lists `text` and `label`."""
    if isinstance(value, Mapping) and isinstance(value.get("text"), list):
        return value["text"]
    if isinstance(value, list) and value and all(isinstance(one, Mapping) and "text" in one for one in value):
        return [one["text"] for one in value]
    return value


def option_fault(row: int, column: str, options: Any) -> Fault | None:
    if not isinstance(options, list):
        return Fault(row, column, to_words(options), "the options of a row are a list of texts", MEND)
    if odd := [option for option in options if not isinstance(option, str) or not is_visible(option)]:
        return Fault(row, column, to_words(odd[0]), "every option is a text", MEND)
    if len(options) < 2:
        return Fault(row, column, f"{len(options)} options", "a row has two options or more", MEND)
    return None


def kinds_of(values: Mapping[str, list]) -> dict[str, Any]:
    return {name: List(Value("string")) if name == "options" else Value("string") for name in values}


def infer_first(raw: DatasetDict, label: str, options: Sequence[str] | str) -> int:
    """0 or 1, the number that labels give to the first option: 1 if no label of train is 0 and one is past the end."""
    rows = raw["train"] if "train" in raw else next(iter(raw.values()))
    if isinstance(rows.features[label], ClassLabel):
        return 0
    numbers = [number for value in rows[label][:] if (number := number_of(value)) is not None]
    if not numbers or min(numbers) != 1:
        return 0
    counts = [len(options)] if not isinstance(options, str) else [
        len(texts) for value in rows[options][:] if isinstance(texts := texts_of(value), list)
    ]  # fmt: skip
    if max(numbers) != max(counts, default=0):
        return 0
    tell(f"label: its numbers count options from 1 (column '{label}')")
    return 1


def number_of(value: Any) -> int | None:
    """A whole number as tables hold it; None for anything else."""
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def read_label(value: Any, options: Sequence[str], first: int, names: Sequence[str] | None = None) -> int:
    """The place of the right option, from 0: given as a number, a letter, or the option's own text.

    Args:
        first: the number that labels give to the first option.
        names: those of the ids, if the column has them.

    Raises:
        NoAnswer: it names none of the options, or several.
    """
    if names is not None and isinstance(value, int) and 0 <= value < len(names):
        value = names[value]
    if isinstance(value, str) and (equal := [place for place, text in enumerate(options) if text == value]):
        if len(equal) > 1:
            raise NoAnswer(f"'{value}'", "a right option that is given by its text stands there once")
        return equal[0]
    if (number := number_of(value)) is not None:
        place = number - first
    elif isinstance(value, str) and len(mark := value.strip(" .()").lower()) == 1 and mark in LETTERS:
        place = LETTERS.index(mark)
    else:
        rule = "the right option is named by its number, its letter or its text"
        raise NoAnswer(to_words(value), rule)
    if not 0 <= place < len(options):
        raise NoAnswer(f"{to_words(value)} of {len(options)} options", "the right option is one of the row's own")
    return place
