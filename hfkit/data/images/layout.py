"""How a folder of pictures is laid out: metadata beside the pictures, class folders, or tables that name files."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from datasets import Dataset, DatasetDict, Value

from hfkit.data.files import READERS, TABLES, find_files, find_one_split, unclear_split
from hfkit.data.images.folders import Found, divide, find_pictures, read_class_folders, tell_left_out
from hfkit.data.images.paths import move_paths
from hfkit.data.images.tables import (
    FILE_NAME,
    find_metadata,
    has_table_of_pictures,
    has_table_with_answers,
    read_metadata,
)
from hfkit.data.notes import tell
from hfkit.data.source import Source
from hfkit.data.split_names import SPLITS, split_of


class PictureRows(NamedTuple):
    """The rows that a folder of pictures holds."""

    splits: DatasetDict
    image_column: str
    by_folder: bool  # their labels are the names of folders


def read_pictures(
    source: Source,
    folder: Path,
    *,
    only: tuple[str | None] | None,
    has_answers: Callable[[Sequence[str]], bool],
    named: bool,
    on_bad_row: str,
    allow_outside: bool,
) -> PictureRows | None:
    """The rows of metadata or class folders; None if the folder has neither, or other tables name its pictures.

    Args:
        only: the name of the only split to read, as test; (None,) takes the one called test, or all that is undivided.
        has_answers: whether a table of these columns has answers: without them it is no dataset.
        named: the user names columns, so that answers stand in a table.

    Raises:
        UserError: a split is missing, two folders may be the same split, or a link leads out of the dataset.
        DataError: a class folder without an image, or an image outside of every class folder, and they are not skipped.
    """
    found = find_pictures(folder, allow_outside=allow_outside)
    if not found.pictures:
        return None
    rows = read_answered_metadata(source, found, has_answers, allow_outside)
    if rows is not None:
        tell_left_out(found, [path for paths in find_metadata(found).values() for path in paths])
        return PictureRows(rows if only is None else take_one(rows, only[0]), FILE_NAME, by_folder=False)
    splits, divided = divide(found, None if only is None else only[0])
    classes = {one.label for split in splits.values() for one in split.rows}
    if not splits:
        return None
    if not divided and (named or has_table_of_pictures(found, classes=len(classes), has_answers=has_answers)):
        return None
    # train/images and train/labels.csv: folders that name no classes.
    if divided and len(classes) < 2 and has_table_with_answers(found, has_answers, deep=True):
        return None
    # train_images/part 1 and train.csv: the only split is a folder for all pictures.
    if divided and list(splits) == ["train"] and has_table_with_answers(found, has_answers, deep=False):
        return None
    if only is not None:
        name = choose_split(list(splits), only[0], divided=divided)
        splits = {"test": splits[name]}
    tell_left_out(found)
    return PictureRows(read_class_folders(found, splits, on_bad_row), "image", by_folder=True)


def read_answered_metadata(
    source: Source, found: Found, has_answers: Callable[[Sequence[str]], bool], allow_outside: bool
) -> DatasetDict | None:
    """The rows of metadata with answers; None if there are none, which is told if there are others."""
    files = find_metadata(found)
    if not files:
        return None
    tables: dict[Path, Dataset] = {}
    for paths in files.values():
        for path in paths:
            tables[path] = READERS[TABLES[path.suffix.lower()]]("metadata", [path], source)
    if not any(has_answers(rows.column_names) for rows in tables.values()):
        columns = ", ".join(next(iter(tables.values())).column_names)
        tell(f"{found.folder.name}: metadata without answers is not read (columns {columns})")
        return None
    return read_metadata(found, files, tables, allow_outside=allow_outside)


def choose_split(names: Sequence[str], wanted: str | None, *, divided: bool) -> str:
    """The split that is wanted; without a name test, or the only one of a dataset that is not divided.

    Raises:
        UserError: there is none.
    """
    if not divided and wanted is None:
        return names[0]
    meant = "test" if wanted is None else wanted if wanted in names else split_of(wanted)
    if not divided or meant not in names:
        raise unclear_split(wanted, list(names))
    return meant


def take_one(rows: DatasetDict, wanted: str | None) -> DatasetDict:
    return DatasetDict(test=rows[choose_split(list(rows), wanted, divided=set(rows) != {"train"})])


def begin_at_folder(
    rows: DatasetDict, folder: Path, column: str, only: tuple[str | None] | None, *, allow_outside: bool
) -> DatasetDict:
    """The rows of tables in a folder, with paths that begin there, and not at the folder of their split."""
    files = {"test": find_one_split(folder, only[0], TABLES)} if only is not None else find_files(folder, TABLES)
    moved = {}
    for split, of_split in rows.items():
        above = {path.parent for path in files.get(split, [])}
        moved[split] = of_split
        if len(above) == 1 and of_split.features[column] == Value("string"):
            moved[split] = move_paths(of_split, split, column, folder, above.pop(), allow_outside=allow_outside)
    return DatasetDict({split: moved[split] for split in (*SPLITS, *moved) if split in moved})
