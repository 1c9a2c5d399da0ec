"""Paths of this machine in what is published: a folder goes by its name, and what lies above it is nobody's business.

The run's own folder keeps them, since whoever repeats the run there needs them.
"""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from hfkit.errors import UserError

# Absolute, below a home, above the working folder, or with a drive of Windows; an address on the web is none.
PLACE = re.compile(r"(?:/|~[\w.-]*/|\.\./|[A-Za-z]:[\\/])[^\n\0]*")
# Keys of a saved configuration that may hold one.
NAMED = re.compile(r"(?:name_or_path|_(?:file|dir|path))$")


def without_places(report: dict[str, Any]) -> dict[str, Any]:
    """A report without the folders above what its settings and its command name; the very same one without any."""
    shown = shown_places(report)
    if not shown:
        return report
    # Word by word, since a shell's quotes may stand inside of a path.
    command = shlex.join([replaced(word, shown) for word in _words(report["command"])])
    return {**_replaced(report, shown), "command": command}


def settings_without_places(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings without the folders above what they name."""
    return _replaced(settings, _shown({value for value in _texts(settings) if _is_place(value)}))


def shown_places(report: dict[str, Any]) -> dict[str, str]:
    """The paths of a report, the longest first, and what each is shown as."""
    found = {value for value in _texts(report["settings"]) if _is_place(value)}
    found |= {part for word in _words(report["command"]) for part in (word, word.partition("=")[2]) if _is_place(part)}
    if _is_place(report["task"]["dataset"]):
        found.add(report["task"]["dataset"])
    return _shown(found)


def name_of(place: str) -> str:
    """The last part of a path; nothing for a root. The home folder's is the user's own name, and stays out."""
    if place.rstrip("/") == str(Path.home()):
        return "~"
    parts = (PureWindowsPath if re.match(r"[A-Za-z]:", place) else PurePosixPath)(place).parts
    return parts[-1] if len(parts) > 1 and parts[-1] != ".." else ""


def replaced(text: str, shown: dict[str, str]) -> str:
    """A text with every path as it is shown."""
    for place, name in shown.items():
        # Not the end of a longer path or of an address, nor the beginning of a longer name.
        text = re.sub(rf"(?<![\w./~:-]){re.escape(place.rstrip('/'))}/?(?![\w-]|\.\w)", lambda _, name=name: name, text)
    return text


def name_places(config: Path, base: str | None = None) -> None:
    """Take the folders out of a saved configuration, in place.

    Args:
        base: what the base of an adapter is called, where its folder is named.

    Raises:
        UserError: it is no JSON.
    """
    try:
        settings = json.loads(config.read_text(encoding="utf-8"))
        if not isinstance(settings, dict):
            raise ValueError
    except ValueError as error:
        rule = "it is no configuration in JSON, so the model could not be loaded"
        raise UserError(f"'{config.name}'", rule, "Save the model again with `save_pretrained`") from error
    found = {
        key: (base if key == "base_model_name_or_path" and base else name_of(value)) or Path(value).name
        for key, value in settings.items()
        if NAMED.search(key) and isinstance(value, str) and (_is_place(value) or base and Path(value).is_dir())
    }
    if found := {key: name for key, name in found.items() if name and name != settings[key]}:
        config.write_text(json.dumps(settings | found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _shown(places: set[str]) -> dict[str, str]:
    return {place: name for place in sorted(places, key=len, reverse=True) if (name := name_of(place))}


def _is_place(value: str) -> bool:
    return bool(PLACE.fullmatch(value))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def _replaced(value: Any, shown: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(item, shown) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, shown) for item in value]
    return replaced(value, shown) if isinstance(value, str) and not value.startswith("data:image/") else value
