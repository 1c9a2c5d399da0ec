"""Paths of pictures as people and tools write them, and the files of the dataset that they mean."""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, Image, Value

from hfkit.data.bad_rows import Fault
from hfkit.data.images.pictures import SUFFIXES, Refused
from hfkit.data.leftovers import root_of
from hfkit.data.notes import tell
from hfkit.data.split_names import split_of

DRIVE = re.compile(r"[A-Za-z]:(?=[\\/])")
WINDOWS = "written on Windows"
ELSEWHERE = "of another machine"
BELOW = "without their folder or with another suffix"
MOST_LISTED = 200_000  # entries below a folder, beyond which nothing is sought in it


class Reading(NamedTuple):
    """The file that a path means, and how the path was understood."""

    place: str  # absolute, links not resolved
    how: str = ""  # "" for a path that is right as it stands


def locate_images(
    rows: Dataset, roots: Sequence[Path], *, allow_outside: bool, split: str, column: str
) -> tuple[Dataset, list[Fault]]:
    """The rows with absolute paths of images that are not embedded, and a fault for each path that leads nowhere.

    Args:
        roots: the folders of the dataset; relative paths begin at the first.
    """
    if not has_files(rows):
        return rows, []
    finder = PathFinder(roots, allow_outside=allow_outside, split=split)
    moved = rows["image"][:]
    paths = [image and image["path"] if image is None or image["bytes"] is None else None for image in moved]
    readings, faults = read_paths(paths, finder, column)
    for row, reading in readings.items():
        moved[row] = {"bytes": None, "path": reading.place}
    tell_readings(split, paths, readings, roots[0])
    return image_rows(moved), faults


def move_paths(rows: Dataset, split: str, column: str, root: Path, beside: Path, *, allow_outside: bool) -> Dataset:
    """The rows with paths that begin at the folder of the dataset instead of at that of their own table.

    A path that leads nowhere stays as it is written.
    """
    paths = rows[column][:]
    if beside.resolve() == root.resolve() or not all(isinstance(path, str | None) for path in paths):
        return rows
    readings, _ = read_paths(paths, PathFinder([root], beside, allow_outside, split), column)
    tell_readings(split, paths, readings, root)
    moved = [
        os.path.relpath(readings[row].place, root.absolute()) if row in readings else path
        for row, path in enumerate(paths)
    ]
    return rows.remove_columns(column).add_column(column, moved, feature=Value("string"))


def read_paths(
    paths: Sequence[str | None], finder: "PathFinder", column: str
) -> tuple[dict[int, Reading], list[Fault]]:
    """The file of every row that has a path, and a fault for each path that leads nowhere."""
    readings: dict[int, Reading] = {}
    faults: list[Fault] = []
    for row, path in enumerate(paths):
        if path is not None:
            try:
                readings[row] = finder.find(path)
            except Refused as error:
                faults.append(Fault(row, column, f"path '{path}'", error.rule, error.fix))
    for row in find_collisions(paths, readings):
        rule, fix = (
            "paths that name different files lead to one file here",
            "Write the paths as they are in the dataset",
        )
        faults.append(Fault(row, column, f"path '{paths[row]}'", rule, fix))
        del readings[row]
    return readings, faults


def tell_readings(split: str, paths: Sequence[str | None], readings: Mapping[int, Reading], root: Path) -> None:
    """One line for each way in which paths were understood, with the first of them."""
    by_way: dict[str, list[int]] = defaultdict(list)
    for row, reading in readings.items():
        if reading.how:
            by_way[reading.how].append(row)
    for how, found in by_way.items():
        meant = os.path.relpath(readings[found[0]].place, root.absolute())
        tell(f"{split}: paths {how} are mended: {len(found):,}, such as '{paths[found[0]]}', read as '{meant}'")


def find_collisions(paths: Sequence[str | None], readings: Mapping[int, Reading]) -> list[int]:
    """The rows whose path was shortened to a file that another path means too."""
    by_place: dict[str, set[str | None]] = defaultdict(set)
    for row, reading in readings.items():
        by_place[reading.place].add(paths[row])
    return [
        row
        for row, found in readings.items()
        if found.how.startswith((ELSEWHERE, BELOW)) and len(by_place[found.place]) > 1
    ]


@dataclass
class PathFinder:
    """Finds the files that paths mean.

    Args:
        roots: the folders of the dataset; relative paths begin at the first.
        beside: the folder where they are sought first.
        split: of the rows: files in the folder of another split are not theirs.
    """

    roots: Sequence[Path]
    beside: Path | None = None
    allow_outside: bool = False
    split: str = ""
    listed: dict[Path, dict[str, list[str]]] = field(default_factory=dict)  # of each folder, names by their key

    @cached_property
    def bases(self) -> list[Path]:
        """The folders where relative paths begin, in the order in which they are tried."""
        return list(dict.fromkeys([*([self.beside] if self.beside else []), self.roots[0]]))

    @cached_property
    def homes(self) -> list[Path]:
        """The folders in which files may lie, links resolved."""
        return [root_of(root).resolve() for root in self.roots]

    def find(self, path: str) -> Reading:
        """The file of an image.

        A path that is wrong as it stands is tried as one of Windows, as the address of a file, with its percent signs
        decoded, in another case or Unicode form, without its suffix; one from the root of another machine by its end,
        and one that leaves out folders or has the suffix of another kind of picture by what it has, if exactly one file
        of the dataset fits.

        Raises:
            Refused: an address of the network, a place outside the dataset, or no file.
        """
        if "://" in path.replace("file://", "") or path.startswith("data:"):
            rule = "an image is a file or bytes, and nothing is fetched from an address"
            raise Refused(rule, "Download the image first")
        for base in self.bases:
            place, inside = self.look(base / path)
            if place and not (inside or self.allow_outside):
                raise lies_outside()
            if place:
                return Reading(place)
        if meant := self.find_meant(path):
            return meant
        raise Refused("there is no such file", "Mend the path or remove the row") if inside else lies_outside()

    def look(self, place: Path) -> tuple[str | None, bool]:
        """The file at a place, None if there is none; and whether the place lies in the dataset.

        Raises:
            Refused: it is no path.
        """
        try:
            real = place.resolve()
            return (str(place.absolute()) if real.is_file() else None), any(map(real.is_relative_to, self.homes))
        except (OSError, ValueError) as error:
            raise Refused("it is no path", "Mend or remove the row") from error

    def find_meant(self, path: str) -> Reading | None:
        """The file of the dataset that a path which is wrong as it stands means; None if there is none.

        Raises:
            Refused: there are several.
        """
        for plain, way in plain_paths(path):
            absolute = plain.startswith("/") or DRIVE.match(plain)
            parts = [part for part in DRIVE.sub("", plain).split("/") if part not in ("", ".")]
            if not parts or ".." in parts:
                continue
            if absolute:
                found = {place for start in range(len(parts)) for place in self.match_anywhere(parts[start:])}
                if len(found) > 1:
                    raise Refused("several files of the dataset fit the end of this path", "Write it from the dataset")
                if found:
                    return Reading(found.pop(), f"{ELSEWHERE}{' on Windows' if way == WINDOWS else ''}")
            elif found := self.match_anywhere(parts):
                return Reading(found[0], way or "in another writing")
            elif found := self.match_below(parts):
                return Reading(found, BELOW)
        return None

    def match_below(self, parts: Sequence[str]) -> str | None:
        """The only picture below the first base whose place ends like this, whatever its suffix; None if there is none.

        Raises:
            Refused: there are several.
        """
        *above, name = map(key_of, parts)
        stem, suffix = os.path.splitext(name)
        for key in dict.fromkeys((name, stem if suffix in SUFFIXES else name)):
            found = [
                place
                for place, folders in self.pictures_below.get(key, ())
                if list(folders[len(folders) - len(above) :]) == above and self.look(Path(place))[1]
            ]
            if len(found) > 1:
                raise Refused("several files of the dataset fit this path", "Write it from the folder of the dataset")
            if found:
                return found[0]
        return None

    @cached_property
    def pictures_below(self) -> dict[str, list[tuple[str, tuple[str, ...]]]]:
        """The pictures below the first base, by the keys of their names and stems: place, and keys of the folders.

        Not those in folders of other splits and in hidden ones; {} where there is too much to look through.
        """
        base, listed = self.bases[0].absolute(), 0
        found: dict[str, list[tuple[str, tuple[str, ...]]]] = defaultdict(list)
        if base == base.parent:
            return {}
        for folder, folders, files in os.walk(base):
            folders[:] = sorted(name for name in folders if not name.startswith((".", "__")) and self.may_hold(name))
            listed += len(folders) + len(files)
            if listed > MOST_LISTED:
                return {}
            above = tuple(map(key_of, Path(folder).relative_to(base).parts))
            for name in sorted(files):
                stem, suffix = os.path.splitext(key_of(name))
                if suffix in SUFFIXES and not name.startswith("."):
                    for key in {key_of(name), stem}:
                        found[key].append((os.path.join(folder, name), above))
        return dict(found)

    def may_hold(self, folder: str) -> bool:
        """Whether a folder of this name may hold files of the split."""
        return not self.split or split_of(folder) in (None, self.split)

    def match_anywhere(self, parts: Sequence[str]) -> list[str]:
        """The file of these names, in whatever writing, in the first base that has exactly one."""
        for base in self.bases:
            found = [place for place in self.match(base, parts) if self.look(Path(place))[1]]
            if len(found) == 1:
                return found
        return []

    def match(self, folder: Path, parts: Sequence[str]) -> list[str]:
        """The files below a folder whose names are these as they stand, or else in another case or Unicode form; of the
        last name the suffix may be missing.
        """
        name, rest = parts[0], parts[1:]
        if not rest:
            if (folder / name).is_file():
                return [str((folder / name).absolute())]
            alike = [folder / one for one in self.names_like(folder, name)]
            return [str(place.absolute()) for place in alike if place.is_file()]
        if (folder / name).is_dir():
            return self.match(folder / name, rest)
        return [
            place
            for one in self.names_like(folder, name)
            if (folder / one).is_dir()
            for place in self.match(folder / one, rest)
        ]

    def names_like(self, folder: Path, name: str) -> list[str]:
        """The names in a folder that equal this one but for case, Unicode form and the suffix of an image."""
        if folder not in self.listed:
            names: dict[str, list[str]] = defaultdict(list)
            for one in sorted(os.listdir(folder)) if folder.is_dir() else []:
                stem, suffix = os.path.splitext(one)
                for key in {key_of(one), key_of(stem) if suffix.lower() in SUFFIXES else key_of(one)}:
                    names[key].append(one)
            self.listed[folder] = names
        return self.listed[folder].get(key_of(name), [])


def key_of(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def lies_outside() -> Refused:
    return Refused(
        "the images of a dataset lie in its own folder, links resolved",
        "Copy the image there, or add --allow_outside_images if you trust whoever wrote the paths",
    )


def plain_paths(path: str) -> Iterator[tuple[str, str]]:
    """Readings of a path with `/` between its parts, and how it was understood."""
    plain, way = path.strip(), ""
    if plain.lower().startswith("file://"):
        plain, way = unquote(plain[len("file://") :]).removeprefix("localhost"), "written as addresses of files"
        plain = plain[1:] if DRIVE.match(plain[1:]) else plain
    if "\\" in plain or DRIVE.match(plain):
        plain, way = plain.replace("\\", "/"), WINDOWS
    yield plain, way
    if unquote(plain) != plain:
        yield unquote(plain), way or "written with percent signs"


def image_rows(images: list[dict | None]) -> Dataset:
    """Rows of `image` alone."""
    # Dataset.from_list would drop the bytes of a row whose path is also that of a file.
    table = pa.table({"image": pa.array(images, type=Image.pa_type)})
    return Dataset(table).cast_column("image", Image(decode=False))


def has_files(rows: Dataset) -> bool:
    """True if any image is a path and not embedded."""
    pieces = rows.data.column("image").chunks
    return any(pc.any(pc.and_(p.field("path").is_valid(), p.field("bytes").is_null())).as_py() for p in pieces)
