"""Tokenizers that make far more of a text than it is, so that reading it would not end: refused before they are loaded.

Loading is late enough to hang: the tokens that a checkpoint adds are normalised then.
"""

import json
import os
import string
from functools import lru_cache, reduce
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers.utils import cached_file

from hfkit.errors import UserError

FILE = "tokenizer.json"
MOST = 1000  # characters made of one; U+FDFA, the longest of Unicode's own, becomes 18


def refuse_endless(path: str, named: str) -> None:
    """Refuse a checkpoint whose tokenizer.json writes thousands of characters for one.

    Args:
        path: a folder or a Hub id.

    Raises:
        UserError: it does.
    """
    kinds = ("gated_repo", "missing_entries", "connection_errors")
    try:
        found = cached_file(path, FILE, **{f"_raise_exceptions_for_{kind}": False for kind in kinds})
    except (OSError, ValueError):  # whoever loads the tokenizer says what is wrong
        return
    if found is not None and os.path.isfile(found):
        stat = os.stat(found)
        longest = _find_growth(found, stat.st_size, stat.st_mtime_ns)
        if longest > MOST:
            raise too_long(named, longest)


@lru_cache(maxsize=16)  # a tokenizer is loaded several times in a run
def _find_growth(file: str, size: int, changed: int) -> int:
    try:
        content = json.loads(Path(file).read_text(encoding="utf-8"))
        return growth_of([content.get("normalizer"), content.get("pre_tokenizer")])
    except (OSError, ValueError, RecursionError, AttributeError):  # whoever loads it says what is wrong
        return 1


def growth_of(part: Any) -> int:
    """How many characters a part of a tokenizer may make of one by what it writes itself: what comes next multiplies
    them.
    """
    if isinstance(part, list):
        return reduce(lambda grown, one: grown * growth_of(one), part, 1)
    if not isinstance(part, dict):
        return 1
    grown = 1
    for name, value in part.items():
        if isinstance(value, str) and name in ("content", "prepend", "replacement"):
            grown *= max(1, len(value))
        elif name in ("normalizers", "pretokenizers", "normalizer"):
            grown *= growth_of(value)
    return grown


def refuse_growing(tokenizer: Tokenizer, named: str) -> None:
    """Refuse a loaded tokenizer that makes thousands of characters of a letter by a table of its own.

    Raises:
        UserError: it does.
    """
    if tokenizer.normalizer is None:
        return
    longest = max(len(tokenizer.normalizer.normalize_str(letter)) for letter in string.printable)
    if longest > MOST:
        raise too_long(named, longest)


def too_long(named: str, longest: int) -> UserError:
    rule = f"at most {MOST:,} characters are made of one, and here it may be {longest:,}"
    return UserError(f"{named}: {FILE}", rule, "Use a checkpoint from a source you trust")
