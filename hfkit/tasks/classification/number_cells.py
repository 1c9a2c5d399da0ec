"""Numbers in cells of text: which sign stands before decimals, and which between thousands."""

import math
import re
from collections.abc import Collection

from hfkit.errors import UserError

# How 1234.5 is written -> the signs between thousands, and before decimals.
FORMATS = {
    "1234.5": ("", "."),
    "1234,5": ("", ","),
    "1,234.5": (",", "."),
    "1.234,5": (".", ","),
    "1 234,5": (" \u00a0\u202f", ","),
    "1 234.5": (" \u00a0\u202f", "."),
    "1'234.5": ("'\u2019", "."),
}
PLAIN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(?:([,.])\d{3})(?:\1\d{3})*(?:[,.]\d+)?")  # 1,234 or 1.234.567,8


def find_number_format(column: str, cells: Collection[str]) -> str | None:
    """How the numbers of a column are written, a key of `FORMATS`: '1234,5', or None for the plain way.

    Raises:
        UserError: commas have two readings.
    """
    found = [text for text in map(clean_number, cells) if "," in text and re.fullmatch(r"[+-]?[\d.,]+", text)]
    if not found:
        return None
    grouped = next((text for text in found if GROUPED.fullmatch(text) or "." in text), None)
    # Beside decimal commas, 1.234 may be 1234.
    grouped = grouped or next((text for text in map(clean_number, cells) if GROUPED.fullmatch(text)), None)
    if grouped is not None:
        raise UserError(
            f"column '{column}'",
            f"commas and full stops may stand between thousands or before decimals, as in '{grouped}'",
            "Set --number_format to the way that these numbers are written, such as '1,234.5' or '1.234,5'",
        )
    return "1234,5" if all(DECIMAL_COMMA.fullmatch(text) for text in found) else None


def fits_a_format(text: str) -> bool:
    """True for a number that is written in one of the `FORMATS`."""
    return any(not math.isnan(read_number(text, name)) for name in FORMATS)


def read_number(text: str, number_format: str | None) -> float:
    """The number that a text writes; nan if it is none."""
    text = clean_number(text)
    thousands, decimal = FORMATS[number_format or "1234.5"]
    if thousands:
        signs = f"[{re.escape(thousands)}]"
        if not re.fullmatch(rf"[+-]?(?:\d+|\d{{1,3}}(?:{signs}\d{{3}})+)(?:{re.escape(decimal)}\d+)?", text):
            return math.nan
        text = re.sub(signs, "", text)
    if decimal == "," and DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    return float(text) if PLAIN.fullmatch(text) else math.nan


def clean_number(text: str) -> str:
    """Without blanks at its ends, and with a plain minus."""
    return text.strip().replace("\u2212", "-")


def has_decimals(cells: Collection[str]) -> bool:
    """True if all cells are numbers, and one of them has a fraction, after a point or a comma."""
    numbers = [text for text in map(clean_number, cells) if text.casefold() not in ("", "nan")]
    if not all(PLAIN.fullmatch(text) or DECIMAL_COMMA.fullmatch(text) for text in numbers):
        return False
    return any("," in text or not float(text).is_integer() for text in numbers)
