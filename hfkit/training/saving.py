"""Checkpoints and models on their way to the disk: they appear whole or not at all, and only then earlier ones go."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from transformers import TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, SaveStrategy

from hfkit.runtime.commands import GOES_ON, TRAINING
from hfkit.runtime.durable import explain_no_room, permit, sync, sync_below
from hfkit.training.resuming import step_folders, step_of
from hfkit.training.sealed import UNFINISHED, begin, delete, finish, remove_if_empty

SAVED = "_model"  # the model that a run ends with, below UNFINISHED while it is written


class Run(Protocol):
    """The attributes of a trainer that are used here."""

    args: Any
    accelerator: Any
    unfinished: (
        Path | None
    )  # the folder that checkpoints are written into at the moment, instead of the output directory


@contextmanager
def write_sealed(trainer: Run, final: Path) -> Iterator[Path]:
    """Give the folder in which all processes write a checkpoint; when the block ends, it is sealed and gets its name.

    If the block fails, what it wrote is deleted. All processes have to enter it.

    Raises:
        Failure: there is no room.
    """
    writes, wait = trainer.args.should_save, trainer.accelerator.wait_for_everyone
    unfinished = final.parent / UNFINISHED / final.name
    try:
        with explain_no_room(final, GOES_ON if trainer.args.resume_from_checkpoint else TRAINING):
            if writes:
                begin(final)
            wait()  # or files of another process might be deleted
            trainer.unfinished = unfinished.parent
            yield unfinished
            wait()  # every process writes a file of its own
            if writes:
                finish(unfinished, final)
    except BaseException:
        if writes:
            shutil.rmtree(unfinished, ignore_errors=True)
            remove_if_empty(unfinished.parent)
        raise
    finally:
        trainer.unfinished = None
    wait()  # or another one might read it before it has its name


def rotate(folder: Path, limit: int | None, *, newest: Path, best: str | None) -> None:
    """Delete the earliest checkpoints until `limit` are left, but never the newest or the best one.

    First go those of later steps than the newest: a run that was resumed has left them behind, damaged or not.
    """
    kept = {newest.name, Path(best).name if best else newest.name}
    others = [path for path in step_folders(folder) if path.name not in kept]
    order = sorted(others, key=lambda path: (step_of(path) < step_of(newest), step_of(path)))
    # Below 0 where there is room for more: a slice up to -2 is all but two.
    surplus = max(0, len(others) + len(kept) - max(limit or 0, len(kept)))
    for path in order[:surplus] if limit and limit > 0 else ():
        delete(path)


def keep_alone(folder: Path, best: str) -> None:
    """Delete all checkpoints of a run but its best one."""
    for path in step_folders(folder):
        if path.name != Path(best).name:
            delete(path)


def best_after(state: TrainerState, final: Path, args: TrainingArguments) -> str | None:
    """The best checkpoint once the one of this step is written, by the rules of the stock trainer."""
    if args.save_strategy == SaveStrategy.NO or not state.best_global_step:
        return state.best_model_checkpoint
    best = final.parent / f"{PREFIX_CHECKPOINT_DIR}-{state.best_global_step}"
    return str(best) if best == final or best.is_dir() else state.best_model_checkpoint


@contextmanager
def write_model(folder: Path, again: str = TRAINING) -> Iterator[Path]:
    """Give a folder to save a model in; when the block ends, its files move into `folder`, each of them whole.

    Raises:
        Failure: there is no room.
    """
    unfinished = folder / UNFINISHED / SAVED
    try:
        with explain_no_room(folder, again):
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            yield unfinished
            permit(unfinished)
            sync_below(unfinished)
            for file in files_below(unfinished):
                place = folder / file.relative_to(unfinished)
                place.parent.mkdir(exist_ok=True)
                os.replace(file, place)
            sync(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        remove_if_empty(unfinished.parent)


def files_below(folder: Path) -> Iterable[Path]:
    """The files below a folder; weights last, for a model without its new configuration might be read as another."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return sorted(files, key=lambda path: (path.suffix == ".safetensors", path))
