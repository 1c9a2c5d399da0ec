"""Which rows share a batch, and how they are fetched: texts of like length together, so that little is padding."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Dataset
from torch.utils.data import Dataset as MapDataset
from torch.utils.data import RandomSampler, Sampler, SequentialSampler
from transformers import TrainerCallback, TrainingArguments

from .errors import UserError

MEGA_BATCH = 50  # batches that rows are sorted within


class LengthBuckets(Sampler[int]):
    """Rows in an order whose consecutive batches hold texts of like length, another one in every epoch.

    The rows are shuffled, sorted by length within every `MEGA_BATCH` batches, cut into batches, and the batches are
    shuffled over the whole epoch: one after the other they would be lessons of rising length. The rows that are left
    over come last and as they were drawn, and so only the last batch is smaller. The order is a pure function of seed
    and epoch, which whoever begins an epoch sets as `epoch`.

    Args:
        lengths: tokens of every row.
        batch: rows of an optimizer step, over its micro-batches and all processes.
    """

    def __init__(self, lengths: np.ndarray, batch: int, seed: int) -> None:
        self.lengths, self.batch, self.seed, self.epoch = lengths, batch, seed, 0

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        draw = np.random.default_rng([self.seed, self.epoch])
        rows = draw.permutation(len(self.lengths))
        whole = len(rows) - len(rows) % self.batch
        groups = np.split(rows[:whole], range(MEGA_BATCH * self.batch, whole, MEGA_BATCH * self.batch))
        inside = [group[np.argsort(self.lengths[group], kind="stable")].reshape(-1, self.batch) for group in groups]
        yield from draw.permutation(np.concatenate(inside)).ravel().tolist()
        yield from rows[whole:].tolist()


class LongestFirst(Sampler[int]):
    """Rows by falling length, equal ones in their order: batches without padding, and the largest of them first.

    Args:
        lengths: tokens of every row.
    """

    def __init__(self, lengths: np.ndarray) -> None:
        self.order = np.argsort(-lengths, kind="stable")

    def __len__(self) -> int:
        return len(self.order)

    def __iter__(self) -> Iterator[int]:
        return iter(self.order.tolist())


def training_order(rows: Dataset, args: TrainingArguments) -> Sampler[int] | None:
    """Under group_by_length texts in `LengthBuckets`, anything else at random; None leaves it to the stock Trainer.

    The rows of a bucket are those of an optimizer step: micro-batches and processes do not change what it holds.

    Raises:
        UserError: the rows are no texts, and are to be dealt out by their length.
    """
    strategy = args.train_sampling_strategy
    if strategy == "batch_rebalance" and not is_text(rows):
        raise UserError(f"train_sampling_strategy={strategy}", "it goes by the length of texts", "Leave it out")
    if strategy != "group_by_length":
        return None
    if not is_text(rows):
        return RandomSampler(rows)
    step = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
    return LengthBuckets(text_lengths(rows), step, args.seed if args.data_seed is None else args.data_seed)


def judging_order(rows: Dataset) -> Sampler[int]:
    """Texts longest first, rows of anything else as they stand; `in_order` takes it back."""
    return LongestFirst(text_lengths(rows)) if is_text(rows) else SequentialSampler(rows)


def in_order(values: np.ndarray, rows: Dataset) -> np.ndarray:
    """What was found in `judging_order`, by row: (rows, ...) both times."""
    if not is_text(rows):
        return values
    found = np.empty_like(values)
    found[judging_order(rows).order] = values
    return found


def fetched(rows: Dataset) -> "Dataset | NumberRows":
    """What a loader reads batches from: of texts their numbers alone."""
    return NumberRows(rows) if is_text(rows) else rows


def is_text(rows: Dataset) -> bool:
    return "input_ids" in rows.column_names


def text_lengths(rows: Dataset) -> np.ndarray:
    """Tokens of every row, (rows,), without making a Python object of any."""
    (column,) = columns_of(rows, ["input_ids"])
    return np.diff(offsets_of(column))


def columns_of(rows: Dataset, names: list[str]) -> list[pa.Array]:
    table = rows.select_columns(names).with_format("arrow")[:]
    return [table[name].combine_chunks() for name in names]


def offsets_of(column: pa.ListArray) -> np.ndarray:
    """Where each row of a column of lists begins in `column.values`, and where the last one ends: (rows + 1,)."""
    return column.offsets.to_numpy(zero_copy_only=False)


class NumberRows(MapDataset):
    """The columns of numbers of prepared texts, as rows for a collator: a list is a view of an array.

    `datasets` makes a Python object of every token of every batch; here none is. Columns of anything else, which no
    collator turns into a tensor, are left out.
    """

    def __init__(self, rows: Dataset) -> None:
        kinds = rows.with_format("arrow")[:0].schema
        flat = [field.name for field in kinds if is_number(field.type)]
        nested = [field.name for field in kinds if pa.types.is_list(field.type) and is_number(field.type.value_type)]
        self.column_names, self.rows = [*flat, *nested], len(rows)
        self.flat = {name: values_of(column) for name, column in zip(flat, columns_of(rows, flat), strict=True)}
        self.nested = {
            name: (values_of(column.values), offsets_of(column).tolist())
            for name, column in zip(nested, columns_of(rows, nested), strict=True)
        }

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, row: int) -> dict[str, Any]:
        found = {name: values[row].item() for name, values in self.flat.items()}
        for name, (values, offsets) in self.nested.items():
            found[name] = values[offsets[row] : offsets[row + 1]]
        return found

    def __getitems__(self, rows: list[int]) -> list[dict[str, Any]]:
        return [self[row] for row in rows]


def is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)


def values_of(column: pa.Array) -> np.ndarray:
    return column.to_numpy(zero_copy_only=False)


class TellEpoch(TrainerCallback):
    """Tells the training collator and the sampler which epoch begins, before the loader's workers take a copy."""

    def __init__(self, trainer: Any) -> None:
        self.trainer = trainer

    def on_epoch_begin(self, args, state, control, **kwargs):
        # Not state.epoch, a float that a resumed run begins in the middle.
        epoch = state.global_step // self.trainer.epoch_steps
        self.trainer.training_collator.epoch = epoch % args.cache_views if args.cache_views else epoch
        if isinstance(self.trainer.train_sampler, LengthBuckets):
            self.trainer.train_sampler.epoch = epoch
