"""Cells that a spreadsheet would run: a text of a stranger's, opened in one, may call programs or send the others."""

import re

# What opens a formula, behind blanks that some spreadsheets pass over; in Japanese ones the wide forms do, too.
FORMULA = re.compile(r"[\s\u200b\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")
NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?%?")


def escape_formula(text: str) -> str:
    """A text for a cell, with ' before it if it begins like a formula; numbers such as -3.2 stay numbers.

    See https://owasp.org/www-community/attacks/CSV_Injection.
    """
    return f"'{text}" if FORMULA.match(text) and not NUMBER.fullmatch(text) else text
