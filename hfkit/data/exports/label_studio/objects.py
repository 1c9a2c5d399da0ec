"""The text or the picture that the questions of Label Studio are about, among the data of a task."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree

from hfkit.data.exports.label_studio.results import Control, Tally
from hfkit.data.notes import tell

PICTURES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".heic", ".svg")
SEEN = ("boxes", "polygons", "mask")  # kinds of answers that only pictures have


class Config(NamedTuple):
    """The contents of the labelling configuration, if there is one beside the export."""

    values: dict[str, str]  # the name of an object -> the key of its data
    several: dict[str, bool]  # the name of a question with choices -> whether more than one may be chosen


def read_config(folder: Path) -> Config:
    """The configuration in the only XML file of a folder that is one."""
    found = [config for path in sorted(folder.glob("*.xml")) if (config := parse_config(path)) is not None]
    return found[0] if len(found) == 1 else Config({}, {})


def parse_config(path: Path) -> Config | None:
    """The contents of a configuration; None if the file is none."""
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError, ValueError):
        return None
    if root.tag != "View":
        return None
    named = [tag for tag in root.iter() if tag.get("name")]
    values = {tag.get("name"): tag.get("value")[1:] for tag in named if str(tag.get("value")).startswith("$")}
    several = {tag.get("name"): tag.get("choice") == "multiple" for tag in named if tag.tag == "Choices"}
    return Config(values, {name: True for name, many in several.items() if many})


@dataclass
class Objects:
    """The data that the questions are about."""

    keys: dict[str, str]  # the name of an object -> the key of its data
    of_control: Mapping[Control, str]  # a question -> the name of its object
    text: str | None = None  # the key of the only text that is asked about
    image: str | None = None  # the same of the only picture
    html: set[str] = field(default_factory=set)  # keys of texts that are HTML

    def key_of(self, control: Control) -> str | None:
        return self.keys.get(self.of_control[control])

    @classmethod
    def find(
        cls, names: Collection[str], rows: Sequence[Mapping[str, Any]], tally: Tally, values: Mapping[str, str]
    ) -> "Objects":
        """By the results themselves, the configuration, a key of the same name, or the only key that it can be.

        Args:
            rows: some of the data, by which texts and pictures are told apart.
            values: those of the configuration.
        """
        texts = [name for name in names if is_text(name, rows)]
        pictures = [name for name in names if any(looks_like_picture(row.get(name)) for row in rows)]
        keys: dict[str, str] = {}
        for control, about in tally.objects.items():
            candidates = pictures if control.kind in SEEN else texts if control.kind == "spans" else texts + pictures
            known = [tally.sources.get(about), values.get(about), about]
            only = candidates[0] if len(candidates) == 1 else None
            if key := next((key for key in known if key in names), only):
                keys[about] = key
        found = cls(keys, tally.objects)
        seen = {keys[about] for control, about in tally.objects.items() if control.kind in SEEN and about in keys}
        of_picture = seen | {key for key in keys.values() if key in pictures}
        of_text = {key for key in keys.values() if key in texts} - of_picture
        found.text = of_text.pop() if len(of_text) == 1 else None
        found.image = of_picture.pop() if len(of_picture) == 1 else None
        return found


def is_text(name: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a key holds texts, and no addresses."""
    values = [row[name] for row in rows if row.get(name) is not None]
    strings = bool(values) and all(isinstance(value, str) for value in values)
    return name != "id" and strings and not all(is_address(value) for value in values)


def is_address(value: str) -> bool:
    return looks_like_picture(value) or re.match(r"(\w+://|/data/)\S+$", value) is not None


def looks_like_picture(value: Any) -> bool:
    """Whether a value is the path or address of a picture."""
    return isinstance(value, str) and len(value) < 2000 and tail_of(value).suffix.lower() in PICTURES


def tail_of(address: str) -> PurePosixPath:
    """The path within an address: of `/data/local-files/?d=a/b.png` it is a/b.png."""
    if "\n" in address:
        return PurePosixPath()
    try:
        parts = urlsplit(address.replace("\\", "/"))
    except ValueError:
        return PurePosixPath()
    inner = parse_qs(parts.query).get("d") if parts.path.rstrip("/").endswith("local-files") else None
    return PurePosixPath(unquote(inner[0] if inner else parts.path).lstrip("/"))


def find_pictures(addresses: list[Any], folder: Path) -> list[Any]:
    """Paths below the folder for addresses of a server's files, by the longest end of their path that lies there.

    Label Studio puts eight digits before the name of an uploaded file: without them it is found too. Others stay as
    they are.
    """
    here: dict[str, list[PurePosixPath]] = {}
    for path in folder.rglob("*"):
        if path.suffix.lower() in PICTURES and path.is_file():
            inside = PurePosixPath(path.relative_to(folder).as_posix())
            here.setdefault(inside.name, []).append(inside)
    found, places, moved = 0, [], 0
    for address in addresses:
        place = find_picture(tail_of(address), here) if looks_like_picture(address) else None
        found += place is not None
        moved += place is not None and str(place) != address
        places.append(address if place is None else str(place))
    if moved:
        tell(f"pictures: {found:,} of {len(addresses):,} addresses of Label Studio lie below {folder.name}")
    return places


def find_picture(tail: PurePosixPath, here: Mapping[str, list[PurePosixPath]]) -> PurePosixPath | None:
    """The file with the longest end of the path; None if there is none, or several are alike."""
    for name in dict.fromkeys((tail.name, re.sub(r"^[0-9a-f]{8}-", "", tail.name))):
        wanted = (*tail.parts[:-1], name)
        ranked = [(shared_end(wanted, path.parts), path) for path in here.get(name, [])]
        best = max((count for count, _ in ranked), default=0)
        longest = [path for count, path in ranked if count == best]
        if len(longest) == 1:
            return longest[0]
    return None


def shared_end(one: Sequence[str], other: Sequence[str]) -> int:
    """How many last parts two paths share."""
    pairs = list(zip(reversed(one), reversed(other), strict=False))
    return next((i for i, (a, b) in enumerate(pairs) if a != b), len(pairs))
