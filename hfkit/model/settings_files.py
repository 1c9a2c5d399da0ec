"""The files of a checkpoint's folder, looked at before any library reads them.

Refused are files that are no files, settings that are no object or of other kinds than every architecture has, and
those whose reading, or building what they say, would not end.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hfkit.errors import UserError
from hfkit.runtime.files import name_kind, read_object, require_file

FIX = "Use a checkpoint from a source you trust, or save it again"
CONFIG = "config.json"
OBJECTS = (
    *(CONFIG, "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "preprocessor_config.json"),
    *("processor_config.json", "generation_config.json"),
)
FILES = (
    *("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt", "merges.txt"),
    *("chat_template.jinja", "chat_template.json", "model.safetensors", "model.safetensors.index.json"),
    *("pytorch_model.bin", "pytorch_model.bin.index.json"),
)
MOST_BYTES = 20_000_000
MOST_LAYERS = 10_000  # the deepest models have hundreds
MOST_LABELS = 10_000_000  # a name is made for each
# The kinds of settings that are read here and by transformers before any architecture checks its own.
SHAPES: dict[str, type] = {
    "model_type": str,
    "architectures": list,
    "auto_map": dict,
    "id2label": dict,
    "label2id": dict,
    "num_labels": int,
    "quantization_config": dict,
    "text_config": dict,
    "transformers_weights": str,
    "dtype": str,
    "torch_dtype": str,
    "hfkit_task": str,
}


def refuse_odd_settings(place: str, named: str) -> None:
    """Refuse a local checkpoint with files that no program wrote.

    Args:
        place: a folder, or a Hub id, whose files are not looked at.

    Raises:
        UserError: naming the file.
    """
    for name in FILES:
        if os.path.lexists(os.path.join(place, name)):
            require_file(Path(place, name), f"{named}: {name}", FIX)
    for name in OBJECTS:
        if os.path.lexists(os.path.join(place, name)):
            refuse_odd_object(Path(place, name), f"{named}: {name}")


def refuse_odd_object(file: Path, named: str) -> None:
    """Refuse settings that are no object, or have values that cannot be meant.

    Raises:
        UserError: naming the file, and the value where it is one of them.
    """
    content = read_object(file, named, FIX, MOST_BYTES)
    rule = None
    if max(layers_in(content), default=0) > MOST_LAYERS:
        rule = f"a model has at most {MOST_LAYERS:,} layers, and it says more"
    elif file.name == CONFIG:
        rule = find_odd_value(content)
    if rule is not None:
        raise UserError(named, rule, FIX)


def find_odd_value(config: dict[str, Any]) -> str | None:
    """The rule that the first of a configuration's values breaks; None if none does."""
    for name, kind in SHAPES.items():
        value = config.get(name)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            return f"'{name}' is {name_kind(kind())}, and here it is {name_kind(value)}"
    if not 0 <= (config.get("num_labels") or 0) <= MOST_LABELS:
        return f"'num_labels' is at most {MOST_LABELS:,} and not negative"
    return None


def layers_in(settings: Any) -> Iterator[int]:
    """The numbers of layers that settings name, however deep they are nested."""
    if isinstance(settings, dict):
        for name, value in settings.items():
            if isinstance(value, int) and "layer" in name:
                yield value
            yield from layers_in(value)
    elif isinstance(settings, list):
        for value in settings:
            yield from layers_in(value)
