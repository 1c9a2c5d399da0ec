"""The order of rows and how a loader fetches them: texts of similar length share a batch, so that padding is rare."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset
from torch.utils.data import Dataset as MapDataset
from torch.utils.data import Sampler, SequentialSampler
from transformers import TrainingArguments
from transformers.trainer_pt_utils import get_length_grouped_indices

from hfkit.errors import UserError

# With fewer batches an epoch, sorting by length is not worth the risk. It is four times the 50 batches that are sorted
# together. On WNUT-17, entity F1 after 124 steps was 0.02 in that order and 0.18 at random; after 425 it was the same.
FEWEST_BATCHES = 200


class LengthBuckets(Sampler[int]):
    """Rows in an order that puts texts of similar length into one batch; every epoch has another order.

    It is the stock order: rows are shuffled, then sorted by falling length within every 50 batches. Over several seeds
    it scored like the random one (benchmarks/results/bucketing.json). Unlike the stock sampler it is a pure function of
    the seed and of `epoch`, which is set at the start of each epoch: the global generator, which the stock one draws
    from, is in another state in a resumed run or in another process.

    Args:
        lengths: tokens of every row.
        batch: rows of an optimizer step, over its micro-batches and all processes.
    """

    def __init__(self, lengths: np.ndarray, batch: int, seed: int) -> None:
        self.lengths, self.batch, self.seed, self.epoch = lengths, batch, seed, 0

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        seed = np.random.SeedSequence([self.seed, self.epoch]).generate_state(1)[0]
        draw = torch.Generator().manual_seed(int(seed))
        yield from get_length_grouped_indices(self.lengths.tolist(), self.batch, generator=draw)


class SortedSteps(Sampler[int]):
    """The stock random order, with the rows of every optimizer step sorted by length before they are split up.

    Micro-batches and processes then hold texts of similar length. The step keeps the rows, and so the gradient, of the
    stock order: there is less to compute, and the same is learnt.

    Args:
        lengths: tokens of every row.
        step: rows of an optimizer step, over its micro-batches and all processes.
        seed: that of the stock order, which is a pure function of seed and epoch too.
    """

    def __init__(self, lengths: np.ndarray, step: int, seed: int) -> None:
        self.lengths, self.step, self.seed, self.epoch = lengths, step, seed, 0

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        rows = torch.randperm(len(self), generator=torch.Generator().manual_seed(self.seed + self.epoch)).numpy()
        for start in range(0, len(rows), self.step):
            of_step = rows[start : start + self.step]
            yield from of_step[np.argsort(self.lengths[of_step], kind="stable")].tolist()


class EqualClasses(Sampler[int]):
    """Rows in an order in which all classes are equally frequent; every epoch has another one, of as many rows as ever.

    Within a class the rows are shuffled, and none comes again before all others of it have come. Of a class with more
    rows than its share, each epoch has another part.

    Args:
        classes: the class of every row.
        seed: the order is a pure function of it and of `epoch`, as with `LengthBuckets`.
    """

    def __init__(self, classes: np.ndarray, seed: int) -> None:
        self.classes, self.seed, self.epoch = classes, seed, 0

    def __len__(self) -> int:
        return len(self.classes)

    def __iter__(self) -> Iterator[int]:
        draw = np.random.default_rng([self.seed, self.epoch])
        names = np.unique(self.classes)
        shares = np.full(len(names), len(self) // len(names))
        shares[draw.permutation(len(names))[: len(self) % len(names)]] += 1  # rows that are left over
        drawn = []
        for name, share in zip(names, shares, strict=True):
            rows = np.flatnonzero(self.classes == name)
            rounds, rest = divmod(share, len(rows))
            drawn += [np.tile(rows, rounds), draw.permutation(rows)[:rest]]
        yield from draw.permutation(np.concatenate(drawn)).tolist()


class LongestFirst(Sampler[int]):
    """Rows by falling length, ties in their order: batches with little padding, the largest of them first.

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
    """The order of training that the arguments ask for; None leaves it to the stock Trainer.

    `auto` is group_by_length for texts with at least `FEWEST_BATCHES` batches an epoch, otherwise random.

    Raises:
        UserError: the rows are no texts, and cannot be grouped by length.
    """
    strategy = args.train_sampling_strategy
    if not is_text(rows):
        if strategy not in ("auto", "random", "sequential"):
            raise UserError(f"train_sampling_strategy={strategy}", "it goes by the length of texts", "Leave it out")
        return None
    seed = args.seed if args.data_seed is None else args.data_seed
    step = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
    if strategy == "auto":
        strategy = "group_by_length" if len(rows) >= FEWEST_BATCHES * step else "random"
    if strategy == "group_by_length":
        return LengthBuckets(text_lengths(rows), step, seed)
    if strategy == "random" and step > args.train_batch_size:
        return SortedSteps(text_lengths(rows), step, seed)
    return None


def class_of_each(rows: Dataset) -> np.ndarray:
    """The class of every encoded row, (rows,).

    Raises:
        UserError: a row has several, or none, or a number instead.
    """
    (labels,) = columns_of(rows, ["labels"]) if "labels" in rows.column_names else [pa.nulls(0)]
    if not pa.types.is_integer(labels.type):
        rule = "rows are drawn by their class, and here a row has not exactly one"
        raise UserError("balanced_sampler", rule, "Leave it out")
    return values_of(labels)


def evaluation_order(rows: Dataset) -> Sampler[int]:
    """Texts by falling length, other rows in their order; `restore_row_order` reverses it."""
    return LongestFirst(text_lengths(rows)) if is_text(rows) else SequentialSampler(rows)


def restore_row_order(values: np.ndarray | None, rows: Dataset) -> np.ndarray | None:
    """Values from `evaluation_order` back in the order of the rows, (rows, ...); None stays None."""
    if values is None or not is_text(rows):
        return values
    restored = np.empty_like(values)
    restored[evaluation_order(rows).order] = values
    return restored


def rows_to_fetch(rows: Dataset) -> "Dataset | NumberRows":
    """The rows for a loader to read batches from; for texts, only their columns of numbers."""
    return NumberRows(rows) if is_text(rows) else rows


def is_text(rows: Dataset) -> bool:
    return "input_ids" in rows.column_names


def text_lengths(rows: Dataset) -> np.ndarray:
    """The number of tokens of every row, (rows,), without making a Python object for any."""
    (column,) = columns_of(rows, ["input_ids"])
    return np.diff(offsets_of(column))


def columns_of(rows: Dataset, names: list[str]) -> list[pa.Array]:
    table = rows.select_columns(names).with_format("arrow")[:]
    return [table[name].combine_chunks() for name in names]


def offsets_of(column: pa.ListArray) -> np.ndarray:
    """The start of each row of a column of lists in `column.values`, and the end of the last one: (rows + 1,)."""
    return column.offsets.to_numpy(zero_copy_only=False)


class NumberRows(MapDataset):
    """The columns of numbers of encoded texts, as rows for a collator; a list is a view of an array.

    `datasets` would make a Python object for every token of every batch. Other columns, which no collator turns into a
    tensor, are left out.
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
        columns: dict[str, Any] = {name: values[row].item() for name, values in self.flat.items()}
        for name, (values, offsets) in self.nested.items():
            columns[name] = values[offsets[row] : offsets[row + 1]]
        return columns

    def __getitems__(self, rows: list[int]) -> list[dict[str, Any]]:
        return [self[row] for row in rows]


def is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)


def values_of(column: pa.Array) -> np.ndarray:
    return column.to_numpy(zero_copy_only=False)
