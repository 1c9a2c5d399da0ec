"""A test split without labels, such as those of competitions: it can be predicted, and not scored."""

from collections.abc import Iterable
from itertools import chain

from datasets import DatasetDict

from hfkit.data.columns import find_usual_column
from hfkit.data.labels import has_labels
from hfkit.data.notes import tell
from hfkit.errors import UserError


def leave_unlabelled_test(splits: DatasetDict, given: str | None, tiers: Iterable[tuple[str, ...]]) -> DatasetDict:
    """The splits without a test that has no labels, which is told; it will be drawn from train.

    Args:
        given, tiers: see `find_usual_column`.
    """
    tiers = list(tiers)
    if not {"train", "test"} <= set(splits):
        return splits
    try:
        column = find_usual_column(DatasetDict(train=splits["train"]), given, tiers, "")
    except UserError:
        return splits  # whoever needs the column says what is wrong
    if has_labels(splits["test"], column, splits["train"]):
        return splits
    beside = set(splits["test"].column_names) - set(splits["train"].column_names)
    if beside & set(chain.from_iterable(tiers)):
        return splits  # its labels may be there under another name, which is no time to guess
    count = len(splits["test"])
    tell(f"test: its {count:,} rows have no labels, and are left for `hfkit predict`; test rows are drawn from train")
    return DatasetDict({split: rows for split, rows in splits.items() if split != "test"})
