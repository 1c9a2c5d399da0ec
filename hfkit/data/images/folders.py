"""Pictures in class folders: which folders are splits, which are classes, and the pictures of each.

All pictures are found by one walk, and everything else is read from their paths, so that training, evaluation,
prediction and the doctor see the same pictures.
"""

import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from datasets import Dataset, DatasetDict, Value

from hfkit.data.images.paths import image_rows
from hfkit.data.images.pictures import SUFFIXES
from hfkit.data.labels import normalise_label
from hfkit.data.leftovers import describe_leftovers, list_folder, refuse_link, walk
from hfkit.data.notes import tell
from hfkit.data.split_names import SPLITS, split_of
from hfkit.errors import DataError, UserError

Parts = tuple[str, ...]  # the names of the folders above a file, and its own, below a folder


@dataclass(frozen=True)
class Found:
    """The files below a folder, by what they are."""

    folder: Path
    pictures: list[Path]
    others: list[Path] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    outside: list[Path] = field(default_factory=list)  # links to folders outside, which are not followed

    def parts(self) -> dict[Parts, Path]:
        """The pictures by the names below the folder."""
        return {path.relative_to(self.folder).parts: path for path in self.pictures}


class Classed(NamedTuple):
    """A picture, and the folder that names its class."""

    path: Path
    label: str | None  # None: it lies in no class folder
    deeper: bool = False  # there are folders between


class Split(NamedTuple):
    """The pictures of a split, and the folder that holds its class folders."""

    rows: list[Classed]
    home: Path | None  # None: there is no such folder


class Division(NamedTuple):
    """The pictures of every split, and whether folders say which split they are of."""

    splits: dict[str, Split]
    divided: bool


def find_pictures(folder: Path, *, allow_outside: bool = False) -> Found:
    """The pictures below a folder. A link to a picture outside is one of them: whoever reads it says whether it may.

    Raises:
        UserError: a folder cannot be read.
    """
    found = walk(folder, allow_outside=allow_outside)
    folders = [path for path in found.outside if path.is_dir()]
    # Sorted like the others: by where they stand.
    files = sorted({*found.files, *found.outside} - {*folders}, key=lambda path: sort_key(path, folder))
    pictures = [path for path in files if is_picture(path)]
    return Found(folder, pictures, [path for path in files if not is_picture(path)], found.skipped, folders)


def is_picture(path: Path) -> bool:
    """Whether a file is a picture by its name; a DICOM often has no suffix, and is known by its first bytes."""
    if path.suffix:
        return path.name.lower().endswith(tuple(SUFFIXES))
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def sort_key(path: Path, folder: Path) -> list[tuple[str, str]]:
    return [(unicodedata.normalize("NFC", name), name) for name in path.relative_to(folder).parts]


# Which folders are splits, and which are classes


def divide(found: Found, wanted: str | None = None) -> Division:
    """The pictures of every split, with the classes that their folders name; no split if no folder names a class.

    Splits are folders of class folders (`train/cat/1.jpg`), or each class folder is divided (`cat/train/1.jpg`);
    otherwise all pictures are of train. Of nested folders the first one names the class. One folder around all of it
    does not count.

    Args:
        wanted: the name of a folder that is to be the only split, whatever it is called.

    Raises:
        UserError: two folders may be the same split, or a folder may be a split and a class.
    """
    parts = found.parts()
    around = leave_wrapper(parts)
    inner = {names[around:]: path for names, path in parts.items()}
    home = found.folder.joinpath(*next(iter(parts), ())[:around])
    folders = {names[0] for names in inner if len(names) > 1}
    holders = {names[0] for names in inner if len(names) > 2}  # of folders
    if wanted in folders:
        return Division({wanted: take_folder(home, wanted, inner)}, divided=True)
    if any(map(split_of_folder, holders)):
        chosen = choose_folders(found.folder, folders, inner)
        return Division({split: take_folder(home, name, inner) for split, name in chosen.items()}, divided=True)
    if folders and folders == holders and all(len(names) < 3 or split_of_folder(names[1]) for names in inner):
        return Division(divide_classes(home, inner), divided=True)
    if not folders or all(map(split_of_folder, folders)):
        return Division({}, divided=False)
    return Division({"train": Split([classify(names, path) for names, path in inner.items()], home)}, divided=False)


def split_of_folder(name: str) -> str | None:
    """The split that a folder's name means; a name of several words, such as 'train station', is that of a class."""
    return None if " " in name.strip() else split_of(name)


def take_folder(home: Path, name: str, inner: Mapping[Parts, Path]) -> Split:
    """The pictures below one folder, in the class folders there, or in those of a folder of the same name within."""
    names = {of_file[1:]: path for of_file, path in inner.items() if of_file[0] == name}
    place = home / name
    while len(tops := {of_file[0] for of_file in names}) == 1 and all(len(of_file) > 2 for of_file in names):
        only = next(iter(tops))
        if only != name and split_of_folder(only) is None:
            break
        names, place = {of_file[1:]: path for of_file, path in names.items()}, place / only
    return Split([classify(of_file, path) for of_file, path in names.items()], place)


def divide_classes(home: Path, inner: Mapping[Parts, Path]) -> dict[str, Split]:
    """The splits of class folders that are divided each."""
    rows: dict[str, list[Classed]] = defaultdict(list)
    for names, path in inner.items():
        if len(names) > 2:
            rows[split_of_folder(names[1]) or ""].append(Classed(path, names[0], len(names) > 3))
    tell(f"{home.name}: each class folder holds a folder for every split")
    return {split: Split(rows[split], home if split == "train" else None) for split in SPLITS if split in rows}


def leave_wrapper(parts: Iterable[Parts]) -> int:
    """The number of folders around all pictures that name neither a split nor a class."""
    above = [names[:-1] for names in parts]
    shared = os.path.commonprefix(above) if above else ()
    around = next((place for place, name in enumerate(shared) if split_of_folder(name)), len(shared))
    # Pictures that lie in the innermost of them are of its class.
    return around if all(len(names) > around for names in above) else 0


def choose_folders(folder: Path, folders: Iterable[str], inner: Mapping[Parts, Path]) -> dict[str, str]:
    """The folder of every split.

    Raises:
        UserError: two folders may be the same split, or the only one may be a class.
    """
    meant = {name: split for name in sorted(folders) if (split := split_of_folder(name))}
    others = sorted(set(folders) - set(meant))
    if others and set(meant.values()) == {"train"}:
        raise UserError(
            f"folder '{folder / next(iter(meant))}'",
            f"it may be a split or a class, with {', '.join(others)} beside it",
            "Put the folder of every class into a folder 'train', or move the others away",
        )
    chosen: dict[str, str] = {}
    for split in SPLITS:
        names = [name for name in meant if meant[name] == split]
        exact = [name for name in names if name.lower() in SPLITS[split]]
        own = next((name for name in names if name.lower() == split), None)
        if len(exact or names) > 1 and own is None:
            raise UserError(
                f"dataset '{folder}'",
                f"{' and '.join(repr(name) for name in exact or names)} may each be the split '{split}'",
                f"Name the right one {split}, or keep the others in another folder",
            )
        if names:
            chosen[split] = own or (exact or names)[0]
    if unread := sorted(set(folders) - set(chosen.values())):
        count = sum(names[0] in unread for names in inner)
        tell(f"{folder.name}: pictures beside the splits are left out: {count:,} in {', '.join(unread)}")
    return chosen


def classify(names: Parts, path: Path) -> Classed:
    return Classed(path, names[0] if len(names) > 1 else None, len(names) > 2)


# Rows


def read_class_folders(found: Found, splits: Mapping[str, Split], on_bad_row: str) -> DatasetDict:
    """Rows of `image` and `label`, the name of the class folder in one Unicode form; null in a split without any.

    Raises:
        DataError: a class folder without an image, or an image outside of every class folder, and they are not skipped.
        UserError: a link leads out of the dataset.
    """
    name = found.folder.name
    if found.outside and on_bad_row == "error":
        raise refuse_link(found.outside[0])
    for link in found.outside:
        tell(f"{name}: the link {link.relative_to(found.folder)} leads out of the dataset and is not followed")
    tell_deeper(found, splits)
    return DatasetDict({split: make_rows(split, found, of_split, on_bad_row) for split, of_split in splits.items()})


def tell_left_out(found: Found, read: Iterable[Path] = ()) -> None:
    """Tell which files the walk has seen and are not read, in a line for each kind.

    Args:
        read: files that are no pictures and are read.
    """
    if leftovers := describe_leftovers(found.skipped):
        tell(f"{found.folder.name}: {leftovers}")
    others = Counter(path.suffix.lower() or "without suffix" for path in set(found.others) - set(read))
    if others:
        listed = ", ".join(f"{count:,} {suffix}" for suffix, count in sorted(others.items()))
        tell(f"{found.folder.name}: files that are no pictures by their suffix are left out: {listed}")


def tell_deeper(found: Found, splits: Mapping[str, Split]) -> None:
    deeper = [one.path for split in splits.values() for one in split.rows if one.deeper]
    if deeper:
        shown = deeper[0].relative_to(found.folder)
        total = sum(len(split.rows) for split in splits.values())
        tell(
            f"{found.folder.name}: of nested folders the first names the class: {len(deeper):,} of {total:,} pictures"
            f" lie deeper, such as '{shown}'"
        )


def make_rows(split: str, found: Found, of_split: Split, on_bad_row: str) -> Dataset:
    rows = of_split.rows
    refuse_empty_classes(split, found, of_split, on_bad_row)
    stray = [one.path for one in rows if one.label is None]
    if len(stray) < len(rows):
        rows = [one for one in rows if one.label is not None]
        if stray and on_bad_row == "error":
            raise DataError(
                f"file '{stray[0].name}'",
                "an image lies in the folder of its class, and this one lies beside them",
                "Move it into a class folder, or leave such images out with --on_bad_row skip",
                split=split,
            )
        if stray:
            tell(f"{split}: images beside the class folders are left out: {len(stray):,}, such as '{stray[0].name}'")
    forms: dict[str, set[str]] = defaultdict(set)
    for one in rows:
        if one.label is not None:
            forms[normalise_label(one.label)].add(one.label)
    for label, written in forms.items():
        if len(written) > 1:
            tell(f"{split}: {len(written)} folders are one class, '{label}', written in other Unicode forms or blanks")
    labels = [one.label and normalise_label(one.label) for one in rows]
    images = image_rows([{"bytes": None, "path": os.path.abspath(one.path)} for one in rows])
    return images.add_column("label", labels, feature=Value("string"))


def refuse_empty_classes(split: str, found: Found, of_split: Split, on_bad_row: str) -> None:
    """Refuse class folders without an image, or say that they are left out.

    Raises:
        DataError: there is one, and it is not to be skipped.
    """
    known = {one.label for one in of_split.rows}
    if of_split.home is None or known == {None}:
        return
    for folder in list_folder(of_split.home):
        if not folder.is_dir() or folder.name in known or folder in found.outside:
            continue
        if on_bad_row == "error":
            raise DataError(
                f"class folder '{folder.name}'",
                "it holds no image",
                f"Remove it, or put images into it ({', '.join(sorted(SUFFIXES))})",
                split=split,
            )
        tell(f"{split}: class folder '{folder.name}' holds no image and is left out")
