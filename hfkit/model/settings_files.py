"""The settings beside a checkpoint's weights, refused where reading them, or building what they say, would not end."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hfkit.errors import UserError, first_line

FILES = ("config.json", "tokenizer_config.json", "special_tokens_map.json", "preprocessor_config.json")
MOST_BYTES = 20_000_000
MOST_LAYERS = 10_000  # the deepest models have hundreds


def refuse_odd_settings(place: str, named: str) -> None:
    """Refuse a local checkpoint whose settings are no object, too large, nested too deep, or of too many layers.

    Args:
        place: a folder, or a Hub id, whose files are not looked at.

    Raises:
        UserError: naming the file.
    """
    for file in (Path(place, name) for name in FILES):
        if not file.is_file():
            continue
        rule = None
        if file.stat().st_size > MOST_BYTES:
            rule = f"settings take at most {MOST_BYTES:,} bytes, and these {file.stat().st_size:,}"
        else:
            try:
                content = json.loads(file.read_text(encoding="utf-8"))
                deepest = max(layers_in(content), default=0)
            except RecursionError:
                rule = "it is nested too deep"
            except (OSError, ValueError) as error:
                rule = f"it cannot be read ({first_line(error)})"
            else:
                if not isinstance(content, dict):
                    rule = f"it holds an object, and this is {type(content).__name__}"
                elif deepest > MOST_LAYERS:
                    rule = f"a model has at most {MOST_LAYERS:,} layers, and it says more"
        if rule:
            raise UserError(f"{named}: {file.name}", rule, "Use a checkpoint from a source you trust, or save it again")


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
