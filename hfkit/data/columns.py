"""Columns of a dataset, found by a flag or by their usual names."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from datasets import DatasetDict, Json, LargeList, List
from datasets.features.features import require_decoding

from hfkit.errors import DataError, UserError


def find_column(
    dataset: DatasetDict, given: str | None, usual: tuple[str, ...], flag: str, *, media: bool = False
) -> str:
    """The column the user named, or the only one with a usual name.

    Args:
        media: it may hold images and other media.

    Raises:
        UserError: no column or several fit, or it holds media.
        DataError: one split lacks it.
    """
    columns = next(iter(dataset.values())).column_names
    fitting = [given] if given else [name for name in usual if name in columns]
    if len(fitting) != 1:
        raise UserError(
            f"columns {', '.join(columns)}",
            f"exactly one must be named {' or '.join(usual)}, and {len(fitting)} are ({', '.join(fitting) or 'none'})",
            f"Name the right one with {flag}",
        )
    for split, rows in dataset.items():
        if fitting[0] not in rows.column_names:
            raise DataError(
                f"columns {', '.join(rows.column_names)}",
                f"every split needs the column '{fitting[0]}'",
                f"Rename it in the data, or name another with {flag}",
                split=split,
            )
        feature = rows.features[fitting[0]]
        inner = feature.feature if isinstance(feature, List | LargeList) else feature
        # Reading such a value decodes it, and `datasets` would fetch any address that a file names.
        if not media and require_decoding(inner) and not isinstance(inner, Json):
            raise UserError(
                f"column '{fitting[0]}'",
                f"in split '{split}' it holds values of {type(inner).__name__}, neither texts nor labels",
                f"Name another with {flag}",
            )
    return fitting[0]


def space_evenly(rows: int, wanted: int) -> np.ndarray:
    """`wanted` of the row numbers, evenly spaced: the first rows of a file often come from one source."""
    if wanted < 1:
        raise UserError(f"max_train_rows {wanted}", "at least one row is needed", "Set it to 1 or more")
    return np.linspace(0, rows - 1, min(rows, wanted)).round().astype(int)


MEND = "Mend or remove the row"


def find_usual_column(dataset: DatasetDict, given: str | None, tiers: Iterable[tuple[str, ...]], flag: str) -> str:
    """The column the user named, or the only one of the first tier that has any.

    Raises:
        UserError: no column or several fit.
        DataError: one split lacks it.
    """
    tiers, columns = list(tiers), next(iter(dataset.values())).column_names
    usual = next((tier for tier in tiers if set(tier) & set(columns)), sum(tiers, ()))
    return find_column(dataset, given, usual, flag)


def to_words(value: Any) -> str:
    """A value as a user writes it."""
    return "null" if value is None else f"'{value}'" if isinstance(value, str) else f"{value}"
