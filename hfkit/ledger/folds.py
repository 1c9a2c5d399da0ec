"""The rows of a comparison by cross-validation: every labelled row is held out once for each seed.

A test split of the dataset stays out of it. Test rows that hfkit would draw are among the folds instead, and so are all
validation rows: each fold draws its own from what it trains on, by `--validation_share`.
"""

from dataclasses import replace
from functools import cache, cached_property

import numpy as np
from datasets import Dataset, DatasetDict, concatenate_datasets

from hfkit.contract.task import Loaded, Task
from hfkit.data.folding import draw_folds
from hfkit.data.splitting import draw_splits, group_alike
from hfkit.errors import UserError
from hfkit.progress import silence_other_bars


class Folds:
    """The rows of each fold: those that it holds out as its test, and its own train and validation rows.

    Seeds have folds of their own, as in repeated cross-validation; all contenders have the same ones.

    Raises:
        UserError: there are too few rows or units, or no validation rows could be drawn.
    """

    def __init__(self, task: Task, count: int, checkpoint: str | None = None) -> None:
        self.task, self.count = task, count
        loaded = replace(task, max_train_rows=None).load(checkpoint)
        pool = join_splits(loaded, pooled_splits(loaded, task))
        self.available = len(pool)
        if task.max_train_rows is not None:
            pool = task.rows.thin(pool, task.max_train_rows)
        self.pool, self.loaded = pool, loaded
        self.held_out = None if "test" in pooled_splits(loaded, task) else len(loaded["test"])
        self.numbers_of = cache(self._draw_splits)
        self.fold_of = cache(self._draw_folds)
        if self.independent < count:
            kind = "rows" if self.units is None else "units or groups of equal inputs, which stay whole"
            rule = f"each holds out one at least, and there are {self.independent:,} {kind}"
            raise UserError(f"folds={count}", rule, "Ask for fewer folds")
        self.rows_of(0, 0)  # refused now, not in a worker

    @cached_property
    def units(self) -> list[int] | None:
        """A number for each row, equal for rows that stay in one fold; None if every row stands for itself."""
        units = self.task.units(self.pool)
        return group_alike(self.task.rows.content(self.pool), None if units is None else units.tolist())

    @cached_property
    def classes(self) -> list[tuple[str, ...]] | None:
        return self.task.rows.classes(self.pool)

    @property
    def whole(self) -> Loaded:
        """All rows as every split: answers of all folds together are answers to `test`."""
        return self.loaded.with_splits({split: self.pool for split in ("train", "validation", "test")})

    def _draw_folds(self, seed: int) -> np.ndarray:
        """The fold that holds each row out, (rows,)."""
        return draw_folds(len(self.pool), self.count, units=self.units, classes=self.classes, seed=seed)

    def held_out_rows(self, seed: int, fold: int) -> np.ndarray:
        """The numbers of the rows that a fold is judged on."""
        return np.flatnonzero(self.fold_of(seed) == fold)

    def _draw_splits(self, seed: int, fold: int) -> dict[str, np.ndarray]:
        """The numbers of the rows of one fold, by split."""
        left = np.flatnonzero(self.fold_of(seed) != fold)
        splits = draw_splits(
            len(left),
            {"validation": self.task.validation_share},
            groups=None if self.units is None else [self.units[row] for row in left],
            classes=None if self.classes is None else [self.classes[row] for row in left],
        )
        return {split: left[drawn] for split, drawn in splits.items()} | {"test": self.held_out_rows(seed, fold)}

    def rows_of(self, seed: int, fold: int) -> Loaded:
        """The rows of one fold, by split."""
        numbers = self.numbers_of(seed, fold)
        rows = {split: self.pool.select(numbers[split]) for split in ("train", "validation", "test")}
        return self.loaded.with_splits(rows)

    def count_units(self, rows: np.ndarray) -> int:
        """How many independent units some rows are, by their numbers."""
        return len(rows) if self.units is None else len({self.units[row] for row in rows})

    @property
    def independent(self) -> int:
        """How many independent units there are to hold out."""
        return self.count_units(np.arange(len(self.pool)))


def pooled_splits(loaded: Loaded, task: Task) -> tuple[str, ...]:
    """The splits whose rows are put in folds: a test split of the dataset, or of an earlier run, stays apart."""
    came = loaded.draw.origins["test"].split
    return ("train", "validation") if came == "test" or task.split_file else ("train", "validation", "test")


@silence_other_bars()
def join_splits(loaded: Loaded, names: tuple[str, ...]) -> Dataset:
    """The rows of some splits as one."""
    features = loaded["train"].features
    splits = DatasetDict({name: loaded[name] for name in names})
    return concatenate_datasets(
        [rows if rows.features == features else rows.cast(features) for rows in splits.values()]
    )
