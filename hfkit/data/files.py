"""Rows from the places where users keep them: a file, a folder, an archive, a database, an address, or the Hub.

A dataset that is divided has files or subfolders named after its splits. One that is not is read as `train`, and the
other splits are drawn from it once its rows are checked (see `splitting`).
"""

import os
import re
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from pickle import UnpicklingError
from typing import Any

from datasets import Dataset, DatasetDict, load_dataset
from datasets.exceptions import DatasetsError

from hfkit.data.annotator_rows import gather_items
from hfkit.data.annotators import answer_columns, decide_rows
from hfkit.data.conll_files import read_conll
from hfkit.data.exports import Export, find_export
from hfkit.data.hub import read_hub
from hfkit.data.json_files import read_json, split_names
from hfkit.data.leftovers import list_folder, walk
from hfkit.data.notes import tell
from hfkit.data.places import find_place, is_address, name_os_error, plain_path
from hfkit.data.refused import find_refusal
from hfkit.data.source import Source
from hfkit.data.split_column import divide_by_column
from hfkit.data.split_names import SPLITS, split_of
from hfkit.data.sql import read_sql
from hfkit.data.tables import read_table
from hfkit.data.text import fasta
from hfkit.data.text_files import find_class_texts, read_class_texts, read_texts
from hfkit.data.workbooks import SUFFIXES as WORKBOOKS
from hfkit.data.workbooks import read_workbook, sheet_names
from hfkit.errors import DataError, UserError, first_line
from hfkit.progress import progress
from hfkit.runtime.collector import pause_collector
from hfkit.runtime.files import find_os_error, require_file

# Suffix of a file -> what reads it.
TABLES = {
    ".parquet": "parquet",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".arrow": "arrow",
    ".csv": "table",
    ".tsv": "table",
    ".spacy": "export",
    ".tar": "webdataset",
    **dict.fromkeys(WORKBOOKS, "workbook"),
}
# For tasks of texts.
TEXT_TABLES = TABLES | {".txt": "texts", **dict.fromkeys(fasta.SUFFIXES, "fasta")}
# For tasks of words and tags, lines of text are words.
BUILDERS = {
    ".parquet": "parquet",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".arrow": "arrow",
    ".csv": "table",
    ".spacy": "export",
    ".conll": "conll",
    ".conllu": "conll",
    ".bio": "conll",
    ".iob": "conll",
    ".iob2": "conll",
    ".tsv": "conll",
    ".txt": "conll",
}


def read_splits(source: Source, *, kinds: Mapping[str, str] = BUILDERS) -> DatasetDict:
    """The splits of a dataset, in the columns they came with: train, and what there is of validation and test.

    Args:
        kinds: suffix of a file -> what reads it.

    Raises:
        UserError: there is nothing, it cannot be read, or it has no train.
        DataError: the files of a split cannot be read or hold no rows.
    """
    if is_address(source.dataset) and source.query is not None:
        splits = {"train": read_sql(source)}
    elif (place := find_place(source)) is None:
        splits = read_hub(source)
    elif place.is_file():
        splits = read_file(source, place, kinds, "train")
    elif folders := find_class_folders(place, kinds):
        splits = {split: read_class_texts(split, folder, source.encoding, place) for split, folder in folders.items()}
    else:
        splits = read_split_files(source, find_files(place, kinds), kinds)
    if set(splits) == {"train"} or source.split_column is not None:
        splits = divide_by_column(splits, source)
    if "train" not in splits:
        raise no_train(source, sorted(splits), kinds)
    return decide_splits({split: splits[split] for split in SPLITS if split in splits}, source)


def read_one_split(source: Source, split: str | None, *, kinds: Mapping[str, str] = BUILDERS) -> DatasetDict:
    """A file, or one split of a dataset, in the columns it came with, as `test`.

    Args:
        split: its name; None takes test, or all rows of a dataset that is not divided.
        kinds: see `read_splits`.

    Raises:
        UserError: there is none of this name.
        DataError: its files cannot be read or hold no rows.
    """
    return decide_splits(find_split(source, split, kinds), source)


def find_split(source: Source, split: str | None, kinds: Mapping[str, str]) -> DatasetDict:
    """The rows of `read_one_split`, with the answers of all people if there are several."""
    if is_address(source.dataset) and source.query is not None:
        return DatasetDict(test=read_sql(source))
    place = find_place(source)
    if place is None:
        return take_split(divide_by_column(read_hub(source, every=True), source), split)
    if place.is_file():
        found = divide_by_column(read_file(source, place, kinds, "test"), source)
        return take_split(found, split) if len(found) > 1 else DatasetDict(found)
    if folders := find_class_folders(place, kinds):
        found = {name: read_class_texts(name, folder, source.encoding, place) for name, folder in folders.items()}
        return take_split(found, split)
    files = find_files(place, kinds)
    if split not in named_files(place, kinds) and not is_divided(place, kinds):
        found = divide_by_column(read_split_files(source, {"test": files["train"]}, kinds), source)
        if len(found) > 1:
            return take_split(found, split)
        if split is None:
            return DatasetDict(found)
    return DatasetDict(read_split_files(source, {"test": find_one_split(place, split, kinds)}, kinds))


def decide_splits(splits: Mapping[str, Dataset], source: Source) -> DatasetDict:
    """The splits with one answer for each row, where people gave several.

    Raises:
        UserError: see `gather_items` and `decide_rows`.
    """
    splits = DatasetDict(splits)
    if source.annotator_column is not None:
        splits = gather_items(splits, source.annotator_column, source.item_column)
    if source.annotator is None and not any(map(answer_columns, splits.values())):
        return splits
    return DatasetDict({split: decide_rows(rows, source.annotator, split) for split, rows in splits.items()})


def read_file(source: Source, file: Path, kinds: Mapping[str, str], split: str) -> dict[str, Dataset]:
    """The rows of a file as one split, or those of each split that it holds: sheets, or lists in one object of JSON.

    Args:
        split: what the rows are called where the file is not divided.

    Raises:
        UserError, DataError: see `read_splits`.
    """
    refuse_other_kind(file, kinds)
    kind = kinds[file.suffix.lower()]
    names = sheet_names(file) if kind == "workbook" and source.sheet is None else []
    if kind == "json":
        names = split_names(file, source.encoding)
    parts = {known: name for name in names if (known := split_of(name))}
    if "train" not in parts or len(parts) < 2:
        return read_split_files(source, {split: [file]}, kinds)
    if others := [name for name in names if name not in parts.values()]:
        tell(f"{file.name}: not read, beside the splits: {', '.join(others)}")
    if kind == "json":
        return {known: read_json(known, [file], source.encoding, name) for known, name in parts.items()}
    return {known: read_workbook(known, [file], name) for known, name in parts.items()}


def find_class_folders(folder: Path, kinds: Mapping[str, str]) -> dict[str, Path]:
    """The folder of classes of each split, where texts are files; none if there is a table: texts may lie beside it."""
    if "texts" not in kinds.values():
        return {}
    tables = (path for path in walk(folder).files if is_rows(path, kinds) and kinds[path.suffix.lower()] != "texts")
    return {} if any(tables) else find_class_texts(folder)


def find_files(folder: Path, kinds: Mapping[str, str]) -> dict[str, list[Path]]:
    """The files of every split in a folder, or in its subfolder `data`; those of one that is not divided are train's.

    Raises:
        UserError: two names mean the same split.
    """
    for place in (folder, folder / "data"):
        if not place.is_dir():
            continue
        named = named_files(place, kinds)
        if any(split_of(name) for name in named):
            return choose_names(str(folder), named)
        if loose := [path for path in list_rows(place, kinds) if not os.path.isdir(path)]:
            if len(loose) > 1:
                names = [path.name for path in loose[:3]] + ["…"] * (len(loose) > 3)
                tell(f"{folder.name}: {len(loose)} files are read as one dataset ({', '.join(names)})")
            return {"train": loose}
    seen = [path.name for path in list_folder(folder)]
    refusal = find_refusal(*seen)
    why = f" ({PurePath(next(filter(find_refusal, seen))).suffix}: {refusal.why})" if refusal else ""
    raise UserError(
        f"dataset '{folder}'",
        f"no file of rows lies in it; found: {', '.join(seen) or 'nothing'}{why}",
        f"{refusal.fix}. Or give it"
        if refusal
        else f"Give it a file of rows ({', '.join(kinds)}), or one for each of train, validation and test",
    )


def named_files(place: Path, kinds: Mapping[str, str]) -> dict[str, list[Path]]:
    """The files of a folder by the name of their split as it is written, and other files by their own names."""
    named: dict[str, list[Path]] = {}
    for path in list_folder(place):
        if os.path.isdir(path):
            if split_of(path.name) and (files := [one for one in list_rows(path, kinds) if not os.path.isdir(one)]):
                named.setdefault(path.name, []).extend(files)
        elif is_rows(path, kinds):
            named.setdefault(shared_name(path.stem), []).append(path)
    return named


def is_divided(folder: Path, kinds: Mapping[str, str]) -> bool:
    """Whether a folder, or its subfolder `data`, has files or folders named after splits."""
    places = [place for place in (folder, folder / "data") if place.is_dir()]
    return any(split_of(name) for place in places for name in named_files(place, kinds))


def shared_name(stem: str) -> str:
    """The name of a file without the number of a shard: 'train-00000-of-00002' is a piece of 'train'."""
    return re.sub(r"[-_.](\d+-of-\d+|\d+)$", "", stem)


def choose_names(folder: str, named: Mapping[str, list[Path]]) -> dict[str, list[Path]]:
    """One name for each split: the split's own name wins over others that mean it.

    Raises:
        UserError: two names mean the same split, and none is its own.
    """
    chosen: dict[str, list[Path]] = {}
    for split, usual in SPLITS.items():
        names = [name for name in named if split_of(name) == split]
        exact = next((name for usual_name in usual for name in names if name.lower() == usual_name), None)
        if len(names) > 1 and exact is None:
            raise UserError(
                f"dataset '{folder}'",
                f"{' and '.join(sorted(names))} may each be the split '{split}'",
                f"Name the right one {split}, or keep the other in another folder",
            )
        if names:
            chosen[split] = named[exact or names[0]]
    read = {path for paths in chosen.values() for path in paths}
    if others := sorted({path.name for paths in named.values() for path in paths} - {path.name for path in read}):
        tell(f"{Path(folder).name}: not read, beside the files of the splits: {', '.join(others)}")
    return chosen


def list_rows(place: Path, kinds: Mapping[str, str]) -> list[Path]:
    """The files of rows in a folder; a .txt beside tables says something about them, as README.txt does."""
    found = [path for path in list_folder(place) if is_rows(path, kinds)]
    return [path for path in found if kinds[path.suffix.lower()] != "texts"] or found


def is_rows(path: Path, kinds: Mapping[str, str]) -> bool:
    """True for a file of rows. `save_to_disk` writes two JSON files beside them, and earlier `map` calls leave caches
    there.
    """
    own = path.name in ("state.json", "dataset_info.json", "dataset_dict.json") or path.name.startswith("cache-")
    return path.suffix.lower() in kinds and not own


def find_one_split(folder: Path, split: str | None, kinds: Mapping[str, str]) -> list[Path]:
    """The files of the split in a folder, or all files of a folder that is not divided.

    Raises:
        UserError: there is none of this name.
    """
    named = {name: paths for place in (folder, folder / "data") if place.is_dir()
             for name, paths in named_files(place, kinds).items()}  # fmt: skip
    if split is not None and split in named:
        return named[split]
    files = find_files(folder, kinds)
    known = split_of(split) if split else "test"
    if known in files:
        return files[known]
    if split is None and (set(files) == {"train"} and not any(map(split_of, named))):
        return files["train"]
    raise unclear_split(split, sorted({path.name for paths in files.values() for path in paths}))


def read_split_files(source: Source, files: Mapping[str, list[Path]], kinds: Mapping[str, str]) -> dict[str, Dataset]:
    """The rows of every split, each from files of one kind.

    Raises:
        DataError: the files of a split are of several kinds, cannot be read, or hold no rows.
    """
    of_split: dict[str, str] = {}
    for path in (path for paths in files.values() for path in paths):
        require_file(path, f"file '{path}'")
    kinds_here = {kinds[path.suffix.lower()] for paths in files.values() for path in paths}
    if source.sheet is not None and "workbook" not in kinds_here:
        raise UserError(f"sheet='{source.sheet}'", "sheets are in workbooks, and these files are none", "Leave it out")
    for split, paths in files.items():
        suffixes = {path.suffix.lower() for path in paths}
        if len({kinds[suffix] for suffix in suffixes}) > 1:
            raise DataError(
                f"files of {', '.join(sorted(suffixes))}",
                "the files of a split are of one kind",
                "Keep one kind of file for each split",
                split=split,
            )
        of_split[split] = kinds[suffixes.pop()]
    exports = choose_exports(files, of_split)
    if exports:
        tell(f"{Path(source.dataset).name}: {', '.join(dict.fromkeys(export.title for export in exports.values()))}")
    splits = {split: read_export(split, files[split], export) for split, export in exports.items()}
    rest = {split: kind for split, kind in of_split.items() if split not in exports}
    if lines := {split: files[split] for split, kind in rest.items() if kind == "conll"}:
        splits |= read_conll(lines, source.encoding)
    return splits | {
        split: READERS[kind](split, files[split], source) for split, kind in rest.items() if kind != "conll"
    }


def choose_exports(files: Mapping[str, list[Path]], kinds: Mapping[str, str]) -> dict[str, Export]:
    """The export that each split is, for those that are one; a test without answers is what the other splits are."""
    found = {split: export for split, paths in files.items() if (export := find_export(paths))}
    for split in {*files} - {*found}:
        alike = [export for other, export in found.items() if kinds[other] == kinds[split]]
        if split == "test" and alike:
            found[split] = alike[0]
    return {split: found[split] for split in files if split in found}


def read_export(split: str, paths: list[Path], export: Export) -> Dataset:
    with progress(f"Reading {split}"), pause_collector():
        rows = export.read(split, paths)
    if not len(rows):
        names = ", ".join(path.name for path in paths)
        raise DataError(names, "the export holds no row that may be read", "Export it anew", split=split)
    return rows


READERS: dict[str, Callable[[str, list[Path], Source], Dataset]] = {
    "table": lambda split, paths, source: read_table(split, paths, source.encoding),
    "workbook": lambda split, paths, source: read_workbook(split, paths, source.sheet),
    "json": lambda split, paths, source: read_json(split, paths, source.encoding),
    "texts": lambda split, paths, source: read_texts(split, paths, source.encoding),
    "fasta": lambda split, paths, source: fasta.read_fasta(split, paths, source.encoding),
    "parquet": lambda split, paths, source: read_files(split, "parquet", paths),
    "arrow": lambda split, paths, source: read_files(split, "arrow", paths),
    "webdataset": lambda split, paths, source: read_files(split, "webdataset", paths),
}


# A tar that is cut, or is none, is an error of tarfile's own, and so is a pickle in one, which is not read; bytes of
# anything else may ask for much memory.
READING_ERRORS = (
    *(OSError, ValueError, RuntimeError, StopIteration, DatasetsError, MemoryError),
    *(tarfile.TarError, UnpicklingError),
)


def read_files(split: str, builder: str, paths: list[Path], **options: Any) -> Dataset:
    """The rows of files that a builder of `datasets` reads.

    Raises:
        DataError: they cannot be read or hold no rows.
    """
    try:
        with progress(f"Reading {split}"):
            return load_dataset(builder, data_files={split: list(map(plain_path, paths))}, split=split, **options)
    except READING_ERRORS as error:
        if cause := find_os_error(error):
            raise name_os_error(cause, ", ".join(map(str, paths))) from error
        raise DataError(
            ", ".join(path.name for path in paths),
            f"cannot be read as {builder}, or holds no rows ({first_line(error.__cause__ or error)})",
            "Check that every file is whole, not empty, and of the kind that its name says",
            split=split,
        ) from error


def refuse_other_kind(file: Path, kinds: Mapping[str, str]) -> None:
    if file.suffix.lower() not in kinds:
        refusal = find_refusal(file.name)
        why = f"; {refusal.why}" if refusal else ""
        rule = f"a file of rows is one of {', '.join(kinds)}{why}"
        raise UserError(f"dataset '{file}'", rule, refusal.fix if refusal else "Save it as one")


def no_train(source: Source, seen: list[str], kinds: Mapping[str, str]) -> UserError:
    lines = "; token first and tag last in CoNLL lines" if "conll" in kinds.values() else ""
    return UserError(
        f"dataset '{source.dataset}'",
        f"the split 'train' is missing; found: {', '.join(seen) or 'nothing'}",
        f"Add a split or file named {' or '.join(SPLITS['train'])} ({', '.join(kinds)}{lines})",
    )


def take_split(splits: Mapping[str, Dataset], split: str | None) -> DatasetDict:
    """The split of that name as `test`; None takes test, or the only one.

    Raises:
        UserError: there is none, or several.
    """
    names = [split] if split else [*SPLITS["test"], *(splits if len(splits) == 1 else [])]
    found = next((name for name in names if name in splits), None)
    if found is None and split is not None:
        found = next((name for name in splits if split_of(name) == split_of(split) is not None), None)
    if found is None:
        raise unclear_split(split, list(splits))
    return DatasetDict(test=splits[found])


def unclear_split(split: str | None, seen: list[str]) -> UserError:
    return UserError(
        f"split '{split or 'test'}'",
        f"the data has none of this name{'' if split else ', nor a single one'}; found: {', '.join(seen) or 'nothing'}",
        "Name the right one with --split, or give its file",
    )
