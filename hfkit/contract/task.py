"""The task: flags in, four parts out.

A task mixes four questions, and each has its own small part: what are the rows (`Rows`), what does the model see and
say (`Codec`), who is better (`Judge`), and how is it shown (`View`). The trainer, the baselines, the report and all
commands know a task by these parts and by nothing else.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from datasets import Dataset, DatasetDict
from transformers import PreTrainedConfig

from hfkit.arguments.ranges import Range, refuse_outside
from hfkit.contract.abilities import find_unreadable
from hfkit.contract.agreement import measure_people
from hfkit.contract.codec import Codec
from hfkit.contract.drawing import Draw, Origin, draw_missing, take_untrained
from hfkit.contract.judge import Judge
from hfkit.contract.rows import Only, Raw, Rows
from hfkit.contract.target import Labels, Nothing, Target, names_of
from hfkit.contract.view import View
from hfkit.data.annotators import find_ties
from hfkit.data.bad_rows import keep_rows, rows_left
from hfkit.data.notes import collect_notes
from hfkit.data.places import explain_reading
from hfkit.data.source import Source
from hfkit.data.split_record import SplitRecord, load_record
from hfkit.data.units import check_units
from hfkit.model.sources import open_checkpoint
from hfkit.model.weights import refuse_own_code
from hfkit.runtime.files import expand_home


class Sample(NamedTuple):
    """The checkpoint and rows of a run without flags: bundled with hfkit, or in a package."""

    checkpoint: str
    rows: Callable[[], DatasetDict]
    license: str
    language: str | None = None
    synthetic: bool = True  # made-up rows: a score on them says nothing about real data

    def origin(self) -> dict[str, str]:
        """The metadata that a dataset card would have for the rows."""
        return {"license": self.license} | ({"language": self.language} if self.language else {})


@dataclass(frozen=True)
class Loaded:
    """Checked rows and the target of a head for them."""

    splits: DatasetDict
    target: Target
    draw: Draw | None = None  # where the rows of the splits came from
    notes: tuple[str, ...] = ()  # what was understood of the data
    people: dict[str, Any] | None = None  # how far those agree who answered the rows (see `measure_people`)

    def __getitem__(self, split: str) -> Dataset:
        return self.splits[split]

    @property
    def labels(self) -> list[str]:
        """The labels of the target; [] if it has none."""
        return names_of(self.target)

    def with_splits(self, splits: Mapping[str, Dataset]) -> "Loaded":
        """The same target with other rows."""
        return replace(self, splits=DatasetDict(splits))


@dataclass(frozen=True)
class Task(ABC):
    """Flags in, four parts out. A task is a value: it holds no rows, no processor and no model."""

    dataset: str = field(
        default="sample",
        metadata={"help": "a file or folder of rows, a dataset id on the Hub, an address, or 'sample'"},
    )
    dataset_config: str | None = field(
        default=None, metadata={"help": "configuration of a Hub dataset that has several"}
    )
    dataset_revision: str | None = field(
        default=None, metadata={"help": "branch, tag or commit of a Hub dataset, such as refs/convert/parquet"}
    )
    encoding: str | None = field(
        default=None, metadata={"help": "of local files of text, such as cp1252; default: found in the file"}
    )
    sheet: str | None = field(default=None, metadata={"help": "sheet of a workbook that has several"})
    query: str | None = field(
        default=None, metadata={"help": "SQL that gives the rows, if the dataset is the address of a database"}
    )
    allow_remote: bool = field(
        default=False,
        metadata={"help": "fetch a dataset from an address (https://, s3://, gs://, hf://) with your credentials"},
    )
    annotator: str | None = field(
        default=None,
        metadata={"help": "the person whose answers count, where several people answered; default: what most say"},
    )
    annotator_column: str | None = field(
        default=None, metadata={"help": "column of people, in a table with a row for each person's answer to an item"}
    )
    item_column: str | None = field(
        default=None,
        metadata={"help": "column that tells items apart where --annotator_column is set; default: a key, or the text"},
    )
    split_column: str | None = field(
        default=None,
        metadata={"help": "column that says which split a row belongs to; none: there is none; default: found"},
    )
    test_share: float = field(
        default=0.2, metadata={"help": "share of train drawn as test rows where the dataset has no test split"}
    )
    validation_share: float = field(
        default=0.1, metadata={"help": "share of train drawn as validation rows where it has no validation split"}
    )
    split_file: str | None = field(
        default=None, metadata={"help": "draw the rows that an earlier run drew: its output_dir or hfkit_split.json"}
    )
    max_train_rows: int | None = field(
        default=None, metadata={"help": "train on this many rows, evenly spaced over the split; default: all"}
    )
    unit_column: str | None = field(
        default=None,
        metadata={"help": "column of what rows belong to, such as a patient; intervals and splits are drawn by it"},
    )
    on_bad_row: Literal["error", "skip"] = field(
        default="error", metadata={"help": "stop at the first bad row, or leave such rows out and count them"}
    )

    accept_stock_class: bool = field(
        default=False,
        metadata={"help": "a checkpoint that brings code of its own: take the class that transformers has instead"},
    )

    key: ClassVar[str]  # unique: reports, --task and saved models go by it
    tag: ClassVar[str]  # the Hub's pipeline tag; several tasks may share one
    auto_model: ClassVar[type]  # the AutoModelFor… class that is trained and saved
    sample: ClassVar[Sample]
    target_kind: ClassVar[type[Labels] | type[Nothing]] = Labels  # of its heads
    # Flags about the rows of one run: users of its model have rows of their own. Those that every task has are known
    # already; a flag that lifts a protection is named allow_….
    row_flags: ClassVar[tuple[str, ...]] = ()
    # Of the numbers among the flags that a class adds; those of its base classes are known already.
    ranges: ClassVar[Mapping[str, Range]] = {}

    def __post_init__(self) -> None:
        refuse_outside(self)

    @property
    @abstractmethod
    def rows(self) -> Rows:
        """Reads and checks the rows."""

    @property
    @abstractmethod
    def judge(self) -> Judge:
        """Scores the answers."""

    @property
    @abstractmethod
    def view(self) -> View:
        """Shows rows, answers and mistakes."""

    @abstractmethod
    def codec(self, checkpoint: str, target: Target) -> Codec:
        """Turns rows into batches for a checkpoint, and outputs into answers.

        Raises:
            UserError: the checkpoint has no suitable processor.
        """

    @classmethod
    def target_of(cls, config: PreTrainedConfig) -> Target:
        """The target of a saved model's head.

        Raises:
            UserError: it is no model of this task.
        """
        return cls.target_kind.from_config(config)

    @classmethod
    def flags_of(cls, config: PreTrainedConfig) -> dict[str, Any]:
        """The flags of training that a saved model's configuration reveals, for models without a report.

        Raises:
            UserError: it is no model of this task.
        """
        return {}

    def guess_target(self, labels: int) -> Target:
        """A target for a plan without data, with this many labels if it has any."""
        return Labels(tuple(map(str, range(labels)))) if self.target_kind is Labels else Nothing()

    @property
    def source(self) -> Source:
        return Source(
            self.dataset,
            self.dataset_config,
            self.dataset_revision,
            self.encoding,
            self.sheet,
            self.query,
            self.allow_remote,
            self.annotator,
            self.annotator_column,
            self.item_column,
            self.split_column,
        )

    def read(self, only: Only | None = None) -> Raw:
        """The rows as they came, and the columns to read; with `only`, a single split as test.

        Raises:
            UserError: they cannot be read, or have no columns for this task.
        """
        with explain_reading(f"dataset '{self.source.shown}'"):
            return self.rows.read(self.source, only)

    def load(self, checkpoint: str | None = None) -> Loaded:
        """Checked rows of the splits train, validation and test, in the task's own columns.

        Args:
            checkpoint: one that will be trained on them; it is looked at first, because to read the rows may take long.

        Raises:
            DataError: rows at fault, by split, row and column.
            UserError: the dataset as a whole, or the checkpoint, cannot be used.
        """
        codec = None if checkpoint is None else self.codec(checkpoint, self.guess_target(2))
        with collect_notes() as notes:
            loaded = self.check(self.read(), codec)
        return replace(loaded, notes=tuple(notes))

    def check(self, raw: Raw, codec: Codec | None = None) -> Loaded:
        """The result of `load` for rows that were read already.

        Args:
            codec: of the checkpoint; rows that it cannot read are at fault.
        """
        given = load_record(expand_home(self.split_file)) if self.split_file else None
        draw = draw_missing(self.rows, *self._check_splits(raw, None, codec), self._shares, given)
        splits = self.rows.settle(draw.splits, raw, finished=False)
        if self.max_train_rows is not None:
            splits["train"] = self.rows.thin(splits["train"], self.max_train_rows)
        people = self._measure_people(raw, splits["test"], draw.origins["test"])
        return Loaded(splits, self._target_for(splits), draw, people=people)

    def _measure_people(self, raw: Raw, test: Dataset, came: Origin) -> dict[str, Any] | None:
        return measure_people(self.rows, self.judge, raw, test, came.rows, came.split, self.annotator)

    def _target_for(self, splits: DatasetDict) -> Target:
        """The target of a head for checked rows, which is of the kind that is guessed and read back without rows."""
        target = self.rows.target(splits)
        if not isinstance(target, self.target_kind):
            kind = type(target).__name__
            raise TypeError(f"the rows of {type(self).__name__} make {kind}: set its target_kind = {kind}")
        return target

    def rows_to_evaluate(
        self,
        target: Target,
        only: Only | None = None,
        record: SplitRecord | None = None,
        codec: Codec | None = None,
    ) -> Loaded:
        """Checked rows with answers to evaluate a finished model on: `test`, and without `only` all splits.

        Args:
            target: that of the model; other answers are faults.
            record: of the rows that the model was trained on; if these are the same ones, its test rows are taken.
            codec: that of the model; rows that it cannot read are at fault.

        Raises:
            DataError: rows at fault, or with answers that the model does not know, by split, row and column.
            UserError: the dataset as a whole cannot be used.
        """
        with collect_notes() as notes:
            raw = self.read(only)
            splits, origins = self._check_splits(raw, target, codec)
            draw = Draw(splits, origins)
            if only is None:
                draw = draw_missing(self.rows, splits, origins, self._shares, record)
            elif record is not None:
                kept = take_untrained(self.rows, splits["test"], record)
                came = origins["test"]
                splits["test"], origins["test"] = splits["test"].select(kept), came._replace(rows=came.rows[kept])
            splits = self.rows.settle(draw.splits, raw, finished=True)
            people = self._measure_people(raw, splits["test"], draw.origins["test"])
        return Loaded(splits, target, draw, tuple(notes), people)

    def _check_splits(
        self, raw: Raw, finished: Target | None, codec: Codec | None
    ) -> tuple[DatasetDict, dict[str, Origin]]:
        """Every split without its bad rows. The finished model, or train, must know the answers of test."""
        rows, checked, origins, known = self.rows, {}, {}, None
        for split in raw.splits:
            target = known if finished is None else finished if split == "test" else None
            found, faults = rows.check(split, raw, target, finished=finished is not None)
            # First, so that a row on which people disagree is counted as that.
            faults = find_ties(raw.splits[split], list(raw.columns.values()), self.annotator) + faults
            if "unit" in raw.columns:
                units, wrong = check_units(raw.splits[split], raw.columns["unit"])
                found, faults = found.add_column("unit", units), faults + wrong
            if self.on_bad_row == "skip":  # without it, `encode` refuses the first of them
                faults = faults + find_unreadable(codec, found, rows_left(found, faults))
            faults = sorted(faults, key=lambda fault: fault.row)
            checked[split] = keep_rows(split, found, faults, self.on_bad_row)
            origins[split] = Origin(split, rows_left(found, faults))
            if finished is None and split == "train":
                rows.refuse_unlearnable(checked[split], raw)
                known = rows.target(DatasetDict(train=checked[split]))
        return DatasetDict(checked), origins

    @property
    def _shares(self) -> dict[str, float]:
        return {"test": self.test_share, "validation": self.validation_share}

    def units(self, rows: Dataset) -> np.ndarray | None:
        """The unit of each loaded row, (rows,): rows of one unit are not independent evidence.

        None if every row stands for itself. Loaded rows keep the column that `unit_column` names as `unit`.
        """
        return None if self.unit_column is None else np.array(rows["unit"][:])

    def name_unit(self, rows: Dataset) -> str:
        """The name of what intervals draw: one of `units`, in the words of its column, or a row."""
        return self.rows.unit if self.unit_column is None else self.unit_column

    def path(self, checkpoint: str) -> str:
        """The folder or Hub id that `checkpoint` stands for (see `open_checkpoint`).

        Raises:
            UserError: there is none, or it brings code of its own and that is not accepted.
        """
        place = open_checkpoint(self.sample.checkpoint if checkpoint == "sample" else checkpoint)
        refuse_own_code(place, f"checkpoint '{checkpoint}'", accepted=self.accept_stock_class)
        return place

    def describe_inputs(self, config: PreTrainedConfig) -> str:
        """How a model will read the rows, where a flag decides it, in one sentence; "" if there is no choice.

        Args:
            config: of the checkpoint.
        """
        return ""

    def head_config(self, target: Target) -> dict[str, Any]:
        """The entries for the head in a model's configuration, and the key of the task."""
        return {**target.to_config(), "hfkit_task": self.key}
