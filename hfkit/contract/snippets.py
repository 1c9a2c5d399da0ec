"""Python that a card shows: text as literals that no formatter, Markdown or HTML takes apart."""

from collections.abc import Sequence

from hfkit.contract.view import Example, to_columns

SHORT = 100  # letters


def literal(value: str) -> str:
    """Text as a Python literal inside a code block, where Markdown and HTML have no meaning."""
    found = ascii(value)
    # With the quotes that formatters of code prefer, so that a formatted card is still the rendered one.
    return found if '"' in found or "'" in found[1:-1] else f'"{found[1:-1]}"'


def plain_text(examples: Sequence[Example]) -> str:
    """The text of the first example that is short, whole and plain; "" where none is."""
    for example in examples:
        text = " ".join(part for part in (example.before, to_columns(example.shown)["text"], example.after) if part)
        if text and len(text) <= SHORT and text.isascii() and text.isprintable():
            return text
    return ""
