"""Palettes: the colours that stand for classes in masks that are drawn in colour."""

import re
from typing import NamedTuple

from hfkit.errors import UserError
from hfkit.runtime.files import expand_home

Colour = tuple[int, int, int]
LINE = re.compile(r"^(?P<name>[^:=#]+?)\s*[:=]\s*(?P<red>\d+)\s*,\s*(?P<green>\d+)\s*,\s*(?P<blue>\d+)\s*(?::.*)?$")


class Palette(NamedTuple):
    """The colours that stand for classes in masks in RGB, each with a name; the number of a class is its place."""

    names: tuple[str, ...]
    colours: tuple[Colour, ...]


def read_palette(given: str) -> Palette:
    """A palette, from a file or as it is written: lines, or parts between semicolons, of NAME:R,G,B.

    Lines that begin with # are left out, and so is what follows another colon, as in the labelmap.txt of CVAT.

    Raises:
        UserError: it is none.
    """
    place = expand_home(given)
    text = place.read_text(encoding="utf-8-sig") if "," not in given and place.is_file() else given.replace(";", "\n")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
    found = [LINE.match(line) for line in lines]
    if not found or not all(found):
        wrong = next((line for line, match in zip(lines, found, strict=True) if not match), given)
        raise UserError(
            f"palette '{wrong:.80}'",
            "it names colours, as in 'sky:0,0,255; tree:0,128,0', or a file has such a line for each",
            "Write them like this with --palette",
        )
    names = tuple(match["name"].strip() for match in found)
    colours = tuple(tuple(int(match[part]) for part in ("red", "green", "blue")) for match in found)
    for kind, values in (("name", names), ("colour", colours)):
        if len(set(values)) < len(values):
            twice = next(value for value in values if values.count(value) > 1)
            raise UserError(f"palette with {twice!r} twice", f"every {kind} stands for one class", "Remove one of them")
    return Palette(names, colours)
