"""The rows of a task: where they come from, what they hold, and which of them are wrong."""

from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from datasets import Dataset, DatasetDict

from hfkit.contract.target import Target
from hfkit.data.bad_rows import Fault
from hfkit.data.source import Source


class Media(StrEnum):
    """The medium of a single input."""

    TEXT = "text"
    IMAGE = "image"


class Raw(NamedTuple):
    """The rows of a dataset as they came, and the columns that a task reads."""

    splits: DatasetDict
    columns: dict[str, str]  # the task's name for a column -> the dataset's name for it
    roots: tuple[Path, ...] = ()  # folders in which files named by the rows may lie
    writing: Any = None  # how the answers are written, if a task finds that out over all splits


class Only(NamedTuple):
    """A single split of a dataset, to be read as `test`."""

    name: str | None = None  # None: the one called test, or the only one


class Rows(Protocol):
    """Reads, checks and describes a task's rows. It knows no model."""

    media: Media
    unit: str  # the name of one row, such as "sentence"
    main_column: str  # the column of a bare text or picture

    def read(self, source: Source, only: Only | None) -> Raw:
        """Train, and what there is of validation and test, as they came; or `only` one split, as test.

        Raises:
            UserError: they cannot be read, or have no columns for this task.
        """

    def check(self, split: str, raw: Raw, target: Target | None, *, finished: bool) -> tuple[Dataset, list[Fault]]:
        """One split in the task's own columns, row by row, and the faults of its rows.

        Args:
            target: the answers that are allowed; None: any.
            finished: the target belongs to a saved model, not to the training rows.
        """

    def refuse_unlearnable(self, train: Dataset, raw: Raw) -> None:
        """Refuse checked training rows that teach nothing, before any other split is checked.

        Raises:
            UserError: such as where all of them have one answer.
        """

    def settle(self, splits: DatasetDict, raw: Raw, *, finished: bool) -> DatasetDict:
        """The splits after the checks that need all of them, such as finding the tag scheme of a corpus.

        Raises:
            UserError: they do not fit together.
        """

    def classes(self, rows: Dataset) -> list[tuple[str, ...]] | None:
        """The classes of every checked row, of which drawn splits get an equal share; None: there are none."""

    def thin(self, train: Dataset, most: int) -> Dataset:
        """At most this many training rows, evenly spaced over the split."""

    def to_predict(self, raw: Dataset) -> tuple[Dataset, list[Fault]]:
        """Rows without answers in the task's own columns, one per raw row, and a fault for each unusable one.

        Raises:
            UserError: the columns do not fit.
        """

    def target(self, splits: DatasetDict) -> Target:
        """The target of a head for these rows: one map over the union of the splits."""

    def references(self, rows: Dataset) -> list:
        """The gold answers, as plain values."""

    def facts(self, splits: DatasetDict) -> dict[str, Any]:
        """Facts for the report: first those of all splits, then counts of every split by name.

        Splits may be missing: a model that is only evaluated has test alone.
        """

    def content(self, rows: Dataset) -> list[str]:
        """One string per row; equal strings mean the same input."""
