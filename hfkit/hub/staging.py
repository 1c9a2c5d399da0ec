"""The published part of a model's folder: only files of known names, gathered in a folder of their own."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hfkit.errors import UserError
from hfkit.hub.paths import hide_folders_of_settings, shorten_paths_in_config
from hfkit.runtime.files import read_object
from hfkit.runtime.redaction import withhold_secrets

ARGUMENTS = "training_args.json"  # made here, from the settings of the report
WEIGHTS = re.compile(
    r"(?:adapter/)?(?:adapter_)?model(?:\.[\w-]+)?(?:-\d+-of-\d+)?\.safetensors"
    r"|(?:adapter/)?(?:adapter_)?model\.safetensors(?:\.[\w-]+)?\.index\.json"
)
PUBLISHED = re.compile(
    "|".join(
        (
            WEIGHTS.pattern,
            r"(?:adapter/)?README\.md|report\.(?:json|md|html)",
            r"(?:plots|examples)/[\w.-]+\.(?:svg|png|jpe?g)",
            r"config\.json|generation_config\.json|(?:adapter/)?adapter_config\.json",
            r"tokenizer(?:_config)?\.json|special_tokens_map\.json|added_tokens\.json|vocab\.(?:txt|json)|merges\.txt",
            r"(?:spiece|tokenizer|sentencepiece\.bpe|source|target)\.(?:model|spm)|chat_template\.(?:jinja|json)",
            r"(?:preprocessor|processor|video_preprocessor)_config\.json",
            r"\.eval_results/[\w.-]+\.yaml",
        )
    )
)


@dataclass(frozen=True)
class Selection:
    """The files of a folder to publish (name in the repository -> file) and to leave out (name -> bytes)."""

    files: dict[str, Path]
    left_out: dict[str, int]


def choose(folder: Path) -> Selection:
    """Select the files of a model's folder that may be published, by a list of names.

    Raises:
        UserError: it is not the folder of a model, or a file that would be published lies outside of it.
    """
    if not folder.is_dir():
        raise UserError(f"folder '{folder}'", "there is no such folder", "Give the output_dir of a finished run")
    files, left_out = {}, {}
    for path in _walk(folder):
        name = path.relative_to(folder).as_posix()
        if PUBLISHED.fullmatch(name) and path.is_file():
            _require_inside(path, folder)
            files[name] = path
        else:
            # The name of a file need not be text, but it will be printed.
            left_out[withhold_secrets(name.encode("utf-8", "backslashreplace").decode())] = _size(path)
    _require_model(folder, files)
    return Selection(files, left_out)


def stage(selection: Selection, place: Path) -> None:
    """Gather the selected files in `place`, with the redacted settings of the run beside them.

    Weights are linked; everything else is copied, so that the files that were searched for secrets are the ones that
    are sent. The copies of configurations lose the folders of this machine.
    """
    for name, source in selection.files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".safetensors"):
            _link(source.resolve(), place / name)
        else:
            shutil.copyfile(source, place / name)
    report = _report(place) if "report.json" in selection.files else {}
    if report:
        settings = withhold_secrets(hide_folders_of_settings(report["settings"]))
        (place / ARGUMENTS).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    origin = report.get("origin")
    base = origin.get("base") if isinstance(origin, dict) else None
    for name in selection.files:
        if name.endswith("config.json"):
            shorten_paths_in_config(place / name, (base["id"] or base["name"]) if base else None)


def staged_files(place: Path) -> dict[str, Path]:
    """Name in the repository -> staged file."""
    return {path.relative_to(place).as_posix(): path for path in sorted(place.rglob("*")) if path.is_file()}


def _report(place: Path) -> dict:
    try:
        report = read_object(place / "report.json", "report.json", "Run the recipe again, or take the file away")
        if isinstance(report["settings"], dict):
            return report
    except (ValueError, KeyError, TypeError):
        pass
    raise UserError("report.json", "it is not the report of a run", "Run the recipe again, or take the file away")


def _walk(folder: Path) -> Iterator[Path]:
    """Every file below, and every link to a folder. Only files to publish are looked for behind such a link."""
    for parent, folders, files in os.walk(folder):
        for name in [*folders]:
            path = Path(parent, name)
            if path.is_symlink():
                folders.remove(name)
                # A link `adapter` to elsewhere was meant to be published: it is refused, not skipped.
                below = [path / child.name for child in path.iterdir()] if path.is_dir() else []
                yield from [child for child in below if PUBLISHED.fullmatch(child.relative_to(folder).as_posix())]
                yield path
        folders.sort()
        yield from (Path(parent, name) for name in sorted(files))


def _require_inside(path: Path, folder: Path) -> None:
    if not path.resolve().is_relative_to(folder.resolve()):
        raise UserError(
            f"'{path.relative_to(folder)}' in '{folder}'",
            "it is a link that leads out of the folder, and only what lies inside is published",
            "Put a copy of the file in its place",
        )


def _require_model(folder: Path, files: dict[str, Path]) -> None:
    """Refuse a folder without a model to load or a card to read."""
    for parts, fix in (
        (("config.json", "adapter_config.json"), "Give the output_dir of a finished run"),
        (
            ("README.md", "report.json"),
            "Write its model card first, as README.md",
        ),
    ):
        if not any(part in files for part in parts):
            raise UserError(f"folder '{folder}'", f"there is no {' or '.join(parts)} in it", fix)
    if not any(WEIGHTS.fullmatch(name) and name.endswith(".safetensors") and "/" not in name for name in files):
        raise UserError(
            f"folder '{folder}'",
            "there are no weights in it, as model.safetensors or its shards",
            "Save the model with `save_pretrained`, and push again",
        )


def _link(source: Path, target: Path) -> None:
    try:
        target.symlink_to(source)
    except OSError:  # Windows lets only some users make links
        shutil.copyfile(source, target)


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0
