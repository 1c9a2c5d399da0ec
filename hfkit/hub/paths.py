"""Paths of this machine in published files: only the last part of a path is shown, since what lies above is private.

The run's own folder keeps the whole paths, which are needed to repeat the run there.
"""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from hfkit.errors import UserError
from hfkit.runtime.files import read_object

# Absolute, below a home, above the working folder, or with a drive of Windows; not an address on the web.
PATH = re.compile(r"(?:/|~[\w.-]*/|\.\./|[A-Za-z]:[\\/])[^\n\0]*")
# Keys of a saved configuration that may hold a path.
PATH_KEY = re.compile(r"(?:name_or_path|_(?:file|dir|path))$")


def hide_folders(report: dict[str, Any]) -> dict[str, Any]:
    """A report with only the last part of every path that its settings and command name; itself if they name none."""
    names = find_paths(report)
    if not names:
        return report
    # Word by word, since the quotes of a shell may stand inside a path.
    command = shlex.join([shorten_paths(word, names) for word in _words(report["command"])])
    return {**_shorten_all(report, names), "command": command}


def hide_folders_of_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings with only the last part of every path."""
    return _shorten_all(settings, _last_parts({value for value in _texts(settings) if _is_path(value)}))


def find_paths(report: dict[str, Any]) -> dict[str, str]:
    """The paths that a report's settings and command name, the longest first, each with its last part."""
    paths = {value for value in _texts(report["settings"]) if _is_path(value)}
    paths |= {part for word in _words(report["command"]) for part in (word, word.partition("=")[2]) if _is_path(part)}
    if _is_path(report["task"]["dataset"]):
        paths.add(report["task"]["dataset"])
    return _last_parts(paths)


def last_part(path: str) -> str:
    """The last part of a path; "" for a root, and `~` for the home folder, which is called after the user."""
    if path.rstrip("/") == str(Path.home()):
        return "~"
    parts = (PureWindowsPath if re.match(r"[A-Za-z]:", path) else PurePosixPath)(path).parts
    return parts[-1] if len(parts) > 1 and parts[-1] != ".." else ""


def shorten_paths(text: str, names: dict[str, str]) -> str:
    """A text with the name in place of every path."""
    for path, name in names.items():
        # Not the end of a longer path or of an address, nor the beginning of a longer name.
        text = re.sub(rf"(?<![\w./~:-]){re.escape(path.rstrip('/'))}/?(?![\w-]|\.\w)", lambda _, name=name: name, text)
    return text


def shorten_paths_in_config(config: Path, base: str | None = None) -> None:
    """Take the folders out of a saved configuration, in place.

    Args:
        base: the name of an adapter's base, if the configuration names its folder.

    Raises:
        UserError: it is no JSON.
    """
    try:
        settings = read_object(config, f"'{config.name}'", "Save the model again with `save_pretrained`")
    except ValueError as error:
        rule = "it is no configuration in JSON, so the model could not be loaded"
        raise UserError(f"'{config.name}'", rule, "Save the model again with `save_pretrained`") from error
    names = {
        key: (base if key == "base_model_name_or_path" and base else last_part(value)) or Path(value).name
        for key, value in settings.items()
        if PATH_KEY.search(key) and isinstance(value, str) and (_is_path(value) or base and Path(value).is_dir())
    }
    if changed := {key: name for key, name in names.items() if name and name != settings[key]}:
        config.write_text(json.dumps(settings | changed, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _last_parts(paths: set[str]) -> dict[str, str]:
    return {path: name for path in sorted(paths, key=len, reverse=True) if (name := last_part(path))}


def _is_path(value: str) -> bool:
    return bool(PATH.fullmatch(value))


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


def _shorten_all(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _shorten_all(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_shorten_all(item, names) for item in value]
    return shorten_paths(value, names) if isinstance(value, str) and not value.startswith("data:image/") else value
