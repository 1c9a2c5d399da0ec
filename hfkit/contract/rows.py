"""What the rows of a dataset are, and which of them are wrong."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from datasets import Dataset, DatasetDict

from hfkit.contract.target import Target
from hfkit.data.bad_rows import Fault


class Media(StrEnum):
    """What one input is, where it stands alone."""

    TEXT = "text"
    IMAGE = "image"


class Raw(NamedTuple):
    """The rows of a dataset as they came, and which of their columns a task reads."""

    splits: DatasetDict
    columns: dict[str, str]  # what the task calls it -> what the dataset does
    roots: tuple[Path, ...] = ()  # folders that files may lie in which the rows name


class Only(NamedTuple):
    """One split of a dataset, which is read as `test` and nothing else is."""

    name: str | None = None  # None: the one called test, or the only one


@dataclass(frozen=True)
class Source:
    """Where a dataset is."""

    dataset: str  # 'sample', a folder, or an id of the Hub
    config: str | None = None
    revision: str | None = None

    @property
    def place(self) -> tuple[str, str | None, str | None]:
        return self.dataset, self.config, self.revision


class Rows(Protocol):
    """How a task's rows are read, checked and described. It knows no model."""

    media: Media
    unit: str  # what one row is called: "sentence"
    main_column: str  # where a bare text or picture belongs

    def read(self, source: Source, only: Only | None) -> Raw:
        """The splits train, validation and test as they came; or `only` one of them, as test.

        Raises:
            UserError: they cannot be read, or have no columns for this task.
        """

    def check(self, split: str, raw: Raw, target: Target | None, *, finished: bool) -> tuple[Dataset, list[Fault]]:
        """One split in the task's own columns, row by row, and what is wrong with which row.

        Args:
            target: what answers there may be; None: any.
            finished: the target is that of a saved model, not of the training rows.
        """

    def refuse_unlearnable(self, train: Dataset, raw: Raw) -> None:
        """Refuse checked training rows that teach nothing, before any other split is checked.

        Raises:
            UserError: such as where all of them have one answer.
        """

    def settle(self, splits: DatasetDict, raw: Raw, *, finished: bool) -> DatasetDict:
        """What only all splits together can tell, such as the tag scheme of a corpus.

        Raises:
            UserError: they do not fit together.
        """

    def thin(self, train: Dataset, most: int) -> Dataset:
        """At most this many training rows, evenly spaced over the split."""

    def to_predict(self, raw: Dataset) -> tuple[Dataset, list[Fault]]:
        """Rows without answers in the task's own columns, one per raw row, and the rows that cannot be asked.

        Raises:
            UserError: the columns do not fit.
        """

    def target(self, splits: DatasetDict) -> Target:
        """What a head for these rows is for: one map over the union of the splits."""

    def references(self, rows: Dataset) -> list:
        """The gold answers, as plain values."""

    def facts(self, splits: DatasetDict) -> dict[str, Any]:
        """For the report: counts of every split by its name, and before them what holds for all.

        Not every split need be there: a model that is only evaluated has test alone.
        """

    def content(self, rows: Dataset) -> list[str]:
        """What makes two rows the same input, one string per row."""
