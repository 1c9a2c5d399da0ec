"""Columns of a dataset, found by a flag, by their usual names, or by what they hold."""

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset, DatasetDict, Json, LargeList, List, Value
from datasets.features.features import require_decoding

from hfkit.data.notes import tell
from hfkit.errors import DataError, UserError

MEND = "Mend or remove the row"
SHOWN = 5  # usual names in a message
LOOKED_AT = 2_000  # rows of a column, to see what it holds

# Numbers of rows and keys of a database: neither texts nor labels, whatever else there is.
IDS = {"", "idx", "index", "key", "nr", "guid", "pk", "row", "rowid", "rownum", "rownumber", "uid", "uuid"}
KEY = re.compile(r"(?:^|[\W_])[iI][dD]$|[a-z]I[dD]$")  # review_id, reviewId, but not paid
UNNAMED = re.compile(r"unnamed\d*")  # the index that pandas wrote


def find_column(
    dataset: DatasetDict, given: str | None, usual: tuple[str, ...], flag: str, *, media: bool = False
) -> str:
    """The column the user named, or the only one with a usual name; neither case nor blanks matter.

    Args:
        media: it may hold images and other media.

    Raises:
        UserError: no column or several fit, or it holds media.
        DataError: one split lacks it.
    """
    columns = next(iter(dataset.values())).column_names
    fitting = match_given(columns, given) if given else match_usual(columns, usual)
    if len(fitting) != 1:
        names = " or ".join(usual) if len(usual) <= SHOWN else f"{', '.join(usual[:SHOWN])} or the like"
        names = f"'{given}'" if given else names
        raise UserError(
            f"columns {', '.join(columns)}",
            f"exactly one must be named {names}, and {len(fitting)} are ({', '.join(fitting) or 'none'})",
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
    if fitting[0] not in (given, *usual):
        tell_column(flag, fitting[0])
    return fitting[0]


def find_usual_column(
    dataset: DatasetDict, given: str | None, tiers: Iterable[tuple[str, ...]], flag: str, *, media: bool = False
) -> str:
    """The column the user named, or the only one of the first tier that has any.

    Args:
        media: it may hold images and other media.

    Raises:
        UserError: no column or several fit.
        DataError: one split lacks it.
    """
    tiers, columns = list(tiers), next(iter(dataset.values())).column_names
    usual = next((tier for tier in tiers if match_usual(columns, tier)), sum(tiers, ()))
    name = find_column(dataset, given, usual, flag, media=media)
    if not given and name in usual and name not in tiers[0]:
        tell_column(flag, name)
    return name


def tell_column(flag: str, name: str, why: str = "") -> None:
    """Tell which column is read; nothing if there is no flag for it."""
    if flag:
        tell(f"{flag.removeprefix('--').removesuffix('_column').replace('_', ' ')}: column '{name}'{why}")


def match_given(columns: Sequence[str], given: str) -> list[str]:
    """The columns that a user may have meant by a name: that one, or those that differ in case and blanks only."""
    alike = [] if given in columns else [name for name in columns if fold(name) == fold(given)]
    return alike or [given]


def match_usual(columns: Sequence[str], usual: Iterable[str]) -> list[str]:
    """The columns with a usual name, in the order of the usual names."""
    return [name for wanted in usual for name in columns if fold(name) == fold(wanted)]


def fold(name: str) -> str:
    """A name without case and all that is no letter or number: 'Review Text' is 'reviewText' is 'review_text'."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", name).casefold())


def is_id_column(name: str) -> bool:
    """True for a number or key of rows, such as 'Unnamed: 0', 'id' or 'review_id'."""
    folded = fold(name)
    return folded in IDS or bool(UNNAMED.fullmatch(folded) or KEY.search(name.strip()))


def other_columns(dataset: DatasetDict, taken: Collection[str]) -> list[str]:
    """The columns of the first split that are not taken, and no numbers or keys of rows."""
    return [name for name in next(iter(dataset.values())).column_names if name not in taken and not is_id_column(name)]


def guess_texts(dataset: DatasetDict, taken: Collection[str] = ()) -> str | None:
    """The only column of texts, whatever its name; None if there is none, or several."""
    rows = next(iter(dataset.values()))
    found = [name for name in other_columns(dataset, taken) if holds_texts(rows, name)]
    return found[0] if len(found) == 1 else None


def guess_classes(dataset: DatasetDict, taken: Collection[str]) -> str | None:
    """The only column that is left, whatever its name, if it holds few values that repeat; otherwise None."""
    rows, left = next(iter(dataset.values())), other_columns(dataset, taken)
    return left[0] if len(left) == 1 and holds_classes(rows, left[0]) else None


def holds_texts(rows: Dataset, column: str) -> bool:
    """True if most values are texts of several words, and most of them differ."""
    values = [value for value in look_at(rows, column, ("string", "large_string")) if value.strip()]
    if not values:
        return False
    # Scripts without blanks between words have longer runs of letters instead.
    wordy = sum(len(re.findall(r"[^\W\d_]+", value)) > 1 or len(value.encode()) > 2 * len(value) for value in values)
    return 2 * wordy >= len(values) and 2 * len(set(values)) > len(values)


def holds_classes(rows: Dataset, column: str) -> bool:
    """True if few values repeat."""
    if isinstance(rows.features[column], ClassLabel):
        return True
    values = [value for value in look_at(rows, column) if value not in (None, "")]
    return 1 < len(set(values)) and 2 * len(set(values)) <= len(values)


def look_at(rows: Dataset, column: str, types: Collection[str] = ()) -> list[Any]:
    """The values of evenly spaced rows of a column of plain values, without nulls; [] if it is of another type."""
    feature = rows.features[column]
    if not isinstance(feature, Value) or (types and feature.dtype not in types):
        return []
    if len(rows) > LOOKED_AT:
        rows = rows.select(space_evenly(len(rows), LOOKED_AT))
    return [value for value in rows[column][:] if value is not None]


def space_evenly(rows: int, wanted: int) -> np.ndarray:
    """`wanted` of the row numbers, evenly spaced: the first rows of a file often come from one source."""
    if wanted < 1:
        raise UserError(f"max_train_rows {wanted}", "at least one row is needed", "Set it to 1 or more")
    return np.linspace(0, rows - 1, min(rows, wanted)).round().astype(int)


def to_words(value: Any) -> str:
    """A value as a user writes it."""
    return "null" if value is None else f"'{value}'" if isinstance(value, str) else f"{value}"
