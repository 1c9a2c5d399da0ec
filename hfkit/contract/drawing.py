"""Splits that a dataset does not have, drawn from the checked rows of train."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from datasets import Dataset, DatasetDict

from hfkit.contract.rows import Rows
from hfkit.data.notes import tell
from hfkit.data.split_names import SPLITS
from hfkit.data.split_record import MOSTLY, SplitRecord, digest_rows
from hfkit.data.splitting import SEED, draw_splits, group_alike
from hfkit.errors import UserError
from hfkit.progress import silence_other_bars


class Origin(NamedTuple):
    """The rows of the dataset, as it came, that a split is made of."""

    split: str  # as it came
    rows: np.ndarray  # (rows,) their numbers in it


class Draw(NamedTuple):
    """All splits, and which rows hfkit drew for them."""

    splits: DatasetDict
    origins: dict[str, Origin]
    record: SplitRecord | None = None  # None: nothing was drawn
    facts: dict[str, Any] | None = None  # for the report


@silence_other_bars()
def draw_missing(
    rows: Rows,
    splits: DatasetDict,
    origins: Mapping[str, Origin],
    shares: Mapping[str, float],
    record: SplitRecord | None,
) -> Draw:
    """The splits with those of `shares` that are missing, drawn from train after its bad rows are gone.

    Args:
        shares: of train, for test and validation.
        record: of an earlier draw, which is done again.

    Raises:
        UserError: a share is 0 where it is needed, or there is nothing to draw.
    """
    wanted = {split: share for split, share in shares.items() if split not in splits}
    if not wanted:
        return Draw(splits, dict(origins))
    for split, share in wanted.items():
        if not share:
            raise UserError(
                f"splits {', '.join(splits)}",
                f"the split '{split}' is missing",
                f"Add a split or file named {' or '.join(SPLITS[split])}, or draw one from train with"
                f" --{split}_share 0.1",
            )
    if sum(wanted.values()) >= 1:
        raise UserError(
            ", ".join(f"{split}_share={share}" for split, share in wanted.items()),
            "together they leave rows for train",
            "Lower one of them",
        )
    train, contents, groups = splits["train"], rows.content(splits["train"]), None
    if record is None:
        groups = group_alike(contents, train["unit"][:] if "unit" in train.column_names else None)
        numbers = draw_splits(len(train), wanted, groups=groups, classes=rows.classes(train))
    else:
        numbers = draw_again(record, contents, list(wanted))
    drawn = {split: train.select(numbers[split]).flatten_indices(keep_in_memory=True) for split in ("train", *wanted)}
    for split in wanted:
        drawn[split].info.description = ""  # the count of skipped rows stays with train
    whole = DatasetDict({split: {**splits, **drawn}[split] for split in SPLITS})
    counts = {split: len(of_split) for split, of_split in whole.items()}
    shown = ", ".join(f"{split} {count:,}{' (given)' if split not in drawn else ''}" for split, count in counts.items())
    by = "hfkit" if record is None else "the split file"
    kept = "" if groups is None else f"; {'units' if 'unit' in train.column_names else 'equal inputs'} stay together"
    tell(f"split by {by}: {shown} rows{kept}")
    from_rows = origins["train"]
    taken = {split: Origin(from_rows.split, from_rows.rows[numbers[split]]) for split in drawn}
    digests = {split: digest_rows([contents[row] for row in numbers[split]]) for split in drawn}
    facts = {"drawn_by": by, "drawn": ", ".join(wanted), "seed": SEED}
    facts |= {f"{split}_share": share for split, share in wanted.items()} if record is None else {}
    return Draw(whole, {**origins, **taken}, SplitRecord(digests), facts)


def draw_again(record: SplitRecord, contents: Sequence[str], wanted: Sequence[str]) -> dict[str, np.ndarray]:
    """The rows of an earlier draw; rows that it did not know are for training.

    Raises:
        UserError: none of its rows is among these.
    """
    divided = record.divide(contents)
    for split in wanted:
        if not len(divided.get(split, ())):
            raise UserError(
                "split_file",
                f"it tells which rows are {', '.join(wanted)}, and none of its {split} rows is among these",
                "Give the split file of a run on this dataset, or leave --split_file out",
            )
    if new := len(divided["new"]):
        tell(f"{new:,} rows that the split file does not know are added to train")
    apart = np.concatenate([divided[split] for split in wanted])
    return {"train": np.setdiff1d(np.arange(len(contents)), apart), **{split: divided[split] for split in wanted}}


def take_untrained(rows: Rows, test: Dataset, record: SplitRecord) -> np.ndarray:
    """The numbers of the test rows of the dataset that a model was trained on; all rows of another one."""
    divided = record.divide(rows.content(test))
    apart = divided.get("test", np.array([], int))
    seen = len(test) - len(divided["new"])
    trained = seen - len(apart)
    if trained and len(apart) and seen > MOSTLY * len(test):
        tell(
            f"the model was trained on this dataset: of its {len(test):,} rows, the {len(apart):,} that its run drew as"
            " test are taken"
        )
        return apart
    if trained:
        tell(f"{trained:,} of these {len(test):,} rows are among those that the model was trained or validated on")
    return np.arange(len(test))
