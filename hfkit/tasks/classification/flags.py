"""The flags and parts that the classification of texts and of images share."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

from datasets import Dataset, DatasetDict
from transformers import PreTrainedConfig

from hfkit.arguments.ranges import Range
from hfkit.contract.judge import Judge
from hfkit.contract.rows import Raw
from hfkit.contract.target import Labels, Target
from hfkit.contract.task import Task
from hfkit.data.bad_rows import Fault
from hfkit.data.columns import find_column
from hfkit.data.unlabelled import leave_unlabelled_test
from hfkit.errors import UserError
from hfkit.tasks.classification.answers import check_answers, refuse_unlearnable, thin
from hfkit.tasks.classification.codec import Classifier
from hfkit.tasks.classification.kinds import KINDS, Kind
from hfkit.tasks.classification.label_columns import find_answer_columns, join_columns
from hfkit.tasks.classification.number_cells import FORMATS
from hfkit.tasks.classification.writing import CellFlags, Writing, find_writing

SCALE = re.compile(r"-?\d+ to -?\d+")  # the one label of an ordinal model


@dataclass(frozen=True)
class Classification(Task):
    """One answer per row: a class, a set of classes, a number, or a place on a scale.

    As plain values: a single label is predicted as a ranking of the likeliest labels, and its reference is one label;
    several labels are lists on both sides; a regression is a float; a place on a scale is an int.
    """

    problem: Literal[tuple(KINDS)] = field(  # type: ignore[valid-type]
        default="single-label",
        metadata={"help": "one label a row, several, a finite number, or such whole numbers on a scale (ordinal)"},
    )
    label_column: str | None = field(default=None, metadata={"help": "column of labels; default: the one named so"})
    label_columns: list[str] | None = field(
        default=None, metadata={"help": "columns of 0 and 1, one for each label, instead of a column of labels"}
    )
    label_separator: str | None = field(
        default=None,
        metadata={"help": "between the labels of a cell, such as ','; none: each cell is one name; default: found"},
    )
    label_threshold: float | None = field(
        default=None, metadata={"help": "score from which on a label is true, if rows map labels to scores"}
    )
    number_format: Literal[tuple(FORMATS)] | None = field(  # type: ignore[valid-type]
        default=None,
        metadata={"help": "how numbers in texts are written; default: 1234.5, or 1234,5 where it is clear"},
    )
    class_weights: Literal["none", "balanced"] = field(
        default="none", metadata={"help": "balanced: every class counts alike in the loss, however rare it is"}
    )
    out_of_scope: str | None = field(
        default=None, metadata={"help": "the label of rows that belong to no class, scored apart from the others"}
    )

    ranges: ClassVar[Mapping[str, Range]] = {"label_threshold": Range(0.0, 1.0, above=True)}

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value, fitting in (
            ("class_weights", self.class_weights != "none", ("single-label", "multi-label")),
            ("out_of_scope", self.out_of_scope is not None, ("single-label",)),
            ("label_columns", self.label_columns is not None, ("single-label", "multi-label")),
            ("label_separator", self.label_separator not in (None, "none"), ("multi-label",)),
            ("label_threshold", self.label_threshold is not None, ("single-label", "multi-label")),
            ("number_format", self.number_format is not None, ("regression", "ordinal")),
        ):
            if value and self.problem not in fitting:
                raise UserError(
                    f"{name} with problem={self.problem}", f"it is for {' and '.join(fitting)}", "Leave it out"
                )
        if self.label_columns is not None and len(self.label_columns) < 2:
            raise UserError(
                f"label_columns={' '.join(self.label_columns)}",
                "labels are in two or more columns of 0 and 1, or in one column",
                "Name that one with --label_column",
            )

    @property
    def kind(self) -> Kind:
        """The kind of answers."""
        return KINDS[self.problem]

    @property
    def cells(self) -> CellFlags:
        """How the user says that answers are written."""
        return CellFlags(
            tuple(self.label_columns or ()), self.label_separator, self.label_threshold, self.number_format
        )

    @property
    def judge(self) -> Judge:
        return self.kind.judge(self.out_of_scope)

    def label_head(self, target: Labels) -> Classifier:
        """The loss and the answers of a target, without a processor."""
        return Classifier("", "", target, {}, self.kind, balanced=self.class_weights == "balanced")

    @classmethod
    def flags_of(cls, config: PreTrainedConfig) -> dict[str, Any]:
        """The problem that a head was made for. A single output is a number, or a scale if hfkit named it as one."""
        names = list(config.id2label.values())
        if len(names) == 1 or config.problem_type == "regression":
            return {"problem": "ordinal" if SCALE.fullmatch(names[0]) else "regression"}
        several = config.problem_type == "multi_label_classification"
        return {"problem": "multi-label" if several else "single-label"}

    def guess_target(self, labels: int) -> Labels:
        return Labels(tuple(map(str, range(labels))), self.kind.problem_type)


@dataclass(frozen=True)
class ClassifiedRows:
    """Classified rows of any medium: the column `label` holds the gold answer as a plain value."""

    kind: Kind
    problem: str  # the flag
    label_column: str | None
    cells: CellFlags
    out_of_scope: str | None
    unit_column: str | None

    unit: ClassVar[str] = "row"

    def find_answers(
        self, splits: DatasetDict, inputs: Collection[str], unit: str | None
    ) -> tuple[DatasetDict, str, Writing]:
        """The splits without a test that has no labels, the column of answers, and how they are written.

        Args:
            inputs, unit: the columns that are read beside it.

        Raises:
            UserError: no column or several fit, or its answers belong to another problem or have two readings.
        """
        first = DatasetDict(dict([next(iter(splits.items()))]))
        columns = find_answer_columns(first, self.label_column, self.cells.columns, inputs, unit, self.problem)
        splits = leave_unlabelled_test(splits, columns[0], ())
        cells = replace(self.cells, columns=tuple(columns) if len(columns) > 1 else ())
        if cells.columns:
            splits, column = join_columns(splits, columns)
        else:
            column = find_column(splits, columns[0], (), "--label_column")
        if column in inputs:
            raise UserError(
                f"column '{column}'",
                f"{self.unit}s and labels are two columns",
                "Name that of labels with --label_column",
            )
        return splits, column, find_writing(splits, column, self.problem, cells)

    def check_answers(
        self, rows: Dataset, raw: Raw, target: Target | None, *, finished: bool
    ) -> tuple[list, list[Fault]]:
        """The gold answers of the rows of a split, and a fault for each row that has none."""
        column, writing = raw.columns["label"], raw.writing
        return check_answers(rows, column, self.kind, self.learnt(target), writing=writing, by_model=finished)

    def classes(self, rows: Dataset) -> list[tuple[str, ...]] | None:
        return self.kind.classes_of(rows["label"][:])

    def learnt(self, target: Target | None) -> set[str] | None:
        """The only labels that rows may have; None: any."""
        return set(target.names) if isinstance(target, Labels) and self.kind.names_labels else None

    def refuse_unlearnable(self, train: Dataset, raw: Raw) -> None:
        refuse_unlearnable(train, raw.columns["label"], self.out_of_scope)

    def settle(self, splits: DatasetDict, raw: Raw, *, finished: bool) -> DatasetDict:
        return splits

    def thin(self, train: Dataset, most: int) -> Dataset:
        return thin(train, self.kind, most)

    def references(self, rows: Dataset) -> list:
        return rows["label"][:]
