"""Where a dataset lies on this machine: a file, a folder, what an archive holds, or what an address gave."""

import hashlib
import os
import re
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path, PurePosixPath

import fsspec
from datasets import config

from hfkit.data.leftovers import is_leftover, list_folder
from hfkit.data.notes import tell
from hfkit.data.source import Source
from hfkit.errors import Failure, UserError, first_line
from hfkit.progress import progress
from hfkit.runtime.durable import NO_ROOM, describe_room, replace_file, replace_folder
from hfkit.runtime.files import describe_os_error, expand_home, find_fault, find_os_error, require_file

ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
PATTERN = re.compile(r"[*?\[\]$]|::")
LARGEST = 100 * 2**30  # bytes that an archive may hold, unpacked


def is_address(dataset: str) -> bool:
    """True for an address such as s3://… or sqlite:///…; false for a path and an id of the Hub."""
    return ADDRESS.match(dataset) is not None


def find_place(source: Source) -> Path | None:
    """The file or folder of a dataset; None for the id of a dataset on the Hub.

    Raises:
        UserError: a path that does not exist, or an address that may not or cannot be fetched.
    """
    dataset = source.dataset
    if is_address(dataset):
        return open_archive(fetch(source))
    place = expand_home(dataset)
    if os.path.lexists(place):
        refuse_unread(source)
    if os.path.isdir(place):
        return place
    if os.path.lexists(place):
        require_file(place, f"dataset '{dataset}'", "Give a file or folder that can be read")
        return open_archive(place)
    if dataset.startswith((".", "/", "~")) or dataset.count("/") > 1 or place.suffix.lower() in SUFFIXES:
        raise UserError(f"dataset '{dataset}'", find_fault(place) or "it cannot be read", "Check the path")
    return None


def refuse_unread(source: Source) -> None:
    """Refuse what is said about reading another kind of dataset than one on this machine.

    Raises:
        UserError: naming the flag.
    """
    for flag, value, of in (
        ("dataset_config", source.config, "a dataset on the Hub"),
        ("dataset_revision", source.revision, "a dataset on the Hub"),
        ("query", source.query, "the address of a database"),
    ):
        if value is not None:
            rule = f"it is for {of}, and '{source.dataset}' lies on this machine"
            raise UserError(f"{flag}='{value}'", rule, "Leave it out")


# Names that are files and never ids of the Hub.
SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".parquet", ".xlsx", ".xls", ".ods", ".txt", ".conll", ".zip", ".db")


def fetch(source: Source) -> Path:
    """A copy of the file at an address, with the credentials that the user's own programs have.

    Raises:
        UserError: it may not be fetched, or cannot be.
    """
    shown = source.shown
    if source.dataset.lower().startswith(("sqlite:", "postgresql:", "mysql:", "mssql:", "oracle:")):
        raise UserError(f"dataset '{shown}'", "a database needs a query", 'Add --query "select …"')
    if not source.allow_remote:
        raise UserError(
            f"dataset '{shown}'",
            "nothing is fetched from an address unless you say so",
            "Add --allow_remote, or download the file and give its path",
        )
    return download(source.dataset, shown)


@cache  # several parts of a run ask for the place of its dataset
def download(address: str, shown: str) -> Path:
    """A copy of the file at an address, fetched once in a process.

    Raises:
        UserError: it cannot be fetched.
        Failure: the cache has no room for it.
    """
    name = PurePosixPath(shown).name or "data"
    place = cache_folder("fetched", address) / name
    try:
        with replace_file(place) as part, fsspec.open(address, "rb") as remote, part.open("wb") as file:
            with progress(f"Fetching {name}"):
                shutil.copyfileobj(remote, file)
    except Failure:
        raise
    # Every kind of address has errors of its own.
    except Exception as error:
        raise UserError(
            f"dataset '{shown}'", f"it cannot be fetched ({first_line(error)})", "Check the address and the credentials"
        ) from error
    tell(f"{shown}: {place.stat().st_size:,} bytes fetched")
    return place


def open_archive(place: Path) -> Path:
    """The folder of what a .zip holds; any other place as it is."""
    if not (place.is_file() and place.suffix.lower() == ".zip"):
        return place
    stat = place.stat()
    folder = cache_folder("unpacked", f"{place.resolve()} {stat.st_size} {stat.st_mtime_ns}") / place.stem
    if not folder.is_dir():
        unpack(place, folder)
    inside = list_folder(folder)
    tell(f"{place.name}: unpacked, {count_files(folder):,} files")
    # Most archives hold one folder, or one file, of the same name.
    return inside[0] if len(inside) == 1 else folder


@cache
def count_files(folder: Path) -> int:
    """The number of files of an unpacked archive, counted once: a run asks for its place several times."""
    return sum(path.is_file() for path in folder.rglob("*"))


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a .zip beside `folder`, which appears whole.

    Raises:
        UserError: it is damaged, too large, or names places outside of itself.
        Failure: the cache has no room for it.
    """

    def refuse(rule: str) -> UserError:
        return UserError(f"archive '{archive}'", rule, "Unpack it yourself, and give the folder")

    try:
        with replace_folder(folder) as part, zipfile.ZipFile(archive) as zipped:
            members = [one for one in zipped.infolist() if not one.is_dir()]
            if sum(one.file_size for one in members) > LARGEST:
                raise refuse(f"it holds more than {LARGEST / 2**30:g} GiB")
            for one in members:
                name = PurePosixPath(one.filename.replace("\\", "/"))
                if name.is_absolute() or ".." in name.parts or ":" in name.parts[0]:
                    raise refuse(f"it names a place outside of itself, {one.filename!r}")
                if one.flag_bits & 1:
                    raise refuse("it is locked with a password")
            with progress(f"Unpacking {archive.name}", len(members)) as advance:
                for one in members:
                    one.filename = one.filename.replace("\\", "/")  # as old Windows programs write it
                    if not any(map(is_leftover, PurePosixPath(one.filename).parts)):
                        zipped.extract(one, part)
                    advance()
    except (zipfile.BadZipFile, OSError, NotImplementedError, EOFError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise refuse(f"it cannot be unpacked ({first_line(error)})") from error


def cache_folder(kind: str, key: str) -> Path:
    """A folder for copies, in the cache of `datasets`."""
    digest = hashlib.blake2b(os.fsencode(key), digest_size=8).hexdigest()
    folder = Path(config.HF_DATASETS_CACHE) / f"hfkit_{kind}" / digest
    with explain_reading("the cache of datasets"):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def plain_path(path: Path) -> str:
    """A name of a file that `datasets` takes for no pattern.

    It would look for files that fit [ ] * ? in a path, put what a variable holds in place of $HOME, and cut at '::', so
    that the rows of other files were read: a path with any of these gets a link beside the cache.
    """
    whole = str(path.absolute())
    if not PATTERN.search(whole):
        return str(path)
    link = cache_folder("links", whole) / f"rows{path.suffix}"
    with suppress(FileExistsError):  # of an earlier command: its name is that of the path
        link.symlink_to(whole)
    return str(link)


@contextmanager
def explain_reading(named: str) -> Iterator[None]:
    """Within it, an error of the operating system says what it is, whatever a library made of it.

    Raises:
        UserError: a place cannot be read, the cache of `datasets` cannot be written, or the working folder is gone.
    """
    try:
        yield
    except (UserError, Failure):
        raise
    except UnicodeEncodeError as error:
        rule = f"a name is no UTF-8, and tables hold no other ({error.object!r:.120})"
        raise UserError(named, rule, "Rename the folder or the file") from error
    except Exception as error:
        cause = find_os_error(error)
        if cause is None:
            raise
        raise name_os_error(cause, named) from error


def name_os_error(error: OSError, named: str) -> UserError | Failure:
    """The error for what the operating system refused, with the place that it names, or else `named`."""
    if error.errno in NO_ROOM:  # rows are only written to the cache
        cache = Path(config.HF_DATASETS_CACHE)
        happened = f"'{cache}', the cache of datasets, cannot be written: no room is left ({describe_room(cache)})"
        return Failure(happened, "Make room there, or set HF_DATASETS_CACHE to a folder of your own")
    place = error.filename if isinstance(error.filename, str) else named
    rule, fix = describe_os_error(error)
    if place.startswith(str(config.HF_DATASETS_CACHE)):
        rule, fix = f"the cache of datasets cannot be written: {rule}", "Set HF_DATASETS_CACHE to a folder of your own"
    return UserError(place, rule, fix)
