"""The flags and parts that the classification of texts and of images share."""

import re
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from datasets import Dataset, DatasetDict
from transformers import PreTrainedConfig

from hfkit.contract.judge import Judge
from hfkit.contract.rows import Raw
from hfkit.contract.target import Labels, Target
from hfkit.contract.task import Task
from hfkit.errors import UserError
from hfkit.tasks.classification.answers import refuse_unlearnable, thin
from hfkit.tasks.classification.codec import Classifier
from hfkit.tasks.classification.kinds import KINDS, Kind

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
    class_weights: Literal["none", "balanced"] = field(
        default="none", metadata={"help": "balanced: every class counts alike in the loss, however rare it is"}
    )
    out_of_scope: str | None = field(
        default=None, metadata={"help": "the label of rows that belong to no class, scored apart from the others"}
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value, fitting in (
            ("class_weights", self.class_weights != "none", ("single-label", "multi-label")),
            ("out_of_scope", self.out_of_scope is not None, ("single-label",)),
        ):
            if value and self.problem not in fitting:
                raise UserError(
                    f"{name} with problem={self.problem}", f"it is for {' and '.join(fitting)}", "Leave it out"
                )
        if self.max_train_rows is not None and self.max_train_rows < 1:
            raise UserError(
                f"max_train_rows={self.max_train_rows}", "a model learns from at least one row", "Leave it out"
            )

    @property
    def kind(self) -> Kind:
        """The kind of answers."""
        return KINDS[self.problem]

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
    out_of_scope: str | None
    unit_column: str | None

    unit: ClassVar[str] = "row"

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
