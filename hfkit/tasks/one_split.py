"""One split of a dataset, for models that are judged on it and learn nothing: the others need not be there."""

from collections.abc import Mapping
from pathlib import Path

from datasets import Dataset, DatasetDict, load_dataset
from datasets.exceptions import DatasetsError

from hfkit.data.files import BUILDERS, SPLITS, read_found, split_files
from hfkit.errors import UserError, first_line


def one_split(
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
        split: its name; None takes test, or else the only one.
        kinds, encoding: see `files.read`.

    Raises:
        UserError: it is not there, or it is not said which one is meant.
        DataError: its files cannot be read or hold no rows.
    """
    place = Path(source).expanduser()
    if place.is_file():
        if place.suffix not in kinds:
            raise UserError(f"dataset '{source}'", f"a file of rows is one of {', '.join(kinds)}", "Save it as one")
        return DatasetDict(read_found(place.parent, {"test": [place]}, kinds, encoding))
    if place.is_dir():
        return DatasetDict(read_found(place, {"test": files_of(place, split, kinds)}, kinds, encoding))
    if source.startswith((".", "/", "~")) or source.count("/") > 1:
        raise UserError(f"dataset '{source}'", "there is no such file or folder", "Check the path")
    try:
        return only(load_dataset(source, config, revision=revision), split)
    except UserError:
        raise
    except (OSError, ValueError, RuntimeError, DatasetsError) as error:
        raise UserError(
            f"dataset '{source}'",
            f"it is no local file or folder, and the Hub did not give it ({first_line(error)})",
            "Check the path or the id, --dataset_config and the network",
        ) from error


def only(splits: Mapping[str, Dataset], split: str | None) -> DatasetDict:
    """The split of that name as `test`; None takes test, or else the only one.

    Raises:
        UserError: there is none, or several.
    """
    names = [split] if split else [*SPLITS["test"], *(splits if len(splits) == 1 else [])]
    found = next((name for name in names if name in splits), None)
    if found is None:
        raise unclear(split, list(splits))
    return DatasetDict(test=splits[found])


def files_of(folder: Path, split: str | None, kinds: Mapping[str, str]) -> list[Path]:
    """The files of the split in a folder, or its only file."""
    names = [split] if split else SPLITS["test"]
    found = next(filter(None, (split_files(folder, name, kinds) for name in names)), None)
    files = sorted(path for path in folder.iterdir() if path.suffix in kinds)
    if found is None and split is None and len(files) == 1:
        found = files
    if found is None:
        raise unclear(split, [path.name for path in files])
    return found


def unclear(split: str | None, seen: list[str]) -> UserError:
    return UserError(
        f"split '{split or 'test'}'",
        f"the data has none of this name{'' if split else ', nor a single one'}; found: {', '.join(seen) or 'nothing'}",
        "Name the right one with --split, or give its file",
    )
