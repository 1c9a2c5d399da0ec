"""Rows from the places where users keep them: a folder with one file per split, a saved DatasetDict, or the Hub."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict, load_dataset
from datasets.exceptions import DatasetsError

from hfkit.data.conll_files import check_conll, conll_options
from hfkit.data.csv_files import read_csv, refuse_other_encoding
from hfkit.errors import DataError, UserError, first_line
from hfkit.progress import progress, silence_other_bars

# The names of each split in the wild, the exact one first.
SPLITS = {"train": ("train",), "validation": ("validation", "valid", "dev", "val"), "test": ("test",)}

BUILDERS = {
    ".parquet": "parquet",
    ".json": "json",
    ".jsonl": "json",
    ".arrow": "arrow",
    ".conll": "conll",
    ".bio": "conll",
    ".iob": "conll",
    ".tsv": "conll",
    ".txt": "conll",
}


TABLES = {
    ".parquet": "parquet",
    ".json": "json",
    ".jsonl": "json",
    ".arrow": "arrow",
    ".csv": "csv",
    ".tsv": "csv",
}


def read_splits(
    source: str,
    config: str | None = None,
    revision: str | None = None,
    *,
    kinds: Mapping[str, str] = BUILDERS,
    encoding: str = "utf-8",
    validation_share: float | None = None,
) -> DatasetDict:
    """The splits train, validation and test of a local folder or a Hub dataset, in the columns they came with.

    Args:
        kinds: suffix of a file -> what reads it: a builder of `datasets`, or 'csv', in which every cell is a string.
        encoding: of files of text.
        validation_share: share of train that the caller sets aside if there is no validation split: above 0, that one
            may be missing. None if a task cannot.

    Raises:
        UserError: there is nothing, it cannot be read, or a split is missing.
        DataError: the files of a split cannot be read or hold no rows.
    """
    refuse_no_folder(source)
    folder = Path(source).expanduser()
    if folder.is_dir():
        splits = read_folder(folder, kinds, encoding, validation_share)
    else:
        splits = read_hub(source, config, revision, kinds, validation_share)
    return DatasetDict({split: splits[split] for split in SPLITS if split in splits})


def refuse_no_folder(source: str) -> None:
    """Refuse a source that is neither a folder nor the id of a dataset on the Hub.

    Raises:
        UserError: it is a file, or a path that does not exist.
    """
    folder = Path(source).expanduser()
    if folder.is_file():
        raise UserError(
            f"dataset '{source}'",
            "a local dataset is a folder with one file per split, and this is a file",
            "Put train, validation and test files into one folder and give that",
        )
    if not folder.is_dir() and (source.startswith((".", "/", "~")) or source.count("/") > 1):
        raise UserError(f"dataset '{source}'", "there is no such folder", "Check the path")


@silence_other_bars(downloads=True)
def read_hub(
    source: str, config: str | None, revision: str | None, kinds: Mapping[str, str], validation_share: float | None
) -> dict[str, Dataset]:
    """The splits of a Hub dataset; `datasets` refuses loading scripts, so no foreign code runs."""
    try:
        splits = load_dataset(source, config, revision=revision)
    except (OSError, ValueError, RuntimeError, DatasetsError) as error:
        raise UserError(
            f"dataset '{source}'",
            f"it is no local folder, and the Hub did not give it ({first_line(error)})",
            "Check the id, --dataset_config and the network, or give a folder with train, validation and test files",
        ) from error
    chosen = {split: next((n for n in names if n in splits), None) for split, names in SPLITS.items()}
    refuse_missing(source, chosen, sorted(splits), kinds, validation_share)
    return {split: splits[name] for split, name in chosen.items() if name}


def read_folder(
    folder: Path, kinds: Mapping[str, str], encoding: str, validation_share: float | None
) -> dict[str, Dataset]:
    """One file, a set of shards or a subfolder per split; `valid`, `dev` and `val` are taken for validation."""
    files = {
        split: next(filter(None, (split_files(folder, n, kinds) for n in names)), None)
        for split, names in SPLITS.items()
    }
    refuse_missing(str(folder), files, sorted(path.name for path in folder.iterdir()), kinds, validation_share)
    return read_split_files(folder, {split: paths for split, paths in files.items() if paths}, kinds, encoding)


def read_split_files(
    folder: Path, files: dict[str, list[Path]], kinds: Mapping[str, str], encoding: str
) -> dict[str, Dataset]:
    """The rows of every split, whose files are all of one kind."""
    suffixes = {path.suffix for paths in files.values() for path in paths}
    if len(suffixes) > 1:
        raise UserError(
            f"dataset '{folder}'",
            f"its splits are files of one kind, and here are {', '.join(sorted(suffixes))}",
            "Keep one kind of file per dataset",
        )
    builder = kinds[suffixes.pop()]
    if builder in ("csv", "json"):
        for path in (path for paths in files.values() for path in paths):
            refuse_other_encoding(path, encoding)
    if builder == "csv":
        return {split: read_csv(split, paths, encoding) for split, paths in files.items()}
    options = {"encoding": encoding} if builder == "json" else {}
    if builder == "conll":
        options = conll_options(next(iter(files.values()))[0])
    splits = {split: read_files(split, builder, paths, **options) for split, paths in files.items()}
    return check_conll(splits) if builder == "conll" else splits


def read_files(split: str, builder: str, paths: list[Path], **options: Any) -> Dataset:
    try:
        with progress(f"Reading {split}"):
            return load_dataset(builder, data_files={split: list(map(str, paths))}, split=split, **options)
    # The JSON reader raises StopIteration on an empty file.
    except (OSError, ValueError, RuntimeError, StopIteration, DatasetsError) as error:
        raise DataError(
            ", ".join(path.name for path in paths),
            f"cannot be read as {builder}, or holds no rows ({first_line(error.__cause__ or error)})",
            "Check that every file is whole, not empty, and of the kind that its name says",
            split=split,
        ) from error


def split_files(folder: Path, name: str, kinds: Mapping[str, str]) -> list[Path]:
    """The files of one split: `name.ext`, `name-00000-of-00002.ext` or `name/*.ext`, also one level down in `data`."""
    patterns = (f"{name}.*", f"{name}-[0-9]*", f"{name}/*")
    paths = (path for place in (folder, folder / "data") for pattern in patterns for path in place.glob(pattern))
    # `save_to_disk` writes two JSON files beside the rows, and earlier `map` calls leave caches there.
    return sorted(
        path
        for path in paths
        if path.suffix in kinds
        and path.name not in ("state.json", "dataset_info.json")
        and not path.name.startswith("cache-")
    )


def refuse_missing(
    source: str, found: dict, seen: list[str], kinds: Mapping[str, str], validation_share: float | None
) -> None:
    for split, value in found.items():
        if value or (split == "validation" and validation_share):
            continue
        lines = "; token first and tag last in CoNLL lines" if "conll" in kinds.values() else ""
        aside = split == "validation" and validation_share is not None
        raise UserError(
            f"dataset '{source}'",
            f"the split '{split}' is missing; found: {', '.join(seen) or 'nothing'}",
            f"Add a split or file named {' or '.join(SPLITS[split])} ({', '.join(kinds)}{lines})"
            + (", or set a share of train aside with --validation_share 0.1" if aside else ""),
        )


def read_one_split(
    source: str,
    config: str | None,
    revision: str | None,
    split: str | None,
    *,
    kinds: Mapping[str, str] = BUILDERS,
    encoding: str = "utf-8",
) -> DatasetDict:
    """A file, or one split of a local folder or a Hub dataset, in the columns it came with, as `test`.

    Args:
        split: its name; None takes test, or the only one.
        kinds, encoding: see `read_splits`.

    Raises:
        UserError: there is none of this name, or the only one is to be taken and there are several.
        DataError: its files cannot be read or hold no rows.
    """
    place = Path(source).expanduser()
    if place.is_file():
        if place.suffix not in kinds:
            raise UserError(f"dataset '{source}'", f"a file of rows is one of {', '.join(kinds)}", "Save it as one")
        return DatasetDict(read_split_files(place.parent, {"test": [place]}, kinds, encoding))
    if place.is_dir():
        return DatasetDict(read_split_files(place, {"test": find_split_files(place, split, kinds)}, kinds, encoding))
    if source.startswith((".", "/", "~")) or source.count("/") > 1:
        raise UserError(f"dataset '{source}'", "there is no such file or folder", "Check the path")
    try:
        return take_split(load_dataset(source, config, revision=revision), split)
    except UserError:
        raise
    except (OSError, ValueError, RuntimeError, DatasetsError) as error:
        raise UserError(
            f"dataset '{source}'",
            f"it is no local file or folder, and the Hub did not give it ({first_line(error)})",
            "Check the path or the id, --dataset_config and the network",
        ) from error


def take_split(splits: Mapping[str, Dataset], split: str | None) -> DatasetDict:
    """The split of that name as `test`; None takes test, or the only one.

    Raises:
        UserError: there is none, or several.
    """
    names = [split] if split else [*SPLITS["test"], *(splits if len(splits) == 1 else [])]
    found = next((name for name in names if name in splits), None)
    if found is None:
        raise unclear_split(split, list(splits))
    return DatasetDict(test=splits[found])


def find_split_files(folder: Path, split: str | None, kinds: Mapping[str, str]) -> list[Path]:
    """The files of the split in a folder, or its only file."""
    names = [split] if split else SPLITS["test"]
    found = next(filter(None, (split_files(folder, name, kinds) for name in names)), None)
    files = sorted(path for path in folder.iterdir() if path.suffix in kinds)
    if found is None and split is None and len(files) == 1:
        found = files
    if found is None:
        raise unclear_split(split, [path.name for path in files])
    return found


def unclear_split(split: str | None, seen: list[str]) -> UserError:
    return UserError(
        f"split '{split or 'test'}'",
        f"the data has none of this name{'' if split else ', nor a single one'}; found: {', '.join(seen) or 'nothing'}",
        "Name the right one with --split, or give its file",
    )
