"""Names of labels: one name for what only looks alike, and whether rows have labels at all."""

import re
import unicodedata

from datasets import Dataset, LargeList, List

# Nobody sees these at the ends of a name: marks of byte order and of direction, joiners of no width, a soft hyphen.
UNSEEN = r"[\s\u00ad\u200b-\u200f\u202a-\u202e\u2060\ufeff]+"
ALL_UNSEEN = re.compile(UNSEEN)
ENDS = re.compile(f"^{UNSEEN}|{UNSEEN}$")


def normalise_label(name: str) -> str:
    """The name in the composed form of Unicode (NFC), without blanks and invisible characters at its ends.

    Macs write the names of files in the decomposed form, so that one class may have two names that look the same.
    """
    if name.isascii() and name == name.strip():
        return name
    return unicodedata.normalize("NFC", ENDS.sub("", name))


def is_visible(text: str) -> bool:
    """True if a reader sees anything of a text."""
    return bool(text) and not ALL_UNSEEN.fullmatch(text)


def has_labels(rows: Dataset, column: str, train: Dataset) -> bool:
    """False if there is no such column, or nothing in it: null, "", [], or an id of -1 that train does not have."""
    if column not in rows.column_names:
        return False
    if isinstance(rows.features[column], List | LargeList):
        return any(rows[column][:])
    values = {str(value) for value in rows[column][:]}
    if values - {"None", "", "nan", "-1"}:
        return True
    return "-1" in values and "-1" in {str(value) for value in train[column][:]}
