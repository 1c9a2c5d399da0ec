"""The seal of a checkpoint: a manifest with the size and a digest of every file, written when all of them are there.

A checkpoint that lost a file, or has a bit that flipped on the disk, may load all the same and train to other weights.
"""

import json
import os
from pathlib import Path

from xxhash import xxh3_128

SEAL = "hfkit_manifest.json"
AT_ONCE = 16 << 20  # bytes


def mark_unfinished(folder: Path) -> None:
    """Mark a checkpoint as unfinished, before its first file is written."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder, None)


def seal(folder: Path) -> None:
    """Write the manifest of a checkpoint, after the last of its files."""
    _write(folder, {name: describe(folder / name) for name in list_files(folder)})


def _write(folder: Path, files: dict[str, dict] | None) -> None:
    """Write the manifest whole or not at all."""
    unfinished = folder / f"_{SEAL}"
    unfinished.write_text(json.dumps({"files": files}, indent=1, sort_keys=True) + "\n")
    os.replace(unfinished, folder / SEAL)


def list_files(folder: Path) -> list[str]:
    """The files of a checkpoint below its folder, without the manifest."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(name for path in files if (name := path.relative_to(folder).as_posix()) not in (SEAL, f"_{SEAL}"))


def describe(file: Path) -> dict[str, int | str]:
    """The size and digest of a file."""
    size, hasher = 0, xxh3_128()
    with file.open("rb") as stream:
        while block := stream.read(AT_ONCE):
            size += len(block)
            hasher.update(block)
    return {"bytes": size, "xxh3_128": hasher.hexdigest()}


def has_seal(folder: Path) -> bool:
    """False for a checkpoint of a version of hfkit that wrote no manifests."""
    return (folder / SEAL).is_file()


def find_fault(folder: Path) -> str | None:
    """The first file of a sealed checkpoint that is not as it was written, in words; None if all are.

    Every byte is read. Files that were added later do not matter.
    """
    try:
        files = json.loads((folder / SEAL).read_text())["files"]
        if files is None:
            return f"it is unfinished: {SEAL} was to be completed last"
        for name, wanted in files.items():
            path = folder / name
            if not path.is_file():
                return f"{name} is missing"
            if path.stat().st_size != wanted["bytes"]:
                return f"{name} has {path.stat().st_size:,} bytes of {wanted['bytes']:,}"
            if describe(path) != wanted:
                return f"{name} was changed since it was written"
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        return f"it cannot be read ({error})"
    return None
