"""Files of annotations in COCO's layout, for tasks that read boxes and for those that read regions."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hfkit.errors import UserError, first_line

PARTS = ("images", "annotations", "categories")
GLIMPSE = 2**16  # bytes by which a file is known


class Coco(NamedTuple):
    """A file of annotations."""

    path: Path
    images: list[Mapping[str, Any]]
    annotations: list[Mapping[str, Any]]
    categories: dict[Any, str]  # the name of each by its id


def open_coco(path: Path, wanted: str) -> Coco | None:
    """The annotations in a file; None if it holds something else.

    Args:
        wanted: the entry of annotations that matters; a file with annotations, none of which has it, is something else.

    Raises:
        UserError: it is broken, or a category has no id or no name.
    """
    with path.open("rb") as file:
        head = file.read(GLIMPSE)
    if not any(f'"{part}"'.encode() in head for part in PARTS):
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise UserError(f"file '{path}'", f"it is no JSON ({first_line(error)})", "Export it again") from error
    if not isinstance(content, dict) or not all(isinstance(content.get(part), list) for part in PARTS):
        return None
    images, annotations, categories = (content[part] for part in PARTS)
    if annotations and not any(isinstance(one, dict) and one.get(wanted) for one in annotations):
        return None
    for one in categories:
        if not isinstance(one, dict) or "id" not in one or "name" not in one:
            raise UserError(f"category {one!r} in '{path.name}'", "every category has an id and a name", "Add them")
    return Coco(path, images, annotations, {one["id"]: str(one["name"]) for one in categories})
