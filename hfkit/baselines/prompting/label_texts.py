"""Labels in words: their names spelt out, or the texts that `--label_texts` gives."""

import json
import re
from collections.abc import Mapping, Sequence

from hfkit.arguments.parse import nearest_word
from hfkit.errors import UserError

FIX = 'Write --label_texts \'{"label": "what it is called in words"}\''
# An underscore, or what joins words in a path.
JOINTS = re.compile(r"_+|(?<=[^\W\d_])[./](?=[^\W\d_])")
# Between "card" and "Number", and between "ATM" and "Fee".
HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def verbalise(label: str) -> str:
    """A label as words: 'lost_card' is 'lost card', 'cardNumber' 'card number', 'ATMFee' 'ATM Fee'."""
    words = " ".join(HUMPS.sub(" ", JOINTS.sub(" ", label)).split())
    # In camelCase, capitals only mark where words begin.
    return words.lower() if label[:1].islower() and label.isalnum() else words


def read_label_texts(given: str | None) -> dict[str, str]:
    """The mapping that `--label_texts` holds as JSON; None is an empty one.

    Raises:
        UserError: it is not JSON, or not a mapping of texts to texts.
    """
    try:
        texts = json.loads(given) if given is not None else {}
    except (ValueError, RecursionError) as error:
        raise UserError(f"label_texts={given!r:.200}", f"it must be JSON ({error})", FIX) from error
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        raise UserError(f"label_texts={given!r}", "it maps labels to texts", FIX)
    return texts


def label_texts(labels: Sequence[str], own: Mapping[str, str]) -> list[str]:
    """The text of each label, in the order of `labels`: the one in `own`, or its name in words.

    Raises:
        UserError: `own` names an unknown label, a text is empty, or two labels have the same one.
    """
    for label in own:
        if label not in labels:
            raise UserError(
                f"label_texts: '{label}'", "no such label", f"Did you mean '{nearest_word(label, labels)}'?"
            )
    seen: dict[str, str] = {}
    texts = []
    for label in labels:
        text = own.get(label, verbalise(label)).strip()
        if not text:
            raise UserError(f"label '{label}'", "nothing is left of it as a text", FIX)
        first = seen.setdefault(text.casefold(), label)
        if first != label:
            raise UserError(f"labels '{first}' and '{label}'", f"both are called '{text}' in words", FIX)
        texts.append(text)
    return texts
