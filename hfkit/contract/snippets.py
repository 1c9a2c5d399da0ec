"""Parts of the Python code that a card shows: literals that survive formatters, Markdown and HTML."""

from collections.abc import Sequence

from hfkit.contract.view import Example, to_columns

SHORT = 100  # letters


def write_program(head: str, model: str, loaded: str | None, *lines: str, imports: Sequence[str] = ()) -> str:
    """A program that loads a model and its tokenizer with transformers alone, and asks it.

    Args:
        head: the class of the model.
        model: its name or folder.
        loaded: code that leaves a model in `model` and its tokenizer in `processor`; None: both are loaded by name.
        lines: what asks it.
        imports: that come before those of transformers.
    """
    by_name = [
        f"processor = AutoTokenizer.from_pretrained({literal(model)})",
        f"model = {head}.from_pretrained({literal(model)})",
    ]
    loading = by_name if loaded is None else [loaded]
    return "\n".join([*imports, f"from transformers import {head}, AutoTokenizer", "", *loading, *lines])


def literal(value: str) -> str:
    """Text as an ASCII Python literal."""
    written = ascii(value)
    # Code formatters prefer double quotes; with others a formatted card would differ from the rendered one.
    return written if '"' in written or "'" in written[1:-1] else f'"{written[1:-1]}"'


def plain_text(examples: Sequence[Example]) -> str:
    """The text of the first example that is short printable ASCII; "" if there is none."""
    for example in examples:
        text = " ".join(part for part in (example.before, to_columns(example.shown)["text"], example.after) if part)
        if text and len(text) <= SHORT and text.isascii() and text.isprintable():
            return text
    return ""
