"""The seal of a checkpoint: a manifest with the size and a digest of every file, written when all of them are there.

A checkpoint that lost a file, or has a bit that flipped on the disk, may load all the same and train to other weights.
So a checkpoint is written in a folder of another name, sealed, brought to the disk, and only then renamed: what lies
under its own name is whole, or was damaged later, and then the manifest tells. The digest is one for accidents. Against
somebody who changes a checkpoint no digest beside it helps, for they would change that too.
"""

import json
import mmap
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path, PurePosixPath

from xxhash import xxh3_128

from hfkit.runtime.durable import permit, sync, sync_below, write_file

SEAL = "hfkit_manifest.json"
# Where checkpoints are written and deleted. The Hub's client leaves out what begins with an underscore.
UNFINISHED = "_unfinished"
LEFT = "_left-"  # of what is being deleted there
AT_ONCE = 1 << 20  # bytes; more would not stay in the cache of a core


def begin(final: Path) -> Path:
    """An empty folder to write a checkpoint in, which `finish` gives its own name."""
    unfinished = final.parent / UNFINISHED / final.name
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    return unfinished


def finish(unfinished: Path, final: Path) -> None:
    """Seal a checkpoint, bring it to the disk, and give it its own name; what lay there is deleted."""
    permit(unfinished)
    seal(unfinished)
    put_in_place(unfinished, final)


def put_in_place(unfinished: Path, final: Path) -> None:
    """Give a sealed checkpoint its own name. A process killed between the two renames leaves `put_all_in_place` one."""
    sync(unfinished.parent)
    earlier = _set_aside(final) if final.exists() else None
    unfinished.rename(final)
    sync(final.parent)
    if earlier is not None:
        shutil.rmtree(earlier, ignore_errors=True)
    remove_if_empty(unfinished.parent)


def put_all_in_place(folder: Path) -> None:
    """Give its name to every checkpoint of a killed run that was whole already."""
    for unfinished in sorted((folder / UNFINISHED).glob("[!_]*")):
        final = folder / unfinished.name
        if not final.exists() and has_seal(unfinished) and find_fault(unfinished) is None:
            put_in_place(unfinished, final)


def delete(checkpoint: Path) -> None:
    """Delete a checkpoint. A process killed meanwhile leaves no half of it under its name."""
    aside = _set_aside(checkpoint)
    shutil.rmtree(aside, ignore_errors=True)
    remove_if_empty(aside.parent)


def _set_aside(checkpoint: Path) -> Path:
    aside = checkpoint.parent / UNFINISHED / f"{LEFT}{checkpoint.name}"
    shutil.rmtree(aside, ignore_errors=True)
    aside.parent.mkdir(exist_ok=True)
    return checkpoint.rename(aside)


def remove_if_empty(folder: Path) -> None:
    """Remove a folder unless something lies in it."""
    with suppress(OSError):
        folder.rmdir()


def delete_unfinished(folder: Path) -> None:
    """Delete what a killed run has left unfinished in its output directory."""
    shutil.rmtree(folder / UNFINISHED, ignore_errors=True)


def seal(folder: Path) -> None:
    """Write the manifest of a checkpoint, after the last of its files, and bring all of it to the disk.

    One thread waits for the disk while the files are read for their digests.
    """
    with ThreadPoolExecutor(1) as waiting:
        on_disk = waiting.submit(sync_below, folder)
        files = {name: describe(folder / name, fresh=True) for name in list_files(folder)}
        on_disk.result()
    write_file(folder / SEAL, json.dumps({"files": files}, indent=1, sort_keys=True) + "\n")


def list_files(folder: Path) -> list[str]:
    """The files of a checkpoint below its folder, without the manifest."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(name for path in files if (name := path.relative_to(folder).as_posix()) != SEAL)


def describe(file: Path, *, fresh: bool = False) -> dict[str, int | str]:
    """The size and digest of a file.

    Args:
        fresh: it was just written, and lies in memory. Mapped, it costs less than copied; but where the disk cannot
            read a page of an older file, a mapped one would end the process, and not raise an error.
    """
    size, hasher = 0, xxh3_128()
    with file.open("rb", buffering=0) as stream:
        if fresh and os.fstat(stream.fileno()).st_size:  # nothing cannot be mapped
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                hasher.update(mapped)
                return {"bytes": len(mapped), "xxh3_128": hasher.hexdigest()}
        block = memoryview(bytearray(AT_ONCE))
        while read := stream.readinto(block):
            size += read
            hasher.update(block[:read])
    return {"bytes": size, "xxh3_128": hasher.hexdigest()}


def has_seal(folder: Path) -> bool:
    """False for a checkpoint of a version of hfkit that wrote no manifests, and for one that lost its own."""
    return (folder / SEAL).is_file()


def find_fault(folder: Path) -> str | None:
    """The first file of a sealed checkpoint that is not as it was written, in words; None if all are.

    Every byte is read. Files that were added later do not matter.
    """
    try:
        files = json.loads((folder / SEAL).read_text(encoding="utf-8"))["files"]
        if files is None:  # earlier versions wrote this first
            return f"it is unfinished: {SEAL} was to be completed last"
        for name, wanted in files.items():
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                return f"{SEAL} names '{name}', which lies elsewhere"
            path = folder / name
            if not path.is_file():
                return f"{name} is missing"
            if path.stat().st_size != wanted["bytes"]:
                return f"{name} has {path.stat().st_size:,} bytes of {wanted['bytes']:,}"
            if describe(path) != wanted:
                return f"{name} was changed since it was written"
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        return f"it cannot be read ({error})"
    return None
