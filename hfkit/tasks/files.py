"""Rows from wherever a user keeps them: a folder with one file per split, a saved DatasetDict, or the Hub."""

from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict, load_dataset
from datasets.exceptions import DatasetsError

from ..errors import DataError, UserError

# The names under which each split is found, the exact one first.
SPLITS = {"train": ("train",), "validation": ("validation", "valid", "dev"), "test": ("test",)}

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


def read(source: str, config: str | None = None, revision: str | None = None) -> DatasetDict:
    """The splits train, validation and test of a local folder or a Hub dataset, in the columns they came with.

    Raises:
        UserError: nothing is there, it cannot be read, or a split is missing.
        DataError: the files of a split cannot be read or hold no rows.
    """
    folder = Path(source).expanduser()
    if folder.is_file():
        raise UserError(
            f"dataset '{source}'",
            "a local dataset is a folder with one file per split, and this is a file",
            "Put train, validation and test files into one folder and give that",
        )
    if folder.is_dir():
        return read_folder(folder)
    if source.startswith((".", "/", "~")) or source.count("/") > 1:
        raise UserError(f"dataset '{source}'", "there is no such folder", "Check the path")
    return read_hub(source, config, revision)


def read_hub(source: str, config: str | None, revision: str | None) -> DatasetDict:
    """The three splits of a Hub dataset; loading scripts are refused by `datasets`, so no foreign code runs."""
    try:
        splits = load_dataset(source, config, revision=revision)
    except (OSError, ValueError, RuntimeError, DatasetsError) as error:
        raise UserError(
            f"dataset '{source}'",
            f"it is no local folder, and the Hub did not give it ({first_line(error)})",
            "Check the id, --dataset_config and the network, or give a folder with train, validation and test files",
        ) from error
    chosen = {split: next((n for n in names if n in splits), None) for split, names in SPLITS.items()}
    refuse_missing(source, chosen, sorted(splits))
    return DatasetDict({split: splits[name] for split, name in chosen.items()})


def read_folder(folder: Path) -> DatasetDict:
    """One file, a set of shards or a subfolder per split; `dev` and `valid` are taken for validation."""
    files = {
        split: next(filter(None, (split_files(folder, n) for n in names)), None) for split, names in SPLITS.items()
    }
    refuse_missing(str(folder), files, sorted(path.name for path in folder.iterdir()))
    suffixes = {path.suffix for paths in files.values() for path in paths}
    if len(suffixes) > 1:
        raise UserError(
            f"dataset '{folder}'",
            f"its splits are files of one kind, and here are {', '.join(sorted(suffixes))}",
            "Keep one kind of file per dataset",
        )
    builder = BUILDERS[suffixes.pop()]
    options = conll_options(files["train"][0]) if builder == "conll" else {}
    splits = DatasetDict({split: read_files(split, builder, paths, **options) for split, paths in files.items()})
    return checked_conll(splits) if options else splits


def read_files(split: str, builder: str, paths: list[Path], **options: Any) -> Dataset:
    try:
        return load_dataset(builder, data_files={split: list(map(str, paths))}, split=split, **options)
    # StopIteration: what the JSON reader makes of an empty file.
    except (OSError, ValueError, RuntimeError, StopIteration, DatasetsError) as error:
        raise DataError(
            ", ".join(path.name for path in paths),
            f"cannot be read as {builder}, or holds no rows ({first_line(error.__cause__ or error)})",
            "Check that every file is whole, not empty, and of the kind that its name says",
            split=split,
        ) from error


def split_files(folder: Path, name: str) -> list[Path]:
    """The files of one split: `name.ext`, `name-00000-of-00002.ext` or `name/*.ext`, also one level down in `data`."""
    patterns = (f"{name}.*", f"{name}-[0-9]*", f"{name}/*")
    paths = (path for place in (folder, folder / "data") for pattern in patterns for path in place.glob(pattern))
    # Beside its rows, a folder that `save_to_disk` wrote holds two JSON files and the caches of earlier `map` calls.
    return sorted(
        path
        for path in paths
        if path.suffix in BUILDERS
        and path.name not in ("state.json", "dataset_info.json")
        and not path.name.startswith("cache-")
    )


def conll_options(path: Path) -> dict:
    """How to read CoNLL lines like the first of `path`: the token comes first and its entity tag last."""
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        first = next((line for line in lines if line.strip() and not line.startswith("-DOCSTART-")), "")
    # Tokens may hold a no-break space, which splitting at any white space would cut in two.
    delimiter = "\t" if "\t" in first else None
    width = len(first.rstrip("\r\n").split(delimiter))
    if width < 2:
        raise UserError(
            f"file '{path}'",
            f"every line holds a token and its tag, and its first line is {first.strip()!r}",
            "Separate the columns by a tab or by spaces",
        )
    names = ["tokens", *(f"column_{column}" for column in range(2, width)), "tags", "beyond"]
    # utf-8-sig: with plain utf-8 a byte-order mark would become part of the first token.
    return {"column_names": names, "delimiter": delimiter, "encoding": "utf-8-sig"}


def checked_conll(splits: DatasetDict) -> DatasetDict:
    """The splits without the helper column, once it has shown that no line was short or long.

    The reader fills missing columns with empty strings and drops surplus ones without a word.
    """
    for split, rows in splits.items():
        for row, (tokens, tags, beyond) in enumerate(zip(rows["tokens"], rows["tags"], rows["beyond"], strict=True)):
            for token, tag, surplus in zip(tokens, tags, beyond, strict=True):
                if not tag or surplus:
                    raise DataError(
                        f"the line of {token!r} has too {'many' if surplus else 'few'} columns",
                        "every line has as many columns as the first line of train",
                        "Mend the line, or use tabs between columns when tokens hold spaces",
                        split=split,
                        row=row,
                        column="tags",
                    )
    return splits.remove_columns("beyond")


def refuse_missing(source: str, found: dict, seen: list[str]) -> None:
    for split, value in found.items():
        if not value:
            raise UserError(
                f"dataset '{source}'",
                f"the split '{split}' is missing; found: {', '.join(seen) or 'nothing'}",
                f"Add a split or file named {' or '.join(SPLITS[split])} "
                "(.parquet, .json, .jsonl, .conll, .txt; token first and tag last in CoNLL lines)",
            )


def first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
