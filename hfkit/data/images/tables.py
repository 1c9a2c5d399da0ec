"""Tables of pictures: `metadata.csv` beside them, as `datasets` writes it, and any table that names their files."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset, DatasetDict, concatenate_datasets

from hfkit.data.columns import look_at, tell_column
from hfkit.data.files import TABLES, list_rows, shared_name
from hfkit.data.images.folders import Found, split_of_folder
from hfkit.data.images.paths import BELOW, PathFinder, key_of, move_paths
from hfkit.data.images.pictures import SUFFIXES, Refused
from hfkit.data.notes import tell
from hfkit.data.split_names import SPLITS, split_of
from hfkit.errors import UserError

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
FILE_NAME = "file_name"  # the column that `datasets` asks for
LOOKED_AT, NAMES = 1 << 16, 20  # bytes of a table, and paths in them
ENDS = "|".join(re.escape(suffix) for suffix in sorted(SUFFIXES, key=len, reverse=True))
NAME = re.compile(rf"[^\"'\t,;|\r\n]+?(?:{ENDS})(?=[\"'\t,;|\r\n]|$)", re.IGNORECASE)


def find_metadata(found: Found) -> dict[str, list[Path]]:
    """The files called metadata, by the folder of their split as it is called; "" for those of no split."""
    by_folder: dict[str, list[Path]] = defaultdict(list)
    for path in found.others:
        if path.name.lower() in METADATA:
            above = path.relative_to(found.folder).parts[:-1]
            by_folder[next((name for name in above if split_of_folder(name)), "")].append(path)
    return dict(by_folder)


def read_metadata(
    found: Found, files: Mapping[str, list[Path]], tables: Mapping[Path, Dataset], *, allow_outside: bool
) -> DatasetDict:
    """The rows of every split, with the paths in `file_name` from the folder of the dataset.

    Metadata beside all splits are divided by the first folder of the paths, if each names a split.

    Args:
        files: see `find_metadata`.
        tables: the rows of each file.

    Raises:
        UserError: a file has no column `file_name`, or two folders may be the same split.
    """
    splits: dict[str, list[Dataset]] = defaultdict(list)
    named: dict[str, str] = {}
    for name, paths in files.items():
        split = split_of_folder(name) or "train"
        if split in named:
            raise UserError(
                f"dataset '{found.folder}'",
                f"metadata of the split '{split}' lie in {' and '.join(repr(n or '.') for n in (named[split], name))}",
                "Keep one of them",
            )
        named[split] = name
        for path in paths:
            refuse_unnamed(tables[path], path)
            moved = move_paths(tables[path], split, FILE_NAME, found.folder, path.parent, allow_outside=allow_outside)
            splits[split].append(moved)
    rows = {split: concatenate_datasets(parts) for split, parts in splits.items()}
    rows = divide_by_folder(rows["train"]) if set(files) == {""} else rows
    tell_unnamed(found, [name for of_split in rows.values() for name in of_split[FILE_NAME]])
    return DatasetDict({split: rows[split] for split in SPLITS if split in rows})


def refuse_unnamed(rows: Dataset, path: Path) -> None:
    """Refuse metadata without the column of paths.

    Raises:
        UserError: there is none.
    """
    if FILE_NAME not in rows.column_names:
        raise UserError(
            f"columns {', '.join(rows.column_names)} of '{path}'",
            f"metadata of pictures have a column {FILE_NAME}, with paths from the folder of the table",
            "Rename the column of paths, or the file if it is something else",
        )


def divide_by_folder(rows: Dataset) -> dict[str, Dataset]:
    """The rows by the split that the first folder of every path names; all as train if one names none."""
    places: dict[str | None, list[int]] = defaultdict(list)
    for row, name in enumerate(rows[FILE_NAME][:]):
        folders = (name or "").replace("\\", "/").removeprefix("./").split("/")[:-1]
        places[split_of_folder(folders[0]) if folders else None].append(row)
    if None in places:
        return {"train": rows}
    return {str(split): rows.select(of_split) for split, of_split in places.items()}


def tell_unnamed(found: Found, names: Iterable[str | None]) -> None:
    known = {str(found.folder / name) for name in names if name}
    if unnamed := sum(str(path) not in known for path in found.pictures):
        tell(f"{found.folder.name}: pictures that are in no metadata are left out: {unnamed:,}")


def has_table_of_pictures(found: Found, *, classes: int, has_answers: Callable[[Sequence[str]], bool]) -> bool:
    """True if a table in a folder names pictures in it, so that its subfolders are no classes.

    Args:
        classes: the number of classes that the subfolders would be.
        has_answers: whether a table of these columns has answers.
    """
    tables = [path for path in list_rows(found.folder, TABLES) if path.is_file()]
    named = any(split_of(shared_name(path.stem)) for path in tables)
    return bool(tables) and (
        named or classes < 2 or any(names_pictures(path, found.folder, has_answers) for path in tables)
    )


def has_table_with_answers(found: Found, has_answers: Callable[[Sequence[str]], bool], *, deep: bool) -> bool:
    """True if a table with answers names pictures beside or below it: one in a folder or, if `deep`, in those below."""
    tables = [path for path in found.others if path.suffix.lower() in TABLES]
    return any(
        has_answers(read_names(path, read_start(path))) and names_pictures(path, path.parent, has_answers)
        for path in tables
        if deep or path.parent == found.folder
    )


def guess_paths(dataset: DatasetDict, folder: Path | None = None) -> str | None:
    """The only column most of whose values name pictures, which is told; None if there is none.

    Args:
        folder: of the dataset: if no value ends like the name of a picture, one without suffix may name one there.
    """
    rows = next(iter(dataset.values()))
    values = {name: look_at(rows, name, ("string", "large_string")) for name in rows.column_names}

    def find_named(is_name: Callable[[str], bool]) -> list[str]:
        return [name for name, of_column in values.items() if 2 * sum(map(is_name, of_column)) > max(len(of_column), 1)]

    found = find_named(lambda value: value.lower().endswith(tuple(SUFFIXES)))
    if not found and folder is not None and folder.is_dir():
        pictures = PathFinder([folder]).pictures_below
        found = find_named(lambda value: key_of(value.strip()) in pictures)
    if len(found) != 1:
        return None
    tell_column("--image_column", found[0], ", the only one that holds names of pictures")
    return found[0]


def names_pictures(
    table: Path, folder: Path, has_answers: Callable[[Sequence[str]], bool] = lambda columns: False
) -> bool:
    """True if one of the first cells of a table that end like the name of an image is the path of one in the folder.

    A bare name counts if the table has answers: those beside class folders hold names too, with sizes, say.
    """
    finder, start = PathFinder([folder]), read_start(table)
    answered = has_answers(read_names(table, start))
    for found, _ in zip(NAME.finditer(start), range(NAMES), strict=False):
        try:
            if finder.find(found[0]).how != BELOW or answered:
                return True
        except Refused:
            continue
    return False


def read_names(table: Path, start: str) -> list[str]:
    """The names of the columns of a table, good enough to find one among them."""
    if table.suffix.lower() == ".parquet":
        try:
            return pq.read_schema(table).names
        except (pa.ArrowException, OSError):
            return []
    return [word.strip() for word in re.findall(r"[^,;\t|\"{}:]+", start.partition("\n")[0]) if word.strip()]


def read_start(table: Path) -> str:
    """The first rows of a table as text, good enough to find the names of files in them."""
    if table.suffix.lower() != ".parquet":
        with table.open("rb") as file:
            return file.read(LOOKED_AT).decode("utf-8", "replace").replace("\0", "")
    try:
        with pq.ParquetFile(table) as file:
            rows = next(file.iter_batches(batch_size=NAMES)).to_pylist()
    except (pa.ArrowException, OSError, StopIteration):
        return ""
    return "\n".join(value for row in rows for value in row.values() if isinstance(value, str))
